//! For whom and for what a call was made, as the client says. What a key proves (its account, its project) is kept apart from this.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::text::is_disruptive;

/// A text of the client's own choice: 1 to 256 characters, none of which moves the text around it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A text that is no [`Label`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It is too long.
    #[error("has more than {} characters", Label::MAX_CHARS)]
    Long,
    /// It has line breaks, tabs, or characters that turn the direction of a text.
    #[error("has control characters in it")]
    Control,
}

impl Label {
    /// The longest, in characters.
    pub const MAX_CHARS: usize = 256;

    /// What of a text can be kept: its first characters, with `U+FFFD` for those that must not be there. `None` of an empty one.
    #[must_use]
    pub fn clipped(text: &str) -> Option<Self> {
        let kept = |char| if is_disruptive(char) { char::REPLACEMENT_CHARACTER } else { char };
        Some(Self(text.chars().take(Self::MAX_CHARS).map(kept).collect())).filter(|label| !label.0.is_empty())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        match text {
            "" => Err(LabelError::Empty),
            text if text.chars().nth(Self::MAX_CHARS).is_some() => Err(LabelError::Long),
            text if text.chars().any(is_disruptive) => Err(LabelError::Control),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        text.parse()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names and values that a client gives to its calls, to find and sum them by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<Label, Label>);

/// A tag that cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// There are as many as there can be.
    #[error("a call has at most {} tags", Tags::MAX)]
    Many,
    /// Its name.
    #[error("a tag's name {0}")]
    Name(LabelError),
    /// Its name is longer than that of a tag may be.
    #[error("a tag's name has more than {} characters", Tags::NAME_MAX_CHARS)]
    LongName,
    /// Its value.
    #[error("the value of the tag \"{0}\" {1}")]
    Value(Label, LabelError),
}

impl Tags {
    /// The most that a call can have.
    pub const MAX: usize = 10;
    /// The longest name, in characters.
    pub const NAME_MAX_CHARS: usize = 64;

    /// Adds one.
    ///
    /// # Errors
    /// [`TagError`], and nothing is added.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), TagError> {
        let name: Label = name.parse().map_err(TagError::Name)?;
        if name.0.chars().nth(Self::NAME_MAX_CHARS).is_some() {
            return Err(TagError::LongName);
        }
        let value = value.parse().map_err(|error| TagError::Value(name.clone(), error))?;
        if self.0.len() == Self::MAX && !self.0.contains_key(&name) {
            return Err(TagError::Many);
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Label> {
        self.iter().find(|(own, _)| own.as_str() == name).map(|(_, value)| value)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Label, &Label)> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a client says of a call. A claim: whoever holds a key can say anything here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attribution {
    /// The person or system on whose behalf it was made.
    pub end_user: Option<Label>,
    /// The run, conversation or job that it belongs to.
    pub session: Option<Label>,
    /// The software that made it: its name and major version, such as `OpenAI/Python 1`.
    pub client: Option<Label>,
    /// Anything else.
    pub tags: Tags,
}

/// The name and the major version of the software that a `User-Agent` header (RFC 9110, section 10.1.5) names first.
///
/// `OpenAI/Python 1.52.0` is `OpenAI/Python 1`, `curl/8.5.0` is `curl 8`. Each different one has sums of its own, so that what looks like the name of one
/// job or one machine is none of a software: one of more than 40 characters, or with more than two digits in a row.
#[must_use]
pub fn client_of_user_agent(user_agent: &str) -> Option<Label> {
    let mut words = user_agent.split_ascii_whitespace();
    let first = words.next()?;
    let (name, version) = match first.rsplit_once('/') {
        Some((name, version)) if major(version).is_some() => (name, major(version)),
        // `OpenAI/Python 1.52.0`: a product and its language, then the version.
        _ => (first, words.next().and_then(major)),
    };
    let is_a_software = name.chars().count() <= 40 && !name.as_bytes().windows(3).any(|three| three.iter().all(u8::is_ascii_digit));
    let client = version.map_or_else(|| name.to_owned(), |version| format!("{name} {version}"));
    Label::clipped(&client).filter(|_| is_a_software)
}

/// What a version begins with, as far as versions of a software go.
fn major(version: &str) -> Option<&str> {
    let version = version.trim_start_matches('v');
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).map_or(version, |end| &version[..end]);
    (1..=4).contains(&digits.len()).then_some(digits)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_is_its_name_and_its_major_version() {
        for (user_agent, client) in [
            ("OpenAI/Python 1.52.0", "OpenAI/Python 1"),
            ("AsyncOpenAI/Python 2.0.1", "AsyncOpenAI/Python 2"),
            ("OpenAI/JS 4.104.0", "OpenAI/JS 4"),
            ("Anthropic/Python 0.39.0", "Anthropic/Python 0"),
            ("curl/8.5.0", "curl 8"),
            ("python-requests/2.32.3", "python-requests 2"),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "Mozilla 5"),
            ("ai-sdk/openai/1.0.4 ai/4.0", "ai-sdk/openai 1"),
            ("tool/v3", "tool 3"),
            ("node", "node"),
            ("my-agent (beta)", "my-agent"),
        ] {
            assert_eq!(client_of_user_agent(user_agent).unwrap().as_str(), client);
        }
        for nobody in ["  ", "job-4711", "worker-20261126/1.0", "job/20261126", &"x".repeat(41)] {
            assert_eq!(client_of_user_agent(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn a_tag_that_cannot_be_is_named() {
        let mut tags = Tags::default();
        assert_eq!(tags.insert("", "a"), Err(TagError::Name(LabelError::Empty)));
        assert_eq!(tags.insert(&"n".repeat(65), "a"), Err(TagError::LongName));
        assert_eq!(tags.insert("a", ""), Err(TagError::Value("a".parse().unwrap(), LabelError::Empty)));
        assert_eq!(tags.insert("a", "b\nc"), Err(TagError::Value("a".parse().unwrap(), LabelError::Control)));
        for number in 0..Tags::MAX {
            tags.insert(&number.to_string(), "x").unwrap();
        }
        assert_eq!(tags.insert("one more", "x"), Err(TagError::Many));
        assert_eq!(tags.insert("3", "y"), Ok(()));
        assert_eq!(tags.get("3").unwrap().as_str(), "y");
    }

    proptest! {
        #[test]
        fn what_can_be_kept_of_a_text_is_a_label(text in "\\PC{0,300}|(?s).{0,300}") {
            match Label::clipped(&text) {
                None => prop_assert!(text.is_empty()),
                Some(label) => {
                    prop_assert_eq!(label.as_str().parse::<Label>(), Ok(label.clone()));
                    if let Ok(whole) = text.parse::<Label>() { prop_assert_eq!(whole, label); }
                }
            }
        }

        #[test]
        fn the_client_of_any_user_agent_is_short(user_agent in "(?s).{0,300}") {
            prop_assert!(client_of_user_agent(&user_agent).is_none_or(|client| client.as_str().chars().count() <= 64));
        }
    }
}
