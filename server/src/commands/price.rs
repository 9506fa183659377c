//! `farebox price`: what models cost.

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use domain::{
    catalog::PriceKind,
    id::PriceId,
    money::Amount,
    price_change::PriceChange,
    price_history::{LEAD_MIN, PriceHistory},
    rates::{BucketRates, Rates},
    service_tier::ServiceTier,
};
use ledger::{Ledger, NewPrice, Review};
use serde_json::json;

use super::{
    ACTOR,
    own_price::{self, OwnPriceAction},
    parse_instant,
    reprice::{self, RepriceArgs},
};
use crate::{cli::Output, config::Config, database::with_ledger};

/// What models cost.
#[derive(Debug, Args)]
pub(crate) struct PriceArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a new price of a model; amounts are per 1,000 tokens, in currency units. Its context tiers stay
    Set(Set),
    /// Charge past calls anew by another version of their price: what they cost more goes back, with a note that the customer reads
    ///
    /// Without --yes it only says what it comes to, to the last nano. Nobody pays more than they did; calls that were paid in tokens stay as they are. The
    /// same again posts nothing.
    Reprice(RepriceArgs),
    /// Prices that one customer has agreed on, in place of what everyone pays
    #[command(subcommand)]
    Own(OwnPriceAction),
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
struct Set {
    /// The model
    model: String,

    #[command(flatten)]
    rates: RateArgs,

    /// Which side of the price
    #[arg(long, env = "FAREBOX_PRICE_KIND", value_name = "KIND", default_value = "sale")]
    kind: Kind,

    /// The service tier whose calls it is for; the default's is the model's own price, without which it is not called
    #[arg(long, env = "FAREBOX_PRICE_SERVICE_TIER", value_name = "TIER", default_value = "default", value_parser = parse_service_tier)]
    service_tier: ServiceTier,

    /// From when on, like 2026-12-01 or 2026-12-01T08:00:00Z [default: at once for a first price, else in a minute]
    #[arg(long, env = "FAREBOX_PRICE_EFFECTIVE_FROM", value_name = "INSTANT", value_parser = parse_instant)]
    effective_from: Option<DateTime<Utc>>,

    /// Without the context tiers of the price that it follows
    #[arg(long, env = "FAREBOX_PRICE_NO_TIERS")]
    no_tiers: bool,

    /// That a rate above three times or below a third of what it was, or below cost, is meant: the model's name again
    // Without a variable: what agrees to one change must not agree to the next.
    #[arg(long, value_name = "MODEL")]
    yes: Option<String>,
}

/// What a price consists of, without context tiers.
#[derive(Debug, Args)]
pub(super) struct RateArgs {
    /// Per 1,000 prompt tokens, like 0.00015
    #[arg(long, env = "FAREBOX_PRICE_INPUT", value_name = "AMOUNT")]
    input: Amount,

    /// Per 1,000 completion tokens
    #[arg(long, env = "FAREBOX_PRICE_OUTPUT", value_name = "AMOUNT")]
    output: Amount,

    /// Per 1,000 prompt tokens read from cache [default: as --input]
    #[arg(long, env = "FAREBOX_PRICE_CACHE_READ", value_name = "AMOUNT")]
    cache_read: Option<Amount>,

    /// Per 1,000 prompt tokens written to a five-minute cache [default: as --input]
    #[arg(long, env = "FAREBOX_PRICE_CACHE_WRITE_5M", value_name = "AMOUNT")]
    cache_write_5m: Option<Amount>,

    /// Per 1,000 prompt tokens written to a one-hour cache [default: as --input]
    #[arg(long, env = "FAREBOX_PRICE_CACHE_WRITE_1H", value_name = "AMOUNT")]
    cache_write_1h: Option<Amount>,

    /// Per 1,000 reasoning tokens [default: as --output]
    #[arg(long, env = "FAREBOX_PRICE_REASONING", value_name = "AMOUNT")]
    reasoning: Option<Amount>,

    /// Per 1,000 prompt tokens of audio [default: as --input]
    #[arg(long, env = "FAREBOX_PRICE_AUDIO_INPUT", value_name = "AMOUNT")]
    audio_input: Option<Amount>,

    /// Per 1,000 completion tokens of audio [default: as --output]
    #[arg(long, env = "FAREBOX_PRICE_AUDIO_OUTPUT", value_name = "AMOUNT")]
    audio_output: Option<Amount>,

