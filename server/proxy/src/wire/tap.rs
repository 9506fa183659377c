//! Between the upstream's body and the client's: bytes go through untouched while a [`Scanner`] looks on.
//!
//! Two liberties are taken. The last bytes are held back until the call is settled, so that whoever has seen the end of an answer finds its receipt.
//! And where the stream was made to report its usage although the client did not ask, the traces of that are taken out again: the event that has only
//! `usage`, and `"usage":null` in the others.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::{
    dialect::openai_chat::reading::Reading,
    wire::{
        scan::{Document, Scanner},
        sse::{Splitter, Token},
    },
};

/// The most that is held back of an unfinished event to decide whether it is forwarded. A larger one is not made of usage, and goes out as it comes.
const CARRY_BYTES_MAX: usize = 64 * 1024;

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON document.
    Document,
    /// Server-sent events, forwarded untouched.
    Events,
    /// Server-sent events that report usage unasked by the client.
    EventsWithoutUsage,
    /// What its first byte says, since headers can be wrong: a document begins with a brace, and all else is events.
    Unsaid {
        /// Whether events would be [`Self::EventsWithoutUsage`].
        without_usage: bool,
    },
}

/// One answer on its way.
#[derive(Debug)]
pub struct Tap {
    form: Form,
    scanner: Scanner,
    splitter: Splitter,
    event: Event,
    /// An unfinished event, in [`Form::EventsWithoutUsage`].
    carry: BytesMut,
    /// An event ended with CR at the end of a piece: the line feed that may follow belongs to it. Whether it was dropped.
    ended_with_cr: Option<bool>,
    /// The end of the stream has begun: everything from here on is held back.
    holding: bool,
    held: Vec<Bytes>,
    /// How many bytes are still to come, where that is known.
    left: Option<u64>,
    reading: Reading,
}

/// Where the current event stands.
#[derive(Debug, Default)]
struct Event {
    /// Where its data begins, counted from its first byte.
    data_at: Option<usize>,
    /// Its data is more than one line, so that positions in the data are not positions in the event.
    has_lines: bool,
    /// Part of it has been forwarded already.
    oversized: bool,
}

/// What becomes of an event.
enum Verdict {
    Keep,
    Drop,
    /// All but this range of it.
    Cut(Range<usize>),
}

impl Tap {
    /// A tap for an answer of this form.
    #[must_use]
    pub fn new(form: Form) -> Self {
        Self {
            form,
            scanner: Scanner::default(),
            splitter: Splitter::default(),
            event: Event::default(),
            carry: BytesMut::new(),
            ended_with_cr: None,
            holding: false,
            held: Vec::new(),
            left: None,
            reading: Reading::default(),
        }
    }

    /// The same, where the answer's length is known: its last bytes are held back, whatever they are.
    #[must_use]
    pub fn of_length(self, bytes: Option<u64>) -> Self {
        Self { left: bytes, ..self }
    }

