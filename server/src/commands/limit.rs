//! `farebox limit`: bounds on what an account, or a part of it, may use.

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};
use domain::{
    account::Key,
    attribution::Label,
    credit::{Hardness, LimitSetter, LimitState, Quantity, Scope, Unit, Window},
    id::{KeyId, LimitId},
    money::Amount,
};
use ledger::{AccountReader, NewLimit};
use serde_json::{Value, json};

use super::{
    account::{find, find_member},
    parse_quantity, project, table, without_empty_variable,
};
use crate::{cli::Output, config::Config, database::with_ledger};

/// Bounds on what an account, or a part of it, may use.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set a limit; one of the same kind has this amount from now on
    Set(Set),
    /// List an account's limits, with what is used of each
    List {
        /// The account: its name, its id, or its owner's address
        account: String,
    },
    /// Remove a limit: no call is bounded by it any more
    Remove {
        /// The account: its name, its id, or its owner's address
        account: String,
        /// The limit's id, as `farebox limit list` shows it
        limit: LimitId,
    },
}

#[derive(Debug, Args)]
#[command(mut_args = without_empty_variable)]
struct Set {
    /// The account: its name, its id, or its owner's address
    account: String,

    /// How much in each window: in currency units, or a whole number of tokens or requests
    #[arg(allow_negative_numbers = true)]
    amount: String,

    /// When it begins anew, in UTC
    #[arg(long, env = "FAREBOX_LIMIT_PER", value_name = "WINDOW")]
    per: Per,

    /// What it counts
    #[arg(long, env = "FAREBOX_LIMIT_UNIT", value_name = "UNIT", default_value = "money")]
    unit: Counted,

    #[command(flatten)]
    whose: Whose,

    /// Only warn when it is used up, instead of refusing calls
    #[arg(long, env = "FAREBOX_LIMIT_SOFT", value_parser = FalseyValueParser::new())]
    soft: bool,
}

/// Whose calls a limit counts: all of the account's, if nobody says.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Whose {
    /// The key whose calls it counts: its name, or its id as `farebox account show` lists it [default: all of the account's]
    #[arg(long, env = "FAREBOX_LIMIT_KEY", value_name = "KEY")]
    key: Option<String>,

    /// The project whose calls it counts: its name, or its id as `farebox project list` shows it
    #[arg(long, env = "FAREBOX_LIMIT_PROJECT", value_name = "PROJECT")]
    project: Option<String>,

    /// The member whose keys' calls it counts: the address they sign in with. A key that was made at the command line is nobody's, unless `farebox
    /// key create` was told --member
    #[arg(long, env = "FAREBOX_LIMIT_MEMBER", value_name = "EMAIL")]
    member: Option<String>,

    /// The run whose calls it counts: those that name it as their session
    #[arg(long, env = "FAREBOX_LIMIT_RUN", value_name = "NAME")]
    run: Option<Label>,
}

impl Whose {
    /// The scope, in an account.
    async fn scope(&self, account: &AccountReader, now: DateTime<Utc>) -> anyhow::Result<Scope> {
        Ok(match (&self.key, &self.project, &self.member, &self.run) {
            (Some(key), ..) => Scope::Key(find_key(account, key, now).await?),
            (None, Some(project), ..) => Scope::Project(project::find(account, project).await?.id),
            (None, None, Some(email), _) => Scope::Member(find_member(account, email).await?),
            (None, None, None, Some(run)) => Scope::Run(run.clone()),
            (None, None, None, None) => Scope::Account,
        })
    }
}

/// When a limit begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Per {
    /// At each full minute
    Minute,
    /// At midnight
    Day,
    /// On Monday, at midnight
    Week,
    /// On the first of the month, at midnight
    Month,
    /// Never
    Ever,
}

