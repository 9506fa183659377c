//! The upstream of streams: as many events at as steady a gap as the prompt says. Each event carries the instant in which it was sent.

use std::{
    io,
    sync::LazyLock,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval_at},
};

/// What instants are counted from, by the clock that never goes back.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const USAGE: &str = r#"data: {"id":"chatcmpl-CfKq2vXoB1n7mT0aZr5sYw3uE9dGh","object":"chat.completion.chunk","created":1795683600,"model":"stream","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":57,"total_tokens":69}}"#;
const CONTENT: &[u8] = br#""content":""#;
/// Digits of an instant.
const DIGITS: usize = 20;

/// What a stream is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) events: u64,
    pub(crate) gap: Duration,
    /// Waits behind the first event until [`Upstream::release`].
    pub(crate) is_held: bool,
}

impl Shape {
    /// The body of a request for it.
    pub(crate) fn request(self) -> String {
        let (events, gap, held) = (self.events, self.gap.as_micros(), u8::from(self.is_held));
        format!(
            r#"{{"model":"stream","stream":true,"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"{events} {gap} {held} is what this stream is to be"}}]}}"#
        )
    }

    fn read(request: &[u8]) -> Option<Self> {
        let place = request.windows(CONTENT.len()).position(|window| window == CONTENT)?;
        let text = std::str::from_utf8(&request[place + CONTENT.len()..]).ok()?;
        let mut numbers = text.split(' ').map_while(|word| word.parse::<u64>().ok());
        Some(Self { events: numbers.next()?, gap: Duration::from_micros(numbers.next()?), is_held: numbers.next()? == 1 })
    }
}

/// Answers in a thread of its own until it is dropped.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    /// Goes up when held streams may go on.
    released: watch::Sender<u64>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        LazyLock::force(&BEGINNING);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.set_nonblocking(true).expect("it is a socket");
        let port = listener.local_addr().expect("it is bound").port();
        let (released, held) = watch::channel(0);
        let (stop, mut stopped) = watch::channel(false);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("it is a listener");
                tokio::select! {
                    () = serve(listener, held) => {}
                    _ = stopped.changed() => {}
                }
            });
        });
        Self { port, released, stop, thread: Some(thread) }
    }

    /// Lets every held stream go on.
    pub(crate) fn release(&self) {
        self.released.send_modify(|count| *count += 1);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, held: watch::Receiver<u64>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection can be accepted");
        let held = held.clone();
        connections.spawn(async move {
            let _ = answer_all(stream, held).await; // whoever asks may leave
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer_all(mut stream: TcpStream, mut held: watch::Receiver<u64>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let shape = loop {
            if let Some((end, length)) = request_ends(&buffer).filter(|(end, length)| buffer.len() >= end + length) {
                let shape = Shape::read(&buffer[end..end + length]);
                buffer.drain(..end + length);
                break shape.ok_or_else(|| io::Error::other("the prompt does not say what it is to be"))?;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        held.mark_unchanged();
        answer(&mut stream, shape, &mut held).await?;
    }
}

/// Where a request's body begins, and its length, once its head is there.
fn request_ends(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&buffer[..end]).ok()?;
    let length = head.split("\r\n").filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Some((end + 4, length?.1.trim().parse().ok()?))
}

async fn answer(stream: &mut TcpStream, shape: Shape, held: &mut watch::Receiver<u64>) -> io::Result<()> {
    // The first event comes at once: a tick would come up to a millisecond late.
    let gap = shape.gap.max(Duration::from_micros(1));
    let mut ticks = interval_at(tokio::time::Instant::now() + gap, gap);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut bytes = HEAD.to_owned();
    for number in 0..shape.events {
        if number == 1 && shape.is_held {
            let _ = held.changed().await;
            ticks.reset();
        }
        if number > 0 {
            ticks.tick().await;
        }
        let sent = BEGINNING.elapsed().as_nanos();
        let event = format!(
            r#"data: {{"id":"chatcmpl-CfKq2vXoB1n7mT0aZr5sYw3uE9dGh","object":"chat.completion.chunk","created":1795683600,"model":"stream","choices":[{{"index":0,"delta":{{"content":"{sent:0DIGITS$}"}},"finish_reason":null}}]}}"#
        );
        push_chunk(&mut bytes, &event);
        stream.write_all(bytes.as_bytes()).await?;
        bytes.clear();
    }
    push_chunk(&mut bytes, USAGE);
    push_chunk(&mut bytes, "data: [DONE]");
    bytes.push_str("0\r\n\r\n");
    stream.write_all(bytes.as_bytes()).await
}

fn push_chunk(bytes: &mut String, event: &str) {
    let length = event.len() + 2;
    bytes.push_str(&format!("{length:x}\r\n{event}\n\n\r\n"));
}

/// How long ago each event in these bytes was sent; they begin and end with whole events.
pub(crate) fn delays(events: &[u8]) -> impl Iterator<Item = Duration> {
    let now = BEGINNING.elapsed();
    let mut rest = events;
    std::iter::from_fn(move || {
        let place = rest.windows(CONTENT.len()).position(|window| window == CONTENT)? + CONTENT.len();
        let digits = std::str::from_utf8(rest.get(place..place + DIGITS)?).ok()?;
        rest = &rest[place + DIGITS..];
        Some(now.saturating_sub(Duration::from_nanos(digits.parse().ok()?)))
    })
}
