//! Server-sent events on their way. Where a stream was made to report its usage although the client did not ask, what is only there because of that is taken
//! out again: the event that carries nothing but usage, and `"usage":null` in the others.

use std::{mem, ops::Range};

use bytes::{Bytes, BytesMut};

use crate::{
    dialect::reading::Reading,
    wire::{
        document::Document,
        grammar::Scope,
        scan::Scanner,
        sse::{Splitter, Token},
    },
};

/// The most that is held back of an unfinished event to decide whether it is forwarded. A larger one is not made of usage, and goes out as it comes.
const CARRY_BYTES_MAX: usize = 64 * 1024;

/// The most that is held back of the last event, which may have all of an answer in it once more, and in how many pieces.
const LAST_BYTES_MAX: usize = 1024 * 1024;
const LAST_PIECES_MAX: usize = 1024;

/// A stream of events, read as far as it has come.
#[derive(Debug)]
pub(super) struct Events {
    scanner: Scanner,
    splitter: Splitter,
    without_usage: bool,
    /// The report that the cost goes into is held back, with all that follows it.
    for_cost: bool,
    /// It is.
    has_report: bool,
    event: Event,
    /// What has come of an event whose end decides whether it is forwarded.
    carry: BytesMut,
    /// An event ended with CR at the end of a piece: the line feed that may follow belongs to it, and has the same fate.
    after_cr: Option<Fate>,
    /// The last event has begun: everything from here on is held back.
    ending: bool,
    /// It has come whole.
    have_ended: bool,
}

/// Where the current event stands.
#[derive(Debug, Default)]
struct Event {
    /// Where its data begins, counted from its first byte.
    data_at: Option<usize>,
    /// Its data is more than one line, so that positions in the data are not positions in the event.
    has_lines: bool,
    /// Part of it has been forwarded already.
    is_oversized: bool,
}

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Dropped,
}

/// What becomes of an event.
enum Verdict {
    Keep,
    Drop,
    /// All but this range of it.
    Cut(Range<usize>),
}

/// A piece on its way out.
struct Piece<'a> {
    bytes: &'a Bytes,
    /// What comes before this is dealt with: forwarded, held back or dropped.
    done: usize,
    /// Here the current event begins; it may have begun in an earlier piece.
    event: usize,
    out: &'a mut Vec<Bytes>,
    held: &'a mut Vec<Bytes>,
}

impl Piece<'_> {
    fn emit(&mut self, bytes: Bytes, is_held: bool) {
        if !bytes.is_empty() {
            if is_held { &mut *self.held } else { &mut *self.out }.push(bytes);
        }
    }

    /// Forwards what is not dealt with, up to this place.
    fn emit_up_to(&mut self, end: usize, is_held: bool) {
        let from = self.done;
        if from < end {
            self.done = end;
            self.emit(self.bytes.slice(from..end), is_held);
        }
    }
}

impl Events {
    pub(super) fn new(scanner: Scanner, without_usage: bool, for_cost: bool) -> Self {
        Self {
            scanner,
            splitter: Splitter::default(),
            without_usage,
            for_cost,
            has_report: false,
            event: Event::default(),
            carry: BytesMut::new(),
            after_cr: None,
            ending: false,
            have_ended: false,
        }
    }

    /// Whether what comes is held back: the last event has begun, or the one that the cost goes into has come.
    pub(super) const fn are_held(&self) -> bool {
        self.ending || self.has_report
    }

    /// Whether the last event has come whole: what says most of an answer may stand at its end.
    pub(super) const fn have_ended(&self) -> bool {
        self.have_ended
    }

    /// Takes the next piece: what may go on is appended to `out`, the end to `held`.
    pub(super) fn push(&mut self, bytes: &Bytes, reading: &mut Reading, out: &mut Vec<Bytes>, held: &mut Vec<Bytes>) {
        let mut piece = Piece { bytes, done: 0, event: 0, out, held };
        if let Some(fate) = self.after_cr.take()
            && bytes.first() == Some(&b'\n')
        {
            piece.event = 1;
            if fate == Fate::Dropped {
                piece.done = 1;
            }
        }
        let mut place = 0;
        while let Some(token) = self.splitter.next(bytes, &mut place) {
            match token {
                Token::Data(range) => self.data(range, reading, &mut piece),
                Token::NextLine => {
                    self.event.has_lines = true;
                    self.scanner.push(b"\n", &mut reading.text);
                }
                Token::EndOfEvent(end) => self.end_event(end, reading, &mut piece),
            }
        }
        self.end_piece(&mut piece);
        if self.are_held() {
            self.let_go_of_what_is_too_much(&mut piece);
        }
    }

    fn data(&mut self, range: Range<usize>, reading: &mut Reading, piece: &mut Piece<'_>) {
        self.event.data_at.get_or_insert(self.carry.len() + range.start - piece.event);
        self.scanner.push(&piece.bytes[range], &mut reading.text);
        if self.scanner.is_at_end() && !self.ending {
            piece.emit_up_to(piece.event, self.has_report);
            self.ending = true;
        }
        self.have_ended |= self.scanner.is_end_marker();
    }

