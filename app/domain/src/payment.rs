//! Payments: money that comes in through a provider, or by bank transfer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{AccountId, PaymentId},
    money::{Amount, NANOS_PER_UNIT},
};

/// A currency, as Stripe writes it: three lower-case letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Currency([u8; 3]);

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        Self::parse(&code).ok_or_else(|| format!("{code} is no currency that is known here"))
    }
}

impl Currency {
    /// The currency of balances.
    pub const USD: Self = Self(*b"usd");

    /// The currency of this code. `None` for what is no code, and for those of which Stripe's documents do not agree how many decimals they have: UGX
    /// stands both among those without and among the exceptions to them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.to_ascii_lowercase().into_bytes().try_into().ok()?;
        (code.iter().all(u8::is_ascii_lowercase) && &code != b"ugx").then_some(Self(code))
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// What one of its smallest unit is, in nanos. Source: <https://docs.stripe.com/currencies>, "Zero-decimal currencies" and "Three-decimal currencies";
    /// every other one has two, ISK among them, whose last two digits are always 0.
    const fn nanos_per_minor(self) -> i64 {
        match &self.0 {
            b"bif" | b"clp" | b"djf" | b"gnf" | b"jpy" | b"kmf" | b"krw" | b"mga" | b"pyg" | b"rwf" | b"vnd" | b"vuv" | b"xaf" | b"xof"
            | b"xpf" => NANOS_PER_UNIT,
            b"bhd" | b"jod" | b"kwd" | b"omr" | b"tnd" => NANOS_PER_UNIT / 1_000,
            _ => NANOS_PER_UNIT / 100,
        }
    }

    /// So many of its smallest units; `None` of an amount that is no whole number of them.
    #[must_use]
    pub const fn minor(self, amount: Amount) -> Option<i64> {
        let unit = self.nanos_per_minor();
        if amount.nanos() % unit == 0 { Some(amount.nanos() / unit) } else { None }
    }

    /// What so many of its smallest units are; `None` on overflow.
    #[must_use]
    pub const fn amount(self, minor: i64) -> Option<Amount> {
        match minor.checked_mul(self.nanos_per_minor()) {
            Some(nanos) => Some(Amount::from_nanos(nanos)),
            None => None,
        }
    }
}

/// Through whom a payment comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Stripe, which says what becomes of it.
    Stripe,
    /// A bank: an operator credits what they find on its statement.
    Bank,
}

impl Provider {
    /// Its name in stored rows and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Bank => "bank",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stripe => "Stripe",
            Self::Bank => "Bank transfer",
        }
    }
}

/// What has become of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// It is not known yet whether it is paid.
    Pending,
    /// Nothing was paid, and nothing will be.
    Ended,
    /// It was paid and is not credited: an operator decides.
    Held,
    /// It is in the account's books.
    Credited,
    /// It was paid, and an operator has decided that it is not credited.
    Dismissed,
}

impl PaymentState {
    /// Its name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ended => "ended",
            Self::Held => "held",
            Self::Credited => "credited",
            Self::Dismissed => "dismissed",
        }
    }
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Whose.
    pub account: AccountId,
    /// Its id.
    pub id: PaymentId,
    /// Through whom.
    pub provider: Provider,
    /// What was to be paid.
    pub amount: Amount,
    /// The same in the currency's smallest unit.
    pub minor: i64,
    /// In which currency.
    pub currency: Currency,
    /// Who wanted to pay.
    pub made_by: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// The provider's name of it, once it was asked; the bank's of a transfer.
    pub session: Option<String>,
    /// What has become of it.
    pub state: PaymentState,
    /// What an operator must look at.
    pub problem: Option<String>,
}

/// A payment, as operators look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPayment {
    /// The payment.
    pub payment: Payment,
    /// The account's name.
    pub account_name: String,
    /// How much of it can be paid back yet, in the currency's smallest unit: what was credited, less what was paid back or is asked for.
    pub left: i64,
}

