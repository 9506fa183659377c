//! A scanner of answers that takes JSON in pieces of any size and keeps almost nothing of it.
//!
//! It follows the structure of the document byte by byte, so that `"usage":{` inside a string is a string, and remembers only what its [`Grammar`] has a
//! row for: reports of usage, the text that was delivered, who answered, whether it failed. A whole body and one event of a stream are read by the same
//! code; neither is ever held in memory to be parsed, and what stands beside a number, be it no UTF-8, does not spoil it.
//!
//! It does not validate: what makes no sense is simply not found.

mod scalars;
#[cfg(test)]
mod tests;

use super::{
    document::Document,
    estimate::DeliveredText,
    grammar::{Grammar, Mark, Place},
    report::{Number, Report},
};

/// What ends an OpenAI stream.
const END_MARKER: &[u8] = b"[DONE]";
/// Longer than any count, a sign and one digit too many included.
const LITERAL_BYTES_MAX: usize = 24;
/// Containers deeper than this are skipped over without looking at their keys.
const DEPTH_MAX: usize = 12;
/// Of containers deeper than this only the ends are looked for.
const OBJECTS_MAX: usize = 128;
/// What tells of usage at most places, in its quotes.
const USAGE_KEY: &[u8] = b"usage";

/// Where in the grammar of JSON the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a value, or before the end of an empty array.
    Value,
    /// Before a key, or before the end of an empty object.
    Key,
    /// After a key.
    Colon,
    /// After a value: a comma or the end of the container follows.
    AfterValue,
    /// Inside a string.
    Text,
    /// After a backslash.
    Escape,
    /// Inside `\uXXXX`, with so many digits to come.
    Unicode(u8),
    /// Inside a number, `true`, `false` or `null`.
    Literal,
    /// Inside what may be `[DONE]`, after so many of its bytes.
    Marker(u8),
    /// The document does not begin like one, or has ended.
    Outside,
}

/// Where the bytes of a string go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    Nowhere,
    Key,
    Delivered,
    Label,
}

/// Reads one document after another; see the module.
#[derive(Debug)]
pub(crate) struct Scanner {
    grammar: &'static Grammar,
    at: At,
    /// How many containers are open.
    depth: usize,
    /// One bit a container, the innermost lowest: whether it is an object. Deeper than [`OBJECTS_MAX`] nobody looks.
    objects: u128,
    /// Where each of the outer containers stands.
    path: [Place; DEPTH_MAX],
    /// Where the current value stands.
    place: Place,
    sink: Sink,
    key: Vec<u8>,
    label: Vec<u8>,
    /// The last key was [`USAGE_KEY`], and has no row.
    after_stray_key: bool,
    /// The digits of a `\uXXXX` so far, and a high surrogate that waits for its low one.
    code_unit: u32,
    high_surrogate: Option<u32>,
    literal: [u8; LITERAL_BYTES_MAX],
    literal_bytes: usize,
    /// Reports that are open, by their index and the depth of their object, outermost first. Only the outermost is kept as it was written.
    open_reports: Vec<(usize, usize)>,
    /// Bytes of this document before the current piece.
    offset: usize,
    /// Where the outermost object's current member begins, its comma included, and where its last comma was.
    member_start: usize,
    comma: Option<usize>,
    is_at_end: bool,
    document: Document,
}

impl Scanner {
    /// A scanner at the beginning of a document.
    #[must_use]
    pub(crate) fn new(grammar: &'static Grammar) -> Self {
        Self {
            grammar,
            at: At::Value,
            depth: 0,
            objects: 0,
            path: [Place::NOWHERE; DEPTH_MAX],
            place: Place::ROOT,
            sink: Sink::Nowhere,
            key: Vec::new(),
            label: Vec::new(),
            after_stray_key: false,
            code_unit: 0,
            high_surrogate: None,
            literal: [0; LITERAL_BYTES_MAX],
            literal_bytes: 0,
            open_reports: Vec::new(),
            offset: 0,
            member_start: 0,
            comma: None,
            is_at_end: false,
            document: Document::default(),
        }
    }

