//! Processes, databases, disks and machines that fail under load: what a client has seen the end of is in the books as the upstream counted it, once, and
//! in the end nothing is held any more.
//!
//! `make test` has little of it. `make faults` asks for more, by `FAREBOX_FAULTS` (how often something is killed), `FAREBOX_FAULTS_SECONDS` (how long a
//! database is away at least) and `FAREBOX_FAULTS_RATE` (calls a second meanwhile).

mod asleep;
mod committed;
mod damage;
mod full;
mod hostile;
mod killed;
mod lost;
mod postgres;
mod stopped;

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::runtime::Runtime;

use crate::{
    commands::{add_customer, add_model},
    database::run,
    farebox::Place,
    http::ask,
    life::wait_until,
    read_only::runtime,
    upstream::{self, Tally},
};

/// So long after a fault is over everything is posted, and everything leased has gone back.
const AT_REST: Duration = Duration::from_secs(60);
/// What a proxy waits for before it may end, beside running calls (README, "Stopped in order").
const ENDED_AFTER_DRAIN: Duration = Duration::from_secs(15);

/// How much of something: what the environment says, or this little.
pub(crate) fn size(variable: &str, little: u32) -> u32 {
    std::env::var(variable).map_or(little, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// How often something is killed.
fn rounds(little: u32) -> usize {
    usize::try_from(size("FAREBOX_FAULTS", little)).expect("a small number")
}

/// Whether there is time for what takes minutes.
fn is_long() -> bool {
    std::env::var_os("FAREBOX_FAULTS").is_some()
}

/// Calls a second.
fn rate() -> u32 {
    size("FAREBOX_FAULTS_RATE", 8)
}

/// When an upstream answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    AtOnce,
    /// Once its gate is open.
    Later,
}

/// A call, by what its client knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    place: usize,
    answered: Answered,
    /// The tokens that the upstream counts for it.
    pub(crate) prompt: i64,
    pub(crate) completion: i64,
    is_stream: bool,
    /// The proxy that it was sent to.
    url: String,
    begun: Instant,
    /// How it was answered, if it was.
    answer: Option<Told>,
}

#[derive(Debug, Clone)]
struct Told {
    status: u16,
    text: String,
    took: Duration,
}

impl Made {
    /// Its client has seen the end of its answer.
    pub(crate) fn is_seen(&self) -> bool {
        let is_whole = |text: &str| if self.is_stream { text.contains("[DONE]") } else { serde_json::from_str::<Value>(text).is_ok() };
        self.answer.as_ref().is_some_and(|told| told.status == 200 && is_whole(&told.text))
    }

    /// Its client was told that its address has as many connections as one may.
    fn has_no_place(&self) -> bool {
        self.answer.as_ref().is_some_and(|told| told.status == 429 && told.text.contains("too_many_connections"))
    }

    /// Its client was told that nothing was forwarded.
    fn is_refused(&self) -> bool {
        self.answer.as_ref().is_some_and(|told| told.status == 503 && told.text.contains("gateway_unavailable"))
    }
}

/// Those who call, and all calls that they made. A call says of whom it is: its place in the list.
#[derive(Default)]
pub(crate) struct Callers {
    made: Mutex<Vec<Made>>,
    answered: AtomicUsize,
    /// What they say of their calls beside that.
    pub(crate) more: Map<String, Value>,
}

impl Callers {
    /// Calls until the server is gone.
    fn call_until_it_dies(&self, url: &str, key: &str) {
        while self.call(url, key, Answered::AtOnce).answer.is_some() {}
    }