/// Something that was paid, and names no payment of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayPayment {
    /// What the provider calls it.
    pub reference: String,
    /// How much.
    pub sum: Sum,
    /// When it was told.
    pub heard_at: DateTime<Utc>,
}

/// Which payments an operator looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentFilter {
    /// Those with a problem.
    ToLookAt,
    /// Those of which it is not known yet whether they are paid.
    Pending,
    /// Those that are in the books.
    Credited,
    /// Every one.
    All,
}

impl PaymentFilter {
    /// Every one, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::ToLookAt, Self::Pending, Self::Credited, Self::All];

    /// Its name in an address.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToLookAt => "held",
            Self::Pending => "pending",
            Self::Credited => "credited",
            Self::All => "all",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ToLookAt => "To look at",
            Self::Pending => "Pending",
            Self::Credited => "Credited",
            Self::All => "All",
        }
    }
}

/// Who the books say it was, where an account was topped up by itself.
pub const AUTO: &str = "auto top-up";

/// How an account is topped up by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoTopUp {
    /// What its owner wants.
    pub terms: AutoTerms,
    /// Whom the provider charges, once a card was saved.
    pub customer: Option<String>,
    /// How people know what is charged: `visa, which ends in 4242`.
    pub method: Option<String>,
    /// What it has paid, or is paying, in the running month.
    pub this_month: Amount,
    /// What is being paid now.
    pub pending: Option<Amount>,
    /// Whether a payment of its waits for an operator: until they decide, nothing more is paid.
    pub held: bool,
    /// Since when it does nothing until its owner says that it may go on, and why.
    pub stopped: Option<(DateTime<Utc>, String)>,
}

/// When an account is topped up, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoTerms {
    /// Whether it is at all.
    pub is_on: bool,
    /// When the balance is below this.
    pub threshold: Amount,
    /// By how much.
    pub amount: Amount,
    /// How much in a month at most, UTC.
    pub monthly_cap: Amount,
}

impl AutoTopUp {
    /// Whether it waits for the next month: another payment would be beyond what a month may bring.
    #[must_use]
    pub fn is_capped(&self) -> bool {
        self.this_month.checked_add(self.terms.amount).is_none_or(|sum| sum > self.terms.monthly_cap)
    }
}

/// Money as a provider names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// How much, in the currency's smallest unit.
    pub minor: i64,
    /// The currency, as it stood there.
    pub currency: String,
}

impl std::fmt::Display for Sum {
    /// In words: `12.5 USD`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Currency::parse(&self.currency).and_then(|currency| currency.amount(self.minor)) {
            Some(amount) => write!(f, "{amount} {}", self.currency.to_ascii_uppercase()),
            None => write!(f, "{} of the smallest unit of {:?}", self.minor, self.currency),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_smallest_unit_is_that_of_its_currency() {
        for (code, minor, words) in [("usd", 1_250, "12.5"), ("JPY", 500, "500"), ("kwd", 5_120, "5.12"), ("isk", 500, "5")] {
            let currency = Currency::parse(code).unwrap();
            let amount = words.parse().unwrap();
            assert_eq!((currency.amount(minor), currency.minor(amount)), (Some(amount), Some(minor)), "{code}");
        }
        assert_eq!(Currency::parse("jpy").unwrap().minor("0.5".parse().unwrap()), None, "half a yen");
        assert_eq!(Currency::USD.minor("1.005".parse().unwrap()), None);
        assert_eq!(Currency::USD.amount(i64::MAX), None);
        for wrong in ["", "us", "usdx", "u$d", "ugx"] {
            assert_eq!(Currency::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_provider_names_is_said_in_words() {
        let sum = |minor, currency: &str| Sum { minor, currency: currency.to_owned() }.to_string();
        assert_eq!((sum(1_250, "usd"), sum(500, "jpy")), ("12.5 USD".to_owned(), "500 JPY".to_owned()));
        assert!(sum(5, "gold").contains("smallest unit"));
    }
}
