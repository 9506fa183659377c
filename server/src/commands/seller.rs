//! `farebox seller`: who sells, as receipts, invoices and credit notes name them.

use anyhow::Context;
use chrono::Utc;
use clap::{Args, Subcommand};
use domain::document::{Seller, TaxRate};
use ledger::{Ledger, NewSeller};

use super::{ACTOR, table, without_empty_variable};
use crate::{cli::Output, config::Config, database::with_ledger};

/// Who sells, as documents name them.
#[derive(Debug, Args)]
pub(crate) struct SellerArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say who sells, on every receipt, invoice and credit note that is issued from now on: those that were issued stay as they are. The first time,
    /// everything that was paid, sold and paid back before gets its document, too
    Set(Set),
    /// List who sells and has sold, newest first
    List,
}

#[derive(Debug, Args)]
#[command(mut_args = without_empty_variable)]
struct Set {
    /// Their name
    #[arg(long, env = "FAREBOX_SELLER_NAME", value_name = "TEXT")]
    name: String,

    /// Where they are, on one line
    #[arg(long, env = "FAREBOX_SELLER_ADDRESS", value_name = "TEXT")]
    address: String,

    /// By which the tax office knows them [default: as it is; at first none]
    #[arg(long, env = "FAREBOX_SELLER_TAX_ID", value_name = "TEXT")]
    tax_id: Option<String>,

    /// What the tax is called [default: as it is; at first VAT]
    #[arg(long, env = "FAREBOX_SELLER_TAX_LABEL", value_name = "TEXT")]
    tax_label: Option<String>,

    /// The tax that is contained in what is paid, in per cent with at most two decimals [default: as it is; at first it must be said, and may be 0]
    #[arg(long, env = "FAREBOX_SELLER_TAX_RATE", value_name = "PER CENT")]
    tax_rate: Option<TaxRate>,

    /// What stands before the numbers of documents, as in ACME-R-2026-000123: at most 12 of A to Z, 0 to 9 and - [default: as it is; at first nothing]
    #[arg(long, env = "FAREBOX_SELLER_PREFIX", value_name = "TEXT")]
    prefix: Option<String>,
}

/// Does what was asked for.
pub(super) async fn run(args: SellerArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Set(set) => {
            let seller = with_ledger(config, async |ledger| write(ledger, &set).await).await?;
            args.output.print(&seller, || {
                format!(
                    "{} sells, with {} % of {} in what is paid: version {}.",
                    seller.name, seller.tax_rate, seller.tax_label, seller.version
                )
            })
        }
        Action::List => {
            let sellers = with_ledger(config, async |ledger| Ok(ledger.system().operator().sellers().await?)).await?;
            args.output.print(&sellers, || list(&sellers))
        }
    }
}

/// What is not said stays as it was: somebody who moves house goes on to owe the same tax.
async fn write(ledger: &Ledger, set: &Set) -> anyhow::Result<Seller> {
    let operator = ledger.system().operator();
    let before = operator.sellers().await?.into_iter().next();
    let kept = |said: &Option<String>, of: fn(&Seller) -> &String, first: &str| {
        said.clone().or_else(|| before.as_ref().map(|before| of(before).clone())).unwrap_or_else(|| first.to_owned())
    };
    let tax_rate = set.tax_rate.or_else(|| before.as_ref().map(|before| before.tax_rate));
    let tax_rate =
        tax_rate.context("say with --tax-rate how much tax there is in what is paid, be it 0: it stands on each document for ever")?;
    let (tax_id, tax_label, prefix) = (
        kept(&set.tax_id, |seller| &seller.tax_id, ""),
        kept(&set.tax_label, |seller| &seller.tax_label, "VAT"),
        kept(&set.prefix, |seller| &seller.prefix, ""),
    );
    let new = NewSeller {
        name: &set.name,
        address: &set.address,
        tax_id: &tax_id,
        tax_label: &tax_label,
        tax_rate,
        prefix: &prefix,
        actor: ACTOR,
        now: Utc::now(),
    };
    Ok(operator.set_seller(new).await?)
}

fn list(sellers: &[Seller]) -> String {
    if sellers.is_empty() {
        return "Nobody has said who sells, and no document is issued: say it with `farebox seller set`.".to_owned();
    }
    let rows = sellers.iter().map(|seller| {
        let Seller { version, name, address, tax_id, tax_label, tax_rate, prefix, set_at, set_by: _ } = seller;
        let since = set_at.format("%Y-%m-%d %H:%M").to_string();
        [version.to_string(), since, name.clone(), address.clone(), tax_id.clone(), format!("{tax_rate} % {tax_label}"), prefix.clone()]
    });
    table(["VERSION", "SINCE (UTC)", "NAME", "ADDRESS", "TAX ID", "TAX", "PREFIX"], rows)
}