    /// Several call for as long as somebody keeps what this returns, also when a test fails, each at most so often.
    fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        (url, key): (&'scope str, &'scope str),
        many: u32,
        every: Duration,
    ) -> Vec<Sender<()>> {
        let caller = |number: u32| {
            let (wanted, is_wanted) = channel();
            let first = every * number / many;
            scope.spawn(move || {
                let mut pause = first;
                while is_wanted.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    let begun = Instant::now();
                    self.call(url, key, Answered::AtOnce);
                    pause = every.saturating_sub(begun.elapsed());
                }
            });
            wanted
        };
        (0..many).map(caller).collect()
    }

    /// As many a second as [`rate`] says.
    fn start_at_rate<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, called: (&'scope str, &'scope str)) -> Vec<Sender<()>> {
        self.start(scope, called, rate(), Duration::from_secs(1))
    }

    /// Calls that are answered later, every other a stream. They have begun at the upstream when this returns.
    fn begin<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        (url, key): (&'scope str, &'scope str),
        many: usize,
        tally: &Tally,
    ) -> Vec<ScopedJoinHandle<'scope, Made>> {
        let all = tally.gate.asked() + many;
        let calls = (0..many).map(|number| scope.spawn(move || self.call_as(url, key, number % 2 == 0, Answered::Later))).collect();
        wait_until(|| tally.gate.asked() == all);
        calls
    }

    pub(crate) fn call(&self, url: &str, key: &str, answered: Answered) -> Made {
        let is_stream = !self.len().is_multiple_of(3);
        self.call_as(url, key, is_stream, answered)
    }

    fn call_as(&self, url: &str, key: &str, is_stream: bool, answered: Answered) -> Made {
        let (place, mut made) = {
            let mut all = self.made.lock().expect("no caller has panicked");
            let place = all.len();
            let unlike = i64::try_from(place).expect("few calls");
            let (prompt, completion) = (10 + unlike % 997, 1 + unlike % 89);
            all.push(Made { place, answered, prompt, completion, is_stream, url: url.to_owned(), begun: Instant::now(), answer: None });
            (place, all[place].clone())
        };
        let when = if answered == Answered::Later { " later" } else { "" };
        let prompt = format!("{} {} {place}{when}", made.prompt, made.completion);
        let mut chat = json!({
            "model": "small", "stream": made.is_stream, "user": format!("call-{place}"), "messages": [{ "role": "user", "content": prompt }],
        });
        chat.as_object_mut().expect("it is one").extend(self.more.clone());
        if let Ok(answer) = ask(url, "/v1/chat/completions", key, Some(&chat)) {
            made.answer = Some(Told { status: answer.status, text: answer.text(), took: made.begun.elapsed() });
        }
        self.made.lock().expect("no caller has panicked")[place] = made.clone();
        self.answered.fetch_add(usize::from(made.answer.is_some()), Ordering::SeqCst);
        made
    }

    fn len(&self) -> usize {
        self.made.lock().expect("no caller has panicked").len()
    }

    pub(crate) fn all(&self) -> Vec<Made> {
        self.made.lock().expect("no caller has panicked").clone()
    }

    /// The places of those that are answered later.
    fn later(&self) -> HashSet<usize> {
        self.all().iter().filter(|made| made.answered == Answered::Later).map(|made| made.place).collect()
    }

    /// Those that were begun since then and have an answer by now.
    fn since(&self, then: Instant) -> Vec<Made> {
        self.all().into_iter().filter(|made| made.begun >= then && made.answer.is_some()).collect()
    }

    /// Waits until so many more have an answer.
    fn expect_more(&self, many: usize) {
        let enough = self.answered.load(Ordering::SeqCst) + many;
        wait_until(|| self.answered.load(Ordering::SeqCst) >= enough);
    }

    /// Waits until so many that begin from now on are served to their end.
    fn expect_service(&self, many: usize) {
        let now = Instant::now();
        wait_until(|| self.since(now).iter().filter(|made| made.is_seen()).count() >= many);
    }
}

/// What is in the books of a call.
#[derive(Debug)]
struct Found {
    outcome: String,
    source: String,
    /// With what its corrections add; `None` where the books say of no tokens.
    tokens: Option<(i64, i64)>,
    corrections: i64,
}

/// What is in the books, by the place of each call in the list.
fn posted(url: &str) -> HashMap<usize, Vec<Found>> {
    let question = "select c.end_user, c.outcome, c.source, coalesce(x.many, 0) as corrections, \
                    c.prompt_tokens + coalesce(x.prompt, 0) as prompt, c.completion_tokens + coalesce(x.completion, 0) as completion, \
                    x.prompt as more_prompt, x.completion as more_completion \
                    from calls c left join (select call_id, count(*) as many, sum(prompt_tokens)::bigint as prompt, \
                    sum(completion_tokens)::bigint as completion from corrections group by call_id) x on x.call_id = c.call_id";
    runtime().block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("the address works");
        let mut posted: HashMap<usize, Vec<Found>> = HashMap::new();
        for row in sqlx::query(question).fetch_all(&mut connection).await.expect("it has an answer") {
            let place = row.get::<&str, _>("end_user").trim_start_matches("call-").parse().expect("a place");
            // One that was taken for interrupted may say of no tokens, and its correction says of all.
            let side = |whole: &str, more: &str| row.get::<Option<i64>, _>(whole).or_else(|| row.get(more));
            let tokens = side("prompt", "more_prompt").zip(side("completion", "more_completion"));
            let (outcome, source, corrections) = (row.get("outcome"), row.get("source"), row.get("corrections"));
            posted.entry(place).or_default().push(Found { outcome, source, tokens, corrections });
        }
        posted
    })
}

/// What became of all calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) made: usize,
    /// Their clients have seen the end.
    pub(crate) seen: usize,
    /// Their clients were told that nothing was forwarded.
    pub(crate) refused: usize,
    /// In the books as the upstream counted them.
    pub(crate) exact: usize,
    /// Some of those: they were taken for interrupted before.
    corrected: usize,
    /// In the books as interrupted.
    interrupted: usize,
    /// The upstream has them, and the books do not.
    absent: usize,
}

