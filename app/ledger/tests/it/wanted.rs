//! Models that calls asked for and did not get.

use chrono::TimeDelta;
use domain::{catalog::PriceKind, id::PriceId, rates::Rates, service_tier::ServiceTier};
use ledger::{NewModel, NewPrice};
use sqlx::PgPool;

use crate::world::{World, amount};

fn calls(names: &[(&str, i64)]) -> Vec<(String, i64)> {
    names.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

async fn wanted(world: &World) -> Vec<(String, i64, bool)> {
    let wanted = world.ledger.system().operator().wanted_models().await.unwrap();
    wanted.into_iter().map(|model| (model.name, model.calls, model.is_known)).collect()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn they_are_counted_until_they_have_a_price(pool: PgPool) {
    let mut world = World::new(pool).await;
    let system = world.ledger.system();
    system.add_model(NewModel { name: "large", ..world.model() }).await.unwrap();
    let meter = world.ledger.meter();
    meter.want(&calls(&[("large", 2), ("huge", 7)])).await.unwrap();
    meter.want(&calls(&[("large", 6)])).await.unwrap();
    assert_eq!(wanted(&world).await, [("large".to_owned(), 8, true), ("huge".to_owned(), 7, false)]);

    let price = NewPrice {
        id: PriceId::new(world.now, world.random()),
        model: "large",
        kind: PriceKind::Sale,
        rates: Rates::plain(amount("0.01"), amount("0.02")),
        effective_from: chrono::Utc::now() - TimeDelta::days(1),
        actor: "test",
        now: world.now,
        service_tier: ServiceTier::Default,
    };
    system.import_price(price).await.unwrap();
    assert_eq!(wanted(&world).await, [("huge".to_owned(), 7, false)]);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_makes_names_up_fills_nothing_and_what_is_old_is_forgotten(pool: PgPool) {
    let world = World::new(pool).await;
    let meter = world.ledger.meter();
    meter.want(&calls(&[("old", 1)])).await.unwrap();
    sqlx::query("update wanted_models set last_at = last_at - interval '31 days'").execute(&world.pool).await.unwrap();
    assert_eq!(wanted(&world).await, []);
    for batch in 0..6 {
        let names: Vec<_> = (0..100).map(|number| (format!("made up {}", batch * 100 + number), 1)).collect();
        meter.want(&names).await.unwrap();
    }
    let count: i64 = sqlx::query_scalar("select count(*) from wanted_models").fetch_one(&world.pool).await.unwrap();
    assert!((400..600).contains(&count), "{count}");
    meter.want(&calls(&[("made up 1", 5), ("new", 1)])).await.unwrap();
    assert_eq!(wanted(&world).await[0], ("made up 1".to_owned(), 6, false), "what is kept is counted on");
    let kept = "select exists (select from wanted_models where name in ('old', 'new'))";
    assert!(!sqlx::query_scalar::<_, bool>(kept).fetch_one(&world.pool).await.unwrap());
}
