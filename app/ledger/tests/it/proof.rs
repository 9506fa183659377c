use chrono::{NaiveDate, TimeDelta};
use domain::{
    credit::{CreditLine, Grace, Hardness, Quantity, Scope, Unit, Window},
    id::{LimitId, ProjectId},
    plan::PlanTerms,
    proof::Proof,
    rates::Rates,
    tokens::Tokens,
};
use ledger::{NewLimit, Root, SettledCall, Verification};
use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::{
    codes, documents, payments, reprice,
    world::{Customer, World, amount, monthly, with},
};

/// The tables of money. What a figure, a date or a name on a page rests on is in them.
const TABLES: [&str; 30] = [
    "calls",
    "corrections",
    "heads",
    "grants",
    "credit_lines",
    "books",
    "limits",
    "limit_windows",
    "journal",
    "entries",
    "intents",
    "leases",
    "slices",
    "usage_hourly",
    "usage_daily",
    "price_versions",
    "plan_versions",
    "plan_periods",
    "subscriptions",
    "payments",
    "payment_movements",
    "code_batches",
    "codes",
    "redemptions",
    "sellers",
    "documents",
    "documented",
    "document_years",
    "quarantine",
    "roots",
];

/// Columns that nothing rests on, each with why.
const FREE: [(&str, &str, &str); 51] = [
    (
        "heads",
        "posted_at",
        "the least date of what is posted next, which bears its own; that it is no earlier than what is posted is proved",
    ),
    ("intents", "key_id", "of a running call: it is shown nowhere, and what it comes to is a call's row"),
    ("intents", "project_id", "likewise"),
    ("intents", "end_user", "likewise"),
    ("intents", "session", "likewise"),
    ("intents", "client", "likewise"),
    ("intents", "tags", "likewise"),
    ("intents", "model", "likewise"),
    ("intents", "provider", "likewise"),
    ("intents", "price_id", "likewise"),
    ("intents", "discount_bps", "likewise"),
    ("intents", "service_tier", "likewise"),
    ("intents", "stream", "likewise"),
    ("intents", "input_estimate", "likewise"),
    ("intents", "is_lenient", "likewise"),
    ("intents", "call_id", "likewise: one that nobody announced is settled as interrupted, and paid from no slice"),
    ("intents", "held", "the most that its settlement may cost, which is paid from slices"),
    ("intents", "tokens_held", "likewise"),
    ("intents", "epoch_id", "whose end settles it"),
    ("intents", "split", "from which slices it is paid: a call's row says what they paid"),
    ("limits", "capacity", "what somebody set, and may set anew: no call's figure follows from it"),
    ("limits", "hardness", "likewise"),
    ("limits", "set_by", "who may change it"),
    ("limits", "removed_at", "what somebody removed, which they may"),
    ("leases", "number", "which change was applied last: it decides what is answered, and no sum"),
    ("leases", "epoch_id", "whose slices they are, which is no figure"),
    ("slices", "epoch_id", "likewise"),
    ("slices", "given", "what is answered to a change that is said again"),
    ("slices", "number", "likewise"),
    ("price_versions", "created_by", "who wrote it; no figure"),
    ("subscriptions", "anchor", "which day of the month the next period begins on; what is paid for is a period's row"),
    ("subscriptions", "next_plan_id", "what its owner wants when the period ends"),
    ("subscriptions", "next_version", "likewise"),
    ("subscriptions", "ends", "likewise"),
    ("subscriptions", "unpaid_since", "since when a period waits to be paid for, of which there is no row"),
    ("subscriptions", "is_quota", "who has put the account on quota, which is a credit line's row"),
    ("subscriptions", "ended_at", "when it was over; every period that was paid for has its end"),
    ("price_versions", "withdrawn_by", "who withdrew it; no figure"),
    ("payments", "session", "what the provider calls it: whatever that paid is a movement, which names it"),
    ("payments", "problem", "what an operator is to look at, and says when they have"),
    ("payments", "changed_at", "when that was; a movement has its own date"),
    ("payments", "customer", "of whom it is asked that nobody is there for: whatever that paid is a movement"),
    ("payments", "method", "likewise"),
    ("payments", "looked_at", "when the provider was last asked"),
    ("code_batches", "revoked_at", "from when on nothing is redeemed: what was stays"),
    ("code_batches", "revoked_by", "who revoked it; no figure"),
    ("quarantine", "reason", "what PostgreSQL said; the row itself is named"),
    ("quarantine", "at", "when it said so"),
    ("quarantine", "is_own", "which of a call's two settlements it is; the settlement says so itself"),
    ("quarantine", "call", "the settlement, which is proved once it is posted"),
    ("roots", "made_at", "when it was worked out, which may be any time after its day"),
];

