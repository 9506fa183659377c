//! `farebox prices import`: look at the difference, then write it.

use std::io::{self, Write};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, builder::FalseyValueParser, value_parser};
use domain::{
    id::PriceId,
    price_history::LEAD_MIN,
    price_list::{Format, Glob, Import, MARKUP_MAX, PriceList, Sides, Start, Wish, import},
};
use ledger::NewPrice;

use super::{
    Here,
    file::{ListFile, ListFormat},
    report::Report,
};
use crate::{
    cli::Output,
    commands::{ACTOR, parse_instant},
    config::Config,
    database::with_ledger,
};

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct ImportArgs {
    /// The list
    #[arg(value_parser = ListFile::open)]
    file: ListFile,

    /// How it is written
    #[arg(long, env = "FAREBOX_PRICES_FORMAT", value_name = "FORMAT", default_value = "auto")]
    format: ListFormat,

    /// Only what this provider charges, as the list names it; where one of yours is called so, only for its models
    #[arg(long, env = "FAREBOX_PRICES_PROVIDER", value_name = "NAME")]
    provider: Option<String>,

    /// Only models of this name, yours or their provider's; * stands for anything, ? for one character; give it once for each [default: all]
    #[arg(long = "model", env = "FAREBOX_PRICES_MODELS", value_name = "GLOB", value_delimiter = ',')]
    models: Vec<Glob>,

    /// Another list, which should say much the same: what is 100 times as much there, or a hundredth, is refused
    #[arg(long, env = "FAREBOX_PRICES_AGAINST", value_name = "FILE", value_parser = ListFile::open)]
    against: Option<ListFile>,

    /// Write only what the provider charges [default: so, unless the list is an export, which has both sides]
    #[arg(long, env = "FAREBOX_PRICES_COST_ONLY", value_parser = FalseyValueParser::new(), conflicts_with = "sale_and_cost")]
    cost_only: bool,

    /// Write also what customers pay: the same, with the markup
    #[arg(long, env = "FAREBOX_PRICES_SALE_AND_COST", value_parser = FalseyValueParser::new())]
    sale_and_cost: bool,

    /// What is added to each rate for customers, in basis points: 2000 is 20 %; rounded half up to a billionth, once [default: 0]
    #[arg(
        long, env = "FAREBOX_PRICES_MARKUP", value_name = "BASIS_POINTS", requires = "sale_and_cost", value_parser = value_parser!(u32).range(0..=i64::from(MARKUP_MAX))
    )]
    markup: Option<u32>,

    /// A model whose price may leap to more than three times what it was, fall below a third, be below cost or look like a slip of the unit; give it once for each
    #[arg(long = "accept", env = "FAREBOX_PRICES_ACCEPT", value_name = "MODEL", value_delimiter = ',')]
    accepted: Vec<String>,

    /// From when on, like 2026-12-01 or 2026-12-01T08:00:00Z [default: at once for a first price, else in a minute]
    #[arg(long, env = "FAREBOX_PRICES_FROM", value_name = "INSTANT", value_parser = parse_instant)]
    from: Option<DateTime<Utc>>,

    /// Write nothing [default: so, without --yes]
    #[arg(long, env = "FAREBOX_PRICES_DRY_RUN", value_parser = FalseyValueParser::new(), conflicts_with = "yes")]
    dry_run: bool,

    /// Write what differs
    #[arg(long, env = "FAREBOX_PRICES_YES", value_parser = FalseyValueParser::new())]
    yes: bool,
}

