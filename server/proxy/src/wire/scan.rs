//! A scanner of chat answers that takes JSON in pieces of any size and keeps almost nothing of it.
//!
//! It follows the structure of the document byte by byte, so that `"usage":{` inside a string is a string, and remembers only what metering needs:
//! the `usage` member as it was written, whether there were choices, a finish reason or an error, and the text that was delivered. A whole body
//! and one event of a stream are read by the same code; neither is ever held in memory to be parsed.
//!
//! It does not validate. What it captures is parsed by a real parser afterwards; what makes no sense is simply not found.

mod key;

use std::ops::Range;

use memchr::memchr2;

use self::key::{Key, is_delivered_text};
use crate::wire::estimate::DeliveredText;

/// The most that is kept of one captured value: real ones are below 2 KiB.
const CAPTURE_BYTES_MAX: usize = 64 * 1024;
/// What ends an OpenAI stream.
const END_MARKER: &[u8] = b"[DONE]";
/// Longer than any key that is looked for.
const KEY_BYTES_MAX: usize = 24;
/// Containers deeper than this are skipped over without looking at their keys.
const DEPTH_MAX: usize = 8;

/// Where in the grammar the scanner stands.
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
    /// The document does not begin like an object, or has ended.
    Outside,
}

/// Which value is being captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Usage,
    GroqUsage,
    Model,
}

/// What one document said.
#[derive(Debug, Default)]
pub struct Document {
    /// `usage`, as it was written, if it is an object.
    pub usage: Option<Vec<u8>>,
    /// `x_groq.usage`, as it was written, if it is an object.
    pub groq_usage: Option<Vec<u8>>,
    /// `usage` is `null`: where its member lies in the document, a comma before it included.
    pub usage_null: Option<Range<usize>>,
    /// `model`, as a JSON string.
    pub model: Option<Vec<u8>>,
    /// `choices` is an array: whether it has anything in it.
    pub has_choices: Option<bool>,
    /// A choice has a finish reason.
    pub finished: bool,
    /// `error` is there and is not `null`.
    pub failed: bool,
    /// It is an object, whatever is in it.
    pub is_object: bool,
    /// A choice carries sound or a picture, which is output though not text.
    pub has_media: bool,
    /// Something that was looked for is larger than a meter keeps.
    pub oversized: bool,
}

/// Reads one document after another; see the module.
#[derive(Debug)]
pub struct Scanner {
    at: At,
    /// How many containers are open.
    depth: usize,
    /// One bit a container, the innermost lowest: whether it is an object. Deeper than 128 nobody looks.
    objects: u128,
    /// The key that each of the outer containers stands at.
    path: [Key; DEPTH_MAX],
    key: Vec<u8>,
    string_is_key: bool,
    collects_text: bool,
    /// The digits of a `\uXXXX` so far, and a high surrogate that waits for its low one.
    code_unit: u32,
    high_surrogate: Option<u32>,
    capture: Option<(Wanted, Vec<u8>)>,
    first_literal_byte: u8,
    /// Bytes of this document before the current piece.
    offset: usize,
    /// Where the outermost object's current member begins, its comma included, and where its last comma was.
    member_start: usize,
    comma: Option<usize>,
    is_end_marker: bool,
    document: Document,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            at: At::Value,
            depth: 0,
            objects: 0,
            path: [Key::Other; DEPTH_MAX],
            key: Vec::new(),
            string_is_key: false,
            collects_text: false,
            code_unit: 0,
            high_surrogate: None,
            capture: None,
            first_literal_byte: 0,
            offset: 0,
            member_start: 0,
            comma: None,
            is_end_marker: false,
            document: Document::default(),
        }
    }
}

