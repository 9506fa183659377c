//! What a proxy finds when it starts again.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::Attribution,
    call::{Outcome, UsageSource},
    credit::{Caller, Demand, PoolRef, Split},
    id::{CallId, EpochId, ProjectId},
    lease::{Ask, Change},
    money::Amount,
    pricing::{Discount, Excess},
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{Admitted, Error, NewEpoch, Wait};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::{INSTANCE, MODEL, World, amount, call_id, chat, new_folder, text};

/// A call that an earlier life of a proxy has admitted, with the spool that was made then.
async fn lease(world: &World, proxy: Uuid, spool_since: DateTime<Utc>) -> Admitted {
    let (now, meter) = (Utc::now(), world.ledger.meter());
    let price = world.ledger.system().operator().price_history(MODEL, ServiceTier::Default).await.unwrap().versions.remove(0);
    let epoch = EpochId::new(now, rand::random());
    let lasts = TimeDelta::seconds(30);
    meter.begin_epoch(&NewEpoch { id: epoch, proxy, spool_since, lasts, longest: TimeDelta::hours(1) }).await.unwrap();
    let project = ProjectId::first_of(world.account);
    let demand = Demand { money: amount("0.5"), tokens: Tokens::from_sum(10_000), requests: 1 };
    let ask = Ask::new(demand, Caller { key: world.key_id, project, member: None, run: None }, MODEL.to_owned(), now);
    let change = Change { number: 1, heard: 0, returned: Vec::new(), ask: Some(ask) };
    let changed = meter.change_leases(epoch, &[(world.account, change)], Wait::Yes).await.unwrap().accounts.remove(0);
    let given = changed.answer.unwrap().given;
    assert!(matches!(given[..], [hold] if matches!(hold.pool, PoolRef::Grant(_)) && hold.quantity == amount("0.5").into()), "{given:?}");
    Admitted {
        account_id: world.account,
        call_id: CallId::new(now, [3; 10]),
        key_id: world.key_id,
        project_id: project,
        member: None,
        attribution: Attribution { session: "nightly".parse().ok(), ..Attribution::default() },
        model: MODEL.to_owned(),
        provider: "loopback".to_owned(),
        price_id: price.id,
        discount: Discount::NONE,
        stream: true,
        excess: Excess::WrittenOff,
        input_estimate: Tokens::from_sum(1_000),
        held: amount("0.5"),
        tokens_held: Tokens::from_sum(10_000),
        epoch: Some(epoch),
        split: Split { payment: given, limits: Vec::new() },
        asked_tier: ServiceTier::Default,
    }
}

