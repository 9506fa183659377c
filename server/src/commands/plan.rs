//! `farebox plan`: what is sold by the month or once, and who has it.

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};
use domain::{
    credit::{Quantity, Unit},
    id::{PlanId, SubscriptionId},
    money::Amount,
    plan::{Overage, Plan, PlanLimit, PlanLimits, PlanTerms, Subscription, Term},
    pricing::Discount,
};
use ledger::{Bought, Ledger, NewPlan, Purchase};
use serde_json::{Value, json};

use super::{ACTOR, account::find, parse_quantity, table, without_empty_variable};
use crate::{cli::Output, config::Config, database::with_ledger};

/// What is sold by the month or once.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Sell a plan or a package from now on, or another version of one: who has bought an older version keeps it
    Set(Set),
    /// List what is sold, and how many accounts have each
    List,
    /// Buy a plan or a package for an account, out of its balance
    Buy(Buy),
    /// Show the plan that an account has
    Show {
        /// The account: its name, its id, or its owner's address
        account: String,
    },
    /// End an account's plan when its month is over
    End {
        /// The account: its name, its id, or its owner's address
        account: String,
    },
    /// Keep an account's plan that was to end, or to be followed by another
    Keep {
        /// The account: its name, its id, or its owner's address
        account: String,
    },
}

#[derive(Debug, Args)]
#[command(mut_args = without_empty_variable)]
struct Set {
    /// Its name
    name: String,

    /// What it costs, in currency units: each month, or once
    #[arg(long, env = "FAREBOX_PLAN_FEE", value_name = "AMOUNT")]
    fee: Amount,

    /// How much credit it gives: in currency units, or a whole number of tokens
    #[arg(long, env = "FAREBOX_PLAN_ALLOWANCE", value_name = "AMOUNT")]
    allowance: String,

    /// What the allowance is counted in; tokens pay for whole calls, whatever these would cost
    #[arg(long, env = "FAREBOX_PLAN_UNIT", value_name = "UNIT", default_value = "money")]
    unit: CountedIn,

    /// Sell it as a package that lasts so many days, once [default: a plan, by the month]
    #[arg(long, env = "FAREBOX_PLAN_DAYS", value_name = "N")]
    days: Option<u32>,

    /// A model that the allowance pays for; give it once for each [default: every model]
    #[arg(long = "model", env = "FAREBOX_PLAN_MODELS", value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,

    /// What becomes of calls beyond the allowance of a plan
    #[arg(long, env = "FAREBOX_PLAN_BEYOND", value_name = "WHAT", default_value = "wallet")]
    beyond: Beyond,

    /// What calls are discounted by while the plan lasts, in basis points: 250 is 2.5 %
    #[arg(long, env = "FAREBOX_PLAN_DISCOUNT", value_name = "BASIS_POINTS", default_value_t = 0)]
    discount: i32,

    /// How many requests of an account it bounds a minute to while it lasts [default: any number]
    #[arg(long, env = "FAREBOX_PLAN_REQUESTS_A_MINUTE", value_name = "N")]
    requests_a_minute: Option<String>,

    /// How many tokens of prompt and completion it bounds a minute to [default: any number]
    #[arg(long, env = "FAREBOX_PLAN_TOKENS_A_MINUTE", value_name = "N")]
    tokens_a_minute: Option<String>,

    /// How much calls that money pays for may cost in a calendar month, UTC, in currency units [default: any amount]
    #[arg(long, env = "FAREBOX_PLAN_MONEY_A_MONTH", value_name = "AMOUNT")]
    money_a_month: Option<String>,

    /// Show it to no customer: only operators sell it
    #[arg(long, env = "FAREBOX_PLAN_HIDDEN", value_parser = FalseyValueParser::new())]
    hidden: bool,
}

#[derive(Debug, Args)]
struct Buy {
    /// The account: its name, its id, or its owner's address
    account: String,

    /// The plan or the package: its name, as `farebox plan list` shows it
    plan: String,

    /// The id of this one purchase: the same id again buys nothing more
    #[arg(long, env = "FAREBOX_PLAN_PURCHASE", value_name = "UUID")]
    purchase: Option<SubscriptionId>,
}

/// What an allowance is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CountedIn {
    /// Currency units
    Money,
    /// Tokens of prompt and completion together
    Tokens,
}

/// What becomes of calls beyond an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Beyond {
    /// The prepaid balance pays
    Wallet,
    /// They are refused until the next month
    Refuse,
}

