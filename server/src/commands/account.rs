//! `farebox account`: the customers who pay.

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use domain::{
    account::{AccountState, Key, Project},
    billing::Balance,
    credit::{CreditLine, Grace},
    id::{AccountId, GrantId, UserId},
    key::masked,
    money::Amount,
    pricing::Excess,
};
use ledger::{AccountReader, AccountSummary, Ledger, MoneyIn, NewCustomer};
use serde::Serialize;
use serde_json::{Value, json};

use super::{ACTOR, grant, idempotency_key, parse_instant, perhaps_done, secret, table, user::PasswordArgs, without_empty_variable};
use crate::{cli::Output, config::Config, database::with_ledger};

/// The customers who pay.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an account with an empty balance, and its owner
    Create(Create),
    /// Change an account's balance
    Credit(Credit),
    /// Set what an account's calls are paid from, what is lent to it, and whether it is strict or lenient; what is not named stays, unless the mode that
    /// is named excludes it
    Set(Set),
    /// Refuse an account's new calls, or take them again; those that run end as they would
    State {
        /// Its name, its id, or its owner's address
        account: String,
        /// What it is from now on
        state: State,
    },
    /// Show an account's balance, what is lent to it, and its keys
    Show {
        /// Its name, its id, or its owner's address
        account: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Its name
    name: String,

    /// The address its owner signs in with
    #[arg(long, env = "FAREBOX_ACCOUNT_EMAIL", value_name = "ADDRESS")]
    email: String,

    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
struct Credit {
    /// Its name, its id, or its owner's address
    account: String,

    /// How much, in currency units; below zero takes away
    amount: Amount,

    /// It came in by bank transfer, which the bank's statement calls so: it counts as paid, and a receipt is issued of it. One transfer is credited once
    #[arg(long, env = "FAREBOX_ACCOUNT_TRANSFER", value_name = "REFERENCE")]
    transfer: Option<String>,

    /// Why, for the customer's books
    #[arg(long, env = "FAREBOX_ACCOUNT_REASON", value_name = "TEXT")]
    reason: String,

    /// Name of this one change: the same name again changes nothing
    #[arg(long, env = "FAREBOX_ACCOUNT_IDEMPOTENCY_KEY", value_name = "TEXT")]
    idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true, mut_args = without_empty_variable)]
struct Set {
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

/// Whether an account's calls are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Calls are admitted
    Active,
    /// Calls are refused until it is active again
    Suspended,
    /// Calls and payments are refused, and its plan ends with the month that is paid for; it can be opened again with `active`
    Closed,
}

impl From<State> for AccountState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Suspended => Self::Suspended,
            State::Closed => Self::Closed,
        }
    }
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

/// Who bears what a call costs beyond what was held for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Terms {
    /// A call is never charged more than was held for it: how every account begins
    Strict,
    /// It pays what a call came to, also beyond what was held for it; where the client names no cap on the output, and there was room for the whole
    /// hold, there is none
    Lenient,
}

impl From<Terms> for Excess {
    fn from(terms: Terms) -> Self {
        Self::of(terms == Terms::Lenient)
    }
}

impl From<Excess> for Terms {
    fn from(excess: Excess) -> Self {
        if excess.is_charged() { Self::Lenient } else { Self::Strict }
    }
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

/// Does what was asked for.
pub(super) async fn run(args: AccountArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Create(create) => self::create(create, args.output, config).await,
        Action::Credit(credit) => self::credit(credit, args.output, config).await,
        Action::Set(set) => self::set(set, args.output, config).await,
        Action::State { account, state } => set_state(&account, state.into(), args.output, config).await,
        Action::Show { account } => show(&account, args.output, config).await,
    }
}

async fn create(args: Create, output: Output, config: &Config) -> anyhow::Result<()> {
    let password = secret::read(args.password.variable(), &format!("Password of {}", args.email))?.expose().to_owned();
    let now = Utc::now();
    let new = NewCustomer {
        account_id: AccountId::new(now, rand::random()),
        account_name: args.name.clone(),
        grant_id: GrantId::new(now, rand::random()),
        user_id: UserId::new(now, rand::random()),
        email: args.email.clone(),
        password,
        is_demo: false,
        now,
    };
    let id = new.account_id;
    with_ledger(config, async |ledger| Ok(ledger.system().create_account(new).await?)).await?;
    output.print(&json!({ "id": id, "name": args.name, "email": args.email }), || {
        format!("Made {} ({id}). Its owner signs in as {}.", args.name, args.email)
    })
}