impl From<Per> for Window {
    fn from(per: Per) -> Self {
        match per {
            Per::Minute => Self::Minute,
            Per::Day => Self::Day,
            Per::Week => Self::Week,
            Per::Month => Self::Month,
            Per::Ever => Self::Ever,
        }
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Counted {
    /// What calls cost, in currency units
    Money,
    /// Tokens of prompt and completion together
    Tokens,
    /// Calls
    Requests,
}

impl From<Counted> for Unit {
    fn from(counted: Counted) -> Self {
        match counted {
            Counted::Money => Self::Money,
            Counted::Tokens => Self::Tokens,
            Counted::Requests => Self::Requests,
        }
    }
}

/// Does what was asked for.
pub(super) async fn run(args: LimitArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Set(set) => self::set(set, args.output, config).await,
        Action::List { account } => list(&account, args.output, config).await,
        Action::Remove { account, limit } => remove(&account, limit, args.output, config).await,
    }
}

async fn set(args: Set, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let unit = Unit::from(args.unit);
    let mut new = NewLimit {
        id: LimitId::new(now, rand::random()),
        scope: Scope::Account,
        window: args.per.into(),
        unit,
        hardness: if args.soft { Hardness::Soft } else { Hardness::Hard },
        capacity: parse_quantity(&args.amount, unit)?,
    };
    let (account, state) = with_ledger(config, async |ledger| {
        let account = find(ledger, &args.account).await?;
        let reader = ledger.system().account(account.id);
        new.scope = args.whose.scope(&reader, now).await?;
        let id = ledger.system().operator().set_limit(account.id, &new).await?;
        let state = reader.limits(now).await?.into_iter().find(|state| state.limit.id == id);
        Ok((account, state.context("the limit was set, and removed again at once")?))
    })
    .await?;
    let mut value = state_json(&state, now);
    value["account"] = json!(account.id);
    output.print(&value, || {
        let LimitState { limit, whose, .. } = &state;
        let whose = match whose {
            Some(whose) => format!("{} {whose} of {}", limit.scope.kind().label(), account.name),
            None => account.name.clone(),
        };
        let does = if args.soft { "has a soft limit of" } else { "is limited to" };
        format!("{whose} {does} {}: limit {}.", words(limit.pool.capacity, unit, limit.window), limit.id)
    })
}

/// The account's key of this id, or the one of this name that works.
async fn find_key(account: &AccountReader, text: &str, now: DateTime<Utc>) -> anyhow::Result<KeyId> {
    let keys = account.keys(now).await?;
    let is_meant = |key: &&Key| key.id.to_string() == text || (key.name == text && key.works_at(now));
    let found: Vec<KeyId> = keys.iter().filter(is_meant).map(|key| key.id).collect();
    match found[..] {
        [key] => Ok(key),
        [] => bail!("key {text}: not found"),
        _ => bail!("several keys are called {text}: give the id of one, as `farebox account show` lists it"),
    }
}

async fn list(account: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let limits = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        Ok(ledger.system().account(account.id).limits(now).await?)
    })
    .await?;
    let values: Vec<Value> = limits.iter().map(|state| state_json(state, now)).collect();
    output.print(&values, || {
        let rows = limits.iter().map(|state| line(state, now));
        table(["SCOPE", "WHOSE", "LIMIT", "USED", "RESERVED", "LEFT", "RESETS", "KIND", "SET BY", "ID"], rows)
    })
}

fn state_json(state: &LimitState, now: DateTime<Utc>) -> Value {
    let LimitState { limit, whose, set_by } = state;
    let pool = &limit.pool;
    let quantity = |quantity: Quantity| quantity.figure(pool.unit);
    let mut value = json!({
        "limit": limit.id, "scope": limit.scope.kind(), "whose": whose, "key": null, "project": null, "member": null, "run": null,
        "per": limit.window, "unit": pool.unit, "hardness": limit.hardness, "by_operator": *set_by == LimitSetter::Operator, "set_by": set_by, "capacity": quantity(pool.capacity),
        "used": quantity(pool.used), "reserved": quantity(pool.leased), "left": quantity(pool.room()), "resets_at": limit.resets_at(now),
    });
    match &limit.scope {
        Scope::Account => {}
        Scope::Key(key) => value["key"] = json!(key),
        Scope::Project(project) => value["project"] = json!(project),
        Scope::Member(member) => value["member"] = json!(member),
        Scope::Run(run) => value["run"] = json!(run),
    }
    value
}

fn line(state: &LimitState, now: DateTime<Utc>) -> [String; 10] {
    let LimitState { limit, whose, set_by } = state;
    let pool = &limit.pool;
    [
        limit.scope.kind().name().to_owned(),
        whose.clone().unwrap_or_default(),
        words(pool.capacity, pool.unit, limit.window),
        figure(pool.used, pool.unit),
        figure(pool.leased, pool.unit),
        figure(pool.room(), pool.unit),
        limit.resets_at(now).map_or_else(|| "never".to_owned(), |at| at.to_string()),
        limit.hardness.label().to_lowercase(),
        set_by.name().to_owned(),
        limit.id.to_string(),
    ]
}

/// `10 per month`, `1 request per minute`.
fn words(capacity: Quantity, unit: Unit, window: Window) -> String {
    let noun = match unit {
        Unit::Money => "",
        Unit::Tokens if capacity.get() == 1 => " token",
        Unit::Tokens => " tokens",
        Unit::Requests if capacity.get() == 1 => " request",
        Unit::Requests => " requests",
    };
    format!("{}{noun} {}", figure(capacity, unit), window.label().to_lowercase())
}

fn figure(quantity: Quantity, unit: Unit) -> String {
    match unit {
        Unit::Money => Amount::from_nanos(quantity.get()).to_string(),
        Unit::Tokens | Unit::Requests => quantity.to_string(),
    }
}

async fn remove(account: &str, limit: LimitId, output: Output, config: &Config) -> anyhow::Result<()> {
    let account = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        ledger.system().operator().remove_limit(account.id, limit).await.with_context(|| format!("limit {limit}"))?;
        Ok(account)
    })
    .await?;
    output.print(&json!({ "account": account.id, "limit": limit, "removed": true }), || {
        format!("Limit {limit} of {} bounds no call any more.", account.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_by_what_it_allows() {
        assert_eq!(words(Quantity::from_count(10_500_000_000), Unit::Money, Window::Month), "10.5 per month");
        assert_eq!(words(Quantity::from_count(5), Unit::Requests, Window::Ever), "5 requests in all");
    }
}