impl Set {
    fn terms(&self) -> anyhow::Result<PlanTerms> {
        let unit = match self.unit {
            CountedIn::Money => Unit::Money,
            CountedIn::Tokens => Unit::Tokens,
        };
        let limit = |text: Option<&str>, unit| text.map(|text| parse_quantity(text, unit)).transpose();
        Ok(PlanTerms {
            term: self.days.map_or(Term::Monthly, |days| Term::Once { days }),
            fee: self.fee,
            unit,
            allowance: parse_quantity(&self.allowance, unit)?,
            models: (!self.models.is_empty()).then(|| self.models.clone()),
            overage: match self.beyond {
                Beyond::Wallet => Overage::Wallet,
                Beyond::Refuse => Overage::Refused,
            },
            discount: Discount::from_bps(self.discount).context("write the discount in basis points, from 0 to 10000")?,
            limits: PlanLimits {
                requests_a_minute: limit(self.requests_a_minute.as_deref(), Unit::Requests)?,
                tokens_a_minute: limit(self.tokens_a_minute.as_deref(), Unit::Tokens)?,
                money_a_month: limit(self.money_a_month.as_deref(), Unit::Money)?,
            },
        })
    }
}

/// Does what was asked for.
pub(super) async fn run(args: PlanArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Set(set) => self::set(set, args.output, config).await,
        Action::List => list(args.output, config).await,
        Action::Buy(buy) => self::buy(buy, args.output, config).await,
        Action::Show { account } => show(&account, args.output, config).await,
        Action::End { account } => end(&account, true, args.output, config).await,
        Action::Keep { account } => end(&account, false, args.output, config).await,
    }
}

async fn set(set: Set, output: Output, config: &Config) -> anyhow::Result<()> {
    let (terms, now) = (set.terms()?, Utc::now());
    let id = PlanId::new(now, rand::random());
    let plan = with_ledger(config, async |ledger| {
        let new = NewPlan { id, name: &set.name, is_offered: !set.hidden, terms: terms.clone(), seen: None, actor: ACTOR, now };
        Ok(ledger.system().operator().set_plan(new).await?)
    })
    .await?;
    output.print(&json(&plan), || format!("{} is sold as version {}: {}.", plan.name, plan.version, in_words(&plan.terms)))
}

async fn list(output: Output, config: &Config) -> anyhow::Result<()> {
    let plans = with_ledger(config, async |ledger| Ok(ledger.system().operator().plans().await?)).await?;
    let value: Vec<_> = plans
        .iter()
        .map(|(plan, accounts)| {
            let mut value = json(plan);
            value["accounts"] = json!(accounts);
            value
        })
        .collect();
    output.print(&value, || {
        let rows = plans.iter().map(|(plan, accounts)| {
            let offered = if plan.is_offered { "offered" } else { "hidden" };
            [plan.name.clone(), plan.version.to_string(), offered.to_owned(), accounts.to_string(), in_words(&plan.terms)]
        });
        table(["PLAN", "VERSION", "SHOWN", "ACCOUNTS", "WHAT IT IS"], rows)
    })
}

async fn buy(buy: Buy, output: Output, config: &Config) -> anyhow::Result<()> {
    let id = buy.purchase.unwrap_or_else(|| SubscriptionId::new(Utc::now(), rand::random()));
    let mut asked = false;
    let bought = with_ledger(config, async |ledger| {
        let account = find(ledger, &buy.account).await?;
        let plan = find_plan(ledger, &buy.plan).await?;
        asked = true;
        let purchase = Purchase { id, plan: plan.id, version: plan.version, actor: ACTOR };
        let bought = ledger.system().operator().buy(account.id, purchase).await?;
        Ok((account, bought, plan))
    })
    .await;
    let (account, bought, plan) = bought.map_err(|error| match error.downcast_ref() {
        None | Some(ledger::Error::Unavailable(_)) if asked => {
            error.context(format!("it is not known whether it was bought: run this again with --purchase {id}, which buys it only once"))
        }
        _ => error,
    })?;
    let (from, at) = match bought {
        Bought::Now(until) => ("now", until),
        Bought::Then(from) => ("later", from),
    };
    let value = json!({ "account": account.id, "purchase": id, "plan": plan.name, "version": plan.version, "begins": from, "at": at });
    output.print(&value, || match bought {
        Bought::Now(until) => format!("{} has {} until {until}.", account.name, plan.name),
        Bought::Then(from) => format!("{} has {} from {from} on, when the month is over that was paid for.", account.name, plan.name),
    })
}