    fn end_event(&mut self, end: usize, reading: &mut Reading, piece: &mut Piece<'_>) {
        let is_last = self.scanner.is_at_end();
        let (event, document) = (mem::take(&mut self.event), self.scanner.finish());
        let verdict = self.verdict(&event, &document, reading);
        if self.ending && document.is_structured && !is_last {
            // That was not the end after all.
            (self.ending, self.have_ended, self.has_report) = (false, false, false);
            piece.out.append(piece.held);
        }
        self.have_ended |= is_last;
        let reports = self.for_cost && reports(&document);
        // Why the text has ended, some say only behind the report.
        if self.has_report && document.is_structured && (reports || document.says_something || document.failed) {
            // It was not the last.
            piece.emit_up_to(piece.event, true);
            piece.out.append(piece.held);
            self.has_report = false;
        }
        // The last report comes with the end of the text, or behind it, or with the error that it breaks off with.
        let is_behind = document.failed || !says_something(&document) && !reading.delivered_nothing();
        reading.absorb(document);
        if reports && (reading.finished || is_behind) && !self.are_held() && !event.is_oversized {
            piece.emit_up_to(piece.event, false);
            self.has_report = true;
        }
        // The line feed that completes its last CRLF.
        let is_cut_at_cr = self.splitter.is_after_cr();
        let whole_end = end + usize::from(is_cut_at_cr && piece.bytes.get(end) == Some(&b'\n'));
        if is_cut_at_cr && end == piece.bytes.len() {
            self.after_cr = Some(if matches!(verdict, Verdict::Drop) { Fate::Dropped } else { Fate::Kept });
        }
        self.carry_out(verdict, whole_end, piece);
        piece.event = whole_end;
    }

    /// Whether an event is only there because the stream was made to report.
    fn verdict(&self, event: &Event, document: &Document, before: &Reading) -> Verdict {
        if !self.without_usage || event.is_oversized {
            return Verdict::Keep;
        }
        // Some repeat the role in it. Before the end that may be how an answer opens.
        let opens = document.opens && !before.finished;
        if reports(document) && !says_something(document) && !opens {
            return Verdict::Drop;
        }
        match (&document.usage_null, event.data_at) {
            (Some(member), Some(data_at)) if !event.has_lines => Verdict::Cut(data_at + member.start..data_at + member.end),
            _ => Verdict::Keep,
        }
    }

    /// Does what was decided of the event that ends here.
    fn carry_out(&mut self, verdict: Verdict, end: usize, piece: &mut Piece<'_>) {
        let (mut carry, is_held) = (mem::take(&mut self.carry), self.are_held());
        match verdict {
            Verdict::Keep => piece.emit(carry.freeze(), is_held),
            Verdict::Drop => {
                piece.emit_up_to(piece.event, is_held);
                piece.done = end;
            }
            Verdict::Cut(cut) => {
                piece.emit_up_to(piece.event, is_held);
                piece.done = end;
                carry.extend_from_slice(&piece.bytes[piece.event..end]);
                let whole = carry.freeze();
                let cut = with_comma(&whole, cut);
                piece.emit(whole.slice(..cut.start), is_held);
                piece.emit(whole.slice(cut.end..), is_held);
            }
        }
    }

    fn end_piece(&mut self, piece: &mut Piece<'_>) {
        let is_held = self.are_held();
        if !(self.without_usage || self.for_cost) || self.event.is_oversized {
            piece.emit_up_to(piece.bytes.len(), is_held);
            return;
        }
        piece.emit_up_to(piece.event, is_held);
        self.carry.extend_from_slice(&piece.bytes[piece.event.max(piece.done)..]);
        if self.carry.len() > CARRY_BYTES_MAX {
            self.event.is_oversized = true;
            piece.emit(mem::take(&mut self.carry).freeze(), is_held);
        }
    }

    /// A report that is not the last after all goes on without the cost, and of a last event that has no end all but its newest piece.
    fn let_go_of_what_is_too_much(&mut self, piece: &mut Piece<'_>) {
        let bytes: usize = piece.held.iter().map(Bytes::len).sum();
        if self.ending && (bytes > LAST_BYTES_MAX || piece.held.len() > LAST_PIECES_MAX) {
            self.has_report = false;
            let newest = piece.held.pop();
            piece.out.append(piece.held);
            piece.held.extend(newest);
        } else if !self.ending && bytes > CARRY_BYTES_MAX {
            self.has_report = false;
            piece.out.append(piece.held);
        }
    }

    /// The stream has ended, perhaps in the middle of an event.
    pub(super) fn finish(&mut self, reading: &mut Reading, held: &mut Vec<Bytes>) {
        let is_last = self.scanner.is_at_end();
        let (event, document) = (mem::take(&mut self.event), self.scanner.finish());
        self.have_ended |= is_last && document.is_whole;
        let verdict = self.verdict(&event, &document, reading);
        reading.absorb(document);
        let carry = mem::take(&mut self.carry).freeze();
        match verdict {
            Verdict::Keep => held.push(carry),
            Verdict::Drop => {}
            Verdict::Cut(cut) => {
                let cut = with_comma(&carry, cut);
                held.extend([carry.slice(..cut.start), carry.slice(cut.end..)]);
            }
        }
    }
}

/// Whether a report of the whole answer is in it.
fn reports(document: &Document) -> bool {
    document.reports.iter().any(|report| report.scope == Scope::Answer)
}

/// Whether it has something beside a report that a client waits for.
fn says_something(document: &Document) -> bool {
    document.says_something || document.failed || document.finish.is_some()
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
