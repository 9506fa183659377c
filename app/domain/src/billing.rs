//! Credit and the books, as people see them.

use std::{fmt, num::ParseIntError, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    credit::{Mode, Quantity, Unit},
    id::GrantId,
    money::Amount,
    period::Step,
    pricing::Excess,
};

/// The number of a posting in the books of its account: 1, 2, 3 and on, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[serde(transparent)]
pub struct PostingNumber(i64);

impl PostingNumber {
    /// What comes before the first posting.
    pub const NONE: Self = Self(0);

    /// The last that there can be.
    pub const LAST: Self = Self(i64::MAX);

    /// Wraps a number that was given before.
    #[must_use]
    pub const fn from_count(count: i64) -> Self {
        Self(count)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The next posting's; `None` after the last that there can be.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl fmt::Display for PostingNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PostingNumber {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

/// Where a pool of credit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// Prepaid balance.
    Wallet,
    /// Given away.
    Promo,
    /// The allowance of a plan's period.
    Plan,
    /// A volume bought once.
    Package,
}

impl GrantKind {
    /// Its name in stored rows, on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Promo => "promo",
            Self::Plan => "plan",
            Self::Package => "package",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Wallet => "Prepaid balance",
            Self::Promo => "Promotional credit",
            Self::Plan => "Plan allowance",
            Self::Package => "Package",
        }
    }
}

/// What an operator does to a customer's wallet. Each is of an amount above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Adjustment {
    /// Credit that nobody paid for.
    Credit,
    /// Credit that was given, or counted too high.
    TakeBack,
    /// Money that goes back to the customer, outside of the books.
    Refund,
}

impl Adjustment {
    /// Every one, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Credit, Self::TakeBack, Self::Refund];

    /// Its name in a form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::TakeBack => "take_back",
            Self::Refund => "refund",
        }
    }

    /// The kind of its posting.
    #[must_use]
    pub const fn kind(self) -> JournalKind {
        match self {
            Self::Credit | Self::TakeBack => JournalKind::Adjustment,
            Self::Refund => JournalKind::Refund,
        }
    }

    /// By how much it moves the balance; `None` of what cannot be written down.
    #[must_use]
    pub const fn movement(self, amount: Amount) -> Option<Amount> {
        match self {
            Self::Credit => Some(amount),
            Self::TakeBack | Self::Refund => amount.checked_neg(),
        }
    }
}

/// Why something was posted to the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum JournalKind {
    /// The calls that were posted in one hour.
    Usage,
    /// The customer paid in.
    TopUp,
    /// An operator corrected the balance.
    Adjustment,
    /// Money went back to the customer, outside of the books.
    Refund,
    /// A card's issuer took a payment back, or returned it, because it is disputed.
    Chargeback,
    /// An operator gave promotional credit.
    Promo,
    /// The fee of a plan's period or of a package, less what came back of the plan before.
    PlanFee,
    /// The allowance of a plan's period.
    Allowance,
    /// A volume that was bought once.
    Package,
    /// What was left of credit when it ended.
    Expiry,
    /// The settlement of a call that had been posted as interrupted.
    LateUsage,
    /// An operator gave a call back.
    CallCredit,
    /// Calls were charged anew, by another version of their price.
    Reprice,
}

impl JournalKind {
    /// Its name in the books, which never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::TopUp => "top_up",
            Self::Adjustment => "adjustment",
            Self::Refund => "refund",
            Self::Chargeback => "chargeback",
            Self::Promo => "promo",
            Self::PlanFee => "plan_fee",
            Self::Allowance => "allowance",
            Self::Package => "package",
            Self::Expiry => "expiry",
            Self::LateUsage => "late_usage",
            Self::CallCredit => "call_credit",
            Self::Reprice => "reprice",
        }
    }

    /// The book that stands against the grants in such a posting.
    #[must_use]
    pub const fn book(self) -> &'static str {
        match self {
            Self::Usage | Self::LateUsage | Self::CallCredit | Self::Reprice | Self::PlanFee => "revenue",
            Self::TopUp | Self::Refund | Self::Chargeback => "cash",
            Self::Adjustment => "adjustment",
            Self::Promo => "promo",
            Self::Allowance | Self::Package => "quota",
            Self::Expiry => "breakage",
        }
    }

    /// What calls used, and what was given back of it; by all else, credit was put in or taken back.
    pub const OF_CALLS: [Self; 4] = [Self::Usage, Self::LateUsage, Self::CallCredit, Self::Reprice];

    /// Whether it is one of [`Self::OF_CALLS`].
    #[must_use]
    pub fn is_of_calls(self) -> bool {
        Self::OF_CALLS.contains(&self)
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Usage => "Usage",
            Self::TopUp => "Top-up",
            Self::Adjustment => "Adjustment",
            Self::Refund => "Refund",
            Self::Chargeback => "Disputed payment",
            Self::Promo => "Promotional credit",
            Self::PlanFee => "Plan or package",
            Self::Allowance => "Plan allowance",
            Self::Package => "Package",
            Self::Expiry => "Expired",
            Self::LateUsage => "Late usage",
            Self::CallCredit => "Credit for a call",
            Self::Reprice => "Charged anew",
        }
    }
}