/// When the spool of a world's proxy was made.
fn spool_since(world: &World) -> DateTime<Utc> {
    let text = std::fs::read_to_string(world.settings.spool.folder.join("spool.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["created_at"].as_str().unwrap().parse().unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_an_earlier_run_had_leased_goes_back_and_a_call_that_its_spool_does_not_know_costs_nothing(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let call = lease(&world, INSTANCE, spool_since(&world)).await;
    let spool = world.settings.spool.folder.clone();
    let world = world.restart(spool).await;
    assert_eq!(world.balance().await, amount("1"));
    let found = world.ledger.meter().generation(world.account, call.call_id).await;
    assert!(matches!(found, Err(Error::NotFound)), "{found:?}");
    world.stop().await;
}

/// Its machine may be suspended, with calls that run: nobody gives back what it had before they must have ended.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_long_call_of_a_proxy_that_is_gone_with_its_spool_is_settled_as_interrupted_once_and_late(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let call = lease(&world, Uuid::from_u128(8), Utc::now()).await;
    let meter = world.ledger.meter();
    meter.announce(call.epoch.unwrap(), std::slice::from_ref(&call)).await.unwrap();
    let mut seen = Vec::new();
    for passed in [TimeDelta::zero(), TimeDelta::minutes(59)] {
        sqlx::query("update epochs set expires_at = now() - $1 * interval '1 second' where epoch_id = $2")
            .bind(passed.num_seconds())
            .bind(call.epoch.unwrap().uuid())
            .execute(&pool)
            .await
            .unwrap();
        for _ in 0..2 {
            proxy::end_silent(&world.ledger, &mut seen).await.unwrap();
        }
        assert_eq!(meter.balance(world.account, Utc::now()).await.unwrap().reserved, amount("0.5"));
    }
    sqlx::query("update epochs set expires_at = now() - interval '61 minutes' where epoch_id = $1")
        .bind(call.epoch.unwrap().uuid())
        .execute(&pool)
        .await
        .unwrap();
    proxy::end_silent(&world.ledger, &mut seen).await.unwrap();
    assert_eq!(meter.balance(world.account, Utc::now()).await.unwrap().reserved, amount("0.5"), "it may have been away, and come back");
    for _ in 0..2 {
        proxy::end_silent(&world.ledger, &mut seen).await.unwrap();
        assert_eq!(world.balance().await, amount("0.999"));
        let posted = world.detail(call.call_id).await;
        assert_eq!(
            (posted.row.outcome, posted.row.source, posted.row.amount),
            (Outcome::Interrupted, UsageSource::Interrupted, amount("0.001"))
        );
        assert_eq!(posted.attribution, call.attribution);
    }
    world.stop().await;
}

/// With another spool, as a copy of a machine has it. The one that runs goes on.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_second_proxy_of_one_id_is_refused_and_leaves_nothing(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let settings =
        proxy::Settings { spool: proxy::SpoolSettings { folder: new_folder(), ..world.settings.spool.clone() }, ..world.settings.clone() };
    let spool = settings.spool.folder.clone();
    let secret = ledger::secrets::SecretKey::from_bytes([7; 32]);
    let refused = proxy::Proxy::start(world.ledger.clone(), &world.ledger, secret, settings).await.err().unwrap().to_string();
    assert!(refused.contains("another process runs as proxy") && refused.contains(&INSTANCE.to_string()), "{refused}");
    let id = call_id(&world.post(chat("hello", "")).await);
    assert!(world.detail(id).await.row.amount > Amount::ZERO);
    assert_eq!(world.ledger.meter().epochs(None).await.unwrap().len(), 1);
    std::fs::remove_dir_all(spool).unwrap();
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_spool_of_another_proxy_or_another_database_is_left_alone(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let spool = world.settings.spool.folder.clone();
    text(world.post(chat("hello", "")).await).await;
    // Both keep the spool open.
    drop(world.gateway);
    world.proxy.stop().await;
    let mut settings = world.settings.clone();
    settings.instance = uuid::Uuid::from_u128(8);
    let secret = || ledger::secrets::SecretKey::from_bytes([7; 32]);
    let refused = proxy::Proxy::start(world.ledger.clone(), &world.ledger, secret(), settings).await.err().unwrap().to_string();
    assert!(refused.contains("farebox spool post") && refused.contains(&INSTANCE.to_string()), "{refused}");
    sqlx::query("update identity set database_id = gen_random_uuid()").execute(&pool).await.unwrap();
    let refused = proxy::Proxy::start(world.ledger.clone(), &world.ledger, secret(), world.settings).await.err().unwrap().to_string();
    assert!(refused.contains("is posted to that database alone"), "{refused}");
    assert!(spool.join("spool.json").exists());
    std::fs::remove_dir_all(spool).unwrap();
}

/// Nobody else can, as long as one has it open.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_second_proxy_cannot_open_the_spool_of_a_running_one(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let secret = ledger::secrets::SecretKey::from_bytes([7; 32]);
    let refused = proxy::Proxy::start(world.ledger.clone(), &world.ledger, secret, world.settings.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("another process has it open"), "{refused}");
    let id = call_id(&world.post(chat("hello", "")).await);
    assert!(world.balance().await < amount("1"), "the first one goes on");
    assert!(world.detail(id).await.row.amount > Amount::ZERO);
    world.stop().await;
}