pub(super) async fn run(args: ImportArgs, output: Output, config: &Config) -> anyhow::Result<()> {
    let list = args.file.read(args.format)?;
    let against = args.against.as_ref().map(|file| file.read(ListFormat::Auto)).transpose().context("--against")?;
    args.check(&list)?;
    let report = with_ledger(config, async |ledger| {
        let here = Here::read(ledger).await?;
        let import = args.compare(&list, against.as_ref(), &here)?;
        let mut report = Report::new(&list, import);
        if !args.yes {
            return Ok(report);
        }
        if !output.json {
            // Whoever watches sees what is about to be written.
            writeln!(io::stdout().lock(), "{}\n", report.difference())?;
        }
        let prices = new_prices(&report.import, here.now);
        ledger.system().operator().import_prices(&here.book, &prices).await.map_err(perhaps_written)?;
        report.written = Some(prices.len());
        Ok(report)
    })
    .await?;
    output.print(&report, || if args.yes { report.outcome() } else { format!("{}\n\n{}", report.difference(), report.outcome()) })
}

impl ImportArgs {
    /// What cannot be asked of this list.
    fn check(&self, list: &PriceList) -> anyhow::Result<()> {
        if list.format == Format::Farebox && self.markup.is_some() {
            bail!("--markup: the list is an export, which says itself what customers pay");
        }
        if let Some(name) = &self.provider {
            let known = list.entries.iter().any(|entry| entry.provider.eq_ignore_ascii_case(name));
            ensure!(known, "--provider: the list has no {name}; it has {}", providers(list).join(", "));
        }
        Ok(())
    }

    fn compare(&self, list: &PriceList, against: Option<&PriceList>, here: &Here) -> anyhow::Result<Import> {
        if let Some(unknown) = self.accepted.iter().find(|name| !here.models.iter().any(|model| model.name == **name)) {
            bail!("--accept: there is no model {unknown}");
        }
        let soonest = here.now + LEAD_MIN;
        let start = Start { first: self.from.unwrap_or(here.now), later: self.from.unwrap_or(soonest) };
        let sides = match (self.cost_only, self.sale_and_cost || list.format == Format::Farebox) {
            (false, true) => Sides::SaleAndCost(self.markup.unwrap_or_default()),
            _ => Sides::Cost,
        };
        let wish = Wish { provider: self.provider.as_deref(), models: &self.models, sides, accepted: &self.accepted, against, start };
        let import = import(list, &here.models, &here.book.versions, &wish);
        ensure!(
            self.models.is_empty() || !(import.models.is_empty() && import.not_listed.is_empty()),
            "--model: no model of yours is called so"
        );
        let replaced = import
            .models
            .iter()
            .flat_map(|model| &model.sides)
            .flat_map(|side| &side.plan.changes)
            .find(|change| change.was.is_some() && change.from < soonest);
        ensure!(replaced.is_none(), "--from: a price that takes the place of another takes effect at least a minute from now");
        Ok(import)
    }
}

fn providers(list: &PriceList) -> Vec<&str> {
    let mut providers: Vec<_> = list.entries.iter().map(|entry| entry.provider.as_str()).collect();
    providers.sort_unstable();
    providers.dedup();
    providers
}

fn new_prices(import: &Import, now: DateTime<Utc>) -> Vec<NewPrice<'_>> {
    let changes = import.models.iter().flat_map(|model| {
        let changes = model.sides.iter().flat_map(|side| &side.plan.changes);
        changes.map(move |change| (model.model.as_str(), change))
    });
    let new = |(model, change): (_, &domain::price_list::Change)| NewPrice {
        id: PriceId::new(now, rand::random()),
        model,
        kind: change.kind,
        rates: change.rates.clone(),
        effective_from: change.from,
        actor: ACTOR,
        now,
        service_tier: change.service_tier,
    };
    changes.map(new).collect()
}

/// A commit whose answer was lost may have been one. What was written is the same the next time, and not written again.
fn perhaps_written(error: ledger::Error) -> anyhow::Error {
    let is_unknown = matches!(error, ledger::Error::Unavailable(_)) && !error.did_nothing();
    let error = anyhow::Error::from(error);
    if is_unknown {
        error.context("it is not known whether the prices were written: run this again, which writes only what is missing")
    } else {
        error
    }
}
