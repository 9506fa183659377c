//! The load: closed loops, constant rates, and streams, each over connections of its own.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    http::Connection,
    upstream::{Shape, delays},
};

/// What comes before anything is measured: connections are made, what is asked for is leased.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);
/// No part takes so long, unless somebody does not answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections of a constant rate: more than calls are ever on their way at once, so that none waits for another.
const CONNECTIONS_OF_A_RATE: usize = 64;

/// Whole requests, which are sent one after the other and then again.
pub(crate) type Requests = Arc<[Vec<u8>]>;

/// What became of calls, those of the warm-up too.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Answers {
    /// With 200, to their end.
    pub(crate) answered: u64,
    /// With another status.
    pub(crate) refused: u64,
    /// One such status.
    pub(crate) refusal: u16,
    /// Not to their end.
    pub(crate) broken: u64,
}

impl Answers {
    fn count(&mut self, answer: &io::Result<u16>) {
        match answer {
            Ok(200) => self.answered += 1,
            Ok(status) => {
                self.refused += 1;
                self.refusal = *status;
            }
            Err(_) => self.broken += 1,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.refusal = self.refusal.max(other.refusal);
        self.broken += other.broken;
    }
}

/// Waits for all of them, and panics as they do.
async fn all<T: 'static>(mut running: JoinSet<T>, span: Duration) -> Vec<T> {
    let mut results = Vec::new();
    let waiting = async {
        while let Some(result) = running.join_next().await {
            results.push(result.expect("no caller panics"));
        }
    };
    timeout(WARM_UP + span + PATIENCE, waiting).await.expect("every call is answered in time");
    results
}

/// Asks again as soon as it is answered, over so many connections at once. Returns calls a second after the warm-up.
pub(crate) async fn closed(port: u16, requests: &Requests, connections: usize, span: Duration) -> (f64, Answers) {
    let begin = Instant::now() + WARM_UP;
    let mut running = JoinSet::new();
    for place in 0..connections {
        let requests = Arc::clone(requests);
        running.spawn(async move {
            let (mut answers, mut measured) = (Answers::default(), 0_u32);
            let mut connection = Connection::open(port).await.expect("it listens");
            for request in requests.iter().cycle().skip(place * requests.len() / connections) {
                let answer = connection.ask(request).await;
                answers.count(&answer);
                let now = Instant::now();
                if answer.is_err() || now >= begin + span {
                    break;
                }
                measured += u32::from(now >= begin);
            }
            (measured, answers)
        });
    }
    let (mut measured, mut answers) = (0, Answers::default());
    for (some, of_these) in all(running, span).await {
        measured += some;
        answers.add(of_these);
    }
    (f64::from(measured) / span.as_secs_f64(), answers)
}

/// Asks at a constant rate a second, whether or not it is answered. Returns how long each answer took after the warm-up, from when its
/// request was due, sorted.
pub(crate) async fn constant(port: u16, requests: &Requests, rate: u32, span: Duration) -> (Vec<Duration>, Answers) {
    let begin = Instant::now() + WARM_UP;
    let mut running = JoinSet::new();
    let mut senders = Vec::new();
    for place in 0..CONNECTIONS_OF_A_RATE {
        let (sender, due) = unbounded_channel();
        senders.push(sender);
        let (connection, requests) = (Connection::open(port).await.expect("it listens"), Arc::clone(requests));
        running.spawn(ask_when_due(connection, requests, place, due, begin));
    }
    let pacer = thread::spawn(move || pace(&senders, rate, WARM_UP + span));
    let (mut spans, mut answers) = (Vec::new(), Answers::default());
    for (some, of_these) in all(running, span).await {
        spans.extend(some);
        answers.add(of_these);
    }
    pacer.join().expect("it only waits");
    spans.sort_unstable();
    (spans, answers)
}

/// Says when a request is due, in turn to each connection. The runtime's own timers know only milliseconds.
fn pace(senders: &[UnboundedSender<Instant>], rate: u32, span: Duration) {
    let (begin, gap) = (Instant::now(), Duration::from_secs(1) / rate);
    for (number, sender) in (0..).zip(senders.iter().cycle()) {
        let due = begin + gap * number;
        if due >= begin + span {
            return;
        }
        while let Some(rest) = due.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
            thread::park_timeout(rest);
        }
        if sender.send(due).is_err() {
            return; // its caller is gone
        }
    }
}