/// One pool of credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The grant.
    pub id: GrantId,
    /// Its kind.
    pub kind: GrantKind,
    /// What it is counted in.
    pub unit: Unit,
    /// What is in it: what it was given, less what calls used.
    pub balance: Quantity,
    /// What it was given in all.
    pub granted: Quantity,
    /// What running calls have reserved of it.
    pub leased: Quantity,
    /// The models it pays for; `None` for all.
    pub models: Option<Vec<String>>,
    /// From when it pays.
    pub starts_at: DateTime<Utc>,
    /// When what is left of it lapses, or lapsed.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// Whether it pays for calls that begin now.
    #[must_use]
    pub fn in_force(&self, now: DateTime<Utc>) -> bool {
        self.starts_at <= now && self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

/// An account's credit, all of it read at one instant. Its amounts are of money; tokens stand in their grants.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// What was given, less what calls used.
    pub balance: Amount,
    /// Held by running calls right now.
    pub reserved: Amount,
    /// What new calls can still hold: balance − reserved + lent of each grant in force, as far as that is above zero.
    pub available: Amount,
    /// What is lent right now: how far below zero the wallet may go.
    pub lent: Amount,
    /// Who bears what calls cost beyond what was held for them.
    pub excess: Excess,
    /// What calls are paid from.
    pub mode: Mode,
    /// The pools it consists of, in the order in which they are used: those in force, and those that will be.
    pub grants: Vec<Grant>,
}

impl Balance {
    /// Whether no call that costs anything can be paid: neither in money nor in tokens.
    #[must_use]
    pub fn is_spent(&self, now: DateTime<Utc>) -> bool {
        self.available <= Amount::ZERO && !self.in_tokens().any(|grant| grant.in_force(now) && grant.leased < grant.balance)
    }

    /// What of it is counted in tokens.
    pub fn in_tokens(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(|grant| grant.unit == Unit::Tokens)
    }
}

/// One posting, with the balance after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRow {
    /// Its number.
    pub number: PostingNumber,
    /// Why it was made.
    pub kind: JournalKind,
    /// Of usage: how many calls it sums up.
    pub calls: Option<i64>,
    /// In words: an operator's reason, or the call that was settled late.
    pub memo: String,
    /// Who made it; empty for the meter.
    pub actor: String,
    /// When what it records happened; of usage, when its hour began.
    pub event_at: DateTime<Utc>,
    /// When it was written.
    pub posted_at: DateTime<Utc>,
    /// What it changed of money.
    pub amount: Amount,
    /// What it changed of tokens.
    pub tokens: i64,
    /// The balance of money after it.
    pub balance_after: Amount,
}

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatementLine {
    /// Money that moved by itself.
    Posting(JournalRow),
    /// The usage of a day, or of that part of a day that no other posting divides: its hours, newest first, at least one.
    Usage(Vec<JournalRow>),
}

/// A page of postings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPage {
    /// Newest first.
    pub lines: Vec<StatementLine>,
    /// The page after this one has the postings before this number, if there are any.
    pub next: Option<PostingNumber>,
}

impl JournalPage {
    /// At most so many lines, of postings newest first. `more` says whether there are postings beyond these, in which case the last line is left for
    /// the next page: its hours may not all be here.
    #[must_use]
    pub fn of(rows: Vec<JournalRow>, lines_max: usize, more: bool) -> Self {
        let mut lines: Vec<StatementLine> = Vec::new();
        for row in rows {
            match lines.last_mut() {
                Some(StatementLine::Usage(hours)) if hours.last().is_some_and(|hour| row.is_usage_of_the_day_of(hour)) => hours.push(row),
                _ if row.kind == JournalKind::Usage => lines.push(StatementLine::Usage(vec![row])),
                _ => lines.push(StatementLine::Posting(row)),
            }
        }
        let complete = if more && lines.len() > 1 { lines.len() - 1 } else { lines.len() };
        let cut = complete.min(lines_max);
        let has_next = more || cut < lines.len();
        lines.truncate(cut);
        let next = lines.last().filter(|_| has_next).map(StatementLine::oldest);
        Self { lines, next }
    }

    /// The posting of a number, if it is on this page.
    #[must_use]
    pub fn posting(&self, number: PostingNumber) -> Option<&JournalRow> {
        self.lines.iter().flat_map(StatementLine::rows).find(|row| row.number == number)
    }
}

impl StatementLine {
    /// Its postings, newest first.
    #[must_use]
    pub fn rows(&self) -> &[JournalRow] {
        match self {
            Self::Posting(row) => std::slice::from_ref(row),
            Self::Usage(hours) => hours,
        }
    }

