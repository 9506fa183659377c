//! The farebox binary: parse, give up root, dispatch.

mod assets;
mod cli;
mod commands;
mod config;
mod console;
mod database;
mod demo;
mod files;
mod http;
mod jobs;
mod memory;
mod metrics;
mod open_files;
mod postgres;
mod privileges;
mod ready;
mod session;
mod shutdown;
mod startup;
mod telemetry;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::{cli::Cli, config::Config};

fn main() -> ExitCode {
    memory::take_small_pages();
    // Both exit by themselves: 0 after --help and --version, 2 when the usage is wrong.
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli, &matches) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("farebox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, matches: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
    telemetry::init(&cli.place.log)?;
    if let cli::Command::Config(args) = &cli.command {
        return commands::config::print(args, matches).map(|()| ExitCode::SUCCESS);
    }
    if let cli::Command::Metrics(args) = &cli.command {
        return commands::metrics::print(args).map(|()| ExitCode::SUCCESS);
    }
    // What only root may read or make comes before root is given up; the runtime's threads and every port come after.
    let config = Config::load(&cli.place, &cli.command)?;
    let ready_file = match cli.command.ready_file() {
        // The ready file of a server that runs stays its own.
        Some(path) => startup::expect_alone(&config.data_dir).and_then(|()| ready::ReadyFile::claim(path)).map(Some)?,
        None => None,
    };
    privileges::give_up_root(cli.place.run_as.as_deref(), &config.data_dir, ready_file.as_ref())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(commands::dispatch(cli.command, &config, ready_file))
}
