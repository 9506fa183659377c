//! Paper for money: receipts of what was paid in, invoices of plans and packages, and credit notes of what went back.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    billing::{JournalKind, PostingNumber},
    money::Amount,
};

/// What a document says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// That something was paid in.
    Receipt,
    /// That a plan's period or a package was paid for.
    Invoice,
    /// That something of that went back.
    CreditNote,
}

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Receipt, Self::Invoice, Self::CreditNote];

    /// What a posting that changes the balance so gets. Only money that came from outside of the books or goes there, and fees, are on paper: credit that
    /// nobody paid for is none, and usage is on the statement of its month.
    #[must_use]
    pub fn of(kind: JournalKind, amount: Amount) -> Option<Self> {
        match kind {
            JournalKind::TopUp | JournalKind::Chargeback if amount > Amount::ZERO => Some(Self::Receipt),
            JournalKind::PlanFee if amount.is_negative() => Some(Self::Invoice),
            JournalKind::Refund | JournalKind::Chargeback if amount.is_negative() => Some(Self::CreditNote),
            _ => None,
        }
    }

    /// Its name in stored rows and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
        }
    }

    /// Its name on paper.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Receipt => "Receipt",
            Self::Invoice => "Invoice",
            Self::CreditNote => "Credit note",
        }
    }

    /// The letter in its numbers.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Receipt => 'R',
            Self::Invoice => 'I',
            Self::CreditNote => 'C',
        }
    }

    /// The number of the document of this kind that is the `serial`th of its year, counting from 1: `R-2026-000123`, with what the seller puts in front.
    #[must_use]
    pub fn number(self, prefix: &str, year: i32, serial: i64) -> String {
        format!("{prefix}{}-{year}-{serial:06}", self.letter())
    }
}

/// A tax rate in basis points, from 0 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "i32", try_from = "i32")]
pub struct TaxRate(i32);

/// Why something is no tax rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a rate in per cent, from 0 to 100, with at most two decimals: 19 or 7.75")]
pub struct TaxRateError;

/// The smallest unit that tax is counted in, in nanos: a cent.
const CENT: i128 = 10_000_000;
/// Basis points of a whole.
const WHOLE: i128 = 10_000;

/// A sum that was paid, with the tax that it contains: `net + tax = gross`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taxed {
    /// What was paid.
    pub gross: Amount,
    /// What of it is no tax.
    pub net: Amount,
    /// What of it is, in whole cents.
    pub tax: Amount,
}

impl TaxRate {
    /// No tax.
    pub const NONE: Self = Self(0);

    /// A rate of so many basis points.
    ///
    /// # Errors
    /// [`TaxRateError`] below 0 or above 10,000.
    pub const fn from_bps(bps: i32) -> Result<Self, TaxRateError> {
        if bps >= 0 && bps <= 10_000 { Ok(Self(bps)) } else { Err(TaxRateError) }
    }

    /// The rate in basis points.
    #[must_use]
    pub const fn bps(self) -> i32 {
        self.0
    }

    /// The tax that a sum contains: `gross × rate ÷ (100 % + rate)`, rounded half up to the cent; the rest is net. Of a sum below zero, what its opposite
    /// contains, below zero.
    #[must_use]
    pub fn contained_in(self, gross: Amount) -> Taxed {
        let (rate, sum) = (i128::from(self.0), i128::from(gross.nanos()).abs());
        let divisor = (WHOLE + rate) * CENT;
        let cents = (2 * sum * rate + divisor) / (2 * divisor);
        let tax = cents * CENT * i128::from(gross.nanos().signum());
        // A tax of at most the whole of what is net is at most half of the sum, or a cent of a sum of at least one.
        let tax = Amount::from_nanos(i64::try_from(tax).unwrap_or_default());
        Taxed { gross, net: Amount::from_nanos(gross.nanos() - tax.nanos()), tax }
    }
}

impl fmt::Display for TaxRate {
    /// In per cent: `19`, `7.75`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}"),
        }
    }
}

impl FromStr for TaxRate {
    type Err = TaxRateError;

    fn from_str(text: &str) -> Result<Self, TaxRateError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str, most: usize| digits.len() <= most && digits.bytes().all(|digit| digit.is_ascii_digit());
        if whole.is_empty() || !is_number(whole, 3) || !is_number(part, 2) || text.ends_with('.') {
            return Err(TaxRateError);
        }
        let number = |digits: &str| digits.parse::<i32>().map_err(|_| TaxRateError);
        Self::from_bps(number(whole)? * 100 + number(&format!("{part:0<2}"))?)
    }
}

impl TryFrom<i32> for TaxRate {
    type Error = TaxRateError;

    fn try_from(bps: i32) -> Result<Self, TaxRateError> {
        Self::from_bps(bps)
    }
}

impl From<TaxRate> for i32 {
    fn from(rate: TaxRate) -> Self {
        rate.0
    }
}