    /// Reads the next piece of the document. Delivered text is appended to `text`.
    pub(crate) fn push(&mut self, piece: &[u8], text: &mut DeliveredText) {
        let mut place = 0;
        // Where what is kept of an open report begins in this piece.
        let mut kept_from = 0;
        while place < piece.len() {
            let byte = piece[place];
            match self.at {
                At::Outside => break,
                At::Marker(matched) => self.marker(byte, matched),
                At::Text => {
                    place = self.text(piece, place, text);
                    continue;
                }
                At::Escape => self.escape(byte, text),
                At::Unicode(left) => self.unicode(byte, left, text),
                At::Literal if !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') => self.literal_byte(byte),
                At::Literal => {
                    self.end_literal(place);
                    continue; // the byte itself belongs to what follows
                }
                _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {}
                At::Value if self.depth == 0 && byte != b'{' => self.marker(byte, 0),
                At::Value if matches!(byte, b'}' | b']') => self.close(byte, &piece[kept_from..=place]),
                At::Value => {
                    if self.begin_value(byte)
                        && let Some(report) = self.document.reports.last_mut()
                    {
                        report.at = self.offset + place;
                        kept_from = place;
                    }
                }
                At::Key => match byte {
                    b'"' => self.begin_key(place),
                    b'}' => self.close(byte, &piece[kept_from..=place]),
                    _ => self.at = At::Outside,
                },
                At::Colon => self.at = if byte == b':' { At::Value } else { At::Outside },
                At::AfterValue => match byte {
                    b',' => self.comma(place),
                    // Down there nobody looks for keys.
                    b':' if self.depth > OBJECTS_MAX => self.at = At::Value,
                    b'}' | b']' => self.close(byte, &piece[kept_from..=place]),
                    _ => self.at = At::Outside,
                },
            }
            place += 1;
        }
        if let Some((report, _)) = self.open_reports.first() {
            self.document.reports[*report].keep(&piece[kept_from..]);
        }
        self.offset += piece.len();
    }

    /// Whether this document is the last of its stream: `[DONE]`, or of a kind that says so. Anything else that is no object is somebody's way to keep a
    /// connection alive.
    #[must_use]
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Whether it is so, and nothing of the document can follow.
    #[must_use]
    pub(crate) fn is_end_marker(&self) -> bool {
        self.is_at_end && !self.document.is_structured
    }

    /// Ends the document and makes ready for the next.
    pub(crate) fn finish(&mut self) -> Document {
        let (mut key, mut label, open) =
            (std::mem::take(&mut self.key), std::mem::take(&mut self.label), std::mem::take(&mut self.open_reports));
        let fresh = Self::new(self.grammar);
        let mut finished = std::mem::replace(self, fresh).document;
        // A report that was cut off is no report.
        if let Some((first, _)) = open.first() {
            finished.reports.truncate(*first);
        }
        key.clear();
        label.clear();
        (self.key, self.label) = (key, label);
        finished
    }

    fn marker(&mut self, byte: u8, matched: u8) {
        match (matched, byte) {
            (1, b' ' | b'\t' | b'\r' | b'\n') => return,
            // A list of documents.
            (1, b'{') => {
                self.place = Place::LIST;
                self.open(false);
                self.begin_value(byte);
                return;
            }
            _ => {}
        }
        self.at = At::Outside;
        if END_MARKER.get(usize::from(matched)) == Some(&byte) {
            self.at = At::Marker(matched + 1);
            self.is_at_end = usize::from(matched) + 1 == END_MARKER.len();
        }
    }

    fn in_object(&self) -> bool {
        self.depth <= OBJECTS_MAX && self.objects & 1 == 1
    }

    /// Where the innermost container stands.
    fn container(&self) -> Place {
        self.depth.checked_sub(1).and_then(|index| self.path.get(index).copied()).unwrap_or(Place::NOWHERE)
    }

