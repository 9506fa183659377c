//! What a person chose to see of a journal, and the query string that says so.

use serde::{Deserialize, Serialize};

use crate::{
    filter::{FilterError, one_of, pairs, problem},
    month::CalendarMonth,
};

/// Which postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum JournalPart {
    /// All of them.
    #[default]
    Everything,
    /// Credit that was put in, or taken back.
    Money,
    /// What calls used, and what was given back of it.
    Usage,
}

impl JournalPart {
    /// Every part, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Everything, Self::Money, Self::Usage];

    /// Its name in a query string, as `entries`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Money => "money",
            Self::Usage => "usage",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Everything => "Everything",
            Self::Money => "Money in and out",
            Self::Usage => "Usage",
        }
    }

    /// Whether it consists of what [is of calls](crate::billing::JournalKind::OF_CALLS), or of all else; `None` of both.
    #[must_use]
    pub const fn is_of_calls(self) -> Option<bool> {
        match self {
            Self::Everything => None,
            Self::Money => Some(false),
            Self::Usage => Some(true),
        }
    }
}

/// Which postings of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JournalFilter {
    /// Of what.
    pub part: JournalPart,
    /// Those that were posted in one month; `None` for all. The books go by when something was posted, so that a month that is over never changes.
    pub month: Option<CalendarMonth>,
}

impl JournalFilter {
    /// Reads a query string. What it does not say has its default; unknown parameters are not ours and are left alone.
    ///
    /// # Errors
    /// [`FilterError`] for a value that means nothing.
    pub fn from_query(query: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (name, value) in pairs(query) {
            match name.as_ref() {
                "entries" => filter.part = one_of("entries", &value, &JournalPart::ALL, JournalPart::name)?,
                "month" => {
                    let month = value.parse().ok();
                    filter.month =
                        Some(month.ok_or_else(|| problem("month", &format!("\"{value}\" is not a month: write it like 2026-01")))?);
                }
                _ => {}
            }
        }
        Ok(filter)
    }

    /// The query string of this choice, without a `?`; defaults are left out, so that the plain page has a plain address.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if self.part != JournalPart::default() {
            query.append_pair("entries", self.part.name());
        }
        if let Some(month) = self.month {
            query.append_pair("month", &month.to_string());
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_filter_is_what_its_query_says() {
        for query in ["", "entries=money", "month=2026-11", "entries=usage&month=2024-02"] {
            assert_eq!(JournalFilter::from_query(query).unwrap().to_query(), query);
        }
        assert_eq!(JournalFilter::from_query("entries=&month=&before=3").unwrap(), JournalFilter::default());
    }

    #[test]
    fn what_is_no_part_and_no_month_is_named() {
        for (query, field) in [
            ("entries=all", "entries"),
            ("month=2026-13", "month"),
            ("month=2026-1", "month"),
            ("month=26-01", "month"),
            ("month=2026-11-01", "month"),
            ("month=+026-11", "month"),
        ] {
            assert_eq!(JournalFilter::from_query(query).map_err(|error| error.field), Err(field), "{query}");
        }
    }
}