/// Whoever sells, as their documents name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seller {
    /// Its version: 1, 2, 3 and on.
    pub version: i64,
    /// Their name.
    pub name: String,
    /// Where they are, on one line.
    pub address: String,
    /// By which the tax office knows them; empty without one.
    pub tax_id: String,
    /// What the tax is called: `VAT`.
    pub tax_label: String,
    /// How much of it there is.
    pub tax_rate: TaxRate,
    /// What stands before the numbers of documents; may be empty.
    pub prefix: String,
    /// Since when.
    pub set_at: DateTime<Utc>,
    /// Who said so.
    pub set_by: String,
}

/// Whoever buys, as their documents name them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Buyer {
    /// Their name: the account's, until they give another.
    pub name: String,
    /// Their e-mail address: an owner's, until they give another.
    pub email: String,
    /// Where they are, on one line; may be empty.
    pub address: String,
    /// By which their tax office knows them; may be empty.
    pub tax_id: String,
}

/// A document that was issued. It says the same for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its kind.
    pub kind: DocumentKind,
    /// Its number.
    pub number: String,
    /// The posting that it is of.
    pub posting: PostingNumber,
    /// Of what went back or came again, the number of the receipt of what had been paid.
    pub about: Option<String>,
    /// What the posting is.
    pub posted_as: JournalKind,
    /// What it is for, in the words of the journal.
    pub purpose: String,
    /// What was paid, or went back: above zero.
    pub sum: Taxed,
    /// The rate of the tax in it.
    pub tax_rate: TaxRate,
    /// What the tax was called when it was paid.
    pub tax_label: String,
    /// Who sold.
    pub seller: Seller,
    /// Who bought.
    pub buyer: Buyer,
    /// When the money moved.
    pub posted_at: DateTime<Utc>,
    /// When the document was issued.
    pub issued_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// By another way: the tax is the multiple of a cent that is nearest to what it is exactly, the greater one of two that are as near.
        #[test]
        fn net_and_tax_are_the_gross_and_the_tax_is_the_nearest_cent(bps in 0..=10_000_i32, nanos in any::<i64>()) {
            let rate = TaxRate::from_bps(bps).unwrap();
            let taxed = rate.contained_in(Amount::from_nanos(nanos));
            prop_assert_eq!(taxed.net.checked_add(taxed.tax), Some(taxed.gross));
            prop_assert_eq!(taxed.tax.nanos() % 10_000_000, 0);
            prop_assert!(taxed.tax.nanos().unsigned_abs() <= nanos.unsigned_abs());
            // |tax − gross·r/(1 + r)| ≤ ½ cent, without dividing.
            let whole = 10_000 + i128::from(bps);
            let off = 2 * (i128::from(taxed.tax.nanos().unsigned_abs()) * whole - i128::from(nanos.unsigned_abs()) * i128::from(bps));
            prop_assert!(-10_000_000 * whole < off && off <= 10_000_000 * whole, "{} {}", off, whole);
        }

        #[test]
        fn a_rate_is_read_as_it_is_written(bps in 0..=10_000_i32) {
            let rate = TaxRate::from_bps(bps).unwrap();
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }
    }

    #[test]
    fn tax_is_contained_in_what_was_paid() {
        for (rate, gross, net, tax) in [
            ("19", "119", "100", "19"),
            ("19", "25", "21.01", "3.99"),
            ("0", "25", "25", "0"),
            ("7.75", "10", "9.28", "0.72"),
            ("100", "0.01", "0", "0.01"),
            ("100", "0.009999999", "0.009999999", "0"),
            ("19", "0.123456789", "0.103456789", "0.02"),
        ] {
            let [gross, net, tax] = [gross, net, tax].map(|text| text.parse::<Amount>().unwrap());
            assert_eq!(rate.parse::<TaxRate>().unwrap().contained_in(gross), Taxed { gross, net, tax }, "{rate} {gross}");
        }
        for wrong in ["", "-1", "101", "1.234", "1.", ".5", "19%", "1e1", "100.01"] {
            assert!(wrong.parse::<TaxRate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_money_that_came_or_went_and_fees_are_on_paper() {
        let of = |kind, amount: &str| DocumentKind::of(kind, amount.parse().unwrap());
        assert_eq!(of(JournalKind::TopUp, "1"), Some(DocumentKind::Receipt));
        assert_eq!(of(JournalKind::PlanFee, "-1"), Some(DocumentKind::Invoice));
        assert_eq!(of(JournalKind::Refund, "-1"), Some(DocumentKind::CreditNote));
        assert_eq!(
            (of(JournalKind::Chargeback, "-1"), of(JournalKind::Chargeback, "1")),
            (Some(DocumentKind::CreditNote), Some(DocumentKind::Receipt))
        );
        assert_eq!([JournalKind::Usage, JournalKind::Adjustment, JournalKind::Promo].map(|kind| of(kind, "1")), [None; 3]);
        assert_eq!(DocumentKind::CreditNote.number("ACME-", 2026, 123), "ACME-C-2026-000123");
    }
}
