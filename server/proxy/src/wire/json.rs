//! Request bodies, looked at in place: one pass, borrowed, every member's bytes still where they were.

use std::{borrow::Cow, collections::HashSet, fmt, ops::Range, slice};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// One member of an object.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    /// Its name, unescaped.
    pub(crate) name: Cow<'a, str>,
    /// Its name as it was written, quotes included.
    pub(crate) raw_name: &'a str,
    /// Its value as it was written.
    pub(crate) value: &'a RawValue,
}

impl<'a> Member<'a> {
    /// Whether the value is `null`, which every upstream takes for "not given".
    #[must_use]
    pub(crate) fn is_null(&self) -> bool {
        self.value.get() == "null"
    }

    /// The value as a `T`, if it is one.
    #[must_use]
    pub(crate) fn read<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.value.get()).ok()
    }
}

/// The members of an object, in their order. A name that occurs twice is an error, in capitals or not: two parsers may choose different ones, and
/// then a meter and an upstream have read different requests (RFC 8259, section 4; Go's `encoding/json` takes `"Model"` for `"model"`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Members<'a>(Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// What is wrong with it, with the place in the text.
    pub(crate) fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The member of this name, unless it is `null`.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&Member<'a>> {
        self.find(name).filter(|member| !member.is_null())
    }

    /// The member of this name, `null` or not.
    #[must_use]
    pub(crate) fn find(&self, name: &str) -> Option<&Member<'a>> {
        self.0.iter().find(|member| member.name == name)
    }

    /// The first of these names that stands here in another spelling. Some upstreams read `"Model"` as `"model"`; whether this one does is not known.
    #[must_use]
    pub(crate) fn misspelled<'n>(&self, known: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
        // What is written in small letters, as almost everything is, is another name or the very same.
        let in_small = |name: &str| name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        self.0.iter().filter(|member| !in_small(&member.name)).find_map(|member| {
            let folded = folded(&member.name);
            known.clone().find(|known| *known == folded && *known != member.name)
        })
    }

    /// All of them, in their order.
    pub(crate) fn iter(&self) -> slice::Iter<'_, Member<'a>> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> de::Visitor<'de> for MembersVisitor {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<Member<'de>> = Vec::new();
        let mut names = HashSet::new();
        while let Some((raw_name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let Name(name) = serde_json::from_str(raw_name.get()).map_err(de::Error::custom)?;
            if is_known(&name, &members, &mut names) {
                return Err(de::Error::custom(format_args!("\"{}\" is given twice", name.escape_debug())));
            }
            members.push(Member { name, raw_name: raw_name.get(), value });
        }
        Ok(members)
    }
}

/// As many names are compared with each other before a table of them is made: most objects have fewer.
const COMPARED_MAX: usize = 16;

/// Whether one of the members has this name, in capitals or not. `names` are theirs, once they are many.
fn is_known(name: &str, members: &[Member<'_>], names: &mut HashSet<String>) -> bool {
    if members.len() < COMPARED_MAX {
        return members.iter().any(|member| are_alike(&member.name, name));
    }
    if names.is_empty() {
        names.extend(members.iter().map(|member| folded(&member.name)));
    }
    !names.insert(folded(name))
}

fn are_alike(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() { one.eq_ignore_ascii_case(other) } else { folded(one) == folded(other) }
}

/// A name as parsers that ignore case see it: `ſ` is an `s` to them, and the Kelvin sign a `k`.
pub(crate) fn folded(name: &str) -> String {
    if name.is_ascii() { name.to_ascii_lowercase() } else { name.to_uppercase().to_lowercase() }
}

/// A string that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The string that a value is, if it is one. Mostly what is asked is whether: nothing is parsed to find out that it is a list.
#[must_use]
pub(crate) fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    let json = value.get();
    if !json.starts_with('"') {
        return None;
    }
    serde_json::from_str(json).map(|Name(text)| text).ok()
}

/// Where a part of a text lies in it.
#[must_use]
pub(crate) fn place_of(part: &str, whole: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn members_are_found_where_they_lie() {
        let text = r#"{ "a" : 1.50 , "b\u0063": null }"#;
        let members = Members::parse(text).unwrap();
        assert_eq!(&text[place_of(members.find("a").unwrap().value.get(), text)], "1.50");
        assert_eq!(&text[place_of(members.find("bc").unwrap().raw_name, text)], r#""b\u0063""#);
        assert!(members.get("bc").is_none());
    }

    #[test]
    fn a_name_given_twice_is_refused_even_when_it_is_spelled_differently() {
        for text in [
            r#"{"model": 1, "model": 2}"#,
            r#"{"model": 1, "mod\u0065l": 2}"#,
            r#"{"model": 1, "Model": 2}"#,
            r#"{"max_tokens": 1, "max_to\u212aen\u017f": 2}"#,
        ] {
            assert!(Members::parse(text).unwrap_err().to_string().contains("given twice"));
        }
    }

    #[test]
    fn what_is_no_object_is_named_with_its_place() {
        for text in ["", "[]", "{", r#"{"a": 1,}"#, r#"{"a": 01}"#, r#"{"\ud800": 1}"#] {
            assert!(Members::parse(text).is_err(), "{text}");
        }
    }
}
