//! The bounds that the proxy works within.

use std::{net::IpAddr, num::NonZero, path::PathBuf, time::Duration};

use uuid::Uuid;

use crate::{
    admit::leases::WhenAway,
    books::spool::{Durability, Identity, Options},
    cors::AllowedOrigin,
};

/// A file of the spool: each lane has two at least.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// What is posted is kept only while the disk has so much left: a database may be on it too.
const FREE_BYTES_MIN: u64 = 4 * 1024 * 1024 * 1024;
/// Settled calls of each lane that wait in memory for their posting: what comes in some tenths of a second, as fast as a core serves, while the batch
/// before is posted. What had to be read back would come in small batches, which cost the database most when it can least afford it.
const FRESH_MAX: usize = 16_384;

/// How the proxy works. The defaults suit production.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The currency that amounts are in, as people write it: `USD`.
    pub currency: String,
    /// Where the console is, without a path: refusals say where to top up.
    pub console_url: String,
    /// Where clients reach this proxy, without `/v1`: refusals say so.
    pub proxy_url: String,
    /// Whose web pages may call from a browser.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Which proxy this is. The same from run to run, so that the next run settles what this one was interrupted in.
    pub instance: Uuid,
    /// Where what is admitted and what it came to is written.
    pub spool: SpoolSettings,
    /// The largest request body.
    pub body_bytes_max: usize,
    /// What request bodies may take of the memory together, while they are received and until they are written to their upstream; and of the same, answers
    /// that are held back for their cost, until they are written to their client.
    pub bodies_bytes_max: usize,
    /// How long a piece of a body waits until there is room for it.
    pub room_timeout: Duration,
    /// How long a client may take to send the head of a request.
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests: longer than balancers' own (60 s), which would else send into a closed one.
    pub keep_alive_timeout: Duration,
    /// How long a client may take from one piece of a request's body to the next.
    pub client_timeout: Duration,
    /// How long a client may take to send its whole body.
    pub body_timeout: Duration,
    /// How long a call may wait for credit to be leased for it.
    pub lease_timeout: Duration,
    /// A database that has not answered for so long is away.
    pub away_after: Duration,
    /// What becomes of new calls while the database is away.
    pub when_away: WhenAway,
    /// How long connecting to an upstream may take, with its name looked up and TLS agreed on.
    pub connect_timeout: Duration,
    /// How long an upstream may take to its first byte, which is that of its headers: one that is to answer whole takes as long as the answer.
    pub upstream_first_byte_timeout: Duration,
    /// How long an upstream, or a client that reads a stream, may do nothing.
    pub idle_timeout: Duration,
    /// How long an answer may take in all, from its headers, while its client reads it.
    pub call_timeout: Duration,
    /// What is read of an answer after its client has left.
    pub drain_bytes_max: usize,
    /// How long an answer is read after its client has left.
    pub drain_timeout: Duration,
    /// How long running calls may go on when the proxy is asked to stop.
    pub shutdown_timeout: Duration,
    /// Connections at once, with calls whose clients have left them. More wait to be accepted.
    pub connections_max: usize,
    /// Of those, what one address may have; of IPv6, one network of 64 bits. More are refused.
    pub connections_per_address_max: usize,
    /// Reverse proxies before this one. Each may have as many connections as there are, and its `x-forwarded-for` says whose a request is: of those, one
    /// address may have so many at once.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            console_url: "http://127.0.0.1:3000".to_owned(),
            proxy_url: "http://127.0.0.1:8080".to_owned(),
            allowed_origins: Vec::new(),
            instance: Uuid::nil(),
            spool: SpoolSettings::default(),
            body_bytes_max: 32 * 1024 * 1024,
            bodies_bytes_max: 1024 * 1024 * 1024,
            room_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(75),
            client_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(300),
            lease_timeout: Duration::from_secs(10),
            away_after: Duration::from_secs(1),
            when_away: WhenAway::default(),
            connect_timeout: Duration::from_secs(10),
            // OpenAI's own clients wait ten minutes.
            upstream_first_byte_timeout: Duration::from_secs(600),
            // A model that reasons may be silent for as long as one whose answer is not streamed.
            idle_timeout: Duration::from_secs(600),
            call_timeout: Duration::from_secs(1_800),
            drain_bytes_max: 16 * 1024 * 1024,
            drain_timeout: Duration::from_secs(300),
            shutdown_timeout: Duration::from_secs(30),
            connections_max: 10_000,
            connections_per_address_max: 5_000,
            trusted_proxies: Vec::new(),
        }
    }
}

/// How a proxy keeps its spool.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// Its folder: one proxy's alone.
    pub folder: PathBuf,
    /// What it survives.
    pub durability: Durability,
    /// The most that it may take on disk; `None` if the disk alone bounds it.
    pub bytes_max: Option<u64>,
    /// How long what is posted is kept, for a database that failed over to an older state.
    pub keep: Duration,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self { folder: PathBuf::from("spool"), durability: Durability::Os, bytes_max: None, keep: Duration::from_secs(24 * 3600) }
    }
}

impl SpoolSettings {
    /// The spool of a proxy of a database: as many lanes as there are cores.
    pub(crate) fn options(&self, database: Uuid, proxy: Uuid) -> Options {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Options {
            folder: self.folder.clone(),
            identity: Identity { database, proxy },
            lanes: u16::try_from(cores).unwrap_or(u16::MAX),
            segment_bytes: SEGMENT_BYTES,
            bytes_max: self.bytes_max,
            free_min: FREE_BYTES_MIN,
            durability: self.durability,
            keep: self.keep,
            fresh_max: FRESH_MAX,
        }
    }
}

/// How often a call asks for a hold at most: one pool after the other may be too short for it, or another call may have come first.
pub(crate) const HOLDS_MAX: u32 = 6;

impl Settings {
    /// How long a call may run from when it holds what it can take, and take to be posted: after that nobody hears of it any more.
    #[must_use]
    pub fn longest_call(&self) -> Duration {
        const POSTING_MARGIN: Duration = Duration::from_secs(600);
        self.upstream_first_byte_timeout + self.call_timeout + self.drain_timeout + POSTING_MARGIN
    }
}
