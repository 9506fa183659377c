//! Where requests begin and end on a connection, and which of them are refused because somebody else could see their ends elsewhere.
//!
//! hyper reads what RFC 9112 lets a server read. Beside it, this looks at the same bytes for what two readers may take differently (request smuggling,
//! section 11.2), which hyper does not tell, and for how far a request has come.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, request::Parts};
use memchr::memchr;

use crate::reply::Refusal;

/// What stands on a connection, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Framing {
    part: Part,
    /// Of a line that is not whole yet.
    line: Vec<u8>,
    head: Head,
    /// Sticks: whatever else comes on the connection may be something else than it seems.
    odd: Option<Odd>,
    /// No more is expected: the client has said so, or has taken too long.
    pub(super) is_over: bool,
    /// An answer was begun that may not be written whole yet.
    pub(super) has_answer: bool,
}

/// What is read next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Head,
    /// A body, of which so many bytes are to come.
    Body(u64),
    /// The body of a request without a length, which is the last of its connection: where it ends is not looked for.
    Last,
}

/// What was read of a head.
#[derive(Debug, Default)]
struct Head {
    has_begun: bool,
    has_request_line: bool,
    length: Option<u64>,
    is_coded: bool,
}

/// What two readers may take differently, and hyper does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    BareLineFeed,
    LengthAndCoding,
}

impl Framing {
    /// Takes in what was read.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.part {
                Part::Last => return,
                Part::Body(left) => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    bytes = &bytes[taken..];
                    let left = left.saturating_sub(taken as u64);
                    self.part = if left == 0 { Part::Head } else { Part::Body(left) };
                }
                Part::Head => {
                    self.head.has_begun = true;
                    let Some(end) = memchr(b'\n', bytes) else { return self.line.extend_from_slice(bytes) };
                    let (line, rest) = bytes.split_at(end);
                    bytes = &rest[1..];
                    if self.line.is_empty() {
                        self.end_line(line);
                    } else {
                        self.line.extend_from_slice(line);
                        let line = std::mem::take(&mut self.line);
                        self.end_line(&line);
                    }
                }
            }
        }
    }

    fn end_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or_else(|| {
            self.odd = Some(Odd::BareLineFeed);
            line
        });
        match (line.is_empty(), self.head.has_request_line) {
            // Empty lines before a request are nothing (RFC 9112, section 2.2).
            (true, false) => self.head.has_begun = false,
            (true, true) => self.end_head(),
            (false, false) => self.head.has_request_line = true,
            (false, true) => self.head.field(line),
        }
    }

    fn end_head(&mut self) {
        let Head { length, is_coded, .. } = std::mem::take(&mut self.head);
        if is_coded && length.is_some() {
            self.odd = Some(Odd::LengthAndCoding);
        }
        self.part = match length {
            _ if is_coded => Part::Last,
            Some(length) if length > 0 => Part::Body(length),
            _ => Part::Head,
        };
    }

    /// Whether nothing is under way: what was sent was read to its end.
    pub(super) const fn is_between_requests(&self) -> bool {
        matches!(self.part, Part::Head) && !self.head.has_begun
    }

    /// Whether the rest of a head is waited for.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(self.part, Part::Head) && self.head.has_begun
    }

    /// Whether a body is waited for, whose reader has a time-out of its own.
    pub(super) const fn is_in_body(&self) -> bool {
        !matches!(self.part, Part::Head)
    }

    /// Why a request is not read as what it seems to be. It is answered from now on.
    pub(super) fn begin_answer(&mut self, head: &Parts) -> Option<Refusal> {
        self.has_answer = true;
        let problem = match self.odd {
            Some(Odd::BareLineFeed) => {
                "a line of its head ends in a line feed alone. A key that was read from a file may have brought its line feed along"
            }
            Some(Odd::LengthAndCoding) => "it has both a content-length and a transfer-encoding",
            None => return of_head(head),
        };
        Some(refused(StatusCode::BAD_REQUEST, "bad_framing", problem))
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) {
        let Some(colon) = memchr(b':', line) else { return };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"content-length") {
            // What is no number, or two of them, is refused by hyper.
            self.length = Some(std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok()).unwrap_or(u64::MAX));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_coded = true;
        }
    }
}

/// What hyper has read, and would let pass.
fn of_head(head: &Parts) -> Option<Refusal> {
    let Parts { method, headers, version, .. } = head;
    let bad = |problem| Some(refused(StatusCode::BAD_REQUEST, "bad_framing", problem));
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if codings.next().is_some() || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return bad("its transfer-encoding is not chunked alone");
    }
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || hosts == 0 && *version == Version::HTTP_11 {
        return bad("it has no Host, or more than one");
    }
    if headers.get(header::UPGRADE).is_some_and(|protocol| !is_declined_silently(protocol)) {
        return bad("it wants to go on in another protocol, and there is none but HTTP/1.1");
    }
    if *method == Method::POST && coding.is_none() && !headers.contains_key(header::CONTENT_LENGTH) {
        let problem = "it has a body by its method, and neither a content-length nor a transfer-encoding. A line feed in a header ends the head early";
        return Some(refused(StatusCode::LENGTH_REQUIRED, "length_required", problem));
    }
    None
}

/// Java's client offers HTTP/2 with each first request, and goes on in HTTP/1.1 where that is passed over (RFC 9110, section 7.8).
fn is_declined_silently(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(b"h2c")
}

/// A request of which nobody can say what it is; its connection ends with it.
pub(super) fn refused(status: StatusCode, code: &'static str, problem: &str) -> Refusal {
    let message = format!("The request cannot be read for certain: {problem}. The connection is closed.");
    Refusal { status, kind: "invalid_request_error", code, message, ..Refusal::failed() }
}

/// Whether an answer to a request of this head is the last of its connection: of a body without a length nobody but hyper knows where it ends.
pub(super) fn is_last(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(bytes: &[u8], piece: usize) -> Framing {
        let mut framing = Framing::default();
        bytes.chunks(piece).for_each(|piece| framing.read(piece));
        framing
    }

    fn check(bytes: &[u8], is_right: impl Fn(&Framing) -> bool) {
        for piece in 1..=bytes.len() {
            let framing = framing(bytes, piece);
            assert!(is_right(&framing), "{} in pieces of {piece}: {framing:?}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_request_ends_where_its_length_says() {
        const TWO: &[u8] = b"\r\nPOST / HTTP/1.1\r\nContent-Length:  3 \r\nHost: x\r\n\r\na\nbGET / HTTP/1.1\r\nHost: x\r\n\r\n";
        check(TWO, |framing| framing.is_between_requests() && framing.odd.is_none());
        check(&TWO[..TWO.len() - 1], Framing::is_in_head);
        let body = TWO.len() - b"bGET / HTTP/1.1\r\nHost: x\r\n\r\n".len();
        check(&TWO[..body], |framing| framing.part == Part::Body(1));
    }

    #[test]
    fn what_two_readers_may_take_differently_is_noticed_in_any_order() {
        for both in [
            &b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH: 3\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            check(both, |framing| framing.odd == Some(Odd::LengthAndCoding) && framing.part == Part::Last);
        }
        for bare in
            [&b"GET / HTTP/1.1\nHost: x\r\n\r\n"[..], b"GET / HTTP/1.1\r\nHost: x\r\n\n", b"POST / HTTP/1.1\r\nA: b\n\r\nC: d\r\n\r\n"]
        {
            check(bare, |framing| framing.odd == Some(Odd::BareLineFeed));
        }
    }
}
