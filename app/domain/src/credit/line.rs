//! What is lent to an account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Quantity;
use crate::{money::Amount, pricing::Excess};

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
    use chrono::TimeDelta;

    use super::*;
    use crate::credit::testing::NOW;

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
