//! Calls and the statements that they cost, counted: nothing fails here, and there is more credit than all of them take.
//!
//! `make overspend` makes as many calls as `FAREBOX_CALLS` says, and prints what PostgreSQL was asked meanwhile.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use crate::{
    database::Elsewhere,
    farebox::Place,
    faults::{Answered, Callers, Locked, expect_exact, expect_rest, set_up, size},
    read_only::number,
    relay::{Relay, Statements, Work, since},
};

const CALLERS: usize = 16;
/// Of 0.00015 and 0.0006 for a thousand tokens, in nanos for one.
const PRICE: (i64, i64) = (150, 600);

/// What is done by the clock, whether anybody calls or not, asks for no statement more often than so in a second.
const A_SECOND: u64 = 20;

#[test]
fn of_many_calls_that_there_is_credit_for_none_is_refused_and_all_are_in_the_books() {
    let many = usize::try_from(size("FAREBOX_CALLS", 2_000)).expect("a number of calls");
    let elsewhere = Elsewhere::start();
    let relay = Relay::to(&elsewhere.url);
    let place = Place::on(&relay.url);
    let (tally, key) = set_up(&place);
    let server = place.serve_logged(&["--only", "proxy"]);
    let (callers, before, begun) = (Callers::default(), relay.statements(), Instant::now());
    call(&callers, server.said("/proxy_url"), &key, CALLERS, many);
    let took = begun.elapsed();
    expect_rest(&elsewhere.url);
    let asked = since(&before, relay.statements());
    let sum = expect_exact(&elsewhere.url, &callers, &tally, &HashSet::new());
    println!("{many} calls in {took:?}: {sum:?}\n{}", table(&asked, many));
    assert!(sum.refused == 0 || is_slow(&place), "{} were refused", sum.refused);
    assert_eq!((sum.made, sum.seen, sum.exact), (many, many - sum.refused, many - sum.refused));
    let beside: Statements = asked.into_iter().filter(|((work, _), _)| *work != Work::Posting).collect();
    expect_fewer(&beside, many / 4, took);
    let charged: i64 =
        callers.all().iter().filter(|made| made.is_seen()).map(|made| made.prompt * PRICE.0 + made.completion * PRICE.1).sum();
    assert_eq!(number(&elsewhere.url, "select sum(amount)::bigint from calls"), charged, "all receipts together");
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}

/// Admission is in memory; of what calls have come to, as many as wait are posted at once.
#[test]
fn a_thousand_calls_that_fit_in_what_is_leased_ask_for_nothing_and_are_posted_by_the_hundreds() {
    const CALLS: usize = 1_000;
    /// So few at once that what is leased for two seconds of them is enough.
    const AT_ONCE: usize = 4;
    let elsewhere = Elsewhere::start();
    let relay = Relay::to(&elsewhere.url);
    let place = Place::on(&relay.url);
    let (tally, key) = set_up(&place);
    let server = place.serve_logged(&["--only", "proxy"]);
    let url = server.said("/proxy_url");
    // What each of them may come to is far more than what it comes to.
    let mut callers = Callers::default();
    callers.more = Map::from_iter([("max_tokens".to_owned(), json!(100_000))]);
    call(&callers, url, &key, AT_ONCE, 10 * AT_ONCE);

    // Nothing is posted meanwhile, and nothing is leased.
    let locked = Locked::all_accounts(&elsewhere.url);
    let (before, begun) = (relay.statements(), Instant::now());
    call(&callers, url, &key, AT_ONCE, CALLS);
    let (asked, took) = (since(&before, relay.statements()), begun.elapsed());
    println!("{CALLS} calls in {took:?}:\n{}", table(&asked, CALLS));
    let refused = callers.all().into_iter().find(|made| !made.is_seen());
    assert!(refused.is_none() || is_slow(&place), "{refused:?}");
    expect_fewer(&asked, CALLS / 4, took);

    let (before, begun) = (relay.statements(), Instant::now());
    drop(locked);
    expect_rest(&elsewhere.url);
    let (asked, took) = (since(&before, relay.statements()), begun.elapsed());
    println!("posted in {took:?}:\n{}", table(&asked, CALLS));
    let postings: usize =
        asked.iter().filter(|((_, statement), _)| statement.starts_with("insert into calls ")).map(|(_, times)| times).sum();
    assert!((1..=CALLS / 100).contains(&postings), "{postings} transactions have posted them");
    expect_fewer(&asked, CALLS / 4, took);
    let sum = expect_exact(&elsewhere.url, &callers, &tally, &HashSet::new());
    assert_eq!((sum.made, sum.exact), (CALLS + 10 * AT_ONCE, sum.made - sum.refused));
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}

/// So many calls in all, as many at once as there are callers.
fn call(callers: &Callers, url: &str, key: &str, at_once: usize, many: usize) {
    let left = AtomicUsize::new(many);
    let is_left = || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while is_left() {
                    callers.call(url, key, Answered::AtOnce);
                }
            });
        }
    });
}

/// Where a machine is so slow that PostgreSQL is taken to be away, calls may be refused for that, and the log says so. With a number of calls that somebody
/// asked for, it is no excuse.
fn is_slow(place: &Place) -> bool {
    let log = place.log();
    let is_said = ["leases can be neither changed nor renewed", "the catalog could not be read"].iter().any(|said| log.contains(said));
    is_said && std::env::var_os("FAREBOX_CALLS").is_none()
}

/// That there is no statement that so many calls have asked for one by one.
fn expect_fewer(asked: &Statements, than: usize, took: Duration) {
    let than = than + usize::try_from(A_SECOND * (took.as_secs() + 1)).expect("a test is short");
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for ((_, statement), times) in asked {
        *all.entry(statement).or_default() += times;
    }
    let most = all.into_iter().max_by_key(|(_, times)| *times).expect("something is done by the clock");
    assert!(most.1 < than, "{} times, which is not less than {than}: {}", most.1, most.0);
}

/// The statements, the most frequent first, and how often each was asked, in all and for a thousand calls.
fn table(asked: &Statements, calls: usize) -> String {
    let mut lines = String::new();
    let mut rows: Vec<_> = asked.iter().map(|((work, statement), times)| (*times, *work, statement.as_str())).collect();
    rows.sort_unstable_by(|one, other| other.cmp(one));
    let all: usize = rows.iter().map(|(times, ..)| times).sum();
    for (times, work, statement) in rows.into_iter().chain([(all, Work::Other, "all")]) {
        let statement: String = statement.chars().take(110).collect();
        let _ = writeln!(lines, "{times:>8} {:>6}  {work:?}: {statement}", times * 1_000 / calls);
    }
    lines
}
