//! A capacity that can be leased, and the whole numbers it is counted in.

use std::{
    fmt,
    num::{IntErrorKind, ParseIntError},
};

use serde::{Deserialize, Serialize};

use crate::{
    money::{Amount, AmountError},
    tokens::Tokens,
};

/// What a pool is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanos, see [`Amount`].
    Money,
    /// Tokens of prompt and completion together.
    Tokens,
    /// Calls.
    Requests,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 3] = [Self::Money, Self::Tokens, Self::Requests];

    /// Its name in stored rows and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Money => "Money",
            Self::Tokens => "Tokens",
            Self::Requests => "Requests",
        }
    }
}

/// A text that is no quantity of a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It is no amount of money.
    #[error(transparent)]
    Money(#[from] AmountError),
    /// It is no whole number.
    #[error("is not a whole number: write it like 1000")]
    NotWhole,
    /// It does not fit.
    #[error("is too large")]
    TooLarge,
}

/// A quantity as programs read it: money as an exact decimal in a text, counts as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// An amount.
    Money(Amount),
    /// Tokens or requests.
    Count(i64),
}

/// A whole number of a pool's unit: nanos, tokens or requests. Arithmetic is checked, never wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[serde(transparent)]
pub struct Quantity(i64);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest quantity.
    pub const MAX: Self = Self(i64::MAX);

    /// So many of a unit.
    #[must_use]
    pub const fn from_count(count: i64) -> Self {
        Self(count)
    }

    /// A quantity as people type it: an amount of money in currency units, or a whole number.
    ///
    /// # Errors
    /// [`QuantityError`].
    pub fn parse(text: &str, unit: Unit) -> Result<Self, QuantityError> {
        match unit {
            Unit::Money => Ok(text.parse::<Amount>()?.into()),
            Unit::Tokens | Unit::Requests => text.parse().map(Self).map_err(|error: ParseIntError| match error.kind() {
                IntErrorKind::PosOverflow => QuantityError::TooLarge,
                _ => QuantityError::NotWhole,
            }),
        }
    }

    /// The same for programs.
    #[must_use]
    pub const fn figure(self, unit: Unit) -> Figure {
        match unit {
            Unit::Money => Figure::Money(Amount::from_nanos(self.0)),
            Unit::Tokens | Unit::Requests => Figure::Count(self.0),
        }
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    /// The difference, or `None` on overflow.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether it is exactly zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Itself, or zero if it is below zero.
    #[must_use]
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    /// What is left of it after a part that is no larger; neither is below zero.
    pub(crate) fn less(self, part: Self) -> Self {
        Self(self.0.saturating_sub(part.0))
    }

    /// The nearest quantity to an exact sum: what does not fit is as good as the largest, or as the smallest.
    pub(super) fn nearest(exact: i128) -> Self {
        Self(i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX }))
    }

    /// A quantity as people read it: `0.5`, or `1200 tokens`.
    #[must_use]
    pub fn in_words(self, unit: Unit) -> String {
        match unit {
            Unit::Money => Amount::from_nanos(self.0).to_string(),
            Unit::Tokens | Unit::Requests if self.0 == 1 => format!("1 {}", unit.name().trim_end_matches('s')),
            Unit::Tokens | Unit::Requests => format!("{self} {}", unit.name()),
        }
    }
}

impl From<Amount> for Quantity {
    fn from(amount: Amount) -> Self {
        Self(amount.nanos())
    }
}

impl From<Tokens> for Quantity {
    fn from(tokens: Tokens) -> Self {
        Self(tokens.get())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A capacity, what was used of it for good, and what running calls hold of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// What it is counted in.
    pub unit: Unit,
    /// What there was from the start. An operator may lower it below what was used.
    pub capacity: Quantity,
    /// What ended calls took.
    pub used: Quantity,
    /// What running calls hold; part of it comes back when they end.
    pub leased: Quantity,
}

impl Pool {
    /// A pool of which nothing was used.
    #[must_use]
    pub const fn new(unit: Unit, capacity: Quantity) -> Self {
        Self { unit, capacity, used: Quantity::ZERO, leased: Quantity::ZERO }
    }

    /// capacity − used − leased; below zero when more was used than there is. Beyond what a [`Quantity`] holds it is the nearest one.
    #[must_use]
    pub fn available(&self) -> Quantity {
        Quantity::nearest(self.exact())
    }

    /// What a call can hold of it: what is available, and nothing if that is below zero.
    #[must_use]
    pub fn room(&self) -> Quantity {
        self.available().or_zero()
    }

    /// What a call can hold of it more once all running ones have ended and given everything back: nothing where even that is not above zero.
    pub(super) fn coming(&self) -> Quantity {
        let all = Quantity::nearest(self.exact() + i128::from(self.leased.0.max(0))).or_zero();
        all.less(self.room())
    }

    /// The pool after a call took a hold on it. Whether there is room is [`super::admit`]'s to say: a soft limit is held beyond its
    /// capacity.
    ///
    /// `None`, and nothing is to be written, if the hold is below zero or does not fit.
    #[must_use]
    pub fn held(self, quantity: Quantity) -> Option<Self> {
        if quantity.is_negative() {
            return None;
        }
        Some(Self { leased: self.leased.checked_add(quantity)?, ..self })
    }

    /// The pool after a call ended that used so much and gives so much of what is leased back.
    ///
    /// `None`, and nothing is to be written, if one of them is below zero, does not fit, or more is given back than is leased.
    #[must_use]
    pub fn settled(self, used: Quantity, released: Quantity) -> Option<Self> {
        if used.is_negative() || released.is_negative() || released > self.leased {
            return None;
        }
        Some(Self { used: self.used.checked_add(used)?, leased: self.leased.checked_sub(released)?, ..self })
    }

