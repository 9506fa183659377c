//! `farebox prices`: price lists, in and out.

mod file;
mod import;
mod report;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use domain::{
    catalog::{Model, PriceKind, PriceVersion},
    id::ModelId,
    money::Amount,
    price_list::{Export, Of, side_name, spelled_out, standing},
    rates::Rates,
    service_tier::ServiceTier,
    tokens::{Bucket, Tokens},
};
use ledger::{Ledger, PriceBook};
use serde::Serialize;

use self::report::{amounts, instant};
use super::table;
use crate::{cli::Output, config::Config, database::with_ledger};

/// Price lists, in and out.
#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Compare a list with what models cost here, and write what differs: with --yes, and all of it or nothing
    ///
    /// A model is looked for by what its provider calls it, at the provider of the same name if the list has one. Numbers are read exactly; what would have
    /// to be rounded, is missing, leaps, is below cost, or looks like a slip of the unit is refused, model by model.
    Import(import::ImportArgs),
    /// Print what is in force and scheduled as a list that `import` reads: JSON, amounts as exact decimals per 1,000 tokens
    Export,
    /// List what is in force and scheduled
    List,
}

/// Does what was asked for.
pub(super) async fn run(args: PricesArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Import(import) => import::run(import, args.output, config).await,
        Action::Export => export(config).await,
        Action::List => list(args.output, config).await,
    }
}

/// What is sold here, and every price of it that was ever written, at one moment.
struct Here {
    models: Vec<Model>,
    book: PriceBook,
    now: DateTime<Utc>,
}

impl Here {
    async fn read(ledger: &Ledger) -> anyhow::Result<Self> {
        let operator = ledger.system().operator();
        // By either clock: proxies go by the database's.
        let now = ledger.clock().await?.max(Utc::now());
        let models = operator.priced_models(now).await?.into_iter().map(|priced| priced.model).collect();
        Ok(Self { models, book: operator.price_book().await?, now })
    }

    /// Each model with its prices, oldest first.
    fn priced(&self) -> Vec<(&Model, Vec<PriceVersion>)> {
        let mut versions: HashMap<ModelId, Vec<PriceVersion>> = HashMap::new();
        for version in &self.book.versions {
            versions.entry(version.model_id).or_default().push(version.clone());
        }
        self.models.iter().map(|model| (model, versions.remove(&model.id).unwrap_or_default())).collect()
    }
}

async fn export(config: &Config) -> anyhow::Result<()> {
    let here = with_ledger(config, Here::read).await?;
    let priced = here.priced();
    let export = Export::new(priced.iter().map(|(model, versions)| (*model, versions.as_slice())), here.now);
    Output { json: true }.print(&export, String::new)
}

/// A price that is in force or scheduled.
#[derive(Serialize)]
struct Listed<'a> {
    model: &'a str,
    provider: &'a str,
    kind: PriceKind,
    service_tier: ServiceTier,
    effective_from: DateTime<Utc>,
    in_force: bool,
    rates: &'a Rates,
}

async fn list(output: Output, config: &Config) -> anyhow::Result<()> {
    let here = with_ledger(config, Here::read).await?;
    let priced = here.priced();
    let listed: Vec<_> = priced.iter().flat_map(|(model, versions)| listed(model, versions, here.now)).collect();
    output.print(&listed, || {
        let header = ["MODEL", "PROVIDER", "SIDE", "STATE", "FROM", "PROMPT PER 1K", "COMPLETION PER 1K", "BESIDES, PER 1K"];
        table(header, listed.iter().map(Listed::row))
    })
}

fn listed<'a>(model: &'a Model, versions: &'a [PriceVersion], now: DateTime<Utc>) -> impl Iterator<Item = Listed<'a>> {
    let sides = ServiceTier::ALL.into_iter().flat_map(|tier| [PriceKind::Sale, PriceKind::Cost].map(|kind| (kind, tier)));
    let standing = sides.flat_map(move |side| standing(versions, side, now));
    standing.map(move |version| Listed {
        model: &model.name,
        provider: &model.provider,
        kind: version.kind,
        service_tier: version.service_tier,
        effective_from: version.effective_from,
        in_force: version.effective_from <= now,
        rates: &version.rates,
    })
}

impl Listed<'_> {
    fn row(&self) -> [String; 8] {
        let base = &self.rates.base;
        // The plain rates of both sides have columns of their own.
        let is_plain =
            |(from, of, _): &(Tokens, Of, Amount)| *from == Tokens::ZERO && matches!(of, Of::Tokens(Bucket::Input | Bucket::Output));
        let besides = spelled_out(self.rates).into_iter().filter(|rate| !is_plain(rate)).collect();
        let besides: Vec<_> = amounts(besides).map(|(of, amount)| format!("{of} {amount}")).collect();
        [
            self.model.to_owned(),
            self.provider.to_owned(),
            side_name((self.kind, self.service_tier)),
            if self.in_force { "in force" } else { "scheduled" }.to_owned(),
            instant(self.effective_from),
            base.input.to_string(),
            base.output.to_string(),
            besides.join("; "),
        ]
    }
}
