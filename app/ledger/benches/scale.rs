//! The ledger at a size: `make bench-ledger`, or with `DATABASE_URL` set `CALLS=1000000 cargo bench -p ledger --bench scale`.
//!
//! Fills a database of its own through the real posting path: half of the calls belong to one account, half to `ACCOUNTS` others (10,000), in the
//! order of their thirty days, so that hours are closed as they end. Then it says how many calls a second were posted, what a call takes on disk, how
//! long each page's queries take, and what the proof takes. The database is dropped at the end.
//!
//! 26 November 2026, two cores, PostgreSQL 15 without fsync, a million calls: posted 18,800 a second of one account, 5,800 of sparse ones by one group and
//! 11,700 by four; 561 bytes a call in the log, 399 in sums, 332 in books (fifty calls for each sparse account: their hours and postings weigh more than
//! they do). p95: usage of 30 days 17 ms, of one end user 44, of one tag 121; log 2.4 ms, 25 days deep 2.7, one key 6.5, clients that left 43, one end
//! user 22, one tag 34; customers 21 ms. The proof of everything 125 s, one account at a time, in 63 MiB throughout.
//!
//! Ten million calls on the same day, beside other work on both cores, hence slower by itself: posted 14,200 of one account, 3,900 of sparse ones by one
//! group and 6,500 by four; 567 bytes in the log, 377 in sums, 259 in books. p95: usage of 30 days 19 ms, of one end user 107, of one tag 4.7 s; log 3.5,
//! 25 days deep 4.8, one key 8.6, clients that left 33, one end user 63, one tag 252; statement 38; customers 161 ms. The proof of everything 1,071 s one
//! account at a time and 424 s two at a time, since yesterday 59 s, in 64 MiB throughout.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::float_arithmetic,
    reason = "a benchmark fails by panicking, posts as several tasks, and divides what it measured"
)]

use std::{
    fs,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::{Attribution, Tags},
    call::{Outcome, UsageSource},
    catalog::{DisconnectPolicy, ModelBounds, OutputCapField, PriceKind, TimeOuts, UsageMode},
    credit::Split,
    customers::CustomerFilter,
    filter::{CallFilter, UsageFilter},
    id::{AccountId, CallId, KeyId, ModelId, PriceId, ProjectId, ProviderId},
    money::Amount,
    pricing::{self, Discount, Excess},
    rates::Rates,
    service_tier::ServiceTier,
    tokens::{CallUsage, TokenCounts, Tokens},
};
use ledger::{Address, Admitted, Ledger, Login, MoneyIn, NewModel, NewPrice, NewProvider, SettledCall, Verification, secrets::SecretKey};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use uuid::Uuid;

const DATABASE: &str = "farebox_bench_scale";
const BATCH: usize = 500;
const DAYS: i64 = 30;
const MODELS: [&str; 3] = ["small", "large", "mini"];
const PRICE: PriceId = PriceId::from_uuid(Uuid::from_u128(1));

/// A number that is different each time and the same in each run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bits(&mut self) -> [u8; 10] {
        let (a, b) = (self.next().to_be_bytes(), self.next().to_be_bytes());
        std::array::from_fn(|place| if place < 8 { a[place] } else { b[place - 8] })
    }
}

struct World {
    ledger: Ledger,
    pool: PgPool,
    /// The first one has half of the calls.
    accounts: Vec<AccountId>,
    from: DateTime<Utc>,
    rates: Rates,
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.replace('_', "").parse().ok()).unwrap_or(default)
}