impl Scanner {
    /// Reads the next piece of the document. Delivered text is appended to `text`.
    pub fn push(&mut self, piece: &[u8], text: &mut DeliveredText) {
        let mut place = 0;
        let mut capture_from = 0;
        while place < piece.len() {
            let byte = piece[place];
            match self.at {
                At::Outside => break,
                At::Marker(matched) => self.marker(byte, matched),
                At::Text => {
                    let stretch = memchr2(b'"', b'\\', &piece[place..]).unwrap_or(piece.len() - place);
                    self.string_bytes(&piece[place..place + stretch], text);
                    place += stretch;
                    match piece.get(place) {
                        Some(b'"') => {
                            place += 1;
                            self.end_string(piece, capture_from, place);
                        }
                        Some(_) => {
                            place += 1;
                            self.at = At::Escape;
                        }
                        None => {}
                    }
                    continue;
                }
                At::Escape => self.escape(byte, text),
                At::Unicode(left) => self.unicode(byte, left, text),
                At::Literal if !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') => {}
                At::Literal => {
                    self.end_literal(piece, capture_from, place);
                    continue; // the byte itself belongs to what follows
                }
                _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {}
                // A byte-order mark.
                At::Value if self.depth == 0 && matches!(byte, 0xef | 0xbb | 0xbf) => {}
                At::Value if self.depth == 0 && byte != b'{' => self.marker(byte, 0),
                At::Value if matches!(byte, b'}' | b']') => self.close(byte, piece, capture_from, place + 1),
                At::Value => {
                    if self.begin_value(byte) {
                        capture_from = place;
                    }
                }
                At::Key => match byte {
                    b'"' => self.begin_key(place),
                    b'}' => self.close(byte, piece, capture_from, place + 1),
                    _ => self.at = At::Outside,
                },
                At::Colon => self.at = if byte == b':' { At::Value } else { At::Outside },
                At::AfterValue => match byte {
                    b',' => self.comma(place),
                    b'}' | b']' => self.close(byte, piece, capture_from, place + 1),
                    _ => self.at = At::Outside,
                },
            }
            place += 1;
        }
        if self.capture.is_some() {
            self.keep(&piece[capture_from..]);
        }
        self.offset += piece.len();
    }

    /// Whether the document is `[DONE]`, which ends an OpenAI stream. Anything else that is no object is somebody's way to keep a connection alive.
    #[must_use]
    pub fn is_end_marker(&self) -> bool {
        self.is_end_marker
    }

    /// Ends the document and makes ready for the next.
    pub fn finish(&mut self) -> Document {
        let key = std::mem::take(&mut self.key);
        let finished = std::mem::take(self);
        self.key = key;
        finished.document
    }

