//! Databases as they are found: frozen and thawed, of another isolation, encoding or version, behind a pooler, beside another Farebox.

use std::time::Duration;

use chrono::TimeDelta;
use domain::{catalog::PriceKind, id::PriceId, rates::Rates, service_tier::ServiceTier};
use futures_util::future::join_all;
use ledger::{Address, Error, Ledger, Login, NewPrice, Review, Schema, secrets::SecretKey};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::world::{MODEL, World, amount};

/// What has not come to an end by then hangs.
const DEADLINE: Duration = Duration::from_secs(60);

fn secret() -> SecretKey {
    SecretKey::from_bytes([7; 32])
}

async fn run(pool: &PgPool, statement: &str) {
    pool.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
}

/// Runs a statement about this very database.
async fn alter(pool: &PgPool, change: &str) {
    let name = pool.connect_options().get_database().unwrap().to_owned();
    let mut connection = pool.acquire().await.unwrap();
    // A connection that was made while it was frozen may be the one to thaw it.
    connection.execute("set default_transaction_read_only = off").await.unwrap();
    connection.execute(AssertSqlSafe(format!("alter database \"{name}\" {change}"))).await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_connection_made_while_the_database_was_frozen_is_not_used_once_it_is_thawed(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let calls: Vec<_> = (0..4).map(|minute| world.call(ada, 1_000, 0, TimeDelta::minutes(minute))).collect();
    alter(&world.pool, "set default_transaction_read_only = on").await;
    let ledger = Ledger::connect_patiently(&world.login, 20, DEADLINE);
    let meter = ledger.meter();

    let refused = join_all(calls.iter().map(|call| meter.post_calls(std::slice::from_ref(call)))).await;

    assert!(refused.iter().all(|refused| matches!(refused, Err(Error::ReadOnly))), "{refused:?}");
    assert!(matches!(ledger.ready().await, Err(Error::ReadOnly)));
    assert_eq!(ledger.reader(ada.user).await.unwrap().balance(world.now).await.unwrap().balance, amount("10"), "reading goes on");

    alter(&world.pool, "reset default_transaction_read_only").await;
    ledger.ready().await.unwrap();
    for posted in join_all(calls.iter().map(|call| meter.post_calls(std::slice::from_ref(call)))).await {
        assert_eq!(posted.unwrap().posted, 1);
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn connections_that_were_cut_are_replaced_before_anybody_notices(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let intents: Vec<_> = (0..8).map(|_| world.intent(ada, "0.1")).collect();
    let proxies = join_all((0..4).map(|_| world.proxy())).await;
    for cut in intents.chunks(4) {
        for leased in join_all(cut.iter().zip(&proxies).map(|(call, proxy)| world.lease_by(proxy, call))).await {
            leased.unwrap();
        }
        let others =
            "select pg_terminate_backend(pid, 60000) from pg_stat_activity where datname = current_database() and usename <> current_user";
        world.pool.execute(others).await.unwrap();
    }
    assert_eq!(world.balance(ada).await.reserved, amount("0.8"));
}

/// Whoever stops waiting may do so while a transaction begins, and nobody else is to find themselves in the middle of it.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_transaction_whose_beginning_nobody_waits_for_is_nobody_elses(pool: PgPool) {
    let mut world = World::new(pool.clone()).await;
    let ada = world.customer("ada", "1").await;
    let open = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
    for patience in 0..100 {
        let meter = world.ledger.meter();
        let _ = timeout(Duration::from_micros(20 * patience), meter.recall(&[ada.account])).await; // mostly given up
        let all_ended = async {
            while sqlx::query_scalar::<_, i64>(open).fetch_one(&pool).await.unwrap() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, all_ended).await.expect("each has ended");
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_database_whose_default_is_serializable_refuses_nobody(pool: PgPool) {
    alter(&pool, "set default_transaction_isolation = 'serializable'").await;
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "10").await, world.customer("bob", "10").await);
    let intents: Vec<_> = (0..60).map(|n| world.intent(if n % 2 == 0 { ada } else { bob }, "0.1")).collect();
    let meter = world.ledger.meter();
    let proxies = join_all((0..6).map(|_| world.proxy())).await;
    let calls = join_all(intents.iter().zip(proxies.iter().cycle()).map(|(call, proxy)| world.lease_by(proxy, call))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    let settled: Vec<_> =
        intents.iter().enumerate().map(|(n, intent)| world.settle(intent, if n % 2 == 0 { ada } else { bob }, 10, 10)).collect();
    for posted in join_all(settled.iter().map(|call| meter.post_calls(std::slice::from_ref(call)))).await {
        assert_eq!(posted.unwrap().posted, 1);
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn columns_that_somebody_adds_under_a_running_process_change_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let meter = world.ledger.meter();
    for (minute, change) in
        [(0, ""), (1, "alter table calls add column remark text not null default 'none'"), (2, "alter table calls add column extra bigint")]
    {
        run(&world.pool, change).await;
        let call = world.call(ada, 1_000, 0, TimeDelta::minutes(minute));
        assert_eq!(meter.post_calls(&[call]).await.unwrap().posted, 1, "{change}");
    }
    let remarks: Vec<String> = sqlx::query_scalar("select distinct remark from calls").fetch_all(&world.pool).await.unwrap();
    assert_eq!(remarks, ["none"]);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_later_schema_says_whether_this_version_may_write_beside_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (99, 'later', true, '', 0)";
    run(&world.pool, later).await;
    assert_eq!(Ledger::schema(&world.address).await.unwrap(), Schema::Later);
    // What that version gave its application is left alone.
    let role = world.login.role().to_owned();
    run(
        &world.pool,
        &format!("create table later (x integer); grant select on later to \"{role}\"; grant delete on quarantine to \"{role}\""),
    )
    .await;
    Ledger::migrate(&world.address, world.now).await.unwrap();
    Ledger::prepare_login(&world.address, &world.login).await.unwrap();
    let kept: bool =
        sqlx::query_scalar("select has_table_privilege($1, 'later', 'select') and has_table_privilege($1, 'quarantine', 'delete')")
            .bind(&role)
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert!(kept);
    assert_eq!(world.post(&[world.call(ada, 1, 1, TimeDelta::zero())]).await.unwrap().posted, 1);

    run(&world.pool, "update schema_contract set oldest_writer = 99").await;
    assert_eq!(Ledger::schema(&world.address).await.unwrap(), Schema::TooNew);
    let said = Ledger::migrate(&world.address, world.now).await.unwrap_err();
    assert!(said.to_string().contains("run that version, or restore a backup"), "{said}");
    let price = NewPrice {
        id: PriceId::from_uuid(uuid::Uuid::from_u128(2)),
        model: MODEL,
        kind: PriceKind::Sale,
        rates: Rates::plain(amount("5"), amount("5")),
        effective_from: world.now + TimeDelta::minutes(1),
        actor: "test",
        now: world.now,
        service_tier: ServiceTier::Default,
    };
    let (system, owner) = (world.ledger.system(), world.ledger.owner(ada.user).await.unwrap());
    let key = world.secret();
    let call = world.call(ada, 1, 1, TimeDelta::minutes(1));
    let new_key = world.new_key(ada, &key, "second");
    let refused = [
        ("price", system.operator().publish_price(price, Review { revision: 1, named: Some(MODEL) }).await),
        ("credit", system.operator().credit(ada.account, world.money("1", "later")).await.map(drop)),
        ("top-up", owner.top_up(world.money("1", "later")).await.map(drop)),
        ("key", owner.create_key(new_key).await),
        ("lease", world.lease(&world.intent(ada, "0.1")).await.map(drop)),
        ("posting", world.post(&[call]).await.map(drop)),
        ("ready", world.ledger.ready().await),
    ];
    for (what, answer) in refused {
        assert!(matches!(answer, Err(Error::Outdated)), "{what}: {answer:?}");
    }
    let kept: i64 = sqlx::query_scalar("select count(*) from quarantine").fetch_one(&world.pool).await.unwrap();
    assert_eq!(kept, 0, "a call is kept back, not set aside");
    assert_eq!(world.balance(ada).await.balance, amount("9.999997"));
}

/// Makes a database beside this one, for what must happen before its first table.
struct Beside {
    admin: PgConnection,
    name: String,
    options: PgConnectOptions,
}

impl Beside {
    async fn create(pool: &PgPool, properties: &str) -> Self {
        let options = (*pool.connect_options()).clone();
        let name = format!("{:.40}_beside", options.get_database().unwrap().trim_start_matches('_'));
        let mut admin = PgConnection::connect_with(&options).await.unwrap();
        admin.execute(AssertSqlSafe(format!("drop database if exists \"{name}\" with (force)"))).await.unwrap();
        admin.execute(AssertSqlSafe(format!("create database \"{name}\" {properties}"))).await.unwrap();
        let options = options.database(&name);
        Self { admin, name, options }
    }

    async fn drop(mut self, role: &str) {
        self.admin.execute(AssertSqlSafe(format!("drop database \"{}\" with (force)", self.name))).await.unwrap();
        self.admin.execute(AssertSqlSafe(format!("drop role if exists \"{role}\""))).await.unwrap();
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_encoding_without_room_for_every_name_is_refused_before_the_first_table(pool: PgPool) {
    let beside = Beside::create(&pool, "encoding 'LATIN1' locale 'C' template template0").await;
    let address = Address::from(beside.options.clone());
    for said in [Ledger::schema(&address).await.unwrap_err(), Ledger::migrate(&address, chrono::Utc::now()).await.unwrap_err()] {
        assert!(said.to_string().contains("LATIN1") && said.to_string().contains("encoding 'UTF8'"), "{said}");
    }
    let mut connection = PgConnection::connect_with(&beside.options).await.unwrap();
    let tables: i64 =
        sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'").fetch_one(&mut connection).await.unwrap();
    assert_eq!(tables, 0);
    connection.close().await.unwrap();
    beside.drop("nobody").await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_application_of_one_database_can_do_nothing_in_another_of_the_same_cluster(pool: PgPool) {
    let world = World::new(pool).await;
    let beside = Beside::create(&world.pool, "").await;
    let address = Address::from(beside.options.clone());
    let stranger = Login::derived(&address, &secret());
    Ledger::migrate(&address, world.now).await.unwrap();
    Ledger::prepare_login(&address, &stranger).await.unwrap();
    assert_ne!(stranger.role(), world.login.role());
    let mut here = world.pool.acquire().await.unwrap();
    here.execute(AssertSqlSafe(format!("set role \"{}\"", stranger.role()))).await.unwrap();
    for statement in
        ["select from accounts", "select from calls", "select from key_digests", "insert into sessions (session_id) values ('x')"]
    {
        let refused = here.execute(statement).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{statement}");
    }
    beside.drop(stranger.role()).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_owner_that_may_make_no_role_is_told_how_an_administrator_makes_it(pool: PgPool) {
    let mut beside = Beside::create(&pool, "").await;
    let owner = format!("{:.40}_owner", beside.name);
    let weak = format!("{:.40}_weak", beside.name);
    for statement in [
        format!("drop role if exists \"{}\", \"{owner}\", \"{weak}\"", Login::derived(&beside.options.clone().into(), &secret()).role()),
        format!("create role \"{owner}\" login password 'hush'"),
        format!("create role \"{weak}\" login password 'hush'"),
        format!("alter database \"{}\" owner to \"{owner}\"", beside.name),
    ] {
        beside.admin.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    let options = beside.options.clone().username(&owner).password("hush");
    let address = Address::from(options.clone());
    Ledger::migrate(&address, chrono::Utc::now()).await.unwrap();
    let derived = Login::derived(&address, &secret());
    let said = Ledger::prepare_login(&address, &derived).await.unwrap_err().to_string();
    assert!(said.contains(&format!("create role \"{}\"", derived.role())) && said.contains("--app-database-url"), "{said}");

    // With the right to make roles it makes its own, and renews its login later.
    beside.admin.execute(AssertSqlSafe(format!("alter role \"{owner}\" createrole"))).await.unwrap();
    Ledger::prepare_login(&address, &derived).await.unwrap();
    Ledger::prepare_login(&address, &derived).await.unwrap();
    let changed = Login::derived(&address, &SecretKey::from_bytes([8; 32]));
    Ledger::renew_login(&address, &changed).await.unwrap();
    Ledger::prepare_login(&address, &changed).await.unwrap();

    // Neither the owner's own power nor another database passes for the application's login.
    for (grant, says) in [(format!("grant \"{owner}\" to \"{weak}\""), "could rewrite the books"), (String::new(), "another database")] {
        let place = format!("{}:{}", options.get_host(), options.get_port());
        let database = if grant.is_empty() { "postgres" } else { beside.name.as_str() };
        beside.admin.execute(AssertSqlSafe(grant.clone())).await.unwrap();
        let wrong = Login::parse(&format!("postgres://{weak}:hush@{place}/{database}"), &address).unwrap();
        let said = Ledger::prepare_login(&address, &wrong).await.unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
        beside.admin.execute(AssertSqlSafe(format!("revoke \"{owner}\" from \"{weak}\""))).await.unwrap();
    }
    let given = format!("postgres://{weak}:hush@{}:{}/{}", options.get_host(), options.get_port(), beside.name);
    let given = Login::parse(&given, &address).unwrap();
    Ledger::prepare_login(&address, &given).await.unwrap();
    let ledger = Ledger::connect(&given, 1);
    ledger.ready().await.unwrap();
    ledger.close().await;
    let (mut admin, name) = (beside.admin, beside.name);
    admin.execute(AssertSqlSafe(format!("drop database \"{name}\" with (force)"))).await.unwrap();
    admin.execute(AssertSqlSafe(format!("drop role \"{}\", \"{owner}\", \"{weak}\"", derived.role()))).await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn another_secret_key_is_refused_until_the_login_is_renewed(pool: PgPool) {
    let address = Address::from((*pool.connect_options()).clone());
    let [first, other] = [7, 8].map(|key| Login::derived(&address, &SecretKey::from_bytes([key; 32])));
    // Roles outlive their test's database: a run that broke off may have left another password.
    Ledger::renew_login(&address, &first).await.unwrap();
    let world = World::new(pool).await;
    let said = Ledger::prepare_login(&address, &other).await.unwrap_err().to_string();
    assert!(said.contains("farebox migrate --renew-login"), "{said}");
    world.ledger.ready().await.unwrap();
    Ledger::renew_login(&address, &other).await.unwrap();
    Ledger::prepare_login(&address, &other).await.unwrap();
    assert!(Ledger::prepare_login(&address, &first).await.is_err(), "whoever works with the old key is shut out");
    Ledger::renew_login(&address, &first).await.unwrap();
}

/// Roles are not in a backup of a database.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_backup_that_was_restored_in_another_cluster_gets_its_application_back(pool: PgPool) {
    let world = World::new(pool).await;
    world.ledger.close().await;
    let role = world.login.role();
    run(&world.pool, &format!("drop owned by \"{role}\"")).await;
    run(&world.pool, &format!("drop role \"{role}\"")).await;
    assert_eq!(Ledger::schema(&world.address).await.unwrap(), Schema::Current);
    Ledger::prepare_login(&world.address, &world.login).await.unwrap();
    let ledger = Ledger::connect(&world.login, 1);
    ledger.ready().await.unwrap();
}

/// What an administrator gives every new table must not reach what was posted.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn rights_by_default_do_not_reach_the_books(pool: PgPool) {
    let world = World::new(pool).await;
    let role = world.login.role().to_owned();
    run(&world.pool, &format!("alter default privileges in schema public grant all on tables to \"{role}\"")).await;
    world.ledger.system().make_partitions_from("2030-01-01".parse().unwrap(), 1).await.unwrap();
    run(&world.pool, &format!("grant delete on calls_2026_06, journal to \"{role}\"")).await;
    assert!(may_rewrite(&world).await);
    Ledger::prepare_login(&world.address, &world.login).await.unwrap();
    assert!(!may_rewrite(&world).await);
    // Through a right that is no table's.
    run(&world.pool, &format!("grant pg_write_all_data to \"{role}\"")).await;
    let said = Ledger::prepare_login(&world.address, &world.login).await.unwrap_err().to_string();
    assert!(said.contains("could rewrite the books"), "{said}");
    run(&world.pool, &format!("revoke pg_write_all_data from \"{role}\"")).await;
    run(&world.pool, &format!("alter default privileges in schema public revoke all on tables from \"{role}\"")).await;
}

async fn may_rewrite(world: &World) -> bool {
    let asked = "select bool_or(has_table_privilege($1, name, 'update, delete, truncate')) \
                 from unnest(array['calls', 'calls_2026_06', 'calls_2030_01', 'corrections', 'journal', 'entries']) name";
    sqlx::query_scalar(asked).bind(world.login.role()).fetch_one(&world.pool).await.unwrap()
}

/// The pool would wait for a minute.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_asks_a_database_that_is_away_hears_so_at_once(pool: PgPool) {
    let address = Address::from((*pool.connect_options()).clone().port(1));
    let said = Ledger::schema(&address).await.unwrap_err().to_string();
    assert!(said.contains("no PostgreSQL answers at") && said.contains(":1"), "{said}");
    let ledger = Ledger::connect_patiently(&Login::derived(&address, &secret()), 2, 10 * DEADLINE);
    let asked = timeout(DEADLINE, join_all((0..20).map(|_| ledger.ready()))).await.expect("nobody waits out the queue");
    assert!(asked.iter().all(|answer| answer.as_ref().is_err_and(Error::did_nothing)), "{asked:?}");
}