    /// Takes the upstream's next piece; what may go to the client now is appended to `out`.
    pub fn push(&mut self, piece: Bytes, out: &mut Vec<Bytes>) {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(length));
        let before = out.len();
        self.push_piece(piece, out);
        if self.left == Some(0) && self.held.is_empty() {
            self.held.extend(out.drain(before..));
        }
    }

    fn push_piece(&mut self, piece: Bytes, out: &mut Vec<Bytes>) {
        if let Form::Unsaid { without_usage } = self.form {
            let Some(form) = form_of(&piece, without_usage) else {
                // Blank lines keep a connection alive while the model is queued: all but the last go on.
                out.append(&mut self.held);
                self.held.push(piece);
                return;
            };
            self.form = form;
            out.append(&mut self.held);
        }
        if self.form == Form::Document {
            self.scanner.push(&piece, &mut self.reading.text);
            out.append(&mut self.held);
            self.held.push(piece);
            return;
        }
        // What lies between the two is done with and may go out; the current event began at the second, or before this piece.
        let (mut kept_from, mut event_from) = match self.ended_with_cr.take() {
            Some(dropped) if piece.first() == Some(&b'\n') => (usize::from(dropped), 1),
            _ => (0, 0),
        };
        let mut place = 0;
        while let Some(token) = self.splitter.next(&piece, &mut place) {
            match token {
                Token::Data(range) => {
                    self.event.data_at.get_or_insert(self.carry.len() + range.start - event_from);
                    self.scanner.push(&piece[range], &mut self.reading.text);
                    if self.scanner.is_end_marker() && !self.holding {
                        self.emit(piece.slice(kept_from..event_from), out);
                        kept_from = event_from;
                        self.holding = true;
                    }
                }
                Token::NextLine => {
                    self.event.has_lines = true;
                    self.scanner.push(b"\n", &mut self.reading.text);
                }
                Token::EndOfEvent(blank_line_end) => {
                    let end = self.with_line_feed(&piece, blank_line_end);
                    let (event, document) = (std::mem::take(&mut self.event), self.scanner.finish());
                    let verdict = self.verdict(&event, &document);
                    if self.holding && document.is_object {
                        // That was not the end after all.
                        self.holding = false;
                        out.append(&mut self.held);
                    }
                    self.reading.absorb(document);
                    if blank_line_end == piece.len() && self.splitter.is_after_cr() {
                        self.ended_with_cr = Some(matches!(verdict, Verdict::Drop));
                    }
                    kept_from = self.end_event(verdict, &piece, kept_from, event_from..end, out);
                    event_from = end;
                }
            }
        }
        self.end_piece(&piece, kept_from, event_from, out);
    }

    /// The upstream's body has ended, however it ended. Returns the bytes that were held back, and what was read.
    pub fn finish(mut self) -> (Vec<Bytes>, Reading) {
        let (event, document) = (std::mem::take(&mut self.event), self.scanner.finish());
        let verdict = self.verdict(&event, &document);
        self.reading.absorb(document);
        let carry = std::mem::take(&mut self.carry).freeze();
        match verdict {
            Verdict::Keep => self.held.push(carry),
            Verdict::Drop => {}
            Verdict::Cut(cut) => {
                let cut = with_comma(&carry, cut);
                self.held.extend([carry.slice(..cut.start), carry.slice(cut.end..)]);
            }
        }
        self.held.retain(|bytes| !bytes.is_empty());
        (self.held, self.reading)
    }

    /// What has been read so far.
    #[must_use]
    pub const fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Whether the end of a stream has been read: nothing that matters can follow.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.holding
    }

    fn emit(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) {
        if !bytes.is_empty() {
            if self.holding { &mut self.held } else { out }.push(bytes);
        }
    }

    /// The end of an event, with the line feed that completes its last CRLF.
    fn with_line_feed(&self, piece: &[u8], end: usize) -> usize {
        end + usize::from(self.splitter.is_after_cr() && piece.get(end) == Some(&b'\n'))
    }

    fn verdict(&self, event: &Event, document: &Document) -> Verdict {
        if self.form != Form::EventsWithoutUsage || event.oversized {
            return Verdict::Keep;
        }
        if document.usage.is_some() && document.has_choices == Some(false) && !document.failed {
            return Verdict::Drop;
        }
        match (&document.usage_null, event.data_at) {
            (Some(member), Some(data_at)) if !event.has_lines => Verdict::Cut(data_at + member.start..data_at + member.end),
            _ => Verdict::Keep,
        }
    }

    /// Returns from where on the piece has not been dealt with.
    fn end_event(&mut self, verdict: Verdict, piece: &Bytes, kept_from: usize, event: Range<usize>, out: &mut Vec<Bytes>) -> usize {
        let carry = std::mem::take(&mut self.carry);
        match verdict {
            Verdict::Keep => {
                self.emit(carry.freeze(), out);
                kept_from
            }
            Verdict::Drop => {
                self.emit(piece.slice(kept_from..event.start), out);
                event.end
            }
            Verdict::Cut(cut) => {
                self.emit(piece.slice(kept_from..event.start), out);
                let whole = if carry.is_empty() {
                    piece.slice(event.clone())
                } else {
                    let mut whole = carry;
                    whole.extend_from_slice(&piece[event.clone()]);
                    whole.freeze()
                };
                let cut = with_comma(&whole, cut);
                self.emit(whole.slice(..cut.start), out);
                self.emit(whole.slice(cut.end..), out);
                event.end
            }
        }
    }

    fn end_piece(&mut self, piece: &Bytes, kept_from: usize, event_from: usize, out: &mut Vec<Bytes>) {
        if self.form != Form::EventsWithoutUsage || self.event.oversized {
            self.emit(piece.slice(kept_from..), out);
            return;
        }
        self.emit(piece.slice(kept_from..event_from), out);
        self.carry.extend_from_slice(&piece[event_from..]);
        if self.carry.len() > CARRY_BYTES_MAX {
            self.event.oversized = true;
            let carry = std::mem::take(&mut self.carry).freeze();
            self.emit(carry, out);
        }
    }
}

/// What a body is by its first byte, if this piece has it: space and a byte-order mark say nothing.
fn form_of(piece: &[u8], without_usage: bool) -> Option<Form> {
    let first = piece.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf))?;
    Some(match (first, without_usage) {
        (b'{', _) => Form::Document,
        (_, true) => Form::EventsWithoutUsage,
        (_, false) => Form::Events,
    })
}

/// A member that was the first of its object has no comma before it; then the one after it goes too.
fn with_comma(event: &[u8], cut: Range<usize>) -> Range<usize> {
    if event.get(cut.start) == Some(&b',') {
        return cut;
    }
    let space = |from: usize| event[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let comma = cut.end + space(cut.end);
    if event.get(comma) == Some(&b',') { cut.start..comma + 1 + space(comma + 1) } else { cut }
}
