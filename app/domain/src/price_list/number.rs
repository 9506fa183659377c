//! Prices as lists write them, to nanos per 1,000 tokens: exactly or not at all.

use crate::{money::Amount, rates::Rates};

/// What a price of a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One token.
    Token,
    /// 1,000 tokens, as here.
    ThousandTokens,
    /// 1,000,000 tokens.
    MillionTokens,
    /// 1,000 calls: here a fee is for one.
    ThousandCalls,
}

impl Unit {
    /// The power of ten that makes a number of this unit nanos per 1,000 tokens, or per call.
    const fn power(self) -> i64 {
        match self {
            Self::Token => 9 + 3,
            Self::ThousandTokens => 9,
            Self::MillionTokens | Self::ThousandCalls => 9 - 3,
        }
    }
}

/// Why a value is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberProblem {
    /// It is something else.
    #[error("is not a number")]
    NotANumber,
    /// Text, be it a number for a person.
    #[error("is text, {0:?}, where a number belongs")]
    Text(String),
    /// Python writes these into JSON, which has no such thing.
    #[error("is {0}, which is no price")]
    NotFinite(String),
    /// Often a sign for "not known".
    #[error("is below zero: {0}")]
    Negative(String),
    /// It would have to be rounded.
    #[error("is {0}, which does not fit nine decimals per 1,000 tokens")]
    TooPrecise(String),
    /// Above [`Rates::MAX_PER_1K`].
    #[error("is {0}, which is above 1,000,000 per 1,000 tokens")]
    TooHigh(String),
}

/// The price that a JSON number stands for, per 1,000 tokens. Its digits are read as they are written, exponent included: `1.5e-07` per token is
/// 0.00015.
///
/// # Errors
/// See [`NumberProblem`].
pub fn exact(number: &str, unit: Unit) -> Result<Amount, NumberProblem> {
    let (sign, unsigned) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || exponent_digits.is_empty() || !is_digits(exponent_digits) {
        return Err(NumberProblem::NotANumber);
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok(Amount::ZERO);
    }
    if sign {
        return Err(NumberProblem::Negative(number.to_owned()));
    }
    let too_high = || NumberProblem::TooHigh(number.to_owned());
    // An exponent that no integer holds is far beyond either end.
    let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 });
    let trailing_zeros = digits.len() - digits.trim_end_matches('0').len();
    let power = exponent.saturating_add(unit.power()).saturating_add(trailing_zeros as i64).saturating_sub(fraction.len() as i64);
    if power < 0 {
        return Err(NumberProblem::TooPrecise(number.to_owned()));
    }
    let factor = u32::try_from(power).ok().and_then(|power| 10_i64.checked_pow(power)).ok_or_else(too_high)?;
    let nanos = significant.parse::<i64>().ok().and_then(|value| value.checked_mul(factor)).ok_or_else(too_high)?;
    Some(Amount::from_nanos(nanos)).filter(|amount| *amount <= Rates::MAX_PER_1K).ok_or_else(too_high)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn text(number: &str, unit: Unit) -> String {
        exact(number, unit).map_or_else(|problem| problem.to_string(), |amount| amount.to_string())
    }

    #[test]
    fn units_and_exponents_are_exact() {
        for (number, unit, expected) in [
            ("1.5e-07", Unit::Token, "0.00015"),
            ("1.5E-7", Unit::Token, "0.00015"),
            ("0.00000015", Unit::Token, "0.00015"),
            ("15e-8", Unit::Token, "0.00015"),
            ("0.000214286", Unit::Token, "0.214286"),
            ("0.15", Unit::MillionTokens, "0.00015"),
            ("150e-3", Unit::MillionTokens, "0.00015"),
            ("0.00015", Unit::ThousandTokens, "0.00015"),
            ("5", Unit::ThousandCalls, "0.005"),
            ("1e+3", Unit::MillionTokens, "1"),
            ("1e-12", Unit::Token, "0.000000001"),
            ("0.000001", Unit::MillionTokens, "0.000000001"),
            ("0", Unit::Token, "0"),
            ("-0.0", Unit::Token, "0"),
            ("0e999999999999999999999", Unit::Token, "0"),
            ("1000", Unit::Token, "1000000"),
        ] {
            assert_eq!(text(number, unit), expected, "{number}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_rounded() {
        for (number, unit, problem) in [
            ("1.5000020000000002e-05", Unit::Token, "does not fit nine decimals"),
            ("1e-13", Unit::Token, "does not fit nine decimals"),
            ("0.0000001", Unit::MillionTokens, "does not fit nine decimals"),
            ("1e-99999999999999999999", Unit::Token, "does not fit nine decimals"),
            ("1e99999999999999999999", Unit::Token, "above 1,000,000"),
            ("1000.000000000001", Unit::Token, "above 1,000,000"),
            ("99999999999999999999", Unit::MillionTokens, "above 1,000,000"),
            ("-1", Unit::Token, "below zero: -1"),
            ("", Unit::Token, "not a number"),
            (".5", Unit::Token, "not a number"),
            ("1e", Unit::Token, "not a number"),
            ("1e+-5", Unit::Token, "not a number"),
            ("0x10", Unit::Token, "not a number"),
            ("1,5", Unit::Token, "not a number"),
        ] {
            assert!(text(number, unit).contains(problem), "{number}: {}", text(number, unit));
        }
    }

    proptest! {
        /// A second reading, by a decimal crate: it says the same number, or has more decimals than fit.
        #[test]
        fn a_decimal_crate_reads_the_same(mantissa in 0_i64..1_000_000_000_000, scale in 0_u32..16, exponent in -12_i32..4, unit in 0_usize..4) {
            let unit = [Unit::Token, Unit::ThousandTokens, Unit::MillionTokens, Unit::ThousandCalls][unit];
            let written = format!("{}e{exponent}", Decimal::new(mantissa, scale));
            let value = Decimal::from_scientific(&written).unwrap();
            let per_1k = match unit {
                Unit::Token => value * Decimal::ONE_THOUSAND,
                Unit::ThousandTokens => value,
                Unit::MillionTokens | Unit::ThousandCalls => value / Decimal::ONE_THOUSAND,
            }
            .normalize();
            match exact(&written, unit) {
                Ok(amount) => prop_assert_eq!(per_1k, Decimal::from_str_exact(&amount.to_string()).unwrap().normalize()),
                Err(NumberProblem::TooPrecise(_)) => prop_assert!(per_1k.scale() > 9, "{} fits", per_1k),
                Err(NumberProblem::TooHigh(_)) => prop_assert!(per_1k > Decimal::new(1_000_000, 0), "{} fits", per_1k),
                Err(other) => prop_assert!(false, "{} {}", written, other),
            }
        }

        #[test]
        fn no_text_breaks_it(text in ".{0,40}") {
            let _ = exact(&text, Unit::Token);
        }
    }
}