/// An account with every kind of row: hours that are posted and one that is open, a promo, a package, a running call, corrections in money and in
/// tokens, a call in quarantine, a sealed day.
async fn busy_world(pool: PgPool) -> (World, Customer) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let calls: Vec<_> = (0..5).map(|hour| world.call(ada, 1_000, 100, TimeDelta::hours(hour))).collect();
    world.post(&calls).await.unwrap();
    world.promo(ada, "0.25").await;
    world.package(ada, 5_000, "package").await;
    let in_tokens = with(world.intent(ada, "0.5"), |call| call.tokens_held = Tokens::from_sum(3_000));
    // Its hold in money, which is none, is the smaller one: what is changed below is the one that is held.
    let running_in_tokens = with(world.intent(ada, "0.1"), |call| call.tokens_held = Tokens::from_sum(2_000));
    for intent in [&in_tokens, &running_in_tokens] {
        assert_eq!(world.lease(intent).await.unwrap(), Unit::Tokens);
    }
    for settlement in [world.interrupt(&in_tokens, ada), world.settle(&in_tokens, ada, 700, 70)] {
        world.post(&[settlement]).await.unwrap();
    }
    let system = world.ledger.system();
    system.close_hours().await.unwrap();
    system.seal_days().await.unwrap();
    let member = world.ledger.member(ada.user).await.unwrap();
    for (window, unit) in [(Window::Ever, Unit::Money), (Window::Ever, Unit::Tokens), (Window::Day, Unit::Requests)] {
        let id = LimitId::new(world.now, world.random());
        let capacity = Quantity::from_count(1_000_000_000_000);
        member.set_limit(&NewLimit { id, scope: Scope::Key(ada.key), window, unit, hardness: Hardness::Hard, capacity }).await.unwrap();
    }
    let owner = world.ledger.owner(ada.user).await.unwrap();
    for scope in [Scope::Project(ProjectId::first_of(ada.account)), Scope::Member(ada.user), Scope::Run("nightly".parse().unwrap())] {
        let (id, capacity) = (LimitId::new(world.now, world.random()), Quantity::from_count(1_000));
        let new = NewLimit { id, scope, window: Window::Ever, unit: Unit::Requests, hardness: Hardness::Hard, capacity };
        owner.set_limit(&new).await.unwrap();
    }
    let of_run = || with(world.intent(ada, "0.5"), |call| call.attribution.session = "nightly".parse().ok());
    let (running, dead) = (of_run(), of_run());
    world.lease(&running).await.unwrap();
    world.lease(&dead).await.unwrap();
    world.ledger.meter().announce(world.proxy.epoch, &[world.holding(&running)]).await.unwrap();
    for settlement in [world.interrupt(&dead, ada), world.settle(&dead, ada, 700, 70)] {
        world.post(&[settlement]).await.unwrap();
    }
    let plan = world.sell("Basic", PlanTerms { fee: amount("0.5"), ..monthly() }).await;
    owner.buy(world.purchase(&plan)).await.unwrap();
    let grace = Some(Grace { amount: amount("1"), until: "2100-01-01T00:00:00Z".parse().unwrap() });
    let line = CreditLine { amount: amount("5"), grace, ..CreditLine::default() };
    system.operator().change_credit_line(ada.account, "test", |own| *own = line).await.unwrap();
    system.operator().credit_call(calls[0].call_id, world.give_back(Some("0.0002"), "back")).await.unwrap();
    let disputed = payments::begun(&world, ada, "5").await;
    payments::pay(&world, &disputed).await;
    for (event, is_taken) in [("disputed", true), ("won", false)] {
        payments::dispute(&world, &disputed, event, (is_taken, !is_taken)).await;
    }
    Box::pin(codes::redeemed(&world, ada)).await;
    system.operator().set_seller(documents::seller(&world)).await.unwrap();
    assert_eq!(system.issue_documents().await.unwrap(), 5, "ten and five paid in, a plan, a dispute, and what it gave back");
    (world, ada)
}