async fn credit(args: Credit, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let idempotency_key = idempotency_key(args.idempotency_key);
    let mut asked = false;
    let credited = with_ledger(config, async |ledger| {
        let account = find(ledger, &args.account).await?;
        asked = true;
        let money = MoneyIn { amount: args.amount, idempotency_key: &idempotency_key, memo: &args.reason, actor: ACTOR, now };
        let operator = ledger.system().operator();
        let posted = match &args.transfer {
            Some(reference) => operator.credit_transfer(account.id, reference, money).await?,
            None => operator.credit(account.id, money).await?,
        };
        let balance = ledger.system().account(account.id).balance(now).await?;
        Ok((account, posted, balance))
    })
    .await;
    let (account, posted, balance) = credited.map_err(|error| perhaps_done(error, asked, "the balance was changed", &idempotency_key))?;
    let value = json!({
        "account": account.id, "amount": args.amount, "posting": posted.posting, "replayed": posted.replayed, "balance": balance.balance,
    });
    output.print(&value, || {
        let done = if posted.replayed { "was changed before; nothing was done" } else { "was changed" };
        format!("The balance of {} {done}: it is {}.", account.name, balance.balance)
    })
}

async fn set(args: Set, output: Output, config: &Config) -> anyhow::Result<()> {
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

fn line_json(line: &CreditLine) -> Value {
    json!({ "mode": line.mode(), "amount": line.amount, "grace": line.grace, "terms": Terms::from(line.excess) })
}

/// `5, and 2 more until 2026-12-01 00:00:00 UTC`.
fn lent(line: &CreditLine) -> String {
    match (line.amount.is_zero(), line.grace) {
        (true, None) => "nothing".to_owned(),
        (false, None) => line.amount.to_string(),
        (true, Some(Grace { amount, until })) => format!("{amount} until {until}"),
        (false, Some(Grace { amount, until })) => format!("{}, and {amount} more until {until}", line.amount),
    }
}

/// Their name, and what they mean.
const fn terms(excess: Excess) -> &'static str {
    match excess {
        Excess::WrittenOff => "strict: a call is never charged more than was held for it",
        Excess::Charged => "lenient: it pays what a call came to",
    }
}

async fn set_state(account: &str, state: AccountState, output: Output, config: &Config) -> anyhow::Result<()> {
    let account = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        ledger.system().operator().set_account_state(account.id, account.state, state).await?;
        Ok(account)
    })
    .await?;
    output.print(&json!({ "account": account.id, "state": state, "before": account.state }), || {
        let since = if account.state == state { "already" } else { "now" };
        format!("{} is {since} {}.", account.name, state.name())
    })
}

async fn show(account: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let (account, balance, lent, keys, projects) = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        let reader = ledger.system().account(account.id);
        let balance = reader.balance(now).await?;
        let lent = (reader.credit_line().await?, reader.next_grace(now).await?);
        Ok((account, balance, lent, reader.keys(now).await?, reader.projects().await?))
    })
    .await?;
    let value = json!({
        "account": account, "balance": balance_json(&balance), "credit_line": line_json(&lent.0), "next_grace": lent.1, "keys": keys, "projects": projects,
    });
    output.print(&value, || format!("{}\n\n{}", describe(&account, &balance, &lent, now), key_table(&keys, &projects, now)))
}

fn balance_json(balance: &Balance) -> Value {
    // The terms are the credit line's to say.
    let Balance { balance, reserved, available, lent, excess: _, mode: _, grants } = balance;
    json!({ "balance": balance, "reserved": reserved, "available": available, "lent": lent, "grants": grants.iter().map(grant::json).collect::<Vec<_>>() })
}