async fn ask_when_due(
    mut connection: Connection,
    requests: Requests,
    place: usize,
    mut due: UnboundedReceiver<Instant>,
    begin: Instant,
) -> (Vec<Duration>, Answers) {
    let (mut spans, mut answers) = (Vec::new(), Answers::default());
    for request in requests.iter().cycle().skip(place) {
        let Some(due) = due.recv().await else { break };
        let answer = connection.ask(request).await;
        answers.count(&answer);
        if answer.is_err() {
            break;
        }
        if due >= begin {
            spans.push(due.elapsed());
        }
    }
    (spans, answers)
}

/// What streams were like.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// From sending a request to its first event.
    pub(crate) first: Vec<Duration>,
    /// From sending an event to its arrival, of those behind the first.
    pub(crate) delays: Vec<Duration>,
    pub(crate) answers: Answers,
}

/// Reads streams one after the other over each of so many connections, for so long. All is sorted.
pub(crate) async fn streams(port: u16, key: &str, shape: Shape, connections: usize, span: Duration) -> Streams {
    let request: Arc<[u8]> = crate::http::request(key, &shape.request()).into();
    let mut running = JoinSet::new();
    for place in 0..connections {
        let request = Arc::clone(&request);
        // Spread over the gap: not every event at the same instant.
        let offset = shape.gap * u32::try_from(place).expect("few") / u32::try_from(connections).expect("few");
        running.spawn(async move {
            let (mut streams, end) = (Streams::default(), Instant::now() + span);
            sleep(offset).await;
            let mut connection = Connection::open(port).await.expect("it listens");
            while Instant::now() < end {
                let answer = stream(&mut connection, &request, shape.events, &mut streams).await;
                streams.answers.count(&answer);
                if answer.is_err() {
                    break;
                }
            }
            streams
        });
    }
    let mut together = Streams::default();
    for some in all(running, span).await {
        together.first.extend(some.first);
        together.delays.extend(some.delays);
        together.answers.add(some.answers);
    }
    together.first.sort_unstable();
    together.delays.sort_unstable();
    together
}

async fn stream(connection: &mut Connection, request: &[u8], events: u64, streams: &mut Streams) -> io::Result<u16> {
    let sent = Instant::now();
    let status = connection.begin(request).await?;
    let (mut seen, mut begun) = (0, Vec::new());
    while let Some(piece) = connection.piece().await? {
        // Whoever passes events on may cut them anywhere.
        begun.extend_from_slice(piece);
        let whole = begun.windows(2).rposition(|two| two == b"\n\n").map_or(0, |place| place + 2);
        for delay in delays(&begun[..whole]) {
            if seen == 0 {
                streams.first.push(sent.elapsed());
            } else {
                streams.delays.push(delay);
            }
            seen += 1;
        }
        begun.drain(..whole);
    }
    if status == 200 && seen != events { Err(io::Error::other("events are missing")) } else { Ok(status) }
}

/// Opens so many streams and reads their first event. Returns those that are open, and what became of the others.
pub(crate) async fn open_streams(port: u16, request: &[u8], count: usize) -> (Vec<Connection>, Answers) {
    let (mut open, mut answers) = (Vec::new(), Answers::default());
    for _ in 0..count {
        let mut connection = Connection::open(port).await.expect("it listens");
        match begin_stream(&mut connection, request).await {
            Ok(200) => open.push(connection),
            other => answers.count(&other),
        }
    }
    (open, answers)
}

async fn begin_stream(connection: &mut Connection, request: &[u8]) -> io::Result<u16> {
    let status = connection.begin(request).await?;
    connection.piece().await?;
    Ok(status)
}

/// Reads streams to their ends.
pub(crate) async fn end_streams(open: Vec<Connection>) -> Answers {
    let mut running = JoinSet::new();
    for mut connection in open {
        running.spawn(async move {
            while connection.piece().await?.is_some() {}
            io::Result::Ok(200)
        });
    }
    let mut answers = Answers::default();
    all(running, Duration::ZERO).await.iter().for_each(|answer| answers.count(answer));
    answers
}