async fn prepare(url: &str, accounts: usize) -> World {
    let mut admin = PgConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("drop database if exists {DATABASE}"))).execute(&mut admin).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("create database {DATABASE}"))).execute(&mut admin).await.unwrap();
    let options = url.parse::<PgConnectOptions>().unwrap().database(DATABASE);
    let address = Address::from(options.clone());
    let login = Login::derived(&address, &SecretKey::from_bytes([7; 32]));
    let from = Utc::now() - TimeDelta::days(DAYS);
    Ledger::migrate(&address, from).await.unwrap();
    Ledger::prepare_login(&address, &login).await.unwrap();
    let ledger = Ledger::connect(&login, 8);
    ledger.system().make_partitions_from(from.date_naive(), 3).await.unwrap();
    let pool = PgPool::connect_with(options).await.unwrap();
    let mut dice = Dice(1);
    let accounts: Vec<_> = (0..=accounts).map(|_| AccountId::new(from, dice.bits())).collect();
    let ids: Vec<_> = accounts.iter().map(|account| account.uuid()).collect();
    // People are none of this; a password's hash takes longer than a thousand calls.
    for statement in [
        "insert into accounts (account_id, name, created_at) select id, id::text, $2 from unnest($1::uuid[]) id",
        "insert into projects (account_id, project_id, name, created_at) select id, id, 'Default', $2 from unnest($1::uuid[]) id",
        "insert into heads (account_id, posted_at) select id, $2 from unnest($1::uuid[]) id",
        "insert into grants (account_id, grant_id, kind, unit, starts_at) select id, id, 'wallet', 'money', $2 from unnest($1::uuid[]) id",
    ] {
        sqlx::query(statement).bind(&ids).bind(from).execute(&pool).await.unwrap();
    }
    let then = ledger.dated(from).system();
    for account in &accounts {
        let amount = Amount::from_units(1_000_000).unwrap();
        then.account(*account).top_up(MoneyIn { amount, idempotency_key: "bench", memo: "", actor: "", now: from }).await.unwrap();
    }
    let rates = Rates::plain(Amount::from_nanos(150_000), Amount::from_nanos(600_000));
    add_catalog(&ledger, from, &rates, &mut dice).await;
    World { ledger, pool, accounts, from, rates }
}

async fn add_catalog(ledger: &Ledger, from: DateTime<Utc>, rates: &Rates, dice: &mut Dice) {
    let provider = NewProvider {
        id: ProviderId::new(from, dice.bits()),
        name: "upstream",
        base_url: "http://127.0.0.1:9/v1",
        credential: None,
        usage_mode: UsageMode::Forced,
        on_disconnect: DisconnectPolicy::Drain,
        allow_private: true,
        hide_cost: false,
        apis: None,
        time_outs: TimeOuts::default(),
        now: from,
    };
    ledger.system().add_provider(provider).await.unwrap();
    for (place, name) in (0..).zip(MODELS) {
        let model = NewModel {
            id: ModelId::new(from, dice.bits()),
            name,
            provider: "upstream",
            upstream_name: name,
            context_window: Tokens::from_sum(128_000),
            default_output_hold: Tokens::from_sum(4_096),
            output_cap_field: OutputCapField::MaxTokens,
            bounds: ModelBounds::default(),
            now: from,
        };
        ledger.system().add_model(model).await.unwrap();
        let id = PriceId::from_uuid(Uuid::from_u128(PRICE.uuid().as_u128() + place));
        let effective_from = from - TimeDelta::days(1);
        let price = NewPrice {
            id,
            model: name,
            kind: PriceKind::Sale,
            rates: rates.clone(),
            effective_from,
            actor: "bench",
            now: effective_from,
            service_tier: ServiceTier::Default,
        };
        ledger.system().import_price(price).await.unwrap();
    }
}

/// Every call has a client, half of them an end user, and a tenth of them a run and two tags.
fn said(dice: &mut Dice) -> Attribution {
    let mut tags = Tags::default();
    let in_run = dice.below(10) == 0;
    if in_run {
        for (name, value) in [("team", dice.below(4)), ("feature", dice.below(20))] {
            tags.insert(name, &format!("{name}-{value}")).unwrap();
        }
    }
    Attribution {
        end_user: (dice.below(2) == 0).then(|| format!("user-{}", dice.below(1_000)).parse().unwrap()),
        session: in_run.then(|| format!("run-{}", dice.below(100_000)).parse().unwrap()),
        client: "OpenAI/Python 1".parse().ok(),
        tags,
    }
}

