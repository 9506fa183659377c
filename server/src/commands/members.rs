//! Members of requests that an operator lets pass, at a model or at a provider.

use clap::Args;
use serde_json::json;

use crate::cli::Output;

/// Which ones, of what.
#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct Members {
    /// Which one
    pub(super) name: String,

    /// A member of requests, such as web_search_options, or one kind of its items, such as tools.web_search
    #[arg(required = true, value_name = "MEMBER")]
    pub(super) members: Vec<String>,
}

/// Says what passes now.
pub(super) fn print(name: &str, opened: &[String], output: Output) -> anyhow::Result<()> {
    output.print(&json!({ "name": name, "opened": opened }), || match opened {
        [] => format!("{name} allows nothing that is not bounded. Every proxy knows within seconds."),
        names => format!("{name} allows, besides what is bounded: {}. Every proxy knows within seconds.", names.join(", ")),
    })
}
