//! Where people ask for more than is offered.

use std::str::FromStr;

/// Where people write to, or read on: a link, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SalesContact {
    /// `mailto:sales@example.com`, `https://example.com/sales`.
    pub(crate) link: String,
    /// Without what only browsers need.
    pub(crate) words: String,
}

impl FromStr for SalesContact {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_plain =
            !text.is_empty() && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control() || "\"<>?&%".contains(letter));
        let web = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).filter(|host| !host.is_empty());
        match (is_plain, web, text.split_once('@')) {
            (true, Some(words), _) => Ok(Self { link: text.to_owned(), words: words.trim_end_matches('/').to_owned() }),
            (true, None, Some((name, host))) if !name.is_empty() && !host.is_empty() && !name.contains(':') => {
                Ok(Self { link: format!("mailto:{text}"), words: text.to_owned() })
            }
            _ => Err("write an e-mail address, or one like https://example.com/sales".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sales_contact_is_mailed_to_or_read_and_no_other_link() {
        let read = |text: &str| text.parse::<SalesContact>().map(|contact| (contact.link, contact.words));
        let link = |link: &str, words: &str| Ok((link.to_owned(), words.to_owned()));
        assert_eq!(read("sales@example.com"), link("mailto:sales@example.com", "sales@example.com"));
        assert_eq!(read(" https://example.com/sales/ "), link("https://example.com/sales/", "example.com/sales"));
        for text in [
            "",
            "sales",
            "javascript:alert(1)",
            "javascript:a@b",
            "sales@",
            "https://",
            "a b@example.com",
            "a@example.com?bcc=b@example.com",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
