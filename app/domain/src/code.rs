//! Redemption codes: letters and digits that stand for credit, made in batches.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    billing::JournalKind,
    id::BatchId,
    money::{Amount, NANOS_PER_UNIT},
    payment::Currency,
};

/// Crockford's base 32 (<https://www.crockford.com/base32.html>): no letter that could be taken for another or for a digit, and nobody's bad word.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Of five bits each: 95.
const RANDOM_DIGITS: usize = 19;
/// These and the one that checks them.
const DIGITS: usize = RANDOM_DIGITS + 1;
/// As many are read at a time.
const GROUP: usize = 4;
/// Codes of a batch at most: they are shown at once.
const CODES_MAX: i64 = 10_000;
/// Accounts that redeem one code at most.
const USES_MAX: i64 = 1_000_000;
/// The most that a code gives: 100,000 units.
const AMOUNT_MAX: Amount = Amount::from_nanos(100_000 * NANOS_PER_UNIT);
/// The longest that its credit lasts, in days.
const CREDIT_DAYS_MAX: u32 = 3_660;

/// A whole redemption code. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct RedemptionCode([u8; DIGITS]);

/// The text is not a code that Farebox made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a redemption code: expected {DIGITS} letters and digits, the last of which fits the others")]
pub struct MalformedCode;

impl RedemptionCode {
    /// The code of these random bits, of which the last 95 are used.
    #[must_use]
    pub fn from_random(random: [u8; 12]) -> Self {
        let mut bits = random.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        let mut digits = [0; DIGITS];
        for digit in &mut digits[..RANDOM_DIGITS] {
            *digit = u8::try_from(bits & 31).unwrap_or_default();
            bits >>= 5;
        }
        digits[RANDOM_DIGITS] = check(&digits[..RANDOM_DIGITS]);
        Self(digits)
    }

    /// Recognises a code as people type it: in whatever case, with or without dashes and spaces, an O for a 0, an I or an L for a 1.
    ///
    /// # Errors
    /// [`MalformedCode`], also for one letter that is wrong, or two that changed places.
    pub fn parse(text: &str) -> Result<Self, MalformedCode> {
        let mut typed = text.chars().filter(|letter| !letter.is_whitespace() && !matches!(letter, '-' | '–' | '—'));
        let mut digits = [0; DIGITS];
        for digit in &mut digits {
            *digit = typed.next().and_then(value).ok_or(MalformedCode)?;
        }
        let is_whole = typed.next().is_none() && check(&digits[..RANDOM_DIGITS]) == digits[RANDOM_DIGITS];
        if is_whole { Ok(Self(digits)) } else { Err(MalformedCode) }
    }

    /// The code itself, in groups, as it is handed out and as its digest is taken.
    #[must_use]
    pub fn expose(&self) -> String {
        let groups = self.0.chunks(GROUP).map(|group| group.iter().map(|digit| char::from(ALPHABET[usize::from(*digit)])).collect());
        groups.collect::<Vec<String>>().join("-")
    }
}

impl fmt::Debug for RedemptionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedemptionCode(…)")
    }
}

fn value(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = ALPHABET.iter().position(|known| char::from(*known) == letter)?;
    u8::try_from(place).ok()
}

/// The digit that makes the whole code a multiple of a generator of GF(32), x⁵ + x² + 1: the digit at each place counts by another power of x, so that one
/// wrong digit, and two different ones that changed places, always show.
fn check(digits: &[u8]) -> u8 {
    let times_x = |digit: u8| if digit & 16 == 0 { digit << 1 } else { (digit << 1) ^ 0b10_0101 };
    digits.iter().fold(0, |sum, digit| times_x(sum ^ digit))
}

/// What the credit of a code is in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum CodeKind {
    /// Given away: promotional credit of its own.
    Promo,
    /// Somebody has paid for the code: it goes into the wallet, as a top-up.
    Paid,
}

impl CodeKind {
    /// Every one, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Promo, Self::Paid];

    /// Its name in forms, in JSON and in stored rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promo => "promo",
            Self::Paid => "paid",
        }
    }

    /// What its posting is.
    #[must_use]
    pub const fn posted_as(self) -> JournalKind {
        match self {
            Self::Promo => JournalKind::Promo,
            Self::Paid => JournalKind::TopUp,
        }
    }
}

/// What the codes of a batch are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchTerms {
    /// What it is called; customers read it in their journals.
    pub name: String,
    /// What each use of a code gives.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// What that is in the books.
    pub kind: CodeKind,
    /// How many codes there are.
    pub codes: i64,
    /// How many accounts may redeem each of them.
    pub uses: i64,
    /// Whether an account may redeem one code of the batch alone.
    pub is_sole: bool,
    /// From when on no code is redeemed.
    pub expires_at: Option<DateTime<Utc>>,
    /// How many days after it was redeemed the credit ends; never, if there is no such number. The wallet never does.
    pub credit_days: Option<u32>,
}

/// Terms that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BatchError {
    /// Which of them.
    pub field: &'static str,
    /// What is wrong, and what to write instead.
    pub problem: &'static str,
}

