//! What a proxy finds when it starts again.

use domain::{
    attribution::Attribution,
    call::{Outcome, UsageSource},
    id::{CallId, ProjectId},
    money::Amount,
    pricing::{Discount, Excess},
    tokens::Tokens,
};
use ledger::{Admitted, Error, Intent};
use sqlx::PgPool;

use crate::world::{INSTANCE, MODEL, World, amount, call_id, chat, new_folder, text};

/// A hold of this proxy for a call that is in no spool.
async fn lease(world: &World) -> Intent {
    let price = world.ledger.system().operator().price_history(MODEL).await.unwrap().remove(0);
    let admitted = Admitted {
        account_id: world.account,
        call_id: CallId::new(chrono::Utc::now(), [3; 10]),
        key_id: world.key_id,
        project_id: ProjectId::first_of(world.account),
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
    };
    let intent = Intent { admitted, proxy: INSTANCE, expires_at: world.now + chrono::TimeDelta::hours(1) };
    world.ledger.meter().lease(&intent).await.unwrap();
    intent
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_its_spool_does_not_know_was_never_forwarded_and_costs_nothing(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let intent = lease(&world).await;
    let spool = world.settings.spool.folder.clone();
    let world = world.restart(spool).await;
    assert_eq!(world.balance_at_rest().await, amount("1"));
    let found = world.ledger.meter().generation(world.account, intent.call_id).await;
    assert!(matches!(found, Err(Error::NotFound)), "{found:?}");
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_of_a_spool_that_is_lost_is_settled_as_interrupted_once(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let intent = lease(&world).await;
    let mut world = world.restart(new_folder()).await;
    for _ in 0..2 {
        assert_eq!(world.balance_at_rest().await, amount("0.999"));
        let call = world.detail(intent.call_id).await;
        assert_eq!((call.row.outcome, call.row.source, call.row.amount), (Outcome::Interrupted, UsageSource::Interrupted, amount("0.001")));
        assert_eq!(call.attribution, intent.attribution);
        world = world.restart(new_folder()).await;
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_spool_of_another_proxy_or_another_database_is_left_alone(pool: PgPool) {
    let world = World::new(&pool, "1").await;
    let spool = world.settings.spool.folder.clone();
    text(world.post(chat("hello", "")).await).await;
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
    assert!(world.balance_at_rest().await < amount("1"), "the first one goes on");
    assert!(world.detail(id).await.row.amount > Amount::ZERO);
    world.stop().await;
}