fn call(world: &World, account: AccountId, at: DateTime<Utc>, dice: &mut Dice) -> SettledCall {
    let model = dice.below(3);
    let tokens = |count: u64| Some(Tokens::from_sum(count as i64));
    let (prompt, completion) = (20 + dice.below(4_000), 10 + dice.below(800));
    let cached = if prompt > 1_024 { prompt / 2 / 64 * 64 } else { 0 };
    let usage = CallUsage {
        prompt_tokens: tokens(prompt),
        completion_tokens: tokens(completion),
        total_tokens: tokens(prompt + completion),
        counts: TokenCounts {
            input: tokens(prompt - cached),
            cache_read: tokens(cached),
            output: tokens(completion),
            reasoning: tokens(0),
            audio_input: tokens(0),
            audio_output: tokens(0),
            ..TokenCounts::default()
        },
        flag: None,
    };
    let amount = pricing::price(&usage, &world.rates, Discount::NONE).unwrap().amount;
    let admitted = Admitted {
        account_id: account,
        call_id: CallId::new(at, dice.bits()),
        key_id: KeyId::from_uuid(Uuid::from_u128(u128::from(dice.below(5)))),
        project_id: ProjectId::first_of(account),
        member: None,
        attribution: said(dice),
        model: MODELS[model as usize].to_owned(),
        provider: "upstream".to_owned(),
        price_id: PriceId::from_uuid(Uuid::from_u128(PRICE.uuid().as_u128() + u128::from(model))),
        discount: Discount::NONE,
        stream: dice.below(2) == 0,
        excess: Excess::WrittenOff,
        input_estimate: Tokens::from_sum(prompt as i64),
        held: amount,
        tokens_held: Tokens::from_sum((prompt + completion) as i64),
        epoch: None,
        split: Split::default(),
        asked_tier: ServiceTier::Default,
    };
    SettledCall {
        admitted,
        upstream_model: Some(format!("{}-2026-08-06", MODELS[model as usize])),
        outcome: if dice.below(200) == 0 { Outcome::ClientLeft } else { Outcome::Ok },
        source: UsageSource::Upstream,
        usage,
        amount,
        written_off: Amount::ZERO,
        http_status: Some(200),
        latency_ms: 300 + dice.below(9_000) as i64,
        first_byte_ms: Some(100 + dice.below(400) as i64),
        raw_usage: Some(format!(
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{cached},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
            prompt + completion
        )),
        attempts: Vec::new(),
        served_tier: None,
    }
}

/// Posts batches by so many posters at once, each its own accounts. Returns calls a second.
async fn post(world: &World, at: DateTime<Utc>, calls: Vec<SettledCall>, posters: usize) -> f64 {
    let count = calls.len();
    let mut groups: Vec<Vec<SettledCall>> = (0..posters).map(|_| Vec::new()).collect();
    for call in calls {
        let group = call.account_id.uuid().as_u128() as usize % posters;
        groups[group].push(call);
    }
    let began = Instant::now();
    let running: Vec<_> = groups
        .into_iter()
        .map(|group| {
            let meter = world.ledger.dated(at).meter();
            tokio::spawn(async move {
                for batch in group.chunks(BATCH) {
                    let done = meter.post_calls(batch).await.unwrap();
                    assert!(done.quarantined.is_empty());
                }
            })
        })
        .collect();
    for one in running {
        one.await.unwrap();
    }
    count as f64 / began.elapsed().as_secs_f64()
}