    /// Returns whether a report begins here that is to be kept as it is written.
    fn begin_value(&mut self, byte: u8) -> bool {
        if self.depth > 0 && !self.in_object() {
            self.place = self.grammar.item(self.container());
        }
        let mark = self.grammar.mark(self.place);
        let begins_kept = mark != Mark::Nothing && self.recognise(mark, byte);
        match byte {
            b'{' | b'[' => {
                self.document.has_stray_usage |= self.after_stray_key && byte == b'{';
                self.open(byte == b'{');
            }
            b'"' => {
                self.sink = sink_of(mark);
                self.label.clear();
                self.at = At::Text;
            }
            _ => {
                self.literal_bytes = 0;
                self.literal_byte(byte);
                self.at = At::Literal;
            }
        }
        self.after_stray_key = false;
        begins_kept
    }

    /// Notes what the value that begins with this byte says by being there.
    fn recognise(&mut self, mark: Mark, byte: u8) -> bool {
        let is_container = matches!(byte, b'{' | b'[');
        let is_there = byte != b'n';
        let document = &mut self.document;
        match mark {
            Mark::Answer => document.is_answer |= is_container,
            // A text says something once it is not empty.
            Mark::Said => document.says_something |= is_there && byte != b'"',
            Mark::Opening => document.opens |= is_there,
            Mark::Media if is_there => (document.has_media, document.says_something) = (true, true),
            Mark::Failure => document.failed |= is_there,
            Mark::Report(scope) if byte == b'{' => {
                document.reports.push(Report::new(scope));
                self.open_reports.push((document.reports.len() - 1, self.depth + 1));
                return self.open_reports.len() == 1;
            }
            Mark::Count(_) if is_container || byte == b'"' => self.count(Number::Odd),
            _ => {}
        }
        false
    }

    fn count(&mut self, number: Number) {
        let Mark::Count(count) = self.grammar.mark(self.place) else { return };
        if let Some((report, _)) = self.open_reports.last() {
            self.document.reports[*report].count(count, self.grammar.rank(self.place), number);
        }
    }

    fn open(&mut self, object: bool) {
        self.document.is_structured = true;
        if let Some(slot) = self.path.get_mut(self.depth) {
            *slot = self.place;
        }
        self.depth += 1;
        if self.depth > OBJECTS_MAX {
            self.at = At::Value;
            return;
        }
        self.objects = self.objects << 1 | u128::from(object);
        self.at = if object { At::Key } else { At::Value };
    }

    /// `kept` is what of this piece belongs to the outermost open report, if there is one.
    fn close(&mut self, byte: u8, kept: &[u8]) {
        let is_deep = self.depth > OBJECTS_MAX;
        if !is_deep && (byte == b'}') != self.in_object() {
            self.at = At::Outside;
            return;
        }
        if let Some((report, depth)) = self.open_reports.last().copied()
            && depth == self.depth
        {
            self.open_reports.pop();
            if self.open_reports.is_empty() {
                self.document.reports[report].keep(kept);
            }
        }
        self.depth -= 1;
        if !is_deep {
            self.objects >>= 1;
        }
        self.at = At::AfterValue;
        if self.depth == 0 {
            self.document.is_whole = true;
            self.at = At::Outside;
        }
    }

    fn begin_key(&mut self, place: usize) {
        if self.depth == 1 {
            self.member_start = self.comma.unwrap_or(self.offset + place);
        }
        self.key.clear();
        self.sink = Sink::Key;
        self.at = At::Text;
    }

    fn comma(&mut self, place: usize) {
        if self.depth == 1 {
            self.comma = Some(self.offset + place);
        }
        self.at = if self.in_object() { At::Key } else { At::Value };
    }
}

fn sink_of(mark: Mark) -> Sink {
    match mark {
        Mark::Text => Sink::Delivered,
        Mark::Said | Mark::Model | Mark::Tier | Mark::Kind | Mark::Finish | Mark::ReportModel => Sink::Label,
        _ => Sink::Nowhere,
    }
}
