//! `farebox metrics`: what can be watched. Neither needs a server, nor a database.

mod dashboard;

use clap::{Args, Subcommand};
use proxy::{INSTRUMENTS, Instrument};
use serde_json::json;

use super::table;
use crate::cli::Output;

/// What a proxy tells whoever watches it.
#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List every metric that a proxy with --metrics-addr tells
    List,
    /// Print a dashboard of them, as JSON that Grafana imports
    Dashboard,
}

/// Does what was asked for.
pub(crate) fn print(args: &MetricsArgs) -> anyhow::Result<()> {
    match args.action {
        Action::List => {
            let all: Vec<_> = INSTRUMENTS.into_iter().map(as_json).collect();
            args.output.print(&all, || table(["METRIC", "KIND", "UNIT", "LABELS", "WHAT IT SAYS"], INSTRUMENTS.into_iter().map(row)))
        }
        Action::Dashboard => Output { json: true }.print(&dashboard::dashboard(), String::new),
    }
}

fn as_json(Instrument { name, kind, unit, help, labels }: &Instrument) -> serde_json::Value {
    json!({ "name": name, "kind": kind.name(), "unit": unit, "labels": labels, "help": help })
}

fn row(Instrument { name, kind, unit, help, labels }: &Instrument) -> [String; 5] {
    [name, kind.name(), unit, labels.join(", ").as_str(), help].map(str::to_owned)
}
