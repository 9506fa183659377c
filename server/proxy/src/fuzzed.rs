//! What fuzz targets begin with: inputs that somebody could really send, with a few bytes changed. From random bytes alone nobody gets past the first brace.
//!
//! Each target stands beside what it tests, in a module `fuzz`, and is a test like any other: `make test` gives each a short while, `make fuzz` as long as is
//! asked for. `cargo bolero test -p proxy NAME` has a coverage-guided engine look for the inputs.

/// A change: where, what kind of change, and one of that kind.
pub(crate) type Change = (u16, u8, u8);

/// What matters to those who read JSON, events or HTTP.
const TOKENS: [&[u8]; 28] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e9",
    b"99999999999999999999",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"data: ",
    b"data: [DONE]\n\n",
    b"event: error\n",
    b": comment\n\n",
    b"\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}",
    b"\"usage\":null,",
    b"\"model\":\"m\",",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\\ud83d",
    b"\\u0000",
    b" ",
];

/// A seed with these changes, or only the first few of them: with many, little is left that anybody takes.
pub(crate) fn changed(seed: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let few = changes.first().map_or(0, |(.., which)| usize::from(which % 8));
    for (place, kind, which) in changes.iter().take(few) {
        let place = usize::from(*place) % (bytes.len() + 1);
        let end = bytes.len().min(place + usize::from(*which));
        match kind % 5 {
            0 => drop(bytes.splice(place..place, TOKENS[usize::from(*which) % TOKENS.len()].iter().copied())),
            1 => drop(bytes.splice(place..end.min(place + 8), [])),
            2 => bytes.extend_from_within(place..end),
            3 if place < bytes.len() => bytes[place] ^= 1 << (which % 8),
            // A few, since there is little behind a cut.
            _ if which % 8 == 0 => bytes.truncate(place),
            _ => {}
        }
    }
    bytes
}

/// One of these, by a number.
pub(crate) fn pick<T>(all: &[T], number: u8) -> &T {
    &all[usize::from(number) % all.len()]
}
