//! Money as checked integers.
//!
//! One unit is a *nano*: 1e-9 of the deployment's one currency. A price of $0.15 per 1M tokens is $0.00015 per 1,000 tokens, which is
//! 150,000 nanos; the smallest price in use today still has three digits to spare.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nanos in one unit of the currency.
pub const NANOS_PER_UNIT: i64 = 1_000_000_000;

/// Decimal places of an [`Amount`].
const SCALE: u32 = 9;

/// Digits before the point that an [`Amount`] can have at most.
const WHOLE_DIGITS_MAX: usize = 10;

/// An amount of money in nanos, positive or negative.
///
/// In JSON and in `Display` it is the exact decimal in currency units, without trailing zeros: `"0.0000222"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
pub struct Amount(i64);

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a decimal number.
    #[error("is not a number: write it like 12.50 or 1,250.00")]
    NotANumber,
    /// More precise than a nano; rounding it would change what was typed.
    #[error("has more than nine decimals")]
    TooPrecise,
    /// Beyond what an [`Amount`] holds (about 9.2 billion).
    #[error("is too large")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount of so many nanos.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// An amount of whole currency units; `None` on overflow.
    #[must_use]
    pub const fn from_units(units: i64) -> Option<Self> {
        match units.checked_mul(NANOS_PER_UNIT) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// The amount in nanos.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// The difference, or `None` on overflow.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// The same amount with the other sign, or `None` for the one value that has none.
    #[must_use]
    pub const fn checked_neg(self) -> Option<Self> {
        match self.0.checked_neg() {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// The sum of many, or `None` on overflow.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
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
}

/// Parses what a person types, also what a page shows (`12.5`, `0.000000001`, `-3`, `$1,250.00`, `−$5`). Digits are never rounded away, and a comma is
/// nothing but a mark between thousands: where it could be meant for the point (`1,5`, `12,34.00`), nothing is guessed.
impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let text = text.trim();
        let (is_negative, text) = match text.strip_prefix(['-', '−']) {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let text = text.strip_prefix('$').map_or(text, str::trim_start);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = without_commas(whole).ok_or(AmountError::NotANumber)?;
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || (whole.is_empty() && fraction.is_empty()) {
            return Err(AmountError::NotANumber);
        }
        if whole.trim_start_matches('0').len() > WHOLE_DIGITS_MAX {
            return Err(AmountError::TooLarge);
        }
        let sign = if is_negative { "-" } else { "" };
        let decimal = match Decimal::from_str_exact(&format!("{sign}{whole}.{fraction}")) {
            Ok(decimal) => decimal.normalize(),
            Err(rust_decimal::Error::Underflow) => return Err(AmountError::TooPrecise),
            Err(_) => return Err(AmountError::NotANumber),
        };
        let missing = SCALE.checked_sub(decimal.scale()).ok_or(AmountError::TooPrecise)?;
        decimal
            .mantissa()
            .checked_mul(10_i128.pow(missing))
            .and_then(|nanos| i64::try_from(nanos).ok())
            .map(Self)
            .ok_or(AmountError::TooLarge)
    }
}

/// The digits before the point, whose thousands may be marked by commas: all of them or none.
fn without_commas(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let is_grouped = whole.contains(',');
    let fits = !is_grouped || ((1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3));
    let digits = whole.replace(',', "");
    (fits && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, i128::from(self.0), SCALE)
    }
}

/// A decimal string where people may read it (JSON has only floats), its nanos in a binary form.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// An exact amount before its one rounding, in 1e-16 of the currency: nanos ÷ 1,000 (rates are per 1,000 tokens) ÷ 10,000 (discounts are
/// in basis points).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ExactAmount(i128);

impl ExactAmount {
    /// Parts of an [`ExactAmount`] in one nano.
    pub const PARTS_PER_NANO: i128 = 1_000 * 10_000;

    /// An exact amount of so many parts.
    #[must_use]
    pub const fn from_parts(parts: i128) -> Self {
        Self(parts)
    }

    /// The amount in parts of a nano, see [`Self::PARTS_PER_NANO`].
    #[must_use]
    pub const fn parts(self) -> i128 {
        self.0
    }

    /// Rounds half up to a nano: the only rounding that a charge ever sees. `None` if it does not fit.
    #[must_use]
    pub fn round_half_up(self) -> Option<Amount> {
        let half = Self::PARTS_PER_NANO / 2;
        let nanos = self.0.checked_add(half)?.div_euclid(Self::PARTS_PER_NANO);
        i64::try_from(nanos).ok().map(Amount)
    }

    /// Rounds up to a nano: for holds, which may never be below what they stand for. `None` if it does not fit.
    #[must_use]
    pub fn round_up(self) -> Option<Amount> {
        let nanos = self.0.checked_add(Self::PARTS_PER_NANO - 1)?.div_euclid(Self::PARTS_PER_NANO);
        i64::try_from(nanos).ok().map(Amount)
    }
}

