//! `farebox config`: every option, its value, and where it comes from.

use anyhow::Context;
use clap::{Arg, ArgMatches, Args, CommandFactory, parser::ValueSource};
use serde::Serialize;

use super::table;
use crate::{
    cli::{Cli, Output, SecretText, ServeArgs},
    config::default_data_dir,
};

/// What `serve` would run with.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    // Mostly read back from the matches, which also know where each value comes from.
    serve: ServeArgs,
}

/// One option.
#[derive(Debug, Serialize)]
struct Setting {
    option: String,
    variable: String,
    value: Option<String>,
    source: &'static str,
}

/// Prints the options of this command line and environment. Nothing is started, and no secret is shown.
pub(crate) fn print(args: &ConfigArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let matches = matches.subcommand_matches("config").context("not the config command")?;
    let cli = Cli::command();
    let command = cli.find_subcommand("config").context("no config command")?;
    // The ones that every command has are declared at the top only.
    let options = cli.get_arguments().chain(command.get_arguments());
    let mut settings: Vec<Setting> =
        options.filter(|option| option.get_id() != "json").filter_map(|option| setting(option, matches)).collect();
    // Its default depends on another option.
    let data_dir = settings.iter_mut().filter(|setting| setting.option == "--data-dir" && setting.value.is_none());
    data_dir.for_each(|setting| setting.value = Some(default_data_dir(args.serve.demo).display().to_string()));
    args.output.print(&settings, || {
        let rows = settings.iter().map(|setting| {
            let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
            [setting.option.clone(), value, setting.source.to_owned(), setting.variable.clone()]
        });
        table(["OPTION", "VALUE", "SOURCE", "VARIABLE"], rows)
    })
}

fn setting(option: &Arg, matches: &ArgMatches) -> Option<Setting> {
    let id = option.get_id().as_str();
    let values = matches
        .try_get_raw(id)
        .ok()
        .flatten()
        .map(|values| values.map(|value| value.to_string_lossy().into_owned()).collect::<Vec<_>>().join(","));
    Some(Setting {
        option: format!("--{}", option.get_long()?),
        variable: option.get_env()?.to_string_lossy().into_owned(),
        value: values.map(|value| shown(id, value)),
        source: match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "command line",
            Some(ValueSource::EnvVariable) => "environment",
            _ => "default",
        },
    })
}

/// A value as it may be seen. Of a database's address only the password is secret.
fn shown(id: &str, value: String) -> String {
    match id {
        "database_url" | "app_database_url" => without_password(&value),
        "secret_key" | "stripe_secret_key" | "stripe_webhook_secret" => format!("{:?}", SecretText::new(&value)),
        _ => value,
    }
}

fn without_password(url: &str) -> String {
    // A password can also be a parameter.
    let url = url.split_once('?').map_or(url, |(address, _)| address);
    let masked = url.split_once("://").and_then(|(scheme, rest)| {
        let (credentials, place) = rest.rsplit_once('@')?;
        let user = credentials.split(':').next()?;
        Some(format!("{scheme}://{user}:…@{place}"))
    });
    masked.unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("postgres://me:p@ss@db.example:5432/farebox?password=x"), "postgres://me:…@db.example:5432/farebox");
        assert_eq!(without_password("postgres:///farebox"), "postgres:///farebox");
    }
}
