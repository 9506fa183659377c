//! Between the upstream's body and the client's: bytes go through untouched while a [`Scanner`] looks on.
//!
//! Some liberties are taken. The last bytes are held back until the call is settled, so that whoever has seen the end of an answer finds its receipt.
//! For whoever asked for the cost, the report that it goes into is held back as well, and a document whole, within bounds. What the upstream says of cost
//! goes out then, and wherever its operator hides it ([`WithoutCost`]).
//! And where the stream was made to report its usage although the client did not ask, the traces of that are taken out again ([`events`]).

mod events;

use bytes::Bytes;

use self::events::Events;
use super::{cost, scan::Scanner, without_cost::WithoutCost};
use crate::dialect::{Answers, reading::Reading};

/// The largest document that is held back whole, for the cost to be put into it: an answer of a quarter of a million tokens.
const WHOLE_BYTES_MAX: usize = 1024 * 1024;

/// One answer on its way.
#[derive(Debug)]
pub(crate) struct Tap {
    form: Form,
    /// Events that are only there because the stream was made to report are taken out.
    without_usage: bool,
    /// What the upstream says of cost is taken out, before anything else is made of its bytes.
    without_cost: Option<Box<WithoutCost>>,
    /// The cost is to be put into the answer. A document can be held back whole while it is no larger than so many more bytes.
    room_for_cost: Option<usize>,
    /// It is to be an answer, and not an error, which may look like anything.
    is_success: bool,
    /// How many bytes are still to come, where that is known.
    left: Option<u64>,
    /// What is held back.
    held: Vec<Bytes>,
    reading: Reading,
}

/// What an answer is, as its first byte says, since headers can be wrong.
#[derive(Debug)]
enum Form {
    /// Only white space and a byte-order mark so far.
    Unsaid,
    /// JSON: the last piece is held back.
    Document(Scanner),
    Events(Events),
    /// Neither.
    Foreign,
}

/// An answer that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The bytes that were held back.
    pub(crate) held: Vec<Bytes>,
    /// In what form the cost can be put into them, where it is to be.
    pub(crate) form: Option<cost::Form>,
    /// What was read.
    pub(crate) reading: Reading,
    /// It has an end of its own: a document was closed, or a stream came to its last event, or said why its text ended. A report of usage is no end: some
    /// begin with one, and some have one in each event.
    pub(crate) is_whole: bool,
}

impl Tap {
    /// A tap for an answer of this kind.
    #[must_use]
    pub(crate) fn new(answers: &'static Answers, without_usage: bool) -> Self {
        let reading = Reading::new(answers);
        Self {
            form: Form::Unsaid,
            without_usage,
            without_cost: None,
            room_for_cost: None,
            is_success: true,
            left: None,
            held: Vec::new(),
            reading,
        }
    }

    /// The same for an error, which may look like anything.
    #[must_use]
    pub(crate) fn of_error(self) -> Self {
        Self { is_success: false, ..self }
    }

    /// The same without what the upstream says of cost.
    #[must_use]
    pub(crate) fn without_cost(self) -> Self {
        Self { without_cost: Some(Box::new(WithoutCost::new(self.reading.grammar()))), ..self }
    }

    /// The same, into which the cost is to be put in place of what the upstream says of it.
    #[must_use]
    pub(crate) fn for_cost(self) -> Self {
        Self { room_for_cost: Some(WHOLE_BYTES_MAX), ..self.without_cost() }
    }

    /// Whether a document is held back for that.
    #[must_use]
    pub(crate) const fn holds_document(&self) -> bool {
        self.room_for_cost.is_some() && matches!(self.form, Form::Document(_))
    }

    /// What is held back goes on without the cost.
    pub(crate) const fn let_go(&mut self) {
        self.room_for_cost = None;
    }

    /// The same, where the answer's length is known: its last bytes are held back, whatever they are.
    #[must_use]
    pub(crate) fn of_length(self, bytes: Option<u64>) -> Self {
        Self { left: bytes, ..self }
    }