async fn find_plan(ledger: &Ledger, name: &str) -> anyhow::Result<Plan> {
    let plans = ledger.system().operator().plans().await?;
    let found = plans.into_iter().map(|(plan, _)| plan).find(|plan| plan.name.to_lowercase() == name.to_lowercase());
    found.ok_or_else(|| anyhow!("there is no plan {name}: see `farebox plan list`"))
}

async fn show(account: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let (account, subscription) = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        let subscription = ledger.system().account(account.id).subscription().await?;
        Ok((account, subscription))
    })
    .await?;
    output.print(&subscription.as_ref().map(subscription_json), || match &subscription {
        None => format!("{} has no plan.", account.name),
        Some(subscription) => said(&account.name, subscription),
    })
}

async fn end(account: &str, ends: bool, output: Output, config: &Config) -> anyhow::Result<()> {
    let (account, until) = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        let system = ledger.system();
        let Some(subscription) = system.account(account.id).subscription().await? else {
            return Err(anyhow!("{} has no plan", account.name));
        };
        system.operator().end_plan(account.id, ends).await?;
        Ok((account, subscription.period.to))
    })
    .await?;
    output.print(&json!({ "account": account.id, "ends": ends, "at": until }), || match ends {
        true => format!("The plan of {} ends at {until}.", account.name),
        false => format!("{} keeps its plan, which renews at {until}.", account.name),
    })
}

/// A plan for programs.
fn json(plan: &Plan) -> Value {
    let Plan { id, name, version, is_offered, terms } = plan;
    let days = match terms.term {
        Term::Monthly => None,
        Term::Once { days } => Some(days),
    };
    let PlanLimits { requests_a_minute, tokens_a_minute, money_a_month } = terms.limits;
    let figure = |capacity: Option<Quantity>, unit| capacity.map(|capacity| capacity.figure(unit));
    json!({
        "id": id, "name": name, "version": version, "offered": is_offered, "days": days, "fee": terms.fee, "unit": terms.unit,
        "allowance": terms.allowance.figure(terms.unit), "models": terms.models, "overage": terms.overage, "discount_bps": terms.discount.bps(),
        "requests_a_minute": figure(requests_a_minute, Unit::Requests), "tokens_a_minute": figure(tokens_a_minute, Unit::Tokens),
        "money_a_month": figure(money_a_month, Unit::Money),
    })
}

fn subscription_json(subscription: &Subscription) -> Value {
    let Subscription { id, plan, period, next, ends, unpaid_since, left } = subscription;
    json!({
        "id": id, "plan": json(plan), "from": period.from, "to": period.to, "left": left.figure(plan.terms.unit),
        "next": next.as_ref().map(|plan| &plan.name), "ends": ends, "unpaid_since": unpaid_since,
    })
}

/// What a plan is, in a line.
fn in_words(terms: &PlanTerms) -> String {
    let once = match terms.term {
        Term::Monthly => "a month".to_owned(),
        Term::Once { days } => format!("once, for {days} days"),
    };
    let mut words = format!("{} {once} for {} of credit", terms.fee, terms.allowance.in_words(terms.unit));
    if let Some(models) = &terms.models {
        words.push_str(&format!(" of {}", models.join(", ")));
    }
    if terms.overage == Overage::Refused {
        words.push_str(", beyond which calls are refused");
    }
    if terms.discount != Discount::NONE {
        words.push_str(&format!(", with {} basis points off every call", terms.discount.bps()));
    }
    for PlanLimit { unit, window, capacity } in terms.limits.each() {
        words.push_str(&format!(", at most {} per {}", capacity.in_words(unit), window.name()));
    }
    words
}

fn said(account: &str, subscription: &Subscription) -> String {
    let Subscription { plan, period, next, ends, unpaid_since, left, .. } = subscription;
    let follows = |at: DateTime<Utc>| match (ends, next) {
        (true, _) => format!("ends at {at}"),
        (false, Some(next)) => format!("is followed by {} at {at}", next.name),
        (false, None) => format!("renews at {at}"),
    };
    let unpaid =
        unpaid_since.map_or_else(String::new, |since| format!(" Since {since} the balance does not cover the fee of {}.", plan.terms.fee));
    format!("{account} has {} with {} left, which {}.{unpaid}", plan.name, left.in_words(plan.terms.unit), follows(period.to))
}
