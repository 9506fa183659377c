//! Which customers operators list, in what order, and from where on.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    account::Customer,
    filter::{FilterError, one_of, pairs, problem},
    id::AccountId,
};

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CustomerFilter {
    /// A part of a name or of an owner's address, or a part of an id.
    pub search: String,
    /// Some of them only.
    pub only: CustomerKind,
    /// In what order.
    pub sort: CustomerSort,
}

/// Customers that have something in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CustomerKind {
    /// Nothing: every one.
    #[default]
    All,
    /// What is left would last for less than three days, at the pace of the last 30.
    LowBalance,
    /// Calls are refused until an operator resumes them.
    Suspended,
    /// Calls are refused for good.
    Closed,
    /// They pay by the month.
    OnPlan,
}

impl CustomerKind {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Self; 5] = [Self::All, Self::LowBalance, Self::Suspended, Self::Closed, Self::OnPlan];

    /// Its name in the query string.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::LowBalance => "low",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
            Self::OnPlan => "plan",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::LowBalance => "Low balance",
            Self::Suspended => "Suspended",
            Self::Closed => "Closed",
            Self::OnPlan => "On a plan",
        }
    }
}

/// An order; those that are alike stand by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CustomerSort {
    /// By name, in whatever case.
    #[default]
    Name,
    /// Who spent most in the last 30 days first.
    Spend,
    /// Who has least first.
    Balance,
    /// Who came last first.
    Created,
}

impl CustomerSort {
    /// Every order, as they are offered.
    pub const ALL: [Self; 4] = [Self::Name, Self::Spend, Self::Balance, Self::Created];

    /// Its name in the query string.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Spend => "spend",
            Self::Balance => "balance",
            Self::Created => "created",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Spend => "Highest spend",
            Self::Balance => "Lowest balance",
            Self::Created => "Newest",
        }
    }
}

impl CustomerFilter {
    /// Reads a query string. Unknown parameters are not ours and are left alone.
    ///
    /// # Errors
    /// [`FilterError`] for a value that means nothing.
    pub fn from_query(query: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (name, value) in pairs(query) {
            match name.as_ref() {
                "search" => filter.search = value.trim().to_owned(),
                "only" => filter.only = one_of("only", &value, &CustomerKind::ALL, CustomerKind::name)?,
                "sort" => filter.sort = one_of("sort", &value, &CustomerSort::ALL, CustomerSort::name)?,
                _ => {}
            }
        }
        Ok(filter)
    }

    /// The query string of this choice, without a `?`; what is so anyway is left out.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let only = Some(self.only).filter(|only| *only != CustomerKind::default()).map(CustomerKind::name);
        let sort = Some(self.sort).filter(|sort| *sort != CustomerSort::default()).map(CustomerSort::name);
        let search = Some(self.search.as_str()).filter(|search| !search.is_empty());
        for (name, value) in [("search", search), ("only", only), ("sort", sort)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// The query string of the page that begins after this customer.
    #[must_use]
    pub fn to_query_after(&self, place: &CustomerPlace) -> String {
        let after = form_urlencoded::Serializer::new(String::new()).append_pair("after", &place.to_string()).finish();
        let query = self.to_query();
        if query.is_empty() { after } else { format!("{query}&{after}") }
    }
}

/// Where a page ends and the next one begins: a customer, with what it is sorted by. In a query string it is `after=<id>.<mark>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerPlace {
    /// The customer.
    pub id: AccountId,
    /// What it is sorted by, as it was then.
    pub mark: Mark,
}

/// What a customer is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// Its name.
    Name(String),
    /// Nanos.
    Number(i64),
    /// When it came; in a query string microseconds since 1970.
    Instant(DateTime<Utc>),
}

impl fmt::Display for CustomerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mark {
            Mark::Name(name) => write!(f, "{}.{name}", self.id),
            Mark::Number(number) => write!(f, "{}.{number}", self.id),
            Mark::Instant(at) => write!(f, "{}.{}", self.id, at.timestamp_micros()),
        }
    }
}

impl CustomerPlace {
    /// Where a customer stands in this order.
    #[must_use]
    pub fn of(customer: &Customer, sort: CustomerSort) -> Self {
        let mark = match sort {
            CustomerSort::Name => Mark::Name(customer.name.clone()),
            CustomerSort::Spend => Mark::Number(customer.spent_30_days.nanos()),
            CustomerSort::Balance => Mark::Number(customer.balance.nanos()),
            CustomerSort::Created => Mark::Instant(customer.created_at),
        };
        Self { id: customer.id, mark }
    }

    /// Where a page of this order begins: after this customer.
    ///
    /// # Errors
    /// [`FilterError`] for what is no place in it.
    pub fn from_query(query: &str, sort: CustomerSort) -> Result<Option<Self>, FilterError> {
        let parse = |text: &str| {
            let (id, mark) = text.split_once('.')?;
            let mark = match sort {
                CustomerSort::Name => Mark::Name(mark.to_owned()),
                CustomerSort::Spend | CustomerSort::Balance => Mark::Number(mark.parse().ok()?),
                CustomerSort::Created => Mark::Instant(DateTime::from_timestamp_micros(mark.parse().ok().filter(|at| *at >= 0)?)?),
            };
            Some(Self { id: id.parse().ok()?, mark })
        };
        let place = pairs(query).find(|(name, _)| name == "after").map(|(_, text)| text);
        place.map(|text| parse(&text).ok_or_else(|| problem("after", "is no place in this list: start from its first page"))).transpose()
    }
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerPage {
    /// The customers.
    pub customers: Vec<Customer>,
    /// Where the next page begins.
    pub next: Option<CustomerPlace>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_filter_survives_its_own_query() {
        for query in ["", "search=a+b%26c&only=low&sort=spend", "sort=created", "only=plan"] {
            assert_eq!(CustomerFilter::from_query(query).unwrap().to_query(), query);
        }
        assert_eq!(CustomerFilter::from_query("only=all&sort=name&search=+").unwrap(), CustomerFilter::default());
        for (query, field) in [("only=rich", "only"), ("sort=luck", "sort")] {
            assert_eq!(CustomerFilter::from_query(query).unwrap_err().field, field, "{query}");
        }
    }

    #[test]
    fn a_place_survives_its_own_query_whatever_the_name() {
        let id = AccountId::new(DateTime::UNIX_EPOCH, [7; 10]);
        for (sort, mark) in [
            (CustomerSort::Name, Mark::Name("A. & Söhne, <2.5>".to_owned())),
            (CustomerSort::Balance, Mark::Number(-5)),
            (CustomerSort::Created, Mark::Instant(DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap())),
        ] {
            let place = CustomerPlace { id, mark };
            let filter = CustomerFilter { sort, ..CustomerFilter::default() };
            assert_eq!(CustomerPlace::from_query(&filter.to_query_after(&place), sort).unwrap(), Some(place));
        }
        assert_eq!(CustomerPlace::from_query("", CustomerSort::Name).unwrap(), None);
        for wrong in ["after=1", &format!("after={id}.cheap"), &format!("after={id}")] {
            assert!(CustomerPlace::from_query(wrong, CustomerSort::Spend).is_err(), "{wrong}");
        }
    }
}
