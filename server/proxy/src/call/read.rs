//! The answer on its way back: read to its end, or to where it is given up.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Call;
use crate::{
    Shared,
    client::Client,
    settle::{Answer, End},
    tap::Tap,
    upstream::UpstreamBody,
};

/// What an upstream may take to close an answer after its end marker.
const END_GRACE: Duration = Duration::from_secs(1);

/// What is known when an answer has been read.
pub(super) struct Read {
    pub(super) answer: Answer,
    pub(super) held_back: Vec<Bytes>,
    pub(super) first_byte: Option<Duration>,
}

impl Call {
    /// Reads the upstream's body to its end, or to where it is given up: within `call_timeout`, and `drain_timeout` more once the client
    /// is gone. A reader so slow that it would take longer counts as gone, since a call that outlived its hold would be settled as a dead one.
    pub(super) async fn read(
        &self,
        shared: &Shared,
        status: StatusCode,
        mut tap: Tap,
        mut upstream: UpstreamBody,
        client: &mut Client,
    ) -> Read {
        let settings = &shared.settings;
        let mut deadline = Instant::now() + settings.call_timeout;
        let mut ended = None;
        let mut drained = 0;
        let mut client_left = false;
        let mut first_byte = None;
        let mut out = Vec::new();
        let end = loop {
            if !client_left && !client.is_here() {
                client_left = true;
                let reading = tap.reading();
                // What sound and pictures cost, only the upstream can say.
                if !self.drains(reading.finished || reading.has_media) {
                    break End::Cancelled;
                }
                deadline = Instant::now() + settings.drain_timeout;
            }
            // Whoever leaves and is not waited for any longer has not been let down by the upstream.
            let given_up = if client_left { End::Cancelled } else { End::Broken };
            let read_until = ended.map_or(deadline, |ended| deadline.min(ended + END_GRACE));
            let frame = tokio::select! {
                biased;
                () = shared.stop.cancelled() => break End::Stopped,
                () = client.leaves() => {
                    client.forget();
                    continue;
                }
                // Before the next frame: an upstream that always has one must not keep the call alive.
                () = sleep_until(read_until) => break if tap.is_at_end() { End::Complete } else { given_up },
                frame = timeout(settings.idle_timeout, upstream.frame()) => frame,
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    first_byte.get_or_insert_with(|| self.started.elapsed());
                    drained += if client_left { piece.len() } else { 0 };
                    tap.push(piece, &mut out);
                    if timeout_at(deadline, client.send(out.drain(..))).await.is_err() {
                        client.forget();
                    }
                    ended = tap.is_at_end().then(|| ended.unwrap_or_else(Instant::now));
                }
                Ok(None) => break End::Complete,
                Ok(Some(Err(_))) | Err(_) if tap.is_at_end() => break End::Complete,
                Ok(Some(Err(_))) => break End::Broken,
                Err(_) => break given_up,
            }
            if drained > settings.drain_bytes_max {
                break End::Cancelled;
            }
        };
        let (held_back, reading) = tap.finish();
        Read { answer: Answer { status: Some(status), end, client_left, reading }, held_back, first_byte }
    }
}