impl BatchTerms {
    /// Whether codes can be made on these terms.
    ///
    /// # Errors
    /// [`BatchError`] names the first that cannot be.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), BatchError> {
        let wrong = |field, problem| Err(BatchError { field, problem });
        match self {
            Self { name, .. } if name.is_empty() || name.chars().count() > 80 => wrong("name", "write a name of 1 to 80 letters"),
            Self { amount, .. } if *amount <= Amount::ZERO || *amount > AMOUNT_MAX => {
                wrong("amount", "write an amount above 0, of 100,000 at most")
            }
            Self { currency, .. } if *currency != Currency::USD => wrong("currency", "write usd, which balances are in"),
            Self { codes, .. } if !(1..=CODES_MAX).contains(codes) => wrong("codes", "write how many to make, from 1 to 10,000"),
            Self { uses, .. } if !(1..=USES_MAX).contains(uses) => wrong("uses", "write from 1 to 1,000,000"),
            Self { expires_at: Some(expiry), .. } if *expiry <= now => wrong("expires", "choose a day that is still to come"),
            Self { credit_days: Some(days), .. } if !(1..=CREDIT_DAYS_MAX).contains(days) => wrong("credit_days", "write from 1 to 3660"),
            Self { kind: CodeKind::Paid, credit_days: Some(_), .. } => {
                wrong("credit_days", "leave it empty: what was paid for goes into the balance, which does not end")
            }
            _ => Ok(()),
        }
    }

    /// What all of its codes give when each is used as often as it may be; `None` of what is too much to be an amount.
    #[must_use]
    pub fn in_all(&self) -> Option<Amount> {
        let uses = self.codes.checked_mul(self.uses)?;
        self.amount.nanos().checked_mul(uses).map(Amount::from_nanos)
    }
}

/// A batch of codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// What its codes are.
    pub terms: BatchTerms,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Who made it.
    pub made_by: String,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = RedemptionCode::from_random([0xa7; 12]);
        let whole = code.expose();
        assert_eq!((whole.len(), whole.split('-').count()), (24, 5), "{whole}");
        for typed in [whole.to_lowercase(), whole.replace('-', ""), format!(" {} ", whole.replace('-', " – "))] {
            assert_eq!(RedemptionCode::parse(&typed), Ok(code.clone()), "{typed}");
        }
        let zeros = RedemptionCode::from_random([0; 12]);
        assert_eq!(RedemptionCode::parse(&"o".repeat(DIGITS)), Ok(zeros), "an O is a 0");
        for wrong in ["", "0000", &"0".repeat(DIGITS + 1), &"U".repeat(DIGITS), &format!("{whole}!")] {
            assert_eq!(RedemptionCode::parse(wrong), Err(MalformedCode), "{wrong}");
        }
        assert!(!format!("{code:?}").contains(&whole[..4]));
    }

    proptest! {
        #[test]
        fn a_made_code_is_recognised_and_different_bits_are_different_codes(a: [u8; 12], b: [u8; 12]) {
            let code = RedemptionCode::from_random(a);
            prop_assert_eq!(RedemptionCode::parse(&code.expose()), Ok(code.clone()));
            let bits = |mut random: [u8; 12]| { random[0] &= 0x7f; random };
            prop_assert_eq!(bits(a) == bits(b), code == RedemptionCode::from_random(b));
        }

        #[test]
        fn one_wrong_letter_or_two_that_changed_places_are_noticed(random: [u8; 12], one in 0_usize..DIGITS, other in 0_usize..DIGITS, digit in 0_u8..32) {
            let code = RedemptionCode::from_random(random);
            let (mut wrong, mut swapped) = (code.clone(), code.clone());
            wrong.0[one] = digit;
            swapped.0.swap(one, other);
            for typed in [wrong, swapped] {
                let is_right = typed == code;
                prop_assert_eq!(RedemptionCode::parse(&typed.expose()).is_ok(), is_right);
            }
        }
    }

    fn terms() -> BatchTerms {
        BatchTerms {
            name: "Winter".to_owned(),
            amount: "10".parse().unwrap(),
            currency: Currency::USD,
            kind: CodeKind::Promo,
            codes: 100,
            uses: 1,
            is_sole: true,
            expires_at: None,
            credit_days: Some(30),
        }
    }

    #[test]
    fn what_cannot_be_is_said_at_its_field() {
        let now = "2026-11-23T10:04:05Z".parse().unwrap();
        terms().check(now).unwrap();
        assert_eq!(terms().in_all(), Some("1000".parse().unwrap()));
        let wrong = [
            ("name", BatchTerms { name: String::new(), ..terms() }),
            ("amount", BatchTerms { amount: Amount::ZERO, ..terms() }),
            ("amount", BatchTerms { amount: "100000.01".parse().unwrap(), ..terms() }),
            ("currency", BatchTerms { currency: Currency::parse("eur").unwrap(), ..terms() }),
            ("codes", BatchTerms { codes: 0, ..terms() }),
            ("codes", BatchTerms { codes: 10_001, ..terms() }),
            ("uses", BatchTerms { uses: 0, ..terms() }),
            ("expires", BatchTerms { expires_at: Some(now), ..terms() }),
            ("credit_days", BatchTerms { credit_days: Some(0), ..terms() }),
            ("credit_days", BatchTerms { kind: CodeKind::Paid, ..terms() }),
        ];
        for (field, terms) in wrong {
            assert_eq!(terms.check(now).unwrap_err().field, field, "{terms:?}");
        }
    }
}
