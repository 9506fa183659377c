//! `farebox price own`: what one customer has agreed to pay.

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use domain::{
    catalog::PriceKind,
    id::{AccountId, PriceId},
    own_price::{self, OwnPrice},
    price_change::PriceChange,
    price_history::LEAD_MIN,
    service_tier::ServiceTier,
};
use ledger::{Ledger, NewOwnPrice, OwnReview};
use serde_json::{Value, json};

use super::{
    ACTOR, account, parse_instant,
    price::{RateArgs, to_be_agreed_to},
    table,
};
use crate::{cli::Output, config::Config, database::with_ledger};

/// Prices that one customer has agreed on. Such a price is the whole price: no discount is taken off it. Past calls keep theirs.
#[derive(Debug, Subcommand)]
pub(crate) enum OwnPriceAction {
    /// Write what a model costs one customer; amounts are per 1,000 tokens, in currency units
    Set(Set),
    /// Every price that a customer has or had of their own
    List {
        /// The account: its name, its id, or its owner's address
        account: String,
    },
    /// End one: the customer pays what everyone pays then. One that has not begun never does
    End {
        /// The account: its name, its id, or its owner's address
        account: String,
        /// Its id: `farebox price own list` says it
        price: PriceId,
        /// From when on, like 2026-12-01 or 2026-12-01T08:00:00Z [default: in a minute]
        #[arg(long, env = "FAREBOX_PRICE_AT", value_name = "INSTANT", value_parser = parse_instant)]
        at: Option<DateTime<Utc>>,
    },
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct Set {
    /// The account: its name, its id, or its owner's address
    account: String,

    /// The model
    model: String,

    #[command(flatten)]
    rates: RateArgs,

    /// From when on, like 2026-12-01 or 2026-12-01T08:00:00Z [default: in a minute]
    #[arg(long, env = "FAREBOX_PRICE_EFFECTIVE_FROM", value_name = "INSTANT", value_parser = parse_instant)]
    effective_from: Option<DateTime<Utc>>,

    /// That a rate above three times or below a third of what the customer pays now, or below cost, is meant: the model's name again
    // Without a variable: what agrees to one change must not agree to the next.
    #[arg(long, value_name = "MODEL")]
    yes: Option<String>,
}

/// Does what was asked for.
pub(super) async fn run(action: OwnPriceAction, output: Output, config: &Config) -> anyhow::Result<()> {
    match action {
        OwnPriceAction::Set(set) => {
            let own = with_ledger(config, async |ledger| write(ledger, &set).await).await?;
            let words = || format!("{} costs {} this from {} on.", own.model, set.account, instant(own.effective_from));
            output.print(&json!({"id": own.id, "account": own.account, "model": own.model, "rates": own.rates, "effective_from": own.effective_from}), words)
        }
        OwnPriceAction::List { account } => {
            let own = with_ledger(config, async |ledger| {
                let account = account::find(ledger, &account).await?.id;
                Ok(ledger.system().operator().own_prices(account).await?)
            });
            let own = own.await?;
            output.print(&Value::from(own.iter().map(as_json).collect::<Vec<_>>()), || {
                table(["PRICE", "MODEL", "FROM", "UNTIL", "PROMPT PER 1K", "COMPLETION PER 1K"], own.iter().map(as_row))
            })
        }
        OwnPriceAction::End { account, price, at } => {
            let own = with_ledger(config, async |ledger| end(ledger, account::find(ledger, &account).await?.id, price, at).await).await?;
            output.print(&as_json(&own), || match own.ends_at {
                Some(end) => format!("{account} pays what everyone pays for {} from {} on.", own.model, instant(end)),
                None => format!("It never begins: {account} goes on to pay what they pay now for {}.", own.model),
            })
        }
    }
}

async fn write<'a>(ledger: &Ledger, args: &'a Set) -> anyhow::Result<NewOwnPrice<'a>> {
    let operator = ledger.system().operator();
    let account = account::find(ledger, &args.account).await?.id;
    let everyones = operator.price_history(&args.model, ServiceTier::Default).await.with_context(|| format!("model {}", args.model))?;
    let own: Vec<_> = operator.own_prices(account).await?.into_iter().filter(|own| own.model == args.model).collect();
    // By either clock: proxies go by the database's.
    let now = ledger.clock().await?.max(Utc::now());
    let effective_from = args.effective_from.unwrap_or(now + LEAD_MIN);
    let id = PriceId::new(now, rand::random());
    let new = NewOwnPrice { id, account, model: &args.model, rates: args.rates.rates(), effective_from, actor: ACTOR, now };
    let review = OwnReview { revision: own_price::revision(&own), named: args.yes.as_deref() };
    match operator.set_own_price(new.clone(), review).await {
        Err(ledger::Error::PriceNotAgreed) => {
            let [paid, cost] = own_price::sides(&own, &everyones, operator.discount(account).await?, new.effective_from);
            Err(to_be_agreed_to(&PriceChange::of(PriceKind::Sale, paid.as_ref(), &new.rates, cost.as_ref()), new.model))
        }
        written => Ok(written.map(|()| new)?),
    }
}

async fn end(ledger: &Ledger, account: AccountId, price: PriceId, at: Option<DateTime<Utc>>) -> anyhow::Result<OwnPrice> {
    let operator = ledger.system().operator();
    let now = ledger.clock().await?.max(Utc::now());
    operator.end_own_price(account, price, at.unwrap_or(now), ACTOR, now).await.with_context(|| format!("price {price}"))?;
    let own = operator.own_prices(account).await?.into_iter().find(|own| own.version.id == price);
    own.with_context(|| format!("price {price}"))
}

fn as_json(own: &OwnPrice) -> Value {
    let OwnPrice { version, model, account, ends_at, withdrawn_at } = own;
    json!({
        "id": version.id, "account": account, "model": model, "rates": version.rates, "effective_from": version.effective_from, "ends_at": ends_at,
        "withdrawn_at": withdrawn_at,
    })
}

fn as_row(own: &OwnPrice) -> [String; 6] {
    let until = match (own.withdrawn_at, own.ends_at) {
        (Some(_), _) => "never begins".to_owned(),
        (None, end) => end.map_or_else(String::new, instant),
    };
    let base = &own.version.rates.base;
    let version = &own.version;
    [version.id.to_string(), own.model.clone(), instant(version.effective_from), until, base.input.to_string(), base.output.to_string()]
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
