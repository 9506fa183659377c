//! JSON whose numbers stay the text that they are, and whose doubled members stay two.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{NumberProblem, Refusal, Unit, exact};
use crate::{attribution::Label, money::Amount};

/// A value, opened one level deep.
pub(super) enum Value<'a> {
    Null,
    Number(&'a str),
    Text(String),
    List(Vec<&'a RawValue>),
    Members(Members<'a>),
    Flag,
}

/// The members of an object, in order, each as often as it is there.
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

/// Opens a value. It is known to be JSON by then.
pub(super) fn open(raw: &RawValue) -> Value<'_> {
    let text = raw.get();
    let opened = match text.bytes().next() {
        Some(b'{') => serde_json::from_str(text).map(Value::Members),
        Some(b'[') => serde_json::from_str(text).map(Value::List),
        Some(b'"') => serde_json::from_str::<String>(text).map(|text| Value::Text(clipped(&text))),
        Some(b'n') => Ok(Value::Null),
        Some(b't' | b'f') => Ok(Value::Flag),
        _ => Ok(Value::Number(text)),
    };
    // What cannot be opened after all, such as half a surrogate pair, is no value that anybody expects.
    opened.unwrap_or(Value::Flag)
}

/// A name or a text of a list as it can be shown: bounded, without what would disturb a terminal or a page.
pub(super) fn clipped(text: &str) -> String {
    Label::clipped(text).map_or_else(String::new, |label| label.as_str().to_owned())
}

impl<'a> Members<'a> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, raw)| (name.as_str(), *raw))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.iter().any(|(other, _)| other == name)
    }

    /// The member of this name; `null` is one that is not there.
    pub(super) fn get(&self, name: &str) -> Result<Option<Value<'a>>, Refusal> {
        let mut values = self.iter().filter(|(other, _)| *other == name).map(|(_, raw)| raw);
        let first = values.next();
        if values.next().is_some() {
            return Err(Refusal::Twice(name.to_owned()));
        }
        Ok(first.map(open).filter(|value| !matches!(value, Value::Null)))
    }

    /// The text of this name.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name)? {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::Shape(name.to_owned())),
        }
    }

    /// The price of this name, per 1,000 tokens.
    pub(super) fn price(&self, name: &str, unit: Unit) -> Result<Option<Amount>, Refusal> {
        self.get(name)?.map(|value| price(name, &value, unit)).transpose()
    }

    /// The number of tokens of this name, above zero.
    pub(super) fn tokens(&self, name: &str) -> Result<i64, Refusal> {
        let count = match self.get(name)? {
            Some(Value::Number(text)) => text.parse().ok().filter(|count| *count > 0),
            _ => None,
        };
        count.ok_or_else(|| Refusal::Shape(name.to_owned()))
    }
}

/// The price that a value is.
pub(super) fn price(name: &str, value: &Value<'_>, unit: Unit) -> Result<Amount, Refusal> {
    let priced = match value {
        Value::Number(text) => exact(text, unit),
        Value::Text(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => Err(NumberProblem::NotFinite(text.clone())),
        Value::Text(text) => Err(NumberProblem::Text(text.clone())),
        _ => Err(NumberProblem::NotANumber),
    };
    priced.map_err(|problem| Refusal::Number { member: name.to_owned(), problem })
}

/// Python's `NaN` and `Infinity`, which are no JSON, as texts: their model is refused by name then, and not the whole list.
pub(super) fn with_quoted_nan(text: &str) -> Cow<'_, str> {
    const NAMES: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let (mut quoted, mut rest) = (String::with_capacity(text.len() + 64), text);
    while let Some(next) = rest.chars().next() {
        let taken = match NAMES.into_iter().find(|name| rest.starts_with(name)) {
            Some(name) => {
                quoted.extend(['"'].into_iter().chain(name.chars()).chain(['"']));
                name.len()
            }
            None => {
                let length = if next == '"' { string_length(rest) } else { next.len_utf8() };
                quoted.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[taken..];
    }
    Cow::Owned(quoted)
}

/// The bytes of the string that a text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        let members = deserializer.deserialize_map(Visitor)?;
        Ok(Members(members.into_iter().map(|(name, raw)| (clipped(&name), raw)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_is_quoted_outside_of_texts_alone() {
        let written = r#"{"a": NaN, "NaN \" Infinity": [-Infinity,Infinity], "b\\": NaN, "ü": "NaN"}"#;
        let quoted = r#"{"a": "NaN", "NaN \" Infinity": ["-Infinity","Infinity"], "b\\": "NaN", "ü": "NaN"}"#;
        assert_eq!(with_quoted_nan(written), quoted);
        assert_eq!(with_quoted_nan(r#"{"a": "an unfinished NaN"#), r#"{"a": "an unfinished NaN"#);
    }
}