async fn run(world: &World, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&world.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Another value of the same type.
fn another(column: &str, kind: &str) -> String {
    match kind {
        "smallint" | "integer" | "bigint" => format!("coalesce({column}, 0) + 7"),
        "boolean" => format!("not {column}"),
        "uuid" => "gen_random_uuid()".to_owned(),
        "timestamp with time zone" => format!("coalesce({column}, now()) + interval '1 day'"),
        "date" => format!("{column} - 1"),
        "bytea" => format!(r"coalesce({column}, '\x01') || '\x07'"),
        "jsonb" if column == "tags" => format!(r#"coalesce({column}, '{{}}') || '{{"another": "tag"}}'"#),
        "jsonb" => format!(r#"coalesce({column}, '[]') || '[{{"grant_id": "00000000-0000-0000-0000-000000000001", "amount": 0}}]'"#),
        "ARRAY" => "array['another']".to_owned(),
        "text" => format!("coalesce({column}, '') || 'x'"),
        other => panic!("no other value of {other}"),
    }
}

/// The database itself may refuse a change, by its key, a constraint or a reference; what it lets through must be found, or be listed with why not.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn no_column_of_the_tables_of_money_can_be_changed_unnoticed(pool: PgPool) {
    let (world, ada) = busy_world(pool).await;
    let price = reprice::version(&world, Rates::plain(amount("0.0005"), amount("0.001"))).await;
    world.ledger.system().operator().reprice(reprice::by(&world, price)).await.unwrap();
    let call = world.call_of(ada, 10, 10, TimeDelta::minutes(7), [77; 10]);
    let bad = SettledCall { upstream_model: Some("nul\0".to_owned()), ..call };
    world.assert_proven().await;
    world.post(&[bad]).await.unwrap();
    let before = named(&world.proof().await);
    assert_eq!(before.len(), 1, "what is in quarantine is named: {before:?}");
    let columns = sqlx::query(
        "select table_name::text, column_name::text, data_type::text from information_schema.columns \
         where table_name = any($1) order by table_name, ordinal_position",
    )
    .bind(TABLES)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let mut found = 0;
    for column in columns {
        let (table, column, kind): (String, String, String) = (column.get(0), column.get(1), column.get(2));
        // The whole table is put back, in one transaction with what was done to it.
        let change = format!(
            "update {table} set {column} = {} where ctid = (select ctid from {table} order by {column} is null, {column}::text desc limit 1) \
             and tableoid = (select tableoid from {table} order by {column} is null, {column}::text desc limit 1)",
            another(&column, &kind)
        );
        run(&world, format!("drop table if exists kept; create table kept as select * from {table}")).await;
        let done = sqlx::raw_sql(AssertSqlSafe(change)).execute(&world.pool).await;
        if done.is_ok_and(|done| done.rows_affected() == 1) {
            let is_free = FREE.iter().any(|(of, name, _)| (*of, *name) == (&table, &column));
            let is_found = named(&world.proof().await) != before;
            assert!(is_found || is_free, "{table}.{column} was changed and nothing noticed");
            found += usize::from(is_found);
            let back = format!(
                "set session_replication_role = replica; delete from {table}; insert into {table} select * from kept; set session_replication_role = origin"
            );
            run(&world, back).await;
        }
        assert_eq!(named(&world.proof().await), before, "{table}.{column} put back");
    }
    assert!(found >= 90, "only {found} columns could be changed");
}

fn named(proof: &Proof) -> Vec<(String, String)> {
    proof.faults.iter().map(|fault| (fault.claim.clone(), fault.row.clone())).collect()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_entry_in_another_book_is_found(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    run(&world, "update entries set book = 'cash' where book = 'revenue'".to_owned()).await;
    let faults = world.proof().await.faults;
    assert!(faults.iter().any(|fault| (fault.expected.as_str(), fault.found.as_str()) == ("revenue", "cash")), "{faults:?}");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_posting_that_was_dated_or_worded_anew_is_found(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    for (kind, change) in [
        ("usage", "posted_at = posted_at - interval '1 day'"),
        ("usage", "event_at = event_at + interval '1 hour'"),
        ("usage", "memo = 'a gift'"),
        ("usage", "actor = 'somebody'"),
        ("usage", "calls = calls + 1"),
        ("usage", "kind = 'call_credit', calls = null"),
        ("top_up", "memo = 'a gift', idempotency_key = null, request_digest = null"),
        ("top_up", "memo = 'a gift'"),
        ("top_up", "actor = 'somebody else'"),
        ("top_up", "kind = 'adjustment'"),
        ("promo", "memo = 'a gift'"),
        ("promo", "kind = 'package'"),
        ("late_usage", "posted_at = posted_at - interval '1 day'"),
        ("late_usage", "event_at = event_at + interval '1 hour'"),
        ("late_usage", "memo = 'a present'"),
        ("late_usage", "actor = 'somebody'"),
        ("late_usage", "kind = 'call_credit'"),
        ("call_credit", "kind = 'late_usage'"),
        ("call_credit", "posted_at = posted_at - interval '1 day'"),
        ("call_credit", "event_at = event_at + interval '1 hour'"),
        ("call_credit", "memo = 'another reason'"),
        ("call_credit", "actor = 'somebody else'"),
    ] {
        run(
            &world,
            format!("create table kept as select * from journal where kind = '{kind}'; update journal set {change} where kind = '{kind}'"),
        )
        .await;
        let faults = world.proof().await.faults;
        assert!(faults.iter().any(|fault| fault.row.starts_with("posting ")), "{kind}: {change}: {faults:?}");
        let back = "update journal j set (posted_at, event_at, memo, actor, kind, calls, idempotency_key, request_digest) = \
                    (k.posted_at, k.event_at, k.memo, k.actor, k.kind, k.calls, k.idempotency_key, k.request_digest) \
                    from kept k where k.account_id = j.account_id and k.seq = j.seq; drop table kept";
        run(&world, back.to_owned()).await;
        world.assert_proven().await;
    }
}

/// Texts and times as well as figures, and what makes a row unreadable hides no other.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_correction_that_was_changed_in_any_way_is_found(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    for change in [
        "settlement = replace(settlement, '700', '800')",
        "settlement = 'x'",
        "paid_by = '{}'",
        "kind = 'late_usage', settlement = '{}'",
        "posted_at = posted_at - interval '1 day'",
        "call_id = gen_random_uuid()",
        "seq = 1",
        "seal = '\\x02'",
        "written_off = 7",
    ] {
        run(&world, "create table kept as select * from corrections".to_owned()).await;
        let change = format!("update corrections set {change} where kind = 'late_usage' and tokens_paid is null");
        sqlx::raw_sql(AssertSqlSafe(change.clone())).execute(&world.pool).await.unwrap();
        let proof = world.proof().await;
        assert!(proof.faults.iter().any(|fault| fault.row.starts_with("correction ")), "{change}: {:?}", proof.faults);
        run(&world, "delete from corrections; insert into corrections select * from kept; drop table kept".to_owned()).await;
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_that_was_not_in_force_is_noticed_by_the_calls_it_priced(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    run(&world, "update price_versions set effective_from = effective_from + interval '10 years'".to_owned()).await;
    assert_eq!(of_calls(&world).await, 7, "it had not begun");
    run(&world, "update price_versions set effective_from = effective_from - interval '10 years'".to_owned()).await;
    world.assert_proven().await;
    let another = "insert into price_versions select gen_random_uuid(), model_id, kind, effective_from + interval '1 day', rates, effective_from, '', seal \
                   from price_versions where kind = 'sale'";
    run(&world, another.to_owned()).await;
    assert_eq!(of_calls(&world).await, 7, "another one had followed it");
    let withdraw =
        "update price_versions set withdrawn_at = effective_from - interval '1 day', withdrawn_by = 'somebody' where effective_from";
    run(&world, format!("{withdraw} = (select max(effective_from) from price_versions where kind = 'sale')")).await;
    assert_eq!(of_calls(&world).await, 0, "the other one was withdrawn");
    run(&world, format!("{withdraw} = (select min(effective_from) from price_versions where kind = 'sale')")).await;
    assert_eq!(of_calls(&world).await, 7, "no call is charged by one that was withdrawn");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_row_that_is_gone_is_missed(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    for table in ["calls", "corrections", "entries", "books", "slices", "usage_hourly", "usage_daily"] {
        run(&world, format!("create table kept as select * from {table}")).await;
        run(&world, format!("delete from {table} where ctid = (select min(ctid) from {table})")).await;
        assert!(!world.proof().await.holds(), "{table}");
        run(&world, format!("delete from {table}; insert into {table} select * from kept; drop table kept")).await;
        world.assert_proven().await;
    }
}

/// Whatever is leased must be somebody's: else it would never go back, or be given twice.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_slice_that_was_changed_by_hand_is_named(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    let other = "insert into leases select account_id, gen_random_uuid(), 1 from leases; \
                 insert into slices select s.account_id, l.epoch_id, s.grant_id, s.limit_id, s.starts_at, 1, 1, 1 \
                 from slices s join leases l on l.account_id = s.account_id and l.epoch_id <> s.epoch_id where s.{} is not null";
    for (pool, claim) in [
        ("grant_id", "what is leased of a grant is the sum of its slices"),
        ("limit_id", "what is leased of a limit is the sum of its slices"),
    ] {
        for change in [
            "update slices set amount = amount + 1 where {} is not null",
            "update slices set amount = amount - 1 where {} is not null and amount > 1",
            "delete from slices where {} is not null",
            other,
        ] {
            run(&world, "create table kept as select * from slices; create table kept_leases as select * from leases".to_owned()).await;
            let change = change.replace("{}", pool);
            run(&world, change.clone()).await;
            let faults = named(&world.proof().await);
            assert!(!faults.is_empty() && faults.iter().all(|(named, _)| named == claim), "{change}: {faults:?}");
            let back = "delete from leases; insert into leases select * from kept_leases; insert into slices select * from kept; \
                        drop table kept; drop table kept_leases";
            run(&world, back.to_owned()).await;
            world.assert_proven().await;
        }
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn more_that_is_leased_than_there_is_is_named(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.intent(ada, "0.4");
    world.lease(&call).await.unwrap();
    // All of it, and then more than all.
    for (more, faults) in [(600_000_000, 0), (1, 1)] {
        run(&world, format!("update slices set amount = amount + {more}; update grants set leased = leased + {more}")).await;
        let found = named(&world.proof().await);
        assert_eq!(found.len(), faults, "{found:?}");
        assert!(found.iter().all(|(claim, _)| claim.starts_with("no grant is below its floor")), "{found:?}");
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_row_of_an_account_that_does_not_exist_is_found(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    for table in ["usage_hourly", "usage_daily"] {
        run(&world, format!("update {table} set account_id = gen_random_uuid() where ctid = (select min(ctid) from {table})")).await;
    }
    let faults = named(&world.proof().await);
    let of_nobody = faults.iter().filter(|(claim, _)| claim == "nothing belongs to an account that does not exist").count();
    assert_eq!(of_nobody, 2, "{faults:?}");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_rewritten_price_is_noticed_by_the_calls_it_priced(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    run(&world, r#"update price_versions set rates = jsonb_set(rates, '{base,input}', '"0.0011"')"#.to_owned()).await;
    assert_eq!(of_calls(&world).await, 8, "six calls that are paid in money, and two settlements that came late");
    run(&world, "update price_versions set rates = '{}'".to_owned()).await;
    assert_eq!(of_calls(&world).await, 8, "one that cannot be read ends no proof");
}

/// The rows at fault that are calls or corrections of them. Of prices there is one.
async fn of_calls(world: &World) -> usize {
    let faults = world.proof().await.faults;
    let (of_calls, others): (Vec<_>, Vec<_>) = faults.iter().partition(|fault| fault.row.contains("call "));
    assert!(others.len() == 1 && others[0].row.starts_with("price "), "{others:?}");
    of_calls.len()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proof_is_exact_while_calls_are_posted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let calls: Vec<_> = (0..200).map(|minute| world.call(ada, 100, 10, TimeDelta::minutes(minute))).collect();
    let posting = async {
        for (call, minute) in calls.into_iter().zip(0..) {
            // Every so often an hour has passed.
            let then = world.ledger.dated(world.now + TimeDelta::minutes(minute));
            then.meter().post_calls(&[call]).await.unwrap();
        }
    };
    let proving = async {
        loop {
            world.assert_proven().await;
        }
    };
    tokio::select! {
        () = posting => {}
        never = proving => never,
    }
    world.assert_proven().await;
}

/// Ada has calls of three days, one of which was posted four days after it began.
async fn three_days(pool: PgPool) -> (World, Customer) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    world.customer("bob", "1").await;
    for day in 0..3 {
        let then = world.ledger.dated(world.now + TimeDelta::days(day));
        let call = world.call(ada, 1_000, 10, -TimeDelta::days(day));
        then.meter().post_calls(&[call]).await.unwrap();
    }
    let late = world.call(ada, 1_000, 10, TimeDelta::days(2));
    world.ledger.dated(world.now + TimeDelta::days(2)).meter().post_calls(&[late]).await.unwrap();
    world.ledger.system().close_hours().await.unwrap();
    (world, ada)
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

async fn since(world: &World, text: &str) -> Proof {
    let what = Verification { since: Some(day(text)), ..Verification::default() };
    world.ledger.verify(&what, |_| {}).await.unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_proof_of_the_last_days_looks_at_what_was_posted_since_and_finds_the_same_there(pool: PgPool) {
    let (world, _) = three_days(pool).await;
    for (from, calls) in [("2026-06-15", 4), ("2026-06-16", 3), ("2026-06-17", 2), ("2026-06-18", 0)] {
        let proof = since(&world, from).await;
        assert!(proof.holds(), "{from}: {:#?}", proof.faults);
        assert_eq!(proof.calls, calls, "{from}");
    }
    for (posted, change) in [
        (
            "2026-06-17",
            "update calls set amount = amount - 1, held = held - 1 where posted_at > '2026-06-17' and started_at < '2026-06-14'",
        ),
        ("2026-06-17", "update calls set latency_ms = 1 where posted_at > '2026-06-17' and started_at > '2026-06-17'"),
        ("2026-06-17", "update entries set balance_after = balance_after + 1 where seq = (select max(seq) from entries)"),
        ("2026-06-17", "delete from calls where posted_at > '2026-06-17' and started_at > '2026-06-17'"),
    ] {
        run(&world, "create table kept as select * from calls; create table kept_entries as select * from entries".to_owned()).await;
        run(&world, change.to_owned()).await;
        assert!(!since(&world, posted).await.holds(), "{change}");
        assert!(since(&world, "2026-06-18").await.faults.len() <= 2, "{change}: of what was before, only sums are asked for");
        let back = "delete from calls; insert into calls select * from kept; delete from entries; insert into entries select * from kept_entries; \
                    drop table kept; drop table kept_entries";
        run(&world, back.to_owned()).await;
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_proof_of_one_account_is_of_that_alone(pool: PgPool) {
    let (world, ada) = three_days(pool).await;
    run(&world, format!("update heads set seq = seq + 1 where account_id <> '{}'", ada.account)).await;
    let of = |account| Verification { account: Some(account), ..Verification::default() };
    let proof = world.ledger.verify(&of(ada.account), |_| {}).await.unwrap();
    assert!(proof.holds() && (proof.accounts, proof.calls) == (1, 4), "{proof:?}");
    assert!(!world.proof().await.holds());
    let nobody = domain::id::AccountId::new(world.now, [9; 10]);
    assert!(matches!(world.ledger.verify(&of(nobody), |_| {}).await, Err(ledger::Error::NotFound)));
}

/// Whoever owns the database can write an account's history anew, with seals and chain and all. They cannot make it fit what was kept elsewhere.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn history_that_was_written_anew_consistently_is_found_by_a_root_that_was_kept(pool: PgPool) {
    let (mut world, ada) = three_days(pool).await;
    let sealed: Vec<Root> = world.ledger.system().seal_days().await.unwrap();
    assert_eq!(sealed.len(), 1, "yesterday, which all that was posted in June is before");
    assert_eq!(world.ledger.system().seal_days().await.unwrap(), [], "once");
    let kept: Root = sealed[0].to_string().parse().unwrap();
    let against = Verification { against: Some(kept), ..Verification::default() };
    assert!(world.ledger.verify(&against, |_| {}).await.unwrap().holds());

    // Ada never paid ten, and her calls were others.
    let id = ada.account;
    let tables = ["calls", "entries", "journal", "books", "usage_hourly", "usage_daily"];
    let forget = tables.map(|table| format!("delete from {table} where account_id = '{id}';")).concat();
    run(&world, forget).await;
    run(&world, format!("update grants set granted = 0, used = 0, unbooked = 0 where account_id = '{id}'")).await;
    run(&world, format!("update heads set seq = 0, digest = null, posted_at = '2026-06-15' where account_id = '{id}'; delete from roots"))
        .await;
    world.ledger.owner(ada.user).await.unwrap().top_up(world.money("1", "another")).await.unwrap();
    let call = world.call(ada, 7, 7, TimeDelta::zero());
    world.post(&[call]).await.unwrap();
    world.ledger.system().close_hours().await.unwrap();

    world.assert_proven().await;
    let faults = named(&world.ledger.verify(&against, |_| {}).await.unwrap());
    assert_eq!(faults, [("the books of a sealed day say what they said then".to_owned(), format!("root of {}", kept.day))]);
    assert_eq!(world.balance(ada).await.balance, amount("0.999979"));
}
