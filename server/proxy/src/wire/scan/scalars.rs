//! The inside of strings and literals: keys, names, counts and delivered text, as far as anybody looks for them.

use memchr::memchr2;

use super::{At, Scanner, Sink, USAGE_KEY};
use crate::wire::{
    estimate::DeliveredText,
    grammar::{Mark, Place, Scope},
    report::Number,
};

/// Longer than any key that is looked for.
const KEY_BYTES_MAX: usize = 40;
/// As much is kept of a name: of a model, a tier, a kind.
const LABEL_BYTES_MAX: usize = 200;

impl Scanner {
    /// Reads on in a string, from this place of the piece to the one that is returned.
    pub(super) fn text(&mut self, piece: &[u8], from: usize, text: &mut DeliveredText) -> usize {
        let stretch = memchr2(b'"', b'\\', &piece[from..]).unwrap_or(piece.len() - from);
        let place = from + stretch;
        self.string_bytes(&piece[from..place], text);
        match piece.get(place) {
            Some(b'"') => self.end_string(),
            Some(_) => self.at = At::Escape,
            None => return place,
        }
        place + 1
    }

    pub(super) fn string_bytes(&mut self, bytes: &[u8], text: &mut DeliveredText) {
        match self.sink {
            Sink::Key => append(&mut self.key, bytes, KEY_BYTES_MAX),
            Sink::Label => append(&mut self.label, bytes, LABEL_BYTES_MAX),
            Sink::Delivered => text.push(bytes),
            Sink::Nowhere => return,
        }
        self.document.says_something |= self.sink == Sink::Delivered && !bytes.is_empty();
    }

    pub(super) fn end_string(&mut self) {
        self.high_surrogate = None;
        match self.sink {
            Sink::Key => {
                self.place = self.grammar.member(self.container(), &self.key);
                self.after_stray_key = self.place == Place::NOWHERE && self.key == USAGE_KEY;
                self.at = At::Colon;
                return;
            }
            Sink::Label => self.end_label(),
            Sink::Delivered | Sink::Nowhere => {}
        }
        self.at = At::AfterValue;
    }

    fn end_label(&mut self) {
        let label = label(&self.label);
        let document = &mut self.document;
        match self.grammar.mark(self.place) {
            Mark::Said => document.says_something |= label.is_some(),
            // The first chunk of Azure's has an empty name.
            Mark::Model => document.model = document.model.take().or(label),
            Mark::Tier => document.tier = label,
            Mark::Finish => document.finish = label,
            Mark::Kind => {
                self.is_at_end |= self.grammar.is_last(&self.label);
                document.kind = label;
            }
            Mark::ReportModel => {
                if let Some((report, _)) = self.open_reports.last() {
                    document.reports[*report].model = label;
                }
            }
            _ => {}
        }
    }

    pub(super) fn escape(&mut self, byte: u8, text: &mut DeliveredText) {
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

    pub(super) fn unicode(&mut self, byte: u8, left: u8, text: &mut DeliveredText) {
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

    pub(super) fn literal_byte(&mut self, byte: u8) {
        if let Some(slot) = self.literal.get_mut(self.literal_bytes) {
            *slot = byte;
            self.literal_bytes += 1;
        }
    }

    /// A number, `true`, `false` or `null` ends before this place of the piece.
    pub(super) fn end_literal(&mut self, place: usize) {
        self.at = At::AfterValue;
        let literal = &self.literal[..self.literal_bytes];
        let is_null = literal == b"null";
        match self.grammar.mark(self.place) {
            Mark::Report(Scope::Answer) if is_null && self.depth == 1 => {
                self.document.usage_null = Some(self.member_start..self.offset + place);
            }
            Mark::Count(_) if !is_null => self.count(number(literal)),
            _ => {}
        }
    }
}

fn append(to: &mut Vec<u8>, bytes: &[u8], max: usize) {
    let room = max.saturating_sub(to.len());
    to.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// A name that can be stored and shown, if it is not empty.
fn label(bytes: &[u8]) -> Option<String> {
    let mut label = String::from_utf8_lossy(bytes).into_owned();
    label.retain(|character| !character.is_control());
    // What was cut off in the middle of a character.
    while label.ends_with(char::REPLACEMENT_CHARACTER) && bytes.len() == LABEL_BYTES_MAX {
        label.pop();
    }
    (!label.is_empty()).then_some(label)
}

fn number(literal: &[u8]) -> Number {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    // Rust takes a plus sign, JSON does not.
    text.parse().ok().filter(|_| !text.starts_with('+')).map_or(Number::Odd, Number::Whole)
}
