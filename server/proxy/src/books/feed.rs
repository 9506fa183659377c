//! What is settled in a lane of the spool, on its way to the poster, as fast as that takes it.

use std::{io, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    poster::{Poster, Queued},
    record,
};
use crate::books::spool::{Entry, Lane, Reader};

/// What is read at once.
const RECORDS_MAX: usize = 256;
const BYTES_MAX: usize = 512 * 1024;
/// Between two readings: a lone call is posted at once, and what comes in a crowd is read and posted together, which costs a part of it.
const GATHERED: Duration = Duration::from_millis(20);
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
        let (returned, entries) = match spawn_blocking(move || next(reader)).await {
            Ok(read) => read,
            Err(panicked) => {
                tracing::error!(%panicked, lane = lane.number(), "the spool can no longer be read: restart this proxy");
                return lane.give_up("it can no longer be read");
            }
        };
        reader = returned;
        match entries {
            Ok(entries) if entries.is_empty() && is_last => return,
            Ok(entries) if entries.is_empty() => {
                // There is to be more, and it is not there: it may be in a moment.
                if std::mem::replace(&mut was_empty, true) {
                    quit.run_until_cancelled(sleep(MOMENT)).await;
                }
                quit.run_until_cancelled(reader.more()).await;
            }
            Ok(entries) => {
                (was_empty, was_away) = (false, false);
                let is_some = entries.len() < RECORDS_MAX;
                for entry in entries {
                    if !hand_over(&lane, &poster, entry).await {
                        return;
                    }
                }
                if is_some {
                    quit.run_until_cancelled(sleep(GATHERED)).await;
                }
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

fn next(mut reader: Reader) -> (Reader, io::Result<Vec<Entry>>) {
    let entries = reader.next(RECORDS_MAX, BYTES_MAX);
    (reader, entries)
}

/// Whether the poster takes more.
async fn hand_over(lane: &Arc<Lane>, poster: &Poster, entry: Entry) -> bool {
    match record::read_settlement(&entry.record) {
        Ok(call) => poster.take(Queued::of_spool(call, Arc::clone(lane), entry.position)).await,
        // It stays where it is, and keeps what comes after it from being deleted, until a version that can read it posts it.
        Err(error) => {
            tracing::error!(call = %entry.record.call, %error, "a settlement in the spool cannot be read");
            true
        }
    }
}
