//! The commands, one file per noun: what they are called with, and what they do.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod call;
pub(crate) mod code;
pub(crate) mod config;
pub(crate) mod grant;
pub(crate) mod key;
pub(crate) mod limit;
mod members;
pub(crate) mod metrics;
pub(crate) mod model;
mod own_price;
pub(crate) mod payments;
pub(crate) mod plan;
pub(crate) mod price;
pub(crate) mod prices;
pub(crate) mod project;
pub(crate) mod provider;
mod reprice;
pub(crate) mod root;
mod secret;
pub(crate) mod seller;
pub(crate) mod spool;
pub(crate) mod status;
pub(crate) mod sums;
mod upstream;
pub(crate) mod user;
pub(crate) mod verify;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::anyhow;
use chrono::{DateTime, NaiveDate, Utc};
use clap::Arg;
use domain::{
    credit::{Quantity, QuantityError, Unit},
    id::KeyId,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::{Command, MigrateArgs, Output},
    config::Config,
    database::with_database,
    ready::ReadyFile,
    startup,
};

/// Who the books say it was, when it was somebody at the command line.
const ACTOR: &str = "command line";

/// Does what was asked for.
pub(crate) async fn dispatch(command: Command, config: &Config, ready_file: Option<ReadyFile>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => startup::serve(&args, config, ready_file.as_ref()).await?,
        Command::Migrate(args) => migrate(&args, config).await?,
        Command::Verify(args) => return verify::run(args, config).await,
        Command::Sums(args) => sums::run(args, config).await?,
        Command::Root(args) => root::run(args, config).await?,
        Command::Spool(args) => spool::run(args, config).await?,
        Command::Status(args) => status::run(args, config).await?,
        Command::Config(_) | Command::Metrics(_) => unreachable!("printed before root is given up"),
        Command::Postgres => startup::postgres_alone(config).await?,
        Command::Provider(args) => provider::run(args, config).await?,
        Command::Model(args) => model::run(args, config).await?,
        Command::Price(args) => price::run(args, config).await?,
        Command::Prices(args) => prices::run(args, config).await?,
        Command::Admin(args) => admin::run(args, config).await?,
        Command::Account(args) => account::run(args, config).await?,
        Command::Project(args) => project::run(args, config).await?,
        Command::Grant(args) => grant::run(args, config).await?,
        Command::Code(args) => code::run(args, config).await?,
        Command::Payments(args) => payments::run(args, config).await?,
        Command::Seller(args) => seller::run(args, config).await?,
        Command::Plan(args) => plan::run(args, config).await?,
        Command::Limit(args) => limit::run(args, config).await?,
        Command::Call(args) => call::run(args, config).await?,
        Command::Key(args) => key::run(args, config).await?,
        Command::User(args) => user::run(args, config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(args: &MigrateArgs, config: &Config) -> anyhow::Result<()> {
    with_database(config, async |database| {
        database.migrate().await?;
        database.prepare_login(&config.secret_key()?, args.renew_login).await.map(drop)
    })
    .await?;
    args.output.print(&json!({ "migrated": true }), || "The database has this version's schema.".to_owned())
}

/// An option whose variable counts only where it says something: clap takes one that is set to nothing for an option that was given.
fn without_empty_variable(option: Arg) -> Arg {
    let is_empty = option.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { option.env(None::<&'static str>) } else { option }
}

/// The name that was given to a change, or one that no other change has.
fn idempotency_key(given: Option<String>) -> String {
    given.unwrap_or_else(|| uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string())
}

/// A commit whose answer was lost may have been one.
fn perhaps_done(error: anyhow::Error, asked: bool, what: &str, idempotency_key: &str) -> anyhow::Error {
    match error.downcast_ref() {
        None | Some(ledger::Error::Unavailable(_)) if asked => error.context(format!(
            "it is not known whether {what}: run this again with --idempotency-key {idempotency_key}, which does it only once"
        )),
        _ => error,
    }
}

impl Output {
    /// Prints a result: as JSON, or as the text that people read.
    fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { text() };
        match writeln!(io::stdout().lock(), "{text}") {
            // Whoever reads the pipe has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}

/// Rows under a header, each column as wide as its widest cell.
fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// An instant as people type it: a date, which means its first moment in UTC, or RFC 3339.
fn parse_instant(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(domain::period::start_of(day));
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(instant) => Ok(instant.to_utc()),
        Err(_) => Err("write a date like 2026-12-01, or an instant like 2026-12-01T08:00:00Z".to_owned()),
    }
}

/// An amount as people type it, in the unit that they say.
fn parse_quantity(text: &str, unit: Unit) -> anyhow::Result<Quantity> {
    Quantity::parse(text, unit).map_err(|error| match error {
        QuantityError::NotWhole => anyhow!("the amount is not a whole number, which {} are counted in: write it like 1000", unit.name()),
        other => anyhow!("the amount {other}"),
    })
}

/// A key as people name it where no account is named: by its id alone.
fn parse_key_id(text: &str) -> Result<KeyId, String> {
    text.parse().map_err(|_| "write the key's id, as `farebox account show` lists it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_first_moment_in_utc() {
        assert_eq!(parse_instant("2026-12-01"), parse_instant("2026-12-01T01:00:00+01:00"));
        for wrong in ["2026-02-30", "tomorrow", "2026-12-01T08:00:00", ""] {
            assert!(parse_instant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_amount_is_of_its_unit() {
        let parse = |text, unit| parse_quantity(text, unit).map(Quantity::get).map_err(|error| error.to_string());
        assert_eq!((parse("12.5", Unit::Money), parse("12", Unit::Tokens)), (Ok(12_500_000_000), Ok(12)));
        for (text, unit, problem) in [
            ("a lot", Unit::Money, "not a number"),
            ("0.0000000001", Unit::Money, "more than nine decimals"),
            ("12.5", Unit::Requests, "not a whole number, which requests are counted in"),
            ("1,000", Unit::Tokens, "not a whole number"),
            ("9223372036854775808", Unit::Tokens, "too large"),
        ] {
            assert!(parse(text, unit).is_err_and(|said| said.contains(problem)), "{text}");
        }
    }

    #[test]
    fn a_table_lines_up() {
        let rows = [["demo".to_owned(), "1".to_owned()], ["another".to_owned(), "22".to_owned()]];
        assert_eq!(table(["NAME", "CALLS"], rows), "NAME     CALLS\ndemo     1\nanother  22");
    }
}