async fn fill(world: &World, calls: usize, dice: &mut Dice) {
    let steps = (calls / (4 * BATCH)).max(1);
    let began = Instant::now();
    for step in 0..steps {
        let at = world.from + TimeDelta::milliseconds(DAYS * 86_400_000 * step as i64 / steps as i64);
        let batch = (0..calls / steps)
            .map(|place| {
                let account = if place % 2 == 0 { 0 } else { 1 + dice.below(world.accounts.len() as u64 - 1) as usize };
                call(world, world.accounts[account], at - TimeDelta::milliseconds(dice.below(60_000) as i64), dice)
            })
            .collect();
        post(world, at, batch, 4).await;
    }
    let rate = calls as f64 / began.elapsed().as_secs_f64();
    println!("filled with {calls} calls, half of one account: {rate:.0} a second, {:.0} s", began.elapsed().as_secs_f64());
}

/// Median and 95th percentile of a hundred runs.
async fn time<T>(name: &str, target: &str, run: impl AsyncFn() -> T) {
    let mut spans = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        std::hint::black_box(run().await);
        spans.push(began.elapsed());
    }
    spans.sort();
    let ms = |span: Duration| span.as_secs_f64() * 1e3;
    println!("{name:<44} p50 {:>8.2} ms   p95 {:>8.2} ms   {target}", ms(spans[49]), ms(spans[94]));
}

async fn pages(world: &World) {
    let (reader, now) = (world.ledger.system().account(world.accounts[0]), Utc::now());
    let sparse = world.ledger.system().account(world.accounts[1]);
    let usage = |query: &str| UsageFilter::from_query(query).unwrap();
    let calls = |query: &str| CallFilter::from_query(query).unwrap();
    let month = usage("range=30d");
    time("usage of 30 days, the large account", "target 10", async || reader.usage(&month, now).await.unwrap()).await;
    time("usage of 30 days, a small account", "target 10", async || sparse.usage(&month, now).await.unwrap()).await;
    for (name, query) in [
        ("usage of 30 days, one client", "range=30d&client=OpenAI%2FPython+1"),
        ("usage of 30 days, one end user (1 in 2,000)", "range=30d&user=user-7"),
        ("usage of 30 days, one tag (1 in 40 calls)", "range=30d&tag=team&value=team-1"),
    ] {
        let filter = usage(query);
        time(name, "target 10", async || reader.usage(&filter, now).await.unwrap()).await;
    }
    let log = calls("range=30d");
    time("call log, first page", "target 5", async || reader.calls(&log, None, 50, now).await.unwrap()).await;
    let deep = CallId::new(now - TimeDelta::days(25), [0; 10]);
    time("call log, 25 days deep", "target 5", async || reader.calls(&log, Some(deep), 50, now).await.unwrap()).await;
    for (name, query) in [
        ("call log, one key", "range=30d&key=00000000-0000-0000-0000-000000000003"),
        ("call log, one model", "range=30d&model=mini"),
        ("call log, clients that left (1 in 200)", "range=30d&status=client_left"),
        ("call log, no match", "range=30d&status=interrupted"),
        ("call log, no such key", "range=30d&key=00000000-0000-0000-0000-0000000000ff"),
        ("call log, one client, which made all", "range=30d&client=OpenAI%2FPython+1"),
        ("call log, one end user (1 in 2,000)", "range=30d&user=user-7"),
        ("call log, one tag with its value (1 in 40)", "range=30d&tag=team&value=team-1"),
        ("call log, one tag (1 in 10)", "range=30d&tag=team"),
        ("call log, one run", "range=30d&session=run-7"),
        ("call log, no such end user", "range=30d&user=nobody"),
    ] {
        let filter = calls(query);
        time(name, "target 5", async || reader.calls(&filter, None, 50, now).await.unwrap()).await;
    }
    time("statement, first page", "", async || reader.statement(None, 50, now).await.unwrap()).await;
    let first = reader.statement(None, 5, now).await.unwrap().journal.next;
    time("statement, 5 days deep", "", async || reader.statement(first, 50, now).await.unwrap()).await;
    let operator = world.ledger.system().operator();
    time("operator's customers with their month", "target 50", async || {
        operator.customers(&CustomerFilter::default(), None, 50, now).await.unwrap()
    })
    .await;
}