    fn marker(&mut self, byte: u8, matched: u8) {
        self.at = At::Outside;
        if END_MARKER.get(usize::from(matched)) == Some(&byte) {
            self.at = At::Marker(matched + 1);
            self.is_end_marker = usize::from(matched) + 1 == END_MARKER.len();
        }
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn set_key(&mut self, key: Key) {
        if let Some(slot) = self.depth.checked_sub(1).and_then(|index| self.path.get_mut(index)) {
            *slot = key;
        }
    }

    /// The keys on the way to the value that begins here; empty where nothing is looked for.
    fn path(&self) -> &[Key] {
        self.path.get(..self.depth).unwrap_or_default()
    }

    /// Returns whether a capture begins with this byte.
    fn begin_value(&mut self, byte: u8) -> bool {
        let begins_capture = self.recognise(byte);
        match byte {
            b'{' | b'[' => self.open(byte == b'{'),
            b'"' => {
                self.string_is_key = false;
                self.at = At::Text;
            }
            _ => {
                self.first_literal_byte = byte;
                self.at = At::Literal;
            }
        }
        begins_capture
    }

    /// Notes what the value that begins with this byte says by being there.
    fn recognise(&mut self, byte: u8) -> bool {
        let wanted = match self.path() {
            [Key::Usage] if byte == b'{' => Some(Wanted::Usage),
            [Key::XGroq, Key::Usage] if byte == b'{' => Some(Wanted::GroqUsage),
            [Key::Model] if byte == b'"' => Some(Wanted::Model),
            [Key::Choices] if byte == b'[' => {
                self.document.has_choices = Some(false);
                None
            }
            [Key::Choices, _] => {
                self.document.has_choices = Some(true);
                None
            }
            [Key::Choices, _, Key::Message, Key::Audio | Key::Images, _] => {
                self.document.has_media = true;
                None
            }
            [Key::Error] if byte != b'n' => {
                self.document.failed = true;
                None
            }
            [Key::Choices, _, Key::FinishReason] if byte == b'"' => {
                self.document.finished = true;
                None
            }
            _ => None,
        };
        self.collects_text = byte == b'"' && is_delivered_text(self.path());
        match wanted {
            Some(wanted) if self.capture.is_none() => {
                self.capture = Some((wanted, Vec::new()));
                true
            }
            _ => false,
        }
    }

    fn open(&mut self, object: bool) {
        self.document.is_object |= self.depth == 0;
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.set_key(Key::Other);
        self.at = if object { At::Key } else { At::Value };
    }

    fn close(&mut self, byte: u8, piece: &[u8], capture_from: usize, end: usize) {
        if (byte == b'}') != self.in_object() {
            self.at = At::Outside;
            return;
        }
        self.depth -= 1;
        self.objects >>= 1;
        self.end_value(piece, capture_from, end);
        if self.depth == 0 {
            self.at = At::Outside;
        }
    }

    fn begin_key(&mut self, place: usize) {
        if self.depth == 1 {
            self.member_start = self.comma.unwrap_or(self.offset + place);
        }
        self.key.clear();
        self.string_is_key = true;
        self.collects_text = false;
        self.at = At::Text;
    }

    fn comma(&mut self, place: usize) {
        if self.depth == 1 {
            self.comma = Some(self.offset + place);
        }
        self.at = if self.in_object() { At::Key } else { At::Value };
    }

    fn string_bytes(&mut self, bytes: &[u8], text: &mut DeliveredText) {
        if self.string_is_key {
            let room = KEY_BYTES_MAX.saturating_sub(self.key.len());
            self.key.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else if self.collects_text {
            text.push(bytes);
        }
    }

    fn end_string(&mut self, piece: &[u8], capture_from: usize, end: usize) {
        self.high_surrogate = None;
        if self.string_is_key {
            self.set_key(Key::of(&self.key));
            self.at = At::Colon;
        } else {
            self.end_value(piece, capture_from, end);
        }
    }

    fn escape(&mut self, byte: u8, text: &mut DeliveredText) {
        self.at = At::Text;
        let plain = match byte {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                self.code_unit = 0;
                self.at = At::Unicode(4);
                return;
            }
            other => other,
        };
        self.string_bytes(&[plain], text);
    }

    fn unicode(&mut self, byte: u8, left: u8, text: &mut DeliveredText) {
        let digit = char::from(byte).to_digit(16).unwrap_or(0);
        self.code_unit = self.code_unit << 4 | digit;
        if left > 1 {
            self.at = At::Unicode(left - 1);
            return;
        }
        self.at = At::Text;
        let character = match (self.high_surrogate.take(), self.code_unit) {
            (None, high @ 0xd800..=0xdbff) => {
                self.high_surrogate = Some(high);
                return;
            }
            (Some(high), low @ 0xdc00..=0xdfff) => char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
            (_, unit) => char::from_u32(unit),
        };
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        self.string_bytes(character.encode_utf8(&mut [0; 4]).as_bytes(), text);
    }

    fn end_literal(&mut self, piece: &[u8], capture_from: usize, end: usize) {
        if self.path() == [Key::Usage] && self.first_literal_byte == b'n' {
            self.document.usage_null = Some(self.member_start..self.offset + end);
        }
        self.end_value(piece, capture_from, end);
    }

    /// The value that ends before `end` was a member, an item, or the captured value itself.
    fn end_value(&mut self, piece: &[u8], capture_from: usize, end: usize) {
        self.at = At::AfterValue;
        self.collects_text = false;
        let complete = match &self.capture {
            None => false,
            Some((Wanted::Usage | Wanted::Model, _)) => self.depth == 1,
            Some((Wanted::GroqUsage, _)) => self.depth == 2,
        };
        if !complete {
            return;
        }
        self.keep(&piece[capture_from..end]);
        let Some((wanted, bytes)) = self.capture.take() else { return };
        if bytes.len() > CAPTURE_BYTES_MAX {
            self.document.oversized = true;
            return;
        }
        match wanted {
            Wanted::Usage => self.document.usage = Some(bytes),
            Wanted::GroqUsage => self.document.groq_usage = Some(bytes),
            Wanted::Model => self.document.model = Some(bytes),
        }
    }

    /// One byte more than allowed is kept, so that the end knows that it was too much.
    fn keep(&mut self, bytes: &[u8]) {
        if let Some((_, kept)) = &mut self.capture {
            let room = (CAPTURE_BYTES_MAX + 1).saturating_sub(kept.len());
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}
