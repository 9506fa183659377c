//! Server-sent events, split in pieces of any size (WHATWG HTML, section 9.2.6): line ends are CRLF, LF or CR, lines
//! beginning with a colon are comments, and an event's `data` may be several lines.

use std::ops::Range;

use memchr::memchr2;

/// What the splitter found, in positions of the piece that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A stretch of an event's data.
    Data(Range<usize>),
    /// The event's data goes on in another line: between the two stands a line feed.
    NextLine,
    /// The event ends before this position.
    EndOfEvent(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// At its beginning, so many bytes of `data:` seen.
    Field(usize),
    /// After `data:`, where one space is no part of the data.
    Space,
    /// In the data.
    Data,
    /// In a line that carries no data.
    Skipped,
}

const FIELD: &[u8] = b"data:";

/// Splits one stream.
#[derive(Debug)]
pub(crate) struct Splitter {
    line: Line,
    /// The last byte was a CR, so that a line feed belongs to it.
    after_cr: bool,
    /// Whether this event has had a data line.
    has_data: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { line: Line::Field(0), after_cr: false, has_data: false }
    }
}

impl Splitter {
    /// The next token of `piece` from `place` on; moves `place` past it. `None` when the piece is used up.
    pub(crate) fn next(&mut self, piece: &[u8], place: &mut usize) -> Option<Token> {
        while let Some(&byte) = piece.get(*place) {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                *place += 1;
                continue;
            }
            let token = match self.line {
                Line::Field(seen) => self.field(seen, byte, place),
                Line::Space => {
                    *place += usize::from(byte == b' ');
                    self.line = Line::Data;
                    std::mem::replace(&mut self.has_data, true).then_some(Token::NextLine)
                }
                Line::Data | Line::Skipped => self.rest_of_line(piece, place),
            };
            if token.is_some() {
                return token;
            }
        }
        None
    }

    /// Whether the byte at the start of the next piece may belong to the event that just ended: its last line ended with a lone CR so far.
    #[must_use]
    pub(crate) fn is_after_cr(&self) -> bool {
        self.after_cr
    }

    fn field(&mut self, seen: usize, byte: u8, place: &mut usize) -> Option<Token> {
        if byte == b'\n' || byte == b'\r' {
            *place += 1;
            self.after_cr = byte == b'\r';
            self.line = Line::Field(0);
            // `data` without a colon is a data line too, an empty one, and so no business of ours.
            return (seen == 0).then(|| {
                self.has_data = false;
                Token::EndOfEvent(*place)
            });
        }
        if byte != FIELD[seen] {
            self.line = Line::Skipped;
            return None;
        }
        *place += 1;
        self.line = if seen + 1 == FIELD.len() { Line::Space } else { Line::Field(seen + 1) };
        None
    }

    fn rest_of_line(&mut self, piece: &[u8], place: &mut usize) -> Option<Token> {
        let from = *place;
        let stretch = memchr2(b'\n', b'\r', &piece[from..]);
        let was = self.line;
        let to = stretch.map_or(piece.len(), |length| from + length);
        *place = to;
        if stretch.is_some() {
            self.after_cr = piece[to] == b'\r';
            *place += 1;
            self.line = Line::Field(0);
        }
        (was == Line::Data && to > from).then_some(Token::Data(from..to))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data of every event, read in pieces of this size.
    fn events(stream: &[u8], size: usize) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        let mut data = Vec::new();
        for piece in stream.chunks(size.max(1)) {
            let mut place = 0;
            while let Some(token) = splitter.next(piece, &mut place) {
                match token {
                    Token::Data(range) => data.extend_from_slice(&piece[range]),
                    Token::NextLine => data.push(b'\n'),
                    Token::EndOfEvent(_) => events.push(String::from_utf8_lossy(&std::mem::take(&mut data)).into_owned()),
                }
            }
        }
        events
    }

    fn check(stream: &str, expected: &[&str]) {
        for size in [1, 2, 3, 7, stream.len()] {
            assert_eq!(events(stream.as_bytes(), size), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn every_line_end_ends_a_line() {
        check("data: a\n\ndata: b\r\rdata: c\r\n\r\ndata: d", &["a", "b", "c"]);
    }

    #[test]
    fn comments_and_other_fields_carry_no_data() {
        check(": hello\nid: 1\nevent: e\ndata:a\ndatum: x\ndata\n\n", &["a"]);
    }

    #[test]
    fn several_data_lines_are_one_event() {
        check("data: {\ndata:  \"a\": 1\ndata:\ndata: }\n\n", &["{\n \"a\": 1\n\n}"]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(stream in "(data: ?[a:]{0,3}|:x|data)?(\r\n|\n|\r)(data:b|id:1)?[\r\n]{0,3}", size in 1_usize..9) {
            let stream = stream.repeat(3);
            prop_assert_eq!(events(stream.as_bytes(), size), events(stream.as_bytes(), stream.len()));
        }
    }
}
