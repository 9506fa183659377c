//! How amounts and counts are written. Integer arithmetic only; what is rounded for the eye keeps its exact value beside it.

use domain::{
    money::{Amount, ExactAmount, NANOS_PER_UNIT},
    tokens::Tokens,
};
use leptos::prelude::*;

/// The sign of the deployment's one currency.
const SIGN: &str = "$";
/// U+2212, which lines up with digits as a hyphen does not.
const MINUS: &str = "−";
/// What stands where a value is not reported, which is not zero.
pub(crate) const ABSENT: &str = "–";

/// Decimals of a total.
const CENTS: u32 = 2;
/// Decimals of a single call.
const MICROS: u32 = 6;
/// Decimals of an [`Amount`].
const NANOS: u32 = 9;

/// A total, to two decimals: `$1,234.57`. A total that is not zero never looks like zero.
pub(crate) fn total(amount: Amount) -> String {
    rounded(amount, CENTS, CENTS)
}

/// What is left, a balance or the room in a limit, to two decimals: rounded down, so that no more is promised than there is. What is owed
/// is a [`total`].
pub(crate) fn left(amount: Amount) -> String {
    const NANOS_PER_CENT: i64 = NANOS_PER_UNIT / 100;
    let cents = amount.nanos() / NANOS_PER_CENT;
    if cents > 0 { decimal(i128::from(cents), CENTS, CENTS) } else { total(amount) }
}

/// The charge of a call, two to six decimals: `$0.0123`.
pub(crate) fn charge(amount: Amount) -> String {
    rounded(amount, MICROS, CENTS)
}

/// Every digit: `$0.000022201`.
pub(crate) fn exact(amount: Amount) -> String {
    decimal(i128::from(amount.nanos()), NANOS, CENTS)
}

/// Every digit where [`total`] and [`left`] do not show them all, else nothing.
pub(crate) fn hidden_digits(amount: Amount) -> String {
    Some(exact(amount)).filter(|exact| *exact != total(amount)).unwrap_or_default()
}

/// Every digit of an amount before its rounding.
pub(crate) fn exact_line(amount: ExactAmount) -> String {
    decimal(amount.parts(), NANOS + 7, CENTS)
}

/// A rate per 1,000 tokens as a price per 1,000,000, exact.
pub(crate) fn per_million(per_1k: Amount) -> String {
    decimal(i128::from(per_1k.nanos()) * 1_000, NANOS, CENTS)
}

/// An amount as an axis shows it: no more decimals than it needs.
pub(crate) fn axis(nanos: i64) -> String {
    decimal(i128::from(nanos), NANOS, if nanos % NANOS_PER_UNIT == 0 { 0 } else { CENTS })
}

/// An amount with its sign and every digit, for a column of movements: `+$25.00`, `−$0.0123`.
pub(crate) fn movement(amount: Amount) -> String {
    let text = exact(amount);
    if amount > Amount::ZERO { format!("+{text}") } else { text }
}

/// A total whose exact value is one hover away, and always there for machines.
pub(crate) fn total_view(amount: Amount) -> AnyView {
    with_exact("money", amount, total(amount))
}

/// What is [`left`], as [`total_view`].
pub(crate) fn left_view(amount: Amount) -> AnyView {
    with_exact("money", amount, left(amount))
}

/// A call's charge, as [`total_view`], its point in line with those above and below.
pub(crate) fn charge_view(amount: Amount) -> AnyView {
    in_line(amount, charge(amount), MICROS)
}

/// Every digit, its point in line with those above and below: what is written adds up.
pub(crate) fn exact_view(amount: Amount) -> AnyView {
    in_line(amount, exact(amount), NANOS)
}

/// A [`movement`], as [`exact_view`].
pub(crate) fn movement_view(amount: Amount) -> AnyView {
    in_line(amount, movement(amount), NANOS)
}

/// At most `places` decimals, followed by room for those that are missing.
fn in_line(amount: Amount, text: String, places: u32) -> AnyView {
    const ROOM: [&str; 8] =
        ["money", "money room-1", "money room-2", "money room-3", "money room-4", "money room-5", "money room-6", "money room-7"];
    let decimals = text.rsplit_once('.').map_or(0, |(_, decimals)| decimals.len());
    let missing = (places as usize).saturating_sub(decimals);
    with_exact(ROOM[missing.min(ROOM.len() - 1)], amount, text)
}

