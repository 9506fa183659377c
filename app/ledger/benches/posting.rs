//! How many calls a second the ledger posts: `make bench`, or with `DATABASE_URL` set `cargo bench -p ledger`.
//!
//! Batches of new calls with two models and two keys, one after the other on one connection, each its own transaction with the accounts' heads, grants,
//! slices and both rollups: of one account, and of as many accounts as calls. A database of its own is made and dropped. `thrpt` in the output is calls a
//! second.
//!
//! 26 November 2026, two cores, PostgreSQL 15 without fsync, of one account: 22,100 calls a second; rows as JSON, as they were before, 11,700 in the same
//! hour. PostgreSQL's own processor time a call, the preparation left out, on a machine that was busy: 600 µs of 10 accounts at once, 116 µs of 100. So a
//! proxy lets a crowd gather. Planned once (`plan_cache_mode = force_generic_plan`, by index alone) the 600 are 415, but such a plan has every shard of a
//! table that is distributed.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use domain::{
    attribution::Attribution,
    call::{Outcome, UsageSource},
    credit::{Caller, Demand, Hold, Split},
    id::{AccountId, CallId, EpochId, KeyId, PriceId, ProjectId},
    lease::{Ask, Change},
    money::Amount,
    pricing::{Discount, Excess},
    service_tier::ServiceTier,
    tokens::{CallUsage, Tokens},
};
use ledger::{Address, Admitted, ChangedLease, Ledger, Login, MoneyIn, NewEpoch, SettledCall, Wait, secrets::SecretKey};
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

const DATABASE: &str = "farebox_bench_posting";
/// Their calls come one by one in a batch of many accounts.
const ACCOUNTS: usize = 1_000;
/// What a batch is called, its calls and its accounts.
const BATCHES: [(&str, usize, usize); 4] = [
    ("500 calls of one account", 500, 1),
    ("10 calls of 10 accounts", 10, 10),
    ("100 calls of 100 accounts", 100, 100),
    ("500 calls of 500 accounts", 500, 500),
];

/// What each call holds, and costs.
const HELD: Amount = Amount::from_nanos(384_000);

fn random(serial: u128) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&serial.to_be_bytes()[6..]);
    bytes
}

/// An account that has leased of its wallet.
#[derive(Clone)]
struct Payer {
    account: AccountId,
    epoch: EpochId,
    split: Split,
}

async fn prepare(url: &str, now: DateTime<Utc>) -> (Ledger, Vec<Payer>) {
    let mut admin = PgConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("drop database if exists {DATABASE}"))).execute(&mut admin).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("create database {DATABASE}"))).execute(&mut admin).await.unwrap();
    let options = url.parse::<PgConnectOptions>().unwrap().database(DATABASE);
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    let address = Address::from(options);
    let login = Login::derived(&address, &SecretKey::from_bytes([7; 32]));
    Ledger::migrate(&address, now).await.unwrap();
    Ledger::prepare_login(&address, &login).await.unwrap();
    let ledger = Ledger::connect(&login, 2);
    let accounts: Vec<_> = (0..ACCOUNTS).map(|number| AccountId::new(now, random(number as u128))).collect();
    let ids: Vec<_> = accounts.iter().map(|account| account.uuid()).collect();
    // People are none of this; a password's hash takes longer than many calls.
    for statement in [
        "insert into accounts (account_id, name, created_at) select id, id::text, $2 from unnest($1::uuid[]) id",
        "insert into projects (account_id, project_id, name, created_at) select id, id, 'Default', $2 from unnest($1::uuid[]) id",
        "insert into heads (account_id, posted_at) select id, $2 from unnest($1::uuid[]) id",
        "insert into grants (account_id, grant_id, kind, unit, starts_at) select id, id, 'wallet', 'money', $2 from unnest($1::uuid[]) id",
    ] {
        sqlx::query(statement).bind(&ids).bind(now).execute(&mut owner).await.unwrap();
    }
    let payers = lease(&ledger, &accounts, now).await;
    (ledger, payers)
}