fn describe(
    account: &AccountSummary,
    balance: &Balance,
    (line, next_grace): &(CreditLine, Option<DateTime<Utc>>),
    now: DateTime<Utc>,
) -> String {
    table(
        [&account.name, ""],
        [
            ["id".to_owned(), account.id.to_string()],
            ["owner".to_owned(), account.owner_email.clone().unwrap_or_default()],
            ["state".to_owned(), account.state.name().to_owned()],
            ["balance".to_owned(), balance.balance.to_string()],
            ["reserved".to_owned(), balance.reserved.to_string()],
            ["available".to_owned(), balance.available.to_string()],
            ["tokens".to_owned(), tokens(balance)],
            ["mode".to_owned(), line.mode().name().to_owned()],
            ["credit line".to_owned(), line.amount.to_string()],
            ["grace".to_owned(), grace_of(line, now)],
            ["next grace".to_owned(), next_grace.map_or_else(|| "at any time".to_owned(), |next| format!("from {next} on"))],
            ["terms".to_owned(), terms(line.excess).to_owned()],
        ],
    )
}

/// What is left in tokens, grant by grant.
fn tokens(balance: &Balance) -> String {
    let left: Vec<_> = balance.in_tokens().map(|grant| grant.balance.in_words(grant.unit)).collect();
    if left.is_empty() { "none".to_owned() } else { left.join(", ") }
}

fn grace_of(line: &CreditLine, now: DateTime<Utc>) -> String {
    match line.grace {
        None => "none".to_owned(),
        Some(Grace { amount, until }) if now < until => format!("{amount} until {until}"),
        Some(Grace { amount, until }) => format!("ended: {amount} until {until}"),
    }
}

fn key_table(keys: &[Key], projects: &[Project], now: DateTime<Utc>) -> String {
    let rows = keys.iter().map(|key| {
        let project = projects.iter().find(|project| project.id == key.project).map(|project| project.name.clone());
        let state = if key.works_at(now) { "works" } else { "ended" };
        [
            key.name.clone(),
            masked(&key.last_four),
            key.member_email.clone().unwrap_or_default(),
            project.unwrap_or_default(),
            state.to_owned(),
            key.spent_this_month.to_string(),
            key.id.to_string(),
        ]
    });
    table(["KEY", "", "MEMBER", "PROJECT", "STATE", "SPENT THIS MONTH", "ID"], rows)
}

/// The account that somebody names.
pub(super) async fn find(ledger: &Ledger, text: &str) -> anyhow::Result<AccountSummary> {
    ledger.system().find_account(text).await.with_context(|| format!("account {text}"))
}

/// The member of an account whom somebody names: by the address they sign in with.
pub(super) async fn find_member(account: &AccountReader, email: &str) -> anyhow::Result<UserId> {
    account.find_member(email).await.with_context(|| format!("member {email}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;
    const NOTHING: Change = Change { mode: None, credit_line: None, grace: None, until: None, terms: None };

    fn line(until: DateTime<Utc>) -> CreditLine {
        let [amount, more] = [5_000_000_000, 2_500_000_000].map(Amount::from_nanos);
        CreditLine { amount, grace: Some(Grace { amount: more, until }), excess: Excess::Charged, is_quota: false }
    }

    #[test]
    fn what_is_not_named_stays() {
        let before = line(NOW);
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

    #[test]
    fn terms_have_the_same_name_wherever_they_stand() {
        for (excess, name) in [(Excess::WrittenOff, "strict"), (Excess::Charged, "lenient")] {
            let line = CreditLine { excess, ..CreditLine::default() };
            assert_eq!(line_json(&line)["terms"], name);
            assert!(terms(excess).starts_with(name));
            assert_eq!(Terms::from_str(name, false).map(Excess::from), Ok(excess));
        }
    }

    #[test]
    fn what_is_lent_is_said_in_words() {
        let both = line(NOW);
        for (line, words) in [
            (both, "5, and 2.5 more until 1970-01-01 00:00:00 UTC"),
            (CreditLine { amount: Amount::ZERO, ..both }, "2.5 until 1970-01-01 00:00:00 UTC"),
            (CreditLine { grace: None, ..both }, "5"),
            (CreditLine::default(), "nothing"),
        ] {
            assert_eq!(lent(&line), words);
        }
        assert_eq!(grace_of(&both, NOW), "ended: 2.5 until 1970-01-01 00:00:00 UTC");
        assert_eq!(grace_of(&both, NOW - TimeDelta::seconds(1)), "2.5 until 1970-01-01 00:00:00 UTC");
    }
}
