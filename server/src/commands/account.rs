//! `farebox account`: the customers who pay.

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, builder::FalseyValueParser};
use domain::{
    account::{Key, Project},
    billing::Balance,
    credit::{CreditLine, Grace},
    id::{AccountId, GrantId, UserId},
    key::masked,
    money::Amount,
    pricing::Excess,
};
use ledger::{AccountSummary, Ledger, MoneyIn, NewCustomer};
use serde_json::json;

use super::{ACTOR, idempotency_key, parse_instant, perhaps_done, secret, table, user::PasswordArgs};
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
    /// Set what is lent to an account, and whether it is strict or lenient; what is not named stays as it is
    Set(Set),
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

    /// Why, for the customer's books
    #[arg(long, env = "FAREBOX_ACCOUNT_REASON", value_name = "TEXT")]
    reason: String,

    /// Name of this one change: the same name again changes nothing
    #[arg(long, env = "FAREBOX_ACCOUNT_IDEMPOTENCY_KEY", value_name = "TEXT")]
    idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
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
    /// How far below zero its balance may go, in currency units; 0 lends nothing
    #[arg(long, env = "FAREBOX_ACCOUNT_CREDIT_LINE", value_name = "AMOUNT")]
    credit_line: Option<Amount>,

    /// How much more is lent for a while
    #[arg(long, env = "FAREBOX_ACCOUNT_GRACE", value_name = "AMOUNT", requires = "until")]
    grace: Option<Amount>,

    /// When the grace ends: a date, or an instant like 2026-12-01T08:00:00Z
    #[arg(long, env = "FAREBOX_ACCOUNT_UNTIL", value_name = "INSTANT", value_parser = parse_instant, requires = "grace")]
    until: Option<DateTime<Utc>>,

    /// End the grace now
    #[arg(long, env = "FAREBOX_ACCOUNT_NO_GRACE", value_parser = FalseyValueParser::new(), conflicts_with_all = ["grace", "until"])]
    no_grace: bool,

    /// It pays what a call came to, also beyond what was held for it; where the client names no cap on the output, there is none
    #[arg(long, env = "FAREBOX_ACCOUNT_LENIENT", value_parser = FalseyValueParser::new(), conflicts_with = "strict")]
    lenient: bool,

    /// A call never costs more than was held for it, so that the balance never ends below what is lent: how every account begins
    #[arg(long, env = "FAREBOX_ACCOUNT_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
}

impl Change {
    /// The line in force, with what was named changed.
    fn applied_to(&self, line: CreditLine, now: DateTime<Utc>) -> CreditLine {
        // One that has ended lends nothing, and the ledger would refuse to set it again.
        let running = line.grace.filter(|grace| !self.no_grace && now < grace.until);
        CreditLine {
            amount: self.credit_line.unwrap_or(line.amount),
            grace: self.grace().or(running),
            excess: self.excess().unwrap_or(line.excess),
        }
    }

    fn grace(&self) -> Option<Grace> {
        self.grace.zip(self.until).map(|(amount, until)| Grace { amount, until })
    }

    fn excess(&self) -> Option<Excess> {
        (self.lenient || self.strict).then(|| Excess::of(self.lenient))
    }
}

/// Does what was asked for.
pub(super) async fn run(args: AccountArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Create(create) => self::create(create, args.output, config).await,
        Action::Credit(credit) => self::credit(credit, args.output, config).await,
        Action::Set(set) => self::set(set, args.output, config).await,
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
        let posted = ledger.system().operator().credit(account.id, money).await?;
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
    let (account, line) = with_ledger(config, async |ledger| {
        let account = find(ledger, &args.account).await?;
        let system = ledger.system();
        let in_force = system.account(account.id).credit_line().await?;
        // By the clock that says whether a grace has ended.
        let line = args.change.applied_to(in_force, ledger.clock().await?);
        system.operator().set_credit_line(account.id, &line, ACTOR).await?;
        Ok((account, line))
    })
    .await?;
    output.print(&json!({ "account": account.id, "credit_line": line }), || {
        format!("{} is lent {}; it is {}.", account.name, lent(&line), terms(line.excess))
    })
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

/// The flag's name, and what it means.
const fn terms(excess: Excess) -> &'static str {
    match excess {
        Excess::WrittenOff => "strict: a call never costs more than was held for it",
        Excess::Charged => "lenient: it pays what a call came to",
    }
}

async fn show(account: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let (account, balance, line, keys, projects) = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        let reader = ledger.system().account(account.id);
        let balance = reader.balance(now).await?;
        Ok((account, balance, reader.credit_line().await?, reader.keys(now).await?, reader.projects().await?))
    })
    .await?;
    let value = json!({ "account": account, "balance": balance, "credit_line": line, "keys": keys, "projects": projects });
    output.print(&value, || format!("{}\n\n{}", describe(&account, &balance, &line, now), key_table(&keys, &projects, now)))
}

fn describe(account: &AccountSummary, balance: &Balance, line: &CreditLine, now: DateTime<Utc>) -> String {
    table(
        [&account.name, ""],
        [
            ["id".to_owned(), account.id.to_string()],
            ["owner".to_owned(), account.owner_email.clone().unwrap_or_default()],
            ["state".to_owned(), if account.is_active { "active" } else { "suspended" }.to_owned()],
            ["balance".to_owned(), balance.balance.to_string()],
            ["reserved".to_owned(), balance.reserved.to_string()],
            ["available".to_owned(), balance.available.to_string()],
            ["credit line".to_owned(), line.amount.to_string()],
            ["grace".to_owned(), grace_of(line, now)],
            ["terms".to_owned(), terms(line.excess).to_owned()],
        ],
    )
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
            project.unwrap_or_default(),
            state.to_owned(),
            key.spent_this_month.to_string(),
            key.id.to_string(),
        ]
    });
    table(["KEY", "", "PROJECT", "STATE", "SPENT THIS MONTH", "ID"], rows)
}

/// The account that somebody names.
pub(super) async fn find(ledger: &Ledger, text: &str) -> anyhow::Result<AccountSummary> {
    ledger.system().find_account(text).await.with_context(|| format!("account {text}"))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;
    const NOTHING: Change = Change { credit_line: None, grace: None, until: None, no_grace: false, lenient: false, strict: false };

    fn line(until: DateTime<Utc>) -> CreditLine {
        let [amount, more] = [5_000_000_000, 2_500_000_000].map(Amount::from_nanos);
        CreditLine { amount, grace: Some(Grace { amount: more, until }), excess: Excess::Charged }
    }

    #[test]
    fn what_is_not_named_stays_but_a_grace_that_has_ended() {
        let running = line(NOW + TimeDelta::seconds(1));
        assert_eq!(NOTHING.applied_to(running, NOW), running);
        assert_eq!(NOTHING.applied_to(line(NOW), NOW), CreditLine { grace: None, ..running });
        let strict = Change { strict: true, ..NOTHING };
        assert_eq!(strict.applied_to(running, NOW), CreditLine { excess: Excess::WrittenOff, ..running });
        let ended = Change { no_grace: true, ..NOTHING };
        assert_eq!(ended.applied_to(running, NOW), CreditLine { grace: None, ..running });
        // Whether that can be is the ledger's to say.
        let past = Change { grace: Some(Amount::ZERO), until: Some(NOW), ..NOTHING };
        assert_eq!(past.applied_to(running, NOW).grace, Some(Grace { amount: Amount::ZERO, until: NOW }));
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