async fn sizes(world: &World, calls: usize) {
    let of = |tables: &'static str, size: &'static str| async move {
        let sql = format!(
            "select coalesce(sum({size}(c.oid)), 0)::bigint from pg_class c join pg_namespace n on n.oid = relnamespace \
             where nspname = 'public' and relkind = 'r' and relname ~ '{tables}'"
        );
        sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_one(&world.pool).await.unwrap() as f64
    };
    let per_call = |bytes: f64| bytes / calls as f64;
    let (whole, indexes) = ("pg_total_relation_size", "pg_indexes_size");
    let log = of("^calls_", whole).await;
    let (sums, books) = (of("^usage_", whole).await, of("^(journal|entries|books|heads|grants)$", whole).await);
    println!(
        "bytes a call: {:.0} in the log ({:.0} of them its indexes), {:.0} in sums, {:.0} in books; {:.0} in all (target 400)",
        per_call(log),
        per_call(of("^calls_", indexes).await),
        per_call(sums),
        per_call(books),
        per_call(log + sums + books)
    );
}

fn memory_mib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) / 1024
}

async fn proofs(world: &World) {
    let yesterday = Some((Utc::now() - TimeDelta::days(1)).date_naive());
    for (name, what) in [
        ("proof of everything, one account at a time", Verification { at_once: 1, ..Verification::default() }),
        ("proof of everything, two at a time", Verification { at_once: 2, ..Verification::default() }),
        ("proof since yesterday, two at a time", Verification { at_once: 2, since: yesterday, ..Verification::default() }),
        ("proof of the large account", Verification { account: Some(world.accounts[0]), ..Verification::default() }),
    ] {
        let (began, before, mut most) = (Instant::now(), memory_mib(), 0);
        let proof = world.ledger.verify(&what, |_| most = most.max(memory_mib())).await.unwrap();
        assert!(proof.holds(), "{:?}", proof.faults);
        let span = began.elapsed().as_secs_f64();
        println!("{name:<44} {span:>8.1} s   {} calls, {before} MiB before and at most {most} MiB", proof.calls);
    }
}

async fn rates_of_posting(world: &World, dice: &mut Dice) {
    let now = Utc::now();
    for (name, sparse) in [("one account", false), ("10,000 sparse accounts", true)] {
        for posters in [1, 4] {
            let calls = (0..20_000)
                .map(|_| {
                    let account = if sparse { 1 + dice.below(world.accounts.len() as u64 - 1) as usize } else { 0 };
                    call(world, world.accounts[account], now - TimeDelta::seconds(dice.below(60) as i64), dice)
                })
                .collect();
            let rate = post(world, now, calls, posters).await;
            println!("{name:<30} {posters} posting groups: {rate:>7.0} calls a second (target 20,000)");
        }
    }
}

fn main() {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        println!("skipped: DATABASE_URL is not set");
        return;
    };
    let (calls, accounts) = (setting("CALLS", 1_000_000), setting("ACCOUNTS", 10_000));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let world = prepare(&url, accounts).await;
        let mut dice = Dice(2);
        fill(&world, calls, &mut dice).await;
        world.ledger.system().close_hours().await.unwrap();
        sqlx::query("vacuum analyze").execute(&world.pool).await.unwrap();
        sizes(&world, calls).await;
        rates_of_posting(&world, &mut dice).await;
        pages(&world).await;
        proofs(&world).await;
        world.ledger.close().await;
        world.pool.close().await;
        let mut admin = PgConnection::connect(&url).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("drop database {DATABASE} with (force)"))).execute(&mut admin).await.unwrap();
    });
}
