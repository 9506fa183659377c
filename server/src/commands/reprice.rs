//! `farebox price reprice`: past calls, charged anew by another version of their model's price.

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, builder::FalseyValueParser};
use domain::{
    catalog::PriceKind,
    id::PriceId,
    replay::{Replay, Replayed},
    service_tier::ServiceTier,
};
use ledger::{Ledger, Replayable, Reprice};
use serde::Serialize;

use super::{ACTOR, parse_instant, price::parse_service_tier, table};
use crate::{cli::Output, config::Config, database::with_ledger};

#[derive(Debug, Args)]
pub(super) struct RepriceArgs {
    /// The model
    model: String,

    /// Calls that began from this instant on, like 2026-12-01 or 2026-12-01T08:00:00Z
    #[arg(long, env = "FAREBOX_REPRICE_FROM", value_name = "INSTANT", value_parser = parse_instant)]
    from: DateTime<Utc>,

    /// And before this one [default: now]
    #[arg(long, env = "FAREBOX_REPRICE_TO", value_name = "INSTANT", value_parser = parse_instant)]
    to: Option<DateTime<Utc>>,

    /// The service tier whose price it is: calls that were charged by what that costs everyone are charged anew
    #[arg(long, env = "FAREBOX_REPRICE_SERVICE_TIER", value_name = "TIER", default_value = "default", value_parser = parse_service_tier)]
    service_tier: ServiceTier,

    /// The id of the price by which they are charged [default: the one in force now]
    #[arg(long, env = "FAREBOX_REPRICE_PRICE", value_name = "PRICE")]
    price: Option<PriceId>,

    /// Why, for each customer's journal and receipts; needed with --yes
    #[arg(long, env = "FAREBOX_REPRICE_NOTE", value_name = "TEXT")]
    note: Option<String>,

    /// Post it [default: only say what it comes to]
    #[arg(long, env = "FAREBOX_REPRICE_YES", value_parser = FalseyValueParser::new(), requires = "note")]
    yes: bool,
}

/// What it comes to, and what was done.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    price: PriceId,
    replay: Replay,
    /// What was posted.
    posted: Option<Replayed>,
}

pub(super) async fn run(args: RepriceArgs, output: Output, config: &Config) -> anyhow::Result<()> {
    let report = with_ledger(config, async |ledger| reprice(ledger, &args).await).await?;
    output.print(&report, || report.in_words())
}

async fn reprice(ledger: &Ledger, args: &RepriceArgs) -> anyhow::Result<Report> {
    let operator = ledger.system().operator();
    let history = operator.price_history(&args.model, args.service_tier).await.with_context(|| format!("model {}", args.model))?;
    let now = ledger.clock().await?;
    let to = args.to.unwrap_or(now);
    ensure!(args.from < to && to <= now, "--from, --to: name a start, and an end after it that has passed");
    let version = match args.price {
        Some(id) => history.standing(PriceKind::Sale).find(|version| version.id == id).with_context(|| {
            format!("--price: {} has no price {id} that customers pay; `farebox prices list --json` has their ids", args.model)
        })?,
        None => history.at(PriceKind::Sale, now).with_context(|| format!("{} has no price in force: name one with --price", args.model))?,
    };
    let replayable = Replayable {
        model: &args.model,
        service_tier: args.service_tier,
        from: args.from,
        to,
        sale: Some(&version.rates),
        cost: None,
        calls_max: u64::MAX,
        customers_max: usize::MAX,
    };
    let replay = operator.replay(replayable).await?;
    let note = args.note.as_deref().unwrap_or_default();
    let posted = match args.yes {
        false => None,
        true => {
            let reprice = Reprice { model: &args.model, from: args.from, to, price: version.id, note, actor: ACTOR };
            Some(operator.reprice(reprice).await.context("run it again: what is posted already is not posted twice")?)
        }
    };
    Ok(Report { model: args.model.clone(), price: version.id, replay, posted })
}

impl Report {
    fn in_words(&self) -> String {
        let Self { model, price, replay: Replay { from, to, sums, customers, .. }, posted } = self;
        let mut lines = vec![format!(
            "{} calls of {model} from {} to {} were charged {}; by price {price} they come to {}.",
            sums.calls,
            from.format("%Y-%m-%d %H:%M:%S"),
            to.format("%Y-%m-%d %H:%M:%S UTC"),
            sums.charged,
            sums.replayed,
        )];
        if sums.in_tokens > 0 {
            lines.push(format!("{} more were paid in tokens, which no price changes.", sums.in_tokens));
        }
        let rows = customers.iter().map(|customer| {
            let Replayed { charged, replayed, given_back, .. } = customer.sums;
            let email = customer.email.clone().unwrap_or_default();
            [customer.name.clone(), email, charged.to_string(), replayed.to_string(), given_back.to_string()]
        });
        if !customers.is_empty() {
            lines.push(table(["Customer", "E-mail", "Charged", "By this price", "Goes back"], rows));
        }
        lines.push(match posted {
            Some(posted) => format!("{} went back for {} calls.", posted.given_back, posted.lowered),
            None if sums.lowered == 0 => "Nothing goes back: no past call is charged more than it was.".to_owned(),
            None => format!("{} go back for {} calls, with --yes and a --note. Nobody pays more.", sums.given_back, sums.lowered),
        });
        lines.join("\n")
    }
}
