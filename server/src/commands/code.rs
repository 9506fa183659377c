//! `farebox code`: redemption codes, which give credit to whoever redeems them.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};
use domain::{
    code::{Batch, BatchTerms, CodeKind, RedemptionCode},
    id::BatchId,
    money::Amount,
    payment::Currency,
};
use ledger::NewBatch;
use serde_json::{Value, json};

use super::{ACTOR, parse_instant, table, without_empty_variable};
use crate::{cli::Output, config::Config, database::with_ledger};

/// Codes that give credit to whoever redeems them.
#[derive(Debug, Args)]
pub(crate) struct CodeArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a batch of codes and print them, as CSV: they are stored nowhere, and cannot be shown again
    New(New),
    /// List the batches, newest first, with how often their codes were redeemed
    List,
    /// Revoke a batch: none of its codes is redeemed any more, and what was redeemed stays
    Revoke {
        /// Its id, as `farebox code list` shows it
        batch: BatchId,
    },
}

#[derive(Debug, Args)]
#[command(mut_args = without_empty_variable)]
struct New {
    /// Its name, which customers read in their journals
    name: String,

    /// What each use of a code gives, in currency units
    #[arg(long, env = "FAREBOX_CODE_AMOUNT", value_name = "AMOUNT")]
    amount: Amount,

    /// The currency of that: the one that balances are in
    #[arg(long, env = "FAREBOX_CODE_CURRENCY", value_name = "CODE", default_value = "usd", value_parser = parse_currency)]
    currency: Currency,

    /// What it is in the books
    #[arg(long, env = "FAREBOX_CODE_KIND", value_name = "KIND", default_value = "promo")]
    kind: Kind,

    /// How many codes to make
    #[arg(long, env = "FAREBOX_CODE_COUNT", value_name = "N", default_value_t = 1)]
    count: i64,

    /// How many accounts may redeem each code
    #[arg(long, env = "FAREBOX_CODE_USES", value_name = "N", default_value_t = 1)]
    uses: i64,

    /// Let an account redeem one code of the batch alone
    #[arg(long, env = "FAREBOX_CODE_ONE_PER_ACCOUNT", value_parser = FalseyValueParser::new())]
    one_per_account: bool,

    /// From when on no code is redeemed: a date, or an instant like 2026-12-01T08:00:00Z [default: never]
    #[arg(long, env = "FAREBOX_CODE_EXPIRES", value_name = "WHEN", value_parser = parse_instant)]
    expires: Option<DateTime<Utc>>,

    /// How many days after it was redeemed the credit ends; paid credit does not [default: never]
    #[arg(long, env = "FAREBOX_CODE_CREDIT_DAYS", value_name = "N")]
    credit_days: Option<u32>,
}

/// What the credit of codes can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Promotional credit, given away
    Promo,
    /// Somebody has paid for the codes: it goes into the prepaid balance
    Paid,
}

impl From<Kind> for CodeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Promo => Self::Promo,
            Kind::Paid => Self::Paid,
        }
    }
}

fn parse_currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).ok_or_else(|| "write three letters, like usd".to_owned())
}

/// Does what was asked for.
pub(super) async fn run(args: CodeArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::New(new) => self::new(new, args.output, config).await,
        Action::List => list(args.output, config).await,
        Action::Revoke { batch } => {
            with_ledger(config, async |ledger| Ok(ledger.system().operator().revoke_codes(batch, ACTOR).await?)).await?;
            args.output.print(&json!({ "batch": batch, "revoked": true }), || format!("No code of batch {batch} is redeemed any more."))
        }
    }
}

async fn new(args: New, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let terms = BatchTerms {
        name: args.name.trim().to_owned(),
        amount: args.amount,
        currency: args.currency,
        kind: args.kind.into(),
        codes: args.count,
        uses: args.uses,
        is_sole: args.one_per_account,
        expires_at: args.expires,
        credit_days: args.credit_days,
    };
    // Before as many codes are made as somebody typed.
    terms.check(now)?;
    let codes: Vec<_> = (0..terms.codes).map(|_| RedemptionCode::from_random(rand::random())).collect();
    let batch = with_ledger(config, async |ledger| {
        let id = BatchId::new(now, rand::random());
        Ok(ledger.system().operator().make_codes(NewBatch { id, terms: terms.clone(), codes: &codes, actor: ACTOR, now }).await?)
    })
    .await?;
    let mut value = json(&batch, 0);
    value["codes"] = codes.iter().map(RedemptionCode::expose).collect();
    output.print(&value, || {
        let lines = codes.iter().map(|code| format!("{},{}", code.expose(), batch.id));
        std::iter::once("code,batch".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
    })
}

async fn list(output: Output, config: &Config) -> anyhow::Result<()> {
    let batches = with_ledger(config, async |ledger| Ok(ledger.system().operator().batches().await?)).await?;
    let value: Vec<_> = batches.iter().map(|(batch, used)| json(batch, *used)).collect();
    output.print(&value, || {
        if batches.is_empty() {
            return "There are no codes.".to_owned();
        }
        table(["BATCH", "NAME", "GIVES", "AS", "CODES", "USES EACH", "REDEEMED", "UNTIL (UTC)"], batches.iter().map(line))
    })
}

fn line((batch, used): &(Batch, i64)) -> [String; 8] {
    let Batch { id, terms, revoked_at, .. } = batch;
    let minute = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M").to_string();
    let until = match (revoked_at, terms.expires_at) {
        (Some(at), _) => format!("revoked {}", minute(*at)),
        (None, Some(expiry)) => minute(expiry),
        (None, None) => String::new(),
    };
    let gives = format!("{} {}", terms.amount, terms.currency.code().to_ascii_uppercase());
    let (codes, uses) = (terms.codes.to_string(), terms.uses.to_string());
    [id.to_string(), terms.name.clone(), gives, terms.kind.name().to_owned(), codes, uses, used.to_string(), until]
}

/// A batch for programs.
fn json(batch: &Batch, used: i64) -> Value {
    let Batch { id, terms, made_at, made_by, revoked_at } = batch;
    json!({
        "batch": id, "name": terms.name, "amount": terms.amount, "currency": terms.currency, "kind": terms.kind, "count": terms.codes, "uses": terms.uses,
        "one_per_account": terms.is_sole, "expires_at": terms.expires_at, "credit_days": terms.credit_days, "redeemed": used, "made_at": made_at,
        "made_by": made_by, "revoked_at": revoked_at,
    })
}