    /// What is available, be it too large or too small for a [`Quantity`].
    pub(super) fn exact(&self) -> i128 {
        i128::from(self.capacity.0) - i128::from(self.used.0) - i128::from(self.leased.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quantity_is_typed_in_its_unit() {
        let parse = |text, unit| Quantity::parse(text, unit).map(Quantity::get);
        assert_eq!(
            (parse("12.5", Unit::Money), parse("1000", Unit::Tokens), parse("7", Unit::Requests)),
            (Ok(12_500_000_000), Ok(1_000), Ok(7))
        );
        for wrong in ["", "1.5", "1,000", "1 000", "a lot", "1e3"] {
            assert_eq!(parse(wrong, Unit::Requests), Err(QuantityError::NotWhole), "{wrong}");
        }
        assert_eq!(parse("9223372036854775808", Unit::Tokens), Err(QuantityError::TooLarge));
        assert_eq!(parse("a lot", Unit::Money), Err(QuantityError::Money(AmountError::NotANumber)));
    }

    #[test]
    fn programs_read_money_as_a_text_and_counts_as_numbers() {
        let json = |unit| serde_json::to_string(&Quantity::from_count(1_500_000_000).figure(unit)).unwrap_or_default();
        assert_eq!((json(Unit::Money).as_str(), json(Unit::Tokens).as_str()), (r#""1.5""#, "1500000000"));
    }

    fn pool(capacity: i64, used: i64, leased: i64) -> Pool {
        Pool {
            unit: Unit::Tokens,
            capacity: Quantity::from_count(capacity),
            used: Quantity::from_count(used),
            leased: Quantity::from_count(leased),
        }
    }

    #[test]
    fn what_is_used_and_what_is_leased_are_not_available() {
        assert_eq!(pool(10, 3, 4).available(), Quantity::from_count(3));
        assert_eq!(pool(10, 8, 4).available(), Quantity::from_count(-2));
        assert_eq!(pool(10, 8, 4).room(), Quantity::ZERO);
        assert_eq!(pool(10, 3, 4).room(), Quantity::from_count(3));
    }

    #[test]
    fn what_comes_back_counts_only_above_zero() {
        assert_eq!(pool(10, 3, 4).coming(), Quantity::from_count(4));
        assert_eq!(pool(10, 8, 4).coming(), Quantity::from_count(2));
        assert_eq!(pool(0, 5, 3).coming(), Quantity::ZERO);
    }

    #[test]
    fn a_pool_at_the_ends_of_the_numbers_is_never_wrapped() {
        assert_eq!(pool(i64::MIN, i64::MAX, i64::MAX).available(), Quantity::from_count(i64::MIN));
        assert_eq!(pool(i64::MAX, i64::MIN, i64::MIN).available(), Quantity::MAX);
        assert_eq!(pool(i64::MAX, i64::MAX, 1).available(), Quantity::from_count(-1));
        assert_eq!(pool(0, 0, i64::MAX).held(Quantity::from_count(1)), None);
        assert_eq!(pool(0, i64::MAX, 1).settled(Quantity::from_count(1), Quantity::ZERO), None);
    }

    #[test]
    fn a_hold_is_leased_and_a_settled_one_is_not() {
        assert_eq!(pool(10, 1, 2).held(Quantity::from_count(5)), Some(pool(10, 1, 7)));
        assert_eq!(pool(10, 1, 7).settled(Quantity::from_count(3), Quantity::from_count(5)), Some(pool(10, 4, 2)));
        assert_eq!(pool(10, 1, 7).settled(Quantity::from_count(3), Quantity::from_count(7)), Some(pool(10, 4, 0)));
    }

    #[test]
    fn no_more_is_given_back_than_is_leased_and_nothing_below_zero_is_booked() {
        assert_eq!(pool(10, 0, 4).settled(Quantity::ZERO, Quantity::from_count(5)), None);
        assert_eq!(pool(10, 0, 4).settled(Quantity::from_count(-1), Quantity::ZERO), None);
        assert_eq!(pool(10, 0, 4).settled(Quantity::ZERO, Quantity::from_count(-1)), None);
        assert_eq!(pool(10, 0, 4).held(Quantity::from_count(-1)), None);
        assert_eq!(pool(10, 0, 4).held(Quantity::ZERO), Some(pool(10, 0, 4)));
    }

    #[test]
    fn a_quantity_says_what_it_counts() {
        assert_eq!(Quantity::from_count(1_500_000_000).in_words(Unit::Money), "1.5");
        assert_eq!(Quantity::from_count(7).in_words(Unit::Tokens), "7 tokens");
        assert_eq!(Quantity::from_count(1).in_words(Unit::Requests), "1 request");
    }

    proptest! {
        #[test]
        fn a_hold_that_is_released_leaves_the_pool_as_it_was(capacity: i64, used: i64, leased in 0..i64::MAX / 2, hold in 0..i64::MAX / 2) {
            let before = pool(capacity, used, leased);
            let hold = Quantity::from_count(hold);
            prop_assert_eq!(before.held(hold).and_then(|held| held.settled(Quantity::ZERO, hold)), Some(before));
        }

        #[test]
        fn available_is_the_exact_difference_or_the_nearest_number(capacity: i64, used: i64, leased: i64) {
            let exact = i128::from(capacity) - i128::from(used) - i128::from(leased);
            let available = i128::from(pool(capacity, used, leased).available().get());
            prop_assert_eq!(available, exact.clamp(i64::MIN.into(), i64::MAX.into()));
        }
    }
}