fn with_exact(class: &'static str, amount: Amount, text: String) -> AnyView {
    view! { <data class=class value=amount.to_string() title=exact(amount)>{text}</data> }.into_any()
}

/// A count with its thousands separated: `1,234,567`.
pub(crate) fn grouped(count: i64) -> String {
    signed(i128::from(count), thousands(u128::from(count.unsigned_abs())))
}

/// A count to one decimal of its unit: `999`, `12.3K`, `1.2M`.
pub(crate) fn compact(count: i64) -> String {
    let magnitude = count.unsigned_abs();
    let units: [(u64, &str); 4] = [(1_000, "K"), (1_000_000, "M"), (1_000_000_000, "B"), (1_000_000_000_000, "T")];
    // 999,950 is 1.0M, not 1000.0K: a unit begins where one decimal of the unit below would round up to it.
    let Some((unit, letter)) = units.into_iter().rfind(|(unit, _)| magnitude >= unit - unit / 20_000) else {
        return grouped(count);
    };
    let tenths = (u128::from(magnitude) * 10 + u128::from(unit) / 2) / u128::from(unit);
    let fraction = if tenths % 10 == 0 { String::new() } else { format!(".{}", tenths % 10) };
    signed(i128::from(count), format!("{}{fraction}{letter}", thousands(tenths / 10)))
}

/// A count of tokens with its noun: `1,234 tokens`.
pub(crate) fn tokens(count: i64) -> String {
    format!("{} {}", grouped(count), if count.unsigned_abs() == 1 { "token" } else { "tokens" })
}

/// Tokens with their sign, for a column of movements: `+1,000 tokens`.
pub(crate) fn tokens_moved(count: i64) -> String {
    format!("{}{}", if count > 0 { "+" } else { "" }, tokens(count))
}

/// Tokens that an upstream may not have reported.
pub(crate) fn reported(tokens: Option<Tokens>) -> String {
    tokens.map_or_else(|| ABSENT.to_owned(), |tokens| grouped(tokens.get()))
}

/// A share of a whole in per cent with one decimal: `12.3 %`. Nothing of nothing is no share.
pub(crate) fn share(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return ABSENT.to_owned();
    }
    per_mille_text(ratio_per_mille(part, whole))
}

/// The change from one range to the next: `+12.5 %`, from ten times on `19×`. From nothing there is no ratio, so it says nothing.
pub(crate) fn change(now: i64, before: i64) -> String {
    if before <= 0 {
        return String::new();
    }
    if now == before {
        return "unchanged".to_owned();
    }
    let ratio = ratio_per_mille(now, before);
    if ratio >= 10_000 {
        return format!("{}×", thousands((ratio.unsigned_abs() + 500) / 1_000));
    }
    let per_mille = ratio - 1_000;
    let sign = if per_mille > 0 { "+" } else { "" };
    format!("{sign}{}", per_mille_text(per_mille))
}

fn ratio_per_mille(part: i64, whole: i64) -> i128 {
    let whole = i128::from(whole);
    (i128::from(part) * 1_000 + whole / 2).div_euclid(whole)
}

fn per_mille_text(per_mille: i128) -> String {
    let magnitude = per_mille.unsigned_abs();
    signed(per_mille, format!("{}.{} %", thousands(magnitude / 10), magnitude % 10))
}

/// Rounds half up (away from zero) to `places`; shows at least `places_min`. What would round to nothing is "less than" the last place.
fn rounded(amount: Amount, places: u32, places_min: u32) -> String {
    let step = 10_u128.pow(NANOS - places);
    let magnitude = u128::from(amount.nanos().unsigned_abs());
    if magnitude > 0 && magnitude < step {
        let least = decimal(1, places, places);
        return if amount.is_negative() { format!("> {MINUS}{least}") } else { format!("< {least}") };
    }
    let steps = i128::try_from((magnitude + step / 2) / step).unwrap_or(i128::MAX);
    decimal(if amount.is_negative() { -steps } else { steps }, places, places_min)
}

/// `value / 10^scale` in the currency, without trailing zeros beyond `places_min`.
fn decimal(value: i128, scale: u32, places_min: u32) -> String {
    let one = 10_u128.pow(scale);
    let magnitude = value.unsigned_abs();
    let mut fraction = format!("{:0width$}", magnitude % one, width = scale as usize);
    while fraction.len() > places_min as usize && fraction.ends_with('0') {
        fraction.pop();
    }
    let point = if fraction.is_empty() { "" } else { "." };
    signed(value, format!("{SIGN}{}{point}{fraction}", thousands(magnitude / one)))
}

