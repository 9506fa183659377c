//! `farebox spool`: what a proxy has written to its disk of the calls that it admitted.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use proxy::spool::{self, Inspection, SegmentInspection};
use serde::Serialize;
use serde_json::value::RawValue;

use super::table;
use crate::{
    cli::{Output, absolute},
    config::Config,
    database::with_ledger,
};

/// The spool of a proxy.
#[derive(Debug, Args)]
pub(crate) struct SpoolArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what is in it. Changes nothing, and may be asked of a running proxy's
    Show {
        #[command(flatten)]
        place: Place,
        /// Print its records too, one line of JSON each
        #[arg(long, env = "FAREBOX_SPOOL_RECORDS")]
        records: bool,
    },
    /// Post what is left in the spool of a proxy that does not run any more: of a machine that is gone, or of a folder that was given up
    Post(Place),
    /// Post again all that it keeps, also what was posted: to a database that fell back to an older state. What the database has stays as it is
    PostAgain(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// Its folder [default: spool in the data folder]
    #[arg(env = "FAREBOX_SPOOL_DIR", value_parser = absolute)]
    folder: Option<PathBuf>,
}

/// Does what was asked for.
pub(crate) async fn run(args: SpoolArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Show { place, records } => show(args.output, &config.spool_dir(place.folder.as_deref()), records),
        Action::Post(place) => post(args.output, &config.spool_dir(place.folder.as_deref()), config).await,
        Action::PostAgain(place) => post_again(args.output, &config.spool_dir(place.folder.as_deref()), config).await,
    }
}

async fn post(output: Output, folder: &Path, config: &Config) -> anyhow::Result<()> {
    let done = with_ledger(config, async |ledger| Ok(proxy::hand_over(ledger, folder).await?)).await?;
    output.print(&done, || match (done.posted, done.interrupted) {
        (0, _) => "Everything in it was posted before.".to_owned(),
        (posted, interrupted) => {
            format!("{posted} calls that might not have been are in the books now, {interrupted} of them as interrupted.")
        }
    })?;
    ensure!(done.left == 0, "{} records are left in it: the log says why", done.left);
    Ok(())
}

async fn post_again(output: Output, folder: &Path, config: &Config) -> anyhow::Result<()> {
    let done = with_ledger(config, async |ledger| Ok(proxy::tell_again(ledger, folder).await?)).await?;
    output.print(&done, || {
        let problems = [
            (done.quarantined, "are in quarantine"),
            (done.unreadable, "cannot be read"),
            (done.locked, "are of accounts that are locked: run this again"),
        ];
        let problems: String =
            problems.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(" {count} {what}.")).collect();
        format!("Posted {} calls that the database did not have; it had {}.{problems}", done.posted, done.known)
    })
}

fn show(output: Output, folder: &Path, records: bool) -> anyhow::Result<()> {
    let inspection = spool::inspect(folder)?;
    if records {
        return show_records(&inspection);
    }
    output.print(&inspection, || {
        let rows = inspection.lanes.iter().flat_map(|lane| lane.segments.iter().map(|segment| row(lane.lane, segment)));
        let unposted: u64 = inspection.lanes.iter().map(|lane| lane.unposted).sum();
        let unsettled: usize = inspection.lanes.iter().map(|lane| lane.unsettled).sum();
        let head = format!(
            "The spool of proxy {} and database {}: {unsettled} calls are in their middle, at most {unposted} settled ones are not posted.",
            inspection.identity.proxy, inspection.identity.database
        );
        let segments = table(["LANE", "SEGMENT", "BYTES", "BEGUN", "SETTLED", "STATE"], rows);
        format!("{head}\n\n{segments}")
    })
}

fn row(lane: u16, segment: &SegmentInspection) -> [String; 6] {
    let state = match (segment.damaged + segment.unknown, segment.is_torn, segment.posted_since) {
        (0, false, Some(since)) => format!("posted since {}", since.format("%Y-%m-%d %H:%M:%S")),
        (0, false, None) => "open".to_owned(),
        (0, true, _) => "its end is torn".to_owned(),
        (unreadable, ..) => format!("{unreadable} records cannot be read"),
    };
    [
        lane.to_string(),
        segment.number.to_string(),
        segment.bytes.to_string(),
        segment.intents.to_string(),
        segment.settlements.to_string(),
        state,
    ]
}

/// A record as it is printed.
#[derive(Serialize)]
struct Line {
    lane: u16,
    segment: u64,
    offset: u64,
    kind: &'static str,
    call: String,
    started_at: Option<DateTime<Utc>>,
    version: u8,
    body: Option<Box<RawValue>>,
}

fn show_records(inspection: &Inspection) -> anyhow::Result<()> {
    for found in inspection.records() {
        let found = found.context("the spool cannot be read")?;
        let line = Line {
            lane: found.lane,
            segment: found.position.segment,
            offset: found.position.offset,
            kind: found.kind.name(),
            call: found.record.call.to_string(),
            started_at: found.record.call.started_at(),
            version: found.record.version,
            body: found.to_json(),
        };
        let text = serde_json::to_string(&line)?;
        match std::io::Write::write_fmt(&mut std::io::stdout().lock(), format_args!("{text}\n")) {
            // Whoever reads the pipe has read enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}
