//! What a call, and a piece of a stream, ask the allocator for on the thread that serves: as many times as is stored here, on any machine and however busy
//! it is. Whoever changes that stores the new figure, be it better or worse.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "an allocator cannot be written without")]

mod counting;
mod stepwise;
#[expect(dead_code, reason = "most of it is for other tests")]
#[path = "../it/upstream.rs"]
mod upstream;
#[expect(dead_code, reason = "most of it is for other tests")]
#[path = "../it/world.rs"]
mod world;

use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    counting::{Allocated, allocated},
    stepwise::Stepwise,
    world::{Policy, World, chat, settings},
};

/// Of calls that are answered whole, and of each piece of a stream, as `cargo test` builds them; both of a thousand, since some memory lasts for several of
/// them.
const CALLS: Allocated = Allocated { times: 83_000, bytes: 42_014_000 };
const PIECES: Allocated = Allocated { times: 1_032, bytes: 27_770 };

/// Parts of a thousand by which a figure may be off, how often and how much: now and then a cache is tidied up, or a queue grows.
const OFF_TIMES: u64 = 8;
const OFF_BYTES: u64 = 30;

/// How many are counted together, and how often that is done; the least of it is what they take, and the rest came from elsewhere.
const TOGETHER: usize = 50;
const TIMES: usize = 10;
/// Of the longer of two streams.
const LONG: usize = 250;

/// A client with one connection.
struct Client {
    stream: TcpStream,
    key: String,
}

impl Client {
    async fn send(&mut self, body: &str) {
        let (key, length) = (&self.key, body.len());
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        self.stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }

    /// Reads until something stands at the end of what has come.
    async fn read_to(&mut self, end: &str) {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            assert!(self.stream.read_buf(&mut read).await.unwrap() > 0, "{}", read.escape_ascii());
        }
        assert!(!read.starts_with(b"HTTP/1.1 ") || read.starts_with(b"HTTP/1.1 200 "), "{}", read.escape_ascii());
    }

    async fn call(&mut self) {
        self.send(&chat("hello", "")).await;
        self.read_to(stepwise::ANSWER_END).await;
    }

    /// Each piece has come before the next is sent, so that none goes with another.
    async fn stream(&mut self, upstream: &Stepwise, pieces: usize) {
        self.send(&chat(&format!("pieces {pieces}"), r#","stream":true,"stream_options":{"include_usage":true}"#)).await;
        for _ in 0..pieces {
            upstream.step();
            self.read_to("\n\n\r\n").await;
        }
        upstream.step();
        self.read_to("0\r\n\r\n").await;
    }
}

/// The least that they take of several times.
async fn least(client: &mut Client, work: impl AsyncFn(&mut Client)) -> Allocated {
    let mut least = Allocated { times: u64::MAX, bytes: u64::MAX };
    // The first is for what is made once.
    for time in 0..=TIMES {
        let taken = allocated(async {
            for _ in 0..TOGETHER {
                work(client).await;
            }
        });
        let taken = taken.await;
        if time > 0 {
            least = Allocated { times: least.times.min(taken.times), bytes: least.bytes.min(taken.bytes) };
        }
    }
    least
}

fn of_a_thousand(all: Allocated, many: usize) -> Allocated {
    let many = u64::try_from(many).unwrap();
    Allocated { times: all.times * 1_000 / many, bytes: all.bytes * 1_000 / many }
}

fn check(what: &str, found: Allocated, stored: Allocated) {
    let is_off = |found: u64, stored: u64, tolerated: u64| found.abs_diff(stored) * 1_000 > stored * tolerated;
    let is_other = is_off(found.times, stored.times, OFF_TIMES) || is_off(found.bytes, stored.bytes, OFF_BYTES);
    // Optimised, some of it is left out.
    assert!(!cfg!(debug_assertions) || !is_other, "a thousand {what} take {found:?}, and {stored:?} is stored: store what is right now");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_and_a_piece_of_a_stream_take_as_much_memory_as_is_stored(pool: PgPool) {
    let mut world = World::bounded(&pool, Policy::default(), settings()).await;
    let upstream = Stepwise::start().await;
    world.move_provider(&upstream.base_url).await;
    let key = world.key.expose().to_owned();
    let served = world.serve().await;
    let mut client = Client { stream: TcpStream::connect(served.address).await.unwrap(), key };
    client.stream.set_nodelay(true).unwrap();

    let calls = least(&mut client, Client::call).await;
    let short = least(&mut client, async |client| client.stream(&upstream, 1).await).await;
    let long = least(&mut client, async |client| client.stream(&upstream, 1 + LONG).await).await;
    let pieces = Allocated { times: long.times - short.times, bytes: long.bytes - short.bytes };
    drop(client);
    served.stop().await;
    let (calls, pieces) = (of_a_thousand(calls, TOGETHER), of_a_thousand(pieces, TOGETHER * LONG));
    println!("a thousand calls: {calls:?}\na thousand streams of a piece: {:?}", of_a_thousand(short, TOGETHER));
    println!("a thousand pieces of a stream: {pieces:?}");
    check("calls", calls, CALLS);
    check("pieces of streams", pieces, PIECES);
}