/// Gives each account credit, of which a proxy has leased enough for all its calls.
async fn lease(ledger: &Ledger, accounts: &[AccountId], now: DateTime<Utc>) -> Vec<Payer> {
    let (meter, money) = (ledger.meter(), Amount::from_units(100_000).unwrap());
    for account in accounts {
        let top_up = MoneyIn { amount: money, idempotency_key: "bench", memo: "", actor: "", now };
        ledger.system().account(*account).top_up(top_up).await.unwrap();
    }
    let epoch = EpochId::new(now, random(1));
    let lasts = TimeDelta::hours(1);
    meter.begin_epoch(&NewEpoch { id: epoch, proxy: Uuid::from_u128(1), spool_since: now, lasts, longest: lasts }).await.unwrap();
    let demand = Demand { money, tokens: Tokens::from_sum(1), requests: 1 };
    let change = |account: &AccountId| {
        let caller = Caller { key: KeyId::from_uuid(Uuid::nil()), project: ProjectId::first_of(*account), member: None, run: None };
        let ask = Ask::new(demand, caller, "small".to_owned(), now);
        (*account, Change { number: 1, heard: 0, returned: Vec::new(), ask: Some(ask) })
    };
    let changes: Vec<_> = accounts.iter().map(change).collect();
    let changed = meter.change_leases(epoch, &changes, Wait::Yes).await.unwrap();
    let payer = |changed: ChangedLease| {
        let payment = changed.answer.unwrap().given.into_iter().map(|hold| Hold { quantity: HELD.into(), ..hold }).collect();
        Payer { account: changed.account, epoch, split: Split { payment, limits: Vec::new() } }
    };
    changed.accounts.into_iter().map(payer).collect()
}

fn batch(payers: &[Payer], now: DateTime<Utc>, calls: usize, serial: &mut u128) -> Vec<SettledCall> {
    let call = |(place, payer): (u32, &Payer)| {
        *serial += 1;
        call(payer, CallId::new(now - TimeDelta::milliseconds(i64::from(place)), random(*serial)), place)
    };
    (0..).zip(payers.iter().cycle().take(calls)).map(call).collect()
}

/// The settled call of this id; which key and which model it is of follows from its place in its batch.
fn call(payer: &Payer, call_id: CallId, place: u32) -> SettledCall {
    let usage = CallUsage::of_totals(Some(Tokens::from_sum(1_200)), Some(Tokens::from_sum(340)), Some(Tokens::from_sum(1_540)));
    let admitted = Admitted {
        account_id: payer.account,
        call_id,
        key_id: KeyId::from_uuid(Uuid::from_u128(u128::from(place % 2))),
        project_id: ProjectId::first_of(payer.account),
        member: None,
        attribution: Attribution { client: "OpenAI/Python 1".parse().ok(), ..Attribution::default() },
        model: if place.is_multiple_of(3) { "large" } else { "small" }.to_owned(),
        provider: "upstream".to_owned(),
        price_id: PriceId::from_uuid(Uuid::from_u128(1)),
        discount: Discount::NONE,
        stream: place.is_multiple_of(2),
        excess: Excess::WrittenOff,
        input_estimate: Tokens::from_sum(1_200),
        held: HELD,
        tokens_held: Tokens::from_sum(1_540),
        epoch: Some(payer.epoch),
        split: payer.split.clone(),
        asked_tier: ServiceTier::Default,
    };
    SettledCall {
        admitted,
        upstream_model: Some("small-2026".to_owned()),
        outcome: Outcome::Ok,
        source: UsageSource::Upstream,
        usage,
        amount: HELD,
        written_off: Amount::ZERO,
        http_status: Some(200),
        latency_ms: 812,
        first_byte_ms: Some(120),
        raw_usage: Some(r#"{"prompt_tokens":1200,"completion_tokens":340,"total_tokens":1540}"#.to_owned()),
        attempts: Vec::new(),
        served_tier: None,
    }
}

fn posting(criterion: &mut Criterion) {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        println!("skipped: DATABASE_URL is not set");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let now = Utc::now();
    let (ledger, payers) = runtime.block_on(prepare(&url, now));
    let meter = ledger.meter();
    let mut serial = 100;
    let mut group = criterion.benchmark_group("posting");
    for (name, calls, accounts) in BATCHES {
        group.throughput(Throughput::Elements(calls as u64)).sample_size(20);
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter_batched(
                || batch(&payers[..accounts], now, calls, &mut serial),
                |batch| {
                    let meter = meter.clone();
                    async move { meter.post_calls(&batch).await.unwrap() }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    runtime.block_on(async {
        ledger.close().await;
        let mut admin = PgConnection::connect(&url).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("drop database {DATABASE} with (force)"))).execute(&mut admin).await.unwrap();
    });
}

criterion_group!(benches, posting);
criterion_main!(benches);