    /// Flat fee per call
    #[arg(long, env = "FAREBOX_PRICE_PER_CALL", value_name = "AMOUNT", default_value = "0")]
    per_call: Amount,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// What the customer pays
    Sale,
    /// What the provider charges
    Cost,
}

impl From<Kind> for PriceKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Sale => Self::Sale,
            Kind::Cost => Self::Cost,
        }
    }
}

/// Reads the name of a service tier.
pub(super) fn parse_service_tier(name: &str) -> Result<ServiceTier, String> {
    ServiceTier::named(name).ok_or_else(|| format!("write one of {}", ServiceTier::ALL.map(ServiceTier::name).join(", ")))
}

/// Does what was asked for.
pub(super) async fn run(args: PriceArgs, config: &Config) -> anyhow::Result<()> {
    let set = match args.action {
        Action::Set(set) => set,
        Action::Reprice(reprice) => return reprice::run(reprice, args.output, config).await,
        Action::Own(action) => return own_price::run(action, args.output, config).await,
    };
    let written = with_ledger(config, async |ledger| write(ledger, &set).await).await?;
    let value = json!({
        "id": written.id, "model": written.model, "kind": written.kind, "service_tier": written.service_tier, "rates": written.rates, "effective_from": written.effective_from,
    });
    args.output.print(&value, || {
        let at = written.service_tier.other().map(|tier| format!(" at the {} tier", tier.name())).unwrap_or_default();
        format!("{} costs this{at} from {} on.", written.model, written.effective_from.format("%Y-%m-%d %H:%M:%S UTC"))
    })
}

async fn write<'a>(ledger: &Ledger, args: &'a Set) -> anyhow::Result<NewPrice<'a>> {
    let operator = ledger.system().operator();
    let history = operator.price_history(&args.model, args.service_tier).await.with_context(|| format!("model {}", args.model))?;
    // By either clock: proxies go by the database's.
    let now = ledger.clock().await?.max(Utc::now());
    let kind = PriceKind::from(args.kind);
    // Nobody was ever charged by a price that did not exist: the first one needs no notice.
    let soonest = if history.latest(kind).is_none() { now } else { now + LEAD_MIN };
    let effective_from = args.effective_from.unwrap_or(soonest);
    let followed = history.at(kind, effective_from).filter(|_| !args.no_tiers);
    let tiers = followed.map(|version| version.rates.tiers.clone()).unwrap_or_default();
    let rates = Rates { tiers, ..args.rates.rates() };
    let new = NewPrice {
        id: PriceId::new(now, rand::random()),
        model: &args.model,
        kind,
        rates,
        effective_from,
        actor: ACTOR,
        now,
        service_tier: args.service_tier,
    };
    let review = Review { revision: history.revision(kind), named: args.yes.as_deref() };
    match operator.publish_price(new.clone(), review).await {
        Err(ledger::Error::PriceNotAgreed) => Err(not_agreed(&history, &new)),
        written => Ok(written.map(|()| new)?),
    }
}

/// What is to be agreed to, rate by rate, and how.
fn not_agreed(history: &PriceHistory, new: &NewPrice<'_>) -> anyhow::Error {
    let [old, beside] = [history.at(new.kind, new.effective_from), history.beside(new.kind, new.effective_from)];
    let change = PriceChange::of(new.kind, old.map(|version| &version.rates), &new.rates, beside.map(|version| &version.rates));
    to_be_agreed_to(&change, new.model)
}

/// The same of any change of what a model costs.
pub(super) fn to_be_agreed_to(change: &PriceChange, model: &str) -> anyhow::Error {
    let lines: Vec<_> = change.alarms().map(|(rate, alarm)| format!("  {}", rate.told(alarm))).collect();
    anyhow!("nothing was written:\n{}\nIf that is meant, run this again with --yes {model}", lines.join("\n"))
}

impl RateArgs {
    pub(super) fn rates(&self) -> Rates {
        let base = BucketRates {
            input: self.input,
            output: self.output,
            cache_read: self.cache_read,
            cache_write_5m: self.cache_write_5m,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning,
            audio_input: self.audio_input,
            audio_output: self.audio_output,
        };
        Rates { base, per_call: self.per_call, tiers: Vec::new() }
    }
}