    /// Takes the upstream's next piece; what may go to the client now is appended to `out`.
    pub(crate) fn push(&mut self, piece: Bytes, out: &mut Vec<Bytes>) {
        // It is no reason to let the last one go.
        if piece.is_empty() {
            return;
        }
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(length));
        let before = out.len();
        match &mut self.without_cost {
            None => self.push_piece(piece, out),
            Some(filter) => {
                let piece = filter.push(&piece);
                if !piece.is_empty() {
                    self.push_piece(piece, out);
                }
            }
        }
        if self.left == Some(0) && self.held.is_empty() {
            self.held.extend(out.drain(before..));
        }
    }

    fn push_piece(&mut self, mut piece: Bytes, out: &mut Vec<Bytes>) {
        if matches!(self.form, Form::Unsaid) {
            out.append(&mut self.held);
            let said_at = piece.iter().position(|byte| !is_blank(*byte)).unwrap_or(piece.len());
            // Blank lines keep a connection alive while the model is queued: all but the last go on.
            let blank = piece.split_to(said_at);
            if !blank.is_empty() {
                self.held.push(blank);
            }
            let Some(first) = piece.first() else { return };
            self.form = self.form_of(*first);
        }
        match &mut self.form {
            Form::Unsaid => {}
            Form::Document(scanner) => {
                scanner.push(&piece, &mut self.reading.text);
                self.room_for_cost = self.room_for_cost.and_then(|room| room.checked_sub(piece.len()));
                if self.room_for_cost.is_none() {
                    out.append(&mut self.held);
                }
                self.held.push(piece);
            }
            Form::Events(events) => {
                if !events.are_held() {
                    out.append(&mut self.held);
                }
                events.push(&piece, &mut self.reading, out, &mut self.held);
            }
            Form::Foreign => self.held.push(piece),
        }
    }

    fn form_of(&self, first: u8) -> Form {
        match first {
            b'{' | b'[' => Form::Document(self.reading.scanner()),
            // A field's name, or the colon of a comment.
            b'a'..=b'z' | b'A'..=b'Z' | b':' => {
                Form::Events(Events::new(self.reading.scanner(), self.without_usage, self.room_for_cost.is_some()))
            }
            _ if self.is_success => Form::Foreign,
            _ => Form::Document(self.reading.scanner()),
        }
    }

    /// The upstream's body has ended, however it ended.
    pub(crate) fn finish(mut self) -> Ended {
        if let Some(undecided) = self.without_cost.as_mut().map(|filter| filter.finish()).filter(|bytes| !bytes.is_empty()) {
            let mut held = Vec::new();
            self.push_piece(undecided, &mut held);
            held.append(&mut self.held);
            self.held = held;
        }
        let is_whole = match &mut self.form {
            Form::Unsaid => true,
            Form::Document(scanner) => {
                let document = scanner.finish();
                let is_whole = document.is_whole;
                self.reading.absorb(document);
                is_whole
            }
            Form::Events(events) => {
                events.finish(&mut self.reading, &mut self.held);
                events.have_ended() || self.reading.finished
            }
            Form::Foreign => false,
        };
        self.held.retain(|bytes| !bytes.is_empty());
        let form = match self.form {
            Form::Document(_) => Some(cost::Form::Document),
            Form::Events(_) => Some(cost::Form::Events),
            Form::Unsaid | Form::Foreign => None,
        };
        let form = form.filter(|_| self.room_for_cost.is_some());
        Ended { held: self.held, form, reading: self.reading, is_whole }
    }

    /// What has been read so far.
    #[must_use]
    pub(crate) const fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Whether the end of a stream has been read: nothing that matters can follow.
    #[must_use]
    pub(crate) fn is_at_end(&self) -> bool {
        matches!(&self.form, Form::Events(events) if events.have_ended())
    }

    /// Whether this is no answer at all. Nothing of it has been let through.
    #[must_use]
    pub(crate) const fn is_foreign(&self) -> bool {
        matches!(self.form, Form::Foreign)
    }
}

/// What may come before an answer and says nothing: white space, and a byte-order mark.
pub(super) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf)
}