fn signed(value: i128, magnitude: String) -> String {
    if value < 0 { format!("{MINUS}{magnitude}") } else { magnitude }
}

fn thousands(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(nanos: i64) -> Amount {
        Amount::from_nanos(nanos)
    }

    #[test]
    fn totals_round_half_up_to_cents() {
        for (amount, text) in [
            (0, "$0.00"),
            (4_999_999, "< $0.01"),
            (9_999_999, "< $0.01"),
            (10_000_000, "$0.01"),
            (1_004_999_999, "$1.00"),
            (1_005_000_000, "$1.01"),
            (4_000_000_000_000_000, "$4,000,000.00"),
            (-1_005_000_000, "−$1.01"),
            (-1, "> −$0.01"),
        ] {
            assert_eq!(total(nanos(amount)), text, "{amount}");
        }
    }

    #[test]
    fn what_is_left_is_never_more_than_there_is() {
        for (amount, text) in [
            (0, "$0.00"),
            (1, "< $0.01"),
            (9_999_999, "< $0.01"),
            (10_000_000, "$0.01"),
            (1_009_999_999, "$1.00"),
            (999_999_999_999_999_999, "$999,999,999.99"),
            (i64::MAX, "$9,223,372,036.85"),
            (-1, "> −$0.01"),
            (-1_005_000_000, "−$1.01"),
        ] {
            assert_eq!(left(nanos(amount)), text, "{amount}");
        }
    }

    #[test]
    fn charges_keep_six_decimals_and_never_look_free() {
        for (amount, text) in [
            (0, "$0.00"),
            (1, "< $0.000001"),
            (999, "< $0.000001"),
            (4_000, "$0.000004"),
            (22_200, "$0.000022"),
            (22_500, "$0.000023"),
            (12_300_000, "$0.0123"),
            (2_500_000_000, "$2.50"),
        ] {
            assert_eq!(charge(nanos(amount)), text, "{amount}");
        }
    }

    #[test]
    fn exact_figures_show_every_digit() {
        assert_eq!(exact(nanos(1_234_567_890_001)), "$1,234.567890001");
        assert_eq!(exact(nanos(-500_000_000)), "−$0.50");
        assert_eq!(exact(nanos(i64::MIN)), "−$9,223,372,036.854775808");
        assert_eq!(exact_line(ExactAmount::from_parts(18_000_000_001)), "$0.0000018000000001");
        assert_eq!(per_million(nanos(150_000)), "$0.15");
        assert_eq!(axis(2_000_000_000), "$2");
        assert_eq!(axis(500_000_000), "$0.50");
        assert_eq!(movement(nanos(25_000_000_000)), "+$25.00");
        assert_eq!(movement(nanos(-25)), "−$0.000000025");
    }

    #[test]
    #[cfg(feature = "ssr")]
    fn points_stand_below_each_other() {
        let html = |view: AnyView| Owner::new().with(|| view.to_html());
        assert!(html(exact_view(nanos(2_500_000_000))).contains(r#"class="money room-7""#));
        assert!(html(movement_view(nanos(-12_300_000))).contains(r#"class="money room-5""#));
        assert!(html(charge_view(nanos(12_300_000))).contains(r#"class="money room-2""#));
        assert!(html(exact_view(nanos(1))).contains(r#"class="money""#));
    }

    #[test]
    fn counts_are_short_without_changing_unit_late() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1K"),
            (1_049, "1K"),
            (1_050, "1.1K"),
            (12_345, "12.3K"),
            (999_949, "999.9K"),
            (999_950, "1M"),
            (1_234_567, "1.2M"),
            (7_000_000_000, "7B"),
            (i64::MAX, "9,223,372T"),
        ] {
            assert_eq!(compact(count), text, "{count}");
        }
        assert_eq!(grouped(-1_234_567), "−1,234,567");
    }

    #[test]
    fn shares_and_changes_are_per_cent() {
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(0, 0), ABSENT);
        assert_eq!(change(150, 100), "+50.0 %");
        assert_eq!(change(50, 100), "−50.0 %");
        assert_eq!(change(5, 0), "");
        assert_eq!(change(7, 7), "unchanged");
        assert_eq!((change(999, 100), change(1_000, 100), change(1_950, 100)), ("+899.0 %".into(), "10×".into(), "20×".into()));
        assert_eq!(change(i64::MAX, 1), "9,223,372,036,854,775,807×");
    }
}