    /// The number of its oldest posting.
    fn oldest(&self) -> PostingNumber {
        self.rows().last().map_or(PostingNumber::NONE, |row| row.number)
    }
}

impl JournalRow {
    fn is_usage_of_the_day_of(&self, hour: &Self) -> bool {
        self.kind == JournalKind::Usage && Step::Day.floor(self.event_at) == Step::Day.floor(hour.event_at)
    }
}

/// The hour that is not in the journal yet: it gets its posting when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHour {
    /// When it began.
    pub hour: DateTime<Utc>,
    /// The calls that were posted in it so far.
    pub calls: i64,
    /// What they were charged.
    pub amount: Amount,
    /// What they were paid with in tokens.
    pub tokens: i64,
}

/// What the postings of a month did to the balance of money: `opening + moved + used = closing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthBalance {
    /// The balance after the last posting before the month.
    pub opening: Amount,
    /// What was put in, less what was taken back.
    pub moved: Amount,
    /// What calls took, below zero, with what was given back of it.
    pub used: Amount,
    /// The balance after the month's last posting; so far, of the running month.
    pub closing: Amount,
}

/// An account's credit and a page of its books, read at one instant: the newest posting's balance, less the open hour's charges, is the balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The credit.
    pub balance: Balance,
    /// Calls that no posting of the journal has summed up yet.
    pub open_hour: Option<OpenHour>,
    /// The postings.
    pub journal: JournalPage,
    /// When the first of all postings was made.
    pub since: Option<DateTime<Utc>>,
    /// The balances of the month that was asked for.
    pub month: Option<MonthBalance>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn row(number: i64, kind: JournalKind, hour: i64) -> JournalRow {
        let at = DateTime::from_timestamp(hour * 3600, 0).unwrap();
        let calls = (kind == JournalKind::Usage).then_some(1);
        let (memo, actor) = (String::new(), String::new());
        let (amount, balance_after) = (Amount::from_nanos(1), Amount::from_nanos(number));
        JournalRow {
            number: PostingNumber(number),
            kind,
            calls,
            memo,
            actor,
            event_at: at,
            posted_at: at,
            amount,
            tokens: 0,
            balance_after,
        }
    }

    /// Newest first: usage at these hours since 1970, or a top-up.
    fn rows(hours: &[Option<i64>]) -> Vec<JournalRow> {
        let kind = |hour: Option<i64>| if hour.is_some() { JournalKind::Usage } else { JournalKind::TopUp };
        let oldest_first = (1..).zip(hours).map(|(number, hour)| row(number, kind(*hour), hour.unwrap_or(0)));
        let mut rows: Vec<_> = oldest_first.collect();
        rows.reverse();
        rows
    }

    fn numbers(page: &JournalPage) -> Vec<Vec<i64>> {
        page.lines.iter().map(|line| line.rows().iter().map(|row| row.number.get()).collect()).collect()
    }

    #[test]
    fn the_hours_of_a_day_are_one_line_that_another_posting_divides() {
        let page = JournalPage::of(rows(&[Some(1), Some(2), None, Some(23), Some(24), None, None]), 99, false);
        assert_eq!(numbers(&page), [vec![7], vec![6], vec![5], vec![4], vec![3], vec![2, 1]]);
        assert_eq!(page.next, None);
        assert_eq!(page.posting(PostingNumber(1)).map(|row| row.kind), Some(JournalKind::Usage));
        assert_eq!(page.posting(PostingNumber(8)), None);
    }

    #[test]
    fn a_day_that_may_go_on_is_left_for_the_next_page_unless_it_is_all_there_is() {
        let page = JournalPage::of(rows(&[Some(1), Some(2), None]), 99, true);
        assert_eq!((numbers(&page), page.next), (vec![vec![3]], Some(PostingNumber(3))));
        let page = JournalPage::of(rows(&[Some(1), Some(2)]), 99, true);
        assert_eq!((numbers(&page), page.next), (vec![vec![2, 1]], Some(PostingNumber(1))));
    }

    proptest! {
        #[test]
        fn pages_of_any_size_show_every_posting_once(hours: Vec<Option<u8>>, lines_max in 1..5_usize, rows_max in 1..9_usize) {
            let all = rows(&hours.into_iter().map(|hour| hour.map(i64::from)).collect::<Vec<_>>());
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let rest: Vec<_> = all.iter().filter(|row| before.is_none_or(|before| row.number < before)).cloned().collect();
                let more = rest.len() > rows_max;
                let page = JournalPage::of(rest.into_iter().take(rows_max).collect(), lines_max, more);
                prop_assert!(page.lines.len() <= lines_max);
                seen.extend(page.lines.iter().flat_map(StatementLine::rows).cloned());
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            prop_assert_eq!(seen, all);
        }
    }
}