/// That each call is in the books as its upstream counted it, or as interrupted if its client did not see the end; once in both; and that what was refused
/// is in neither. Of those that are `excused` the record was damaged or lost: what became of them may be told too little of.
pub(crate) fn expect_exact(url: &str, callers: &Callers, tally: &Tally, excused: &HashSet<usize>) -> Sum {
    let mut posted = posted(url);
    let mut sum = Sum::default();
    let (mut told, mut counted_there) = (0, 0);
    for (place, made) in callers.all().iter().enumerate() {
        let (rows, counted) = (posted.remove(&place).unwrap_or_default(), tally.of(place));
        assert!(rows.len() <= 1, "call {place} is posted {} times", rows.len());
        assert!(counted.times <= 1, "call {place} was forwarded {} times", counted.times);
        sum.made += 1;
        sum.seen += usize::from(made.is_seen());
        sum.refused += usize::from(made.is_refused());
        assert!(!made.is_refused() || counted.times == 0 && rows.is_empty(), "call {place} was refused: {counted:?} {rows:?}");
        let Some(row) = rows.first() else {
            assert!(counted.times == 0 || excused.contains(&place), "call {place} was forwarded and is in no books: {made:?}");
            sum.absent += counted.times;
            continue;
        };
        assert!(row.corrections <= 1, "call {place}: {row:?}");
        if row.source == "upstream" || row.corrections == 1 {
            assert_eq!(row.tokens, Some((counted.prompt, counted.completion)), "call {place}: {row:?}");
            told += row.tokens.map_or(0, |(prompt, completion)| prompt + completion);
            counted_there += counted.prompt + counted.completion;
            sum.exact += 1;
            sum.corrected += usize::from(row.corrections == 1);
            continue;
        }
        assert!(row.outcome == "interrupted" || row.source == "none" && row.tokens.is_none(), "call {place}: {row:?}");
        assert!(!made.is_seen() || excused.contains(&place), "call {place}, whose end was seen: {row:?}");
        sum.interrupted += 1;
    }
    assert!(posted.is_empty(), "nobody made these: {posted:?}");
    assert_eq!(told, counted_there, "all receipts together, and the upstream's own count");
    sum
}

/// What is held in the books; `None` while they cannot be asked.
fn held(url: &str) -> Option<i64> {
    let asked = runtime().block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::query_scalar("select (select count(*) from intents) + (select count(*) from slices)").fetch_one(&mut connection).await
    });
    asked.ok()
}

/// The calls that are announced as running for long, by their places.
fn announced(url: &str) -> HashSet<usize> {
    runtime().block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("the address works");
        let users: Vec<String> = sqlx::query_scalar("select end_user from intents").fetch_all(&mut connection).await.expect("an answer");
        users.iter().map(|user| user.trim_start_matches("call-").parse().expect("a place")).collect()
    })
}

/// That within the stated time from now on nothing is held any more.
pub(crate) fn expect_rest(url: &str) {
    let begun = Instant::now();
    wait_until(|| held(url) == Some(0));
    assert!(begun.elapsed() < AT_REST, "it takes {:?}", begun.elapsed());
}

/// Sets up what calls need: a model of an upstream that counts, and an account with a key. Returns what it counts, and the key.
pub(crate) fn set_up(place: &Place) -> (Arc<Tally>, String) {
    place.json(&["migrate"], "");
    let (url, tally) = upstream::start_counting();
    add_model(place, &url);
    let key = add_customer(place)["key"].as_str().expect("the key").to_owned();
    place.json(&["account", "credit", "Example", "1000", "--reason", "For many calls"], "");
    (tally, key)
}

/// Keeps calls from being posted, and leases from being changed, until it is dropped: all accounts are locked.
pub(crate) struct Locked {
    runtime: Runtime,
    connection: Option<PgConnection>,
}

impl Locked {
    pub(crate) fn all_accounts(url: &str) -> Self {
        let runtime = runtime();
        let connection = runtime.block_on(async {
            let mut connection = PgConnection::connect(url).await.expect("the address works");
            connection.execute("begin; lock table heads in exclusive mode").await.expect("it locks");
            connection
        });
        Self { runtime, connection: Some(connection) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(connection.close()); // gone or not, it locks nothing any more
        }
    }
}

/// What others do about a proxy that is gone, once its last calls must be over: that they are is set here, since it would take an hour. With `make faults`
/// another process finds it out by itself, looking twice, a minute apart; else both looks are made here.
fn take_for_dead(url: &str, place: &Place) {
    let proxy = fs::read_to_string(place.data().join("proxy.id")).expect("it has an id");
    let is_its = format!("where proxy = '{}'", proxy.trim());
    run(url, &[&format!("update epochs set expires_at = least(expires_at, now() - interval '1 second'), longest_ms = 0 {is_its}")]);
    let runtime = runtime();
    let address = ledger::Address::parse(url).expect("an address");
    let seen = Cell::new(Vec::new());
    let is_over = || {
        runtime.block_on(async {
            if !is_long() {
                let ledger = ledger::Ledger::connect_as_owner(&address, 4);
                let mut silent = seen.take();
                proxy::end_silent(&ledger, &mut silent).await.expect("the database is there");
                seen.set(silent);
                ledger.close().await;
            }
            let mut connection = PgConnection::connect(url).await.expect("the address works");
            let left = sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!("select count(*) from epochs {is_its}")));
            left.fetch_one(&mut connection).await.expect("a count") == 0
        })
    };
    // An account that is locked at that moment is left for the look after it.
    wait_until(is_over);
}
