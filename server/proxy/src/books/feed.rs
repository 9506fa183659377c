//! What is settled in a lane of the spool, on its way to the poster, as fast as that takes it: from memory while the poster keeps up, else read back.

use std::{io, sync::Arc, time::Duration};

use ledger::SettledCall;
use tokio::{
    task::{JoinError, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    poster::{Poster, Queued},
    record,
};
use crate::books::spool::{Entry, FreshCall, Lane, Position, Reader};

/// What is read at once.
const RECORDS_MAX: usize = 256;
/// What is taken from memory at once: mostly all that has gathered, so that the poster makes few transactions of it.
const FRESH_MAX: usize = 4_096;
const BYTES_MAX: usize = 512 * 1024;
/// Between two readings: a lone call is posted at once, and what comes in a crowd is read and posted together. A transaction costs the database as much as
/// some dozens of calls, and an account in it as much as some calls: with a thousand accounts a tenth of a second has hardly two calls of one.
const GATHERED: Duration = Duration::from_millis(200);
/// Before what should be there is looked for again.
const MOMENT: Duration = Duration::from_millis(10);
/// Before what could not be read is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Hands over what is settled in a lane until it is told to `quit`, and then what is left.
pub(crate) async fn feed(lane: Arc<Lane>, poster: Poster, quit: CancellationToken) {
    let mut reader = lane.reader();
    let (mut was_empty, mut was_away) = (false, false);
    loop {
        let is_last = quit.is_cancelled();
        let (returned, found) = match next(reader).await {
            Ok(next) => next,
            Err(panicked) => {
                tracing::error!(%panicked, lane = lane.number(), "the spool can no longer be read: restart this proxy");
                return lane.give_up("it can no longer be read");
            }
        };
        reader = returned;
        match found {
            Ok(found) if found.is_empty() && is_last => return,
            Ok(found) if found.is_empty() => {
                // There is to be more, and it is not there: it may be in a moment.
                if std::mem::replace(&mut was_empty, true) {
                    quit.run_until_cancelled(sleep(MOMENT)).await;
                }
                quit.run_until_cancelled(reader.more()).await;
            }
            Ok(found) => {
                (was_empty, was_away) = (false, false);
                let is_all = found.is_all();
                if !hand_over(&lane, &poster, found).await {
                    return;
                }
                if is_all {
                    quit.run_until_cancelled(sleep(GATHERED)).await;
                }
                // What is not there need not be looked for on the disk.
                quit.run_until_cancelled(reader.more()).await;
            }
            Err(error) => {
                if !std::mem::replace(&mut was_away, true) {
                    tracing::error!(%error, lane = lane.number(), "the spool cannot be read; trying again every second");
                }
                // Somebody has removed it. What is written to it now nobody will find.
                if error.kind() == io::ErrorKind::NotFound {
                    lane.give_up("its files are gone");
                }
                quit.run_until_cancelled(sleep(PAUSE)).await;
                if is_last {
                    return;
                }
            }
        }
    }
}

/// Settlements that are next in a lane.
enum Found {
    /// As they were handed over.
    Fresh(Vec<FreshCall>),
    /// As they were written.
    Read(Vec<Entry>),
}

impl Found {
    fn len(&self) -> usize {
        match self {
            Self::Fresh(calls) => calls.len(),
            Self::Read(entries) => entries.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing more was there.
    fn is_all(&self) -> bool {
        match self {
            Self::Fresh(calls) => calls.len() < FRESH_MAX,
            Self::Read(entries) => entries.len() < RECORDS_MAX,
        }
    }
}

/// What is next, from memory, or else from the disk.
async fn next(mut reader: Reader) -> Result<(Reader, io::Result<Found>), JoinError> {
    let fresh = reader.take_fresh(FRESH_MAX);
    if !fresh.is_empty() {
        return Ok((reader, Ok(Found::Fresh(fresh))));
    }
    spawn_blocking(move || {
        let entries = reader.next(RECORDS_MAX, BYTES_MAX);
        (reader, entries.map(Found::Read))
    })
    .await
}

/// Whether the poster takes more.
async fn hand_over(lane: &Arc<Lane>, poster: &Poster, found: Found) -> bool {
    let calls: Vec<_> = match found {
        Found::Fresh(calls) => calls.into_iter().map(|fresh| (fresh.call, fresh.position)).collect(),
        Found::Read(entries) => entries.into_iter().filter_map(readable).collect(),
    };
    poster.take(calls.into_iter().map(|(call, position)| Queued::of_spool(call, Arc::clone(lane), position)).collect()).await
}

/// What was read. What this version cannot read stays where it is, and keeps what comes after it from being deleted, until one that can posts it.
fn readable(Entry { position, record }: Entry) -> Option<(Arc<SettledCall>, Position)> {
    match record::read_settlement(&record) {
        Ok(call) => Some((Arc::new(call), position)),
        Err(error) => {
            tracing::error!(call = %record.call, %error, "a settlement in the spool cannot be read");
            None
        }
    }
}
