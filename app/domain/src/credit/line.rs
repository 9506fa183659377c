//! What is lent to an account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Quantity;
use crate::{money::Amount, month::CalendarMonth, pricing::Excess};

/// What an account's calls are paid from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From what was paid in: how every account begins.
    #[default]
    Prepaid,
    /// Also from what is lent to it for good.
    Postpaid,
    /// From plans, packages and promotional credit alone: the wallet pays for no call, nor for what comes late of one. What is given back of money that
    /// has expired still goes there, and calls that were admitted before end on what they hold.
    Quota,
}

impl Mode {
    /// Its name on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepaid => "prepaid",
            Self::Postpaid => "postpaid",
            Self::Quota => "quota",
        }
    }
}

/// How far below zero an account's wallet may go, whether it pays for calls at all, and who bears what no credit was held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CreditLine {
    /// What is lent for good; never below zero.
    pub amount: Amount,
    /// What is lent on top of it for a while.
    pub grace: Option<Grace>,
    /// Who bears what a call costs beyond what was held for it.
    pub excess: Excess,
    /// Whether the wallet pays for no call: other credit does. Then nothing is lent to it, and terms are strict.
    pub is_quota: bool,
}

/// What is lent until an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// How much; above zero.
    pub amount: Amount,
    /// Until when. What is owed then stays owed; only nothing more can be held.
    pub until: DateTime<Utc>,
}

impl Grace {
    /// Whether it begins when it is set: it is more, or lasts longer, than what was lent so until then. One that is lowered or shortened goes on.
    #[must_use]
    pub fn begins(self, before: Option<Self>, at: DateTime<Utc>) -> bool {
        let before = before.filter(|before| at < before.until);
        before.is_none_or(|before| self.amount > before.amount || self.until > before.until)
    }
}

/// When each grace began of an account that was set so, oldest first, each setting with when it was set.
pub fn graces_begun(settings: impl IntoIterator<Item = (DateTime<Utc>, Option<Grace>)>) -> impl Iterator<Item = DateTime<Utc>> {
    let begins = |before: &mut Option<Grace>, (at, grace): (DateTime<Utc>, Option<Grace>)| {
        let before = std::mem::replace(before, grace);
        Some(grace.filter(|grace| grace.begins(before, at)).map(|_| at))
    };
    settings.into_iter().scan(None, begins).flatten()
}

/// Until when no grace may begin, of an account that was set so, oldest first, each setting with when it was set: one begins in a calendar month, UTC.
/// `None` where one may.
pub fn next_grace(settings: impl IntoIterator<Item = (DateTime<Utc>, Option<Grace>)>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let began = graces_begun(settings).last().map(CalendarMonth::of);
    began.filter(|month| *month >= CalendarMonth::of(now)).map(|month| month.range().to)
}

impl CreditLine {
    /// What calls are paid from.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.is_quota {
            Mode::Quota
        } else if self.amount > Amount::ZERO {
            Mode::Postpaid
        } else {
            Mode::Prepaid
        }
    }

    /// What is lent at an instant. Beyond what an amount holds, it is the largest.
    #[must_use]
    pub fn lent(&self, now: DateTime<Utc>) -> Amount {
        let grace = self.grace.filter(|grace| now < grace.until).map_or(Amount::ZERO, |grace| grace.amount);
        self.amount.checked_add(grace).unwrap_or(Amount::MAX)
    }

    /// How far the wallet's balance may fall: minus what is lent.
    #[must_use]
    pub fn floor(&self, now: DateTime<Utc>) -> Quantity {
        Quantity::from_count(-self.lent(now).nanos())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;

    use super::*;
    use crate::credit::testing::NOW;

    #[test]
    fn a_grace_begins_once_a_calendar_month() {
        let at = |text: &str| format!("2026-{text}:00Z").parse::<DateTime<Utc>>().unwrap();
        let grace = |count, until| Some(Grace { amount: Amount::from_nanos(count), until: at(until) });
        let first = grace(5, "11-20T00:00");
        let next = |settings: &[(DateTime<Utc>, Option<Grace>)], now| next_grace(settings.iter().copied(), at(now));
        let december = Some(at("12-01T00:00"));
        assert_eq!(next(&[], "11-01T00:00"), None);
        assert_eq!(next(&[(at("11-05T00:00"), first)], "11-30T23:59"), december, "also once it has ended");
        assert_eq!(next(&[(at("11-05T00:00"), first)], "12-01T00:00"), None);
        // What goes on, lower or shorter, does not begin; what is more, or longer, or comes after an end, does.
        let spans = (at("10-31T00:00"), first);
        for (settings, expected) in [
            (vec![spans], None),
            (vec![spans, (at("11-02T00:00"), grace(4, "11-20T00:00"))], None),
            (vec![spans, (at("11-02T00:00"), grace(5, "11-19T00:00"))], None),
            (vec![spans, (at("11-02T00:00"), None)], None),
            (vec![spans, (at("11-02T00:00"), grace(6, "11-20T00:00"))], december),
            (vec![spans, (at("11-02T00:00"), grace(5, "11-21T00:00"))], december),
            (vec![spans, (at("11-02T00:00"), None), (at("11-03T00:00"), first)], december),
            (vec![spans, (at("11-20T00:00"), first)], december),
        ] {
            assert_eq!(next(&settings, "11-25T00:00"), expected, "{settings:?}");
        }
        // A clock that was set back begins no second one.
        assert_eq!(next(&[(at("11-05T00:00"), first)], "10-31T00:00"), december);
    }

    #[test]
    fn grace_ends_and_the_line_stays() {
        let (amount, until) = (Amount::from_nanos(5), NOW + TimeDelta::hours(1));
        let line = CreditLine { amount, grace: Some(Grace { amount: Amount::from_nanos(3), until }), ..CreditLine::default() };
        assert_eq!((line.lent(NOW).nanos(), line.floor(NOW).get()), (8, -8));
        assert_eq!(line.lent(until), amount);
        assert_eq!(CreditLine::default().floor(NOW), Quantity::ZERO);
        let most = CreditLine { amount: Amount::MAX, ..line };
        assert_eq!((most.lent(NOW), most.floor(NOW).get()), (Amount::MAX, -i64::MAX));
    }
}
