//! How a JSON text is built, looked at before anything of it is read: what is small for its sender can be dear for its reader.

use memchr::memchr2;

/// Members of objects, objects and lists in one request. Real ones have a few thousand.
const MEMBERS_MAX: usize = 100_000;
/// Items of lists, among which are tokens by their numbers.
const ITEMS_MAX: usize = 1_000_000;
/// Containers in containers.
const DEPTH_MAX: usize = 128;

/// What is wrong with it. The text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misshapen {
    #[error("it has more than {MEMBERS_MAX} members")]
    Members,
    #[error("it has lists of more than {ITEMS_MAX} items together")]
    Items,
    #[error("it is nested more than {DEPTH_MAX} levels deep")]
    Depth,
    /// Parsers differ in what they make of it, and so would a meter and an upstream.
    #[error(
        "at byte {0}, a \\u escape is half of a character: the other half of its surrogate pair is missing, as when a text is cut in the middle of an emoji"
    )]
    HalfCharacter(usize),
}

/// Looks through a text that may or may not be JSON.
pub(crate) fn check(json: &[u8]) -> Result<(), Misshapen> {
    let (mut place, mut depth, mut members, mut items) = (0, 0_usize, 0, 0);
    while let Some(byte) = json.get(place) {
        place += 1;
        match byte {
            b'"' => place = string(json, place)?,
            b'{' | b'[' => {
                depth += 1;
                members += 1;
                if depth > DEPTH_MAX {
                    return Err(Misshapen::Depth);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' => members += 1,
            b',' => items += 1,
            _ => continue,
        }
        if members > MEMBERS_MAX {
            return Err(Misshapen::Members);
        }
        if items > ITEMS_MAX {
            return Err(Misshapen::Items);
        }
    }
    Ok(())
}

/// The place after a string that begins here.
fn string(json: &[u8], mut place: usize) -> Result<usize, Misshapen> {
    while let Some(stretch) = json.get(place..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        place += stretch;
        if json[place] == b'"' {
            return Ok(place + 1);
        }
        place = match unit(json, place) {
            Some(0xd800..=0xdbff) if matches!(unit(json, place + 6), Some(0xdc00..=0xdfff)) => place + 12,
            Some(0xd800..=0xdfff) => return Err(Misshapen::HalfCharacter(place)),
            _ => place + 2,
        };
    }
    Ok(json.len())
}

/// The number in a `\uXXXX` that stands here.
fn unit(json: &[u8], place: usize) -> Option<u32> {
    let digits = json.get(place..place + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dear_to_read_is_told_by_what_makes_it_so() {
        let many = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        for (json, right) in [
            (r#"{"a":[{"b":"c\"d{[,:"},1,2]}"#.to_owned(), Ok(())),
            (many("1", 300_000), Ok(())),
            (many("1", 1_000_002), Err(Misshapen::Items)),
            (many("{}", 100_000), Err(Misshapen::Members)),
            (many(r#"{"a":1}"#, 50_001), Err(Misshapen::Members)),
            ("[".repeat(128), Ok(())),
            ("[".repeat(129), Err(Misshapen::Depth)),
            (format!(r#"{{"a":"{}"}}"#, "{[,:".repeat(200_000)), Ok(())),
        ] {
            assert_eq!(check(json.as_bytes()), right, "{}", &json[..json.len().min(40)]);
        }
    }

    #[test]
    fn half_a_character_is_told_with_its_place() {
        for (json, right) in [
            (r#""\ud83d\ude00""#, Ok(())),
            (r#""\\ud83d""#, Ok(())),
            (r#""\u00e9""#, Ok(())),
            (r#""ab\ud83d""#, Err(Misshapen::HalfCharacter(3))),
            (r#""\ude00""#, Err(Misshapen::HalfCharacter(1))),
            (r#""\ud83d\u0041""#, Err(Misshapen::HalfCharacter(1))),
        ] {
            assert_eq!(check(json.as_bytes()), right, "{json}");
        }
    }
}
