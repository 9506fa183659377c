//! Names with gaps: `*` stands for anything, `?` for one character.

use std::{convert::Infallible, str::FromStr};

/// A pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl FromStr for Glob {
    type Err = Infallible;

    fn from_str(pattern: &str) -> Result<Self, Infallible> {
        Ok(Self(pattern.chars().collect()))
    }
}

impl Glob {
    /// Whether the pattern stands for this name, from its first character to its last.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_slice(), name.chars().collect::<Vec<_>>());
        let (mut at, mut seen) = (0, 0);
        // Where the last `*` stands, and up to where it is taken to reach.
        let mut star = None;
        while seen < name.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(letter) if *letter == '?' || *letter == name[seen] => (at, seen) = (at + 1, seen + 1),
                _ => match star {
                    Some((place, reach)) => {
                        star = Some((place, reach + 1));
                        (at, seen) = (place + 1, reach + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|letter| *letter == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_anything_and_a_question_mark_one_character() {
        let matches = |pattern: &str, name: &str| Glob(pattern.chars().collect()).matches(name);
        for (pattern, name) in [
            ("gpt-*", "gpt-4o"),
            ("*", ""),
            ("*mini*", "gpt-4o-mini"),
            ("gpt-?o", "gpt-4o"),
            ("a*b*c", "aXbbYc"),
            ("**a", "ba"),
            ("é?", "éß"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("gpt-*", "o3"), ("gpt-?", "gpt-4o"), ("", "a"), ("a*b", "abc"), ("gpt-4o", "gpt-4o-mini"), ("?", "")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
