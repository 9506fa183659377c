//! What an account's calls are paid from, what is lent to it, and its terms.

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use domain::{
    credit::{CreditLine, Grace},
    money::Amount,
    pricing::Excess,
};
use serde_json::json;

use super::{
    find,
    line::{Terms, lent, line_json, terms},
};
use crate::{
    cli::Output,
    commands::{ACTOR, parse_instant, without_empty_variable},
    config::Config,
    database::with_ledger,
};

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true, mut_args = without_empty_variable)]
pub(super) struct Set {
    /// Its name, its id, or its owner's address
    account: String,

    #[command(flatten)]
    change: Change,
}

/// What is set, at least one of it.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// What its calls are paid from
    #[arg(long, env = "FAREBOX_ACCOUNT_MODE", value_name = "MODE")]
    mode: Option<PaidFrom>,

    /// How far below zero its balance may go, in currency units; 0 lends nothing
    #[arg(long, env = "FAREBOX_ACCOUNT_CREDIT_LINE", value_name = "AMOUNT")]
    credit_line: Option<Amount>,

    /// How much more is lent for a while, until the instant that --until names; 0 ends it now. One begins in a calendar month, UTC
    #[arg(long, env = "FAREBOX_ACCOUNT_GRACE", value_name = "AMOUNT")]
    grace: Option<Amount>,

    /// When the grace ends: a date, or an instant like 2026-12-01T08:00:00Z
    #[arg(long, env = "FAREBOX_ACCOUNT_UNTIL", value_name = "INSTANT", value_parser = parse_instant, requires = "grace")]
    until: Option<DateTime<Utc>>,

    /// What its calls may cost
    #[arg(long, env = "FAREBOX_ACCOUNT_TERMS", value_name = "TERMS")]
    terms: Option<Terms>,
}

/// What an account's calls are paid from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PaidFrom {
    /// From what was paid in, and from credit beside it: how every account begins. Ends what is lent for good
    Prepaid,
    /// From what is lent to it as well, as far as --credit-line says
    Postpaid,
    /// From plans, packages and promotional credit alone: its balance pays for no call, and nothing is lent to it
    Quota,
}

/// What becomes of the grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GraceChange {
    /// It stays as it is, if there is one.
    Keep,
    /// It ends now, if there is one.
    End,
    /// It is this one.
    Lend(Grace),
}

impl Change {
    /// That what is named goes together.
    fn expect_sense(&self) -> anyhow::Result<()> {
        let lends = self.credit_line.is_some_and(|amount| !amount.is_zero());
        match self.mode {
            Some(PaidFrom::Postpaid) if self.credit_line.is_some() && !lends => {
                bail!("a postpaid account needs a credit line: say how much with --credit-line")
            }
            Some(PaidFrom::Prepaid) if lends => bail!("a prepaid account has no credit line: leave it out, or write --mode postpaid"),
            Some(PaidFrom::Quota) if lends => bail!("an account on quota has no credit line: its balance pays for no call"),
            _ => Ok(()),
        }
    }

    fn grace(&self) -> anyhow::Result<GraceChange> {
        Ok(match (self.grace, self.until) {
            (None, _) => GraceChange::Keep,
            (Some(amount), None) if amount.is_zero() => GraceChange::End,
            (Some(amount), Some(until)) if !amount.is_zero() => GraceChange::Lend(Grace { amount, until }),
            (Some(_), None) => bail!("a grace needs an end: name it with --until"),
            (Some(_), Some(_)) => bail!("a grace of 0 ends now: leave --until out, or write an amount above 0"),
        })
    }

    /// Changes what was named, and nothing else.
    fn apply(&self, grace: GraceChange, line: &mut CreditLine) {
        line.amount = self.credit_line.unwrap_or(line.amount);
        if let Some(mode) = self.mode {
            line.is_quota = mode == PaidFrom::Quota;
        }
        if matches!(self.mode, Some(PaidFrom::Prepaid | PaidFrom::Quota)) {
            line.amount = Amount::ZERO;
        }
        line.grace = match grace {
            GraceChange::Keep => line.grace,
            GraceChange::End => None,
            GraceChange::Lend(grace) => Some(grace),
        };
        line.excess = self.terms.map_or(line.excess, Excess::from);
        if self.mode == Some(PaidFrom::Quota) {
            // What is named beside it is refused; what was set before ends.
            line.grace = line.grace.filter(|_| grace != GraceChange::Keep);
            line.excess = self.terms.map_or(Excess::WrittenOff, Excess::from);
        }
    }
}

pub(super) async fn set(args: Set, output: Output, config: &Config) -> anyhow::Result<()> {
    let grace = args.change.grace()?;
    args.change.expect_sense()?;
    let (account, line) = with_ledger(config, async |ledger| {
        let account = find(ledger, &args.account).await?;
        let operator = ledger.system().operator();
        if args.change.mode == Some(PaidFrom::Postpaid) && args.change.credit_line.is_none() {
            let lent = ledger.system().account(account.id).credit_line().await?.amount;
            anyhow::ensure!(!lent.is_zero(), "a postpaid account needs a credit line: say how much with --credit-line");
        }
        let line = operator.change_credit_line(account.id, ACTOR, |line| args.change.apply(grace, line)).await?;
        Ok((account, line))
    })
    .await?;
    output.print(&json!({ "account": account.id, "credit_line": line_json(&line) }), || {
        format!("{} is {}: it is lent {}; it is {}.", account.name, line.mode().name(), lent(&line), terms(line.excess))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;
    const NOTHING: Change = Change { mode: None, credit_line: None, grace: None, until: None, terms: None };

    #[test]
    fn what_is_not_named_stays() {
        let [amount, more] = [5_000_000_000, 2_500_000_000].map(Amount::from_nanos);
        let before = CreditLine { amount, grace: Some(Grace { amount: more, until: NOW }), excess: Excess::Charged, is_quota: false };
        let after = |change: Change| {
            let mut line = before;
            change.apply(change.grace().unwrap(), &mut line);
            line
        };
        assert_eq!(after(NOTHING), before);
        assert_eq!(after(Change { terms: Some(Terms::Strict), ..NOTHING }), CreditLine { excess: Excess::WrittenOff, ..before });
        assert_eq!(after(Change { grace: Some(Amount::ZERO), ..NOTHING }), CreditLine { grace: None, ..before });
        let grace = Grace { amount: Amount::from_nanos(1), until: NOW + TimeDelta::days(1) };
        let lent = Change { grace: Some(grace.amount), until: Some(grace.until), ..NOTHING };
        assert_eq!(after(lent), CreditLine { grace: Some(grace), ..before });
        let nothing = Change { credit_line: Some(Amount::ZERO), ..NOTHING };
        assert_eq!(after(nothing), CreditLine { amount: Amount::ZERO, ..before });
    }

    #[test]
    fn a_grace_has_an_end_and_the_end_of_one_has_none() {
        let refusal = |nanos, until| {
            let change = Change { grace: Some(Amount::from_nanos(nanos)), until, ..NOTHING };
            change.grace().unwrap_err().to_string()
        };
        assert!(refusal(1, None).contains("needs an end"));
        assert!(refusal(0, Some(NOW)).contains("leave --until out"));
    }
}