impl fmt::Display for ExactAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, SCALE + 7)
    }
}

impl Serialize for ExactAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

/// Reads back what [`Serialize`] wrote; a receipt crosses from the server to the browser.
impl<'de> Deserialize<'de> for ExactAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i128::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        let decimal = Decimal::from_str_exact(&text).map_err(de::Error::custom)?.normalize();
        (SCALE + 7)
            .checked_sub(decimal.scale())
            .and_then(|missing| decimal.mantissa().checked_mul(10_i128.pow(missing)))
            .map(Self)
            .ok_or_else(|| de::Error::custom("more than sixteen decimals"))
    }
}

/// Writes `value / 10^scale` without trailing zeros.
fn write_decimal(f: &mut fmt::Formatter<'_>, value: i128, scale: u32) -> fmt::Result {
    let one = 10_u128.pow(scale);
    let magnitude = value.unsigned_abs();
    let fraction = format!("{:0width$}", magnitude % one, width = scale as usize);
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    f.pad(&format!("{sign}{}{point}{fraction}", magnitude / one))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_type_becomes_nanos() {
        for (text, nanos) in [
            ("0", 0),
            ("12.50", 12_500_000_000),
            ("0.000000001", 1),
            ("-3", -3_000_000_000),
            (" 7 ", 7_000_000_000),
            (".5", 500_000_000),
            ("7.", 7_000_000_000),
            ("+7", 7_000_000_000),
            ("$5", 5_000_000_000),
            ("$ 5.25", 5_250_000_000),
            ("−$0.0123", -12_300_000),
            ("+$25.00", 25_000_000_000),
            ("1,000", 1_000_000_000_000),
            ("$1,234,567.89", 1_234_567_890_000_000),
            ("0000000000000012", 12_000_000_000),
        ] {
            assert_eq!(text.parse::<Amount>(), Ok(Amount(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_named() {
        for (text, error) in [
            ("", AmountError::NotANumber),
            ("abc", AmountError::NotANumber),
            ("1e9", AmountError::NotANumber),
            ("1,5", AmountError::NotANumber),
            ("1e3", AmountError::NotANumber),
            ("12,34.00", AmountError::NotANumber),
            ("1,0000", AmountError::NotANumber),
            ("1000,000", AmountError::NotANumber),
            (",100", AmountError::NotANumber),
            ("1,,000", AmountError::NotANumber),
            ("1.000,5", AmountError::NotANumber),
            ("1.5.0", AmountError::NotANumber),
            ("1 000", AmountError::NotANumber),
            ("$", AmountError::NotANumber),
            ("$-5", AmountError::NotANumber),
            ("$$5", AmountError::NotANumber),
            ("5$", AmountError::NotANumber),
            ("€5", AmountError::NotANumber),
            (".", AmountError::NotANumber),
            ("1_000", AmountError::NotANumber),
            ("--1", AmountError::NotANumber),
            ("0.0000000001", AmountError::TooPrecise),
            ("99999999999", AmountError::TooLarge),
            ("999999999999999999999999999999999", AmountError::TooLarge),
        ] {
            assert_eq!(text.parse::<Amount>(), Err(error), "{text}");
        }
    }

    #[test]
    fn half_a_nano_rounds_up_and_less_rounds_down() {
        let half = ExactAmount::PARTS_PER_NANO / 2;
        assert_eq!(ExactAmount(half).round_half_up(), Some(Amount(1)));
        assert_eq!(ExactAmount(half - 1).round_half_up(), Some(Amount(0)));
        assert_eq!(ExactAmount(1).round_up(), Some(Amount(1)));
    }

    /// An amount as pages write it: `-1234.5` is `-$1,234.5`.
    fn grouped(text: &str) -> String {
        let (sign, magnitude) = text.strip_prefix('-').map_or(("", text), |magnitude| ("-", magnitude));
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, "0"));
        let marked = whole
            .chars()
            .rev()
            .enumerate()
            .flat_map(|(place, digit)| (place > 0 && place % 3 == 0).then_some(',').into_iter().chain([digit]));
        let whole: String = marked.collect::<Vec<_>>().into_iter().rev().collect();
        format!("{sign}${whole}.{fraction}")
    }

    proptest! {
        #[test]
        fn an_amount_survives_its_own_text(nanos: i64) {
            let amount = Amount(nanos);
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
            prop_assert_eq!(grouped(&amount.to_string()).parse::<Amount>(), Ok(amount), "{}", grouped(&amount.to_string()));
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }

        #[test]
        fn an_exact_amount_survives_its_own_text(nanos: i64, rest in 0..ExactAmount::PARTS_PER_NANO) {
            let exact = ExactAmount(i128::from(nanos) * ExactAmount::PARTS_PER_NANO + rest);
            let json = serde_json::to_string(&exact).unwrap();
            prop_assert_eq!(serde_json::from_str::<ExactAmount>(&json).unwrap(), exact);
        }
    }
}
