//! What can be called is changed, stopped and removed; what was called stays in the books.

use chrono::TimeDelta;
use domain::{catalog::UsageMode, tokens::Tokens};
use ledger::{Disabled, Error, ModelChange, ProviderChange, secrets::SecretKey};
use sqlx::PgPool;

use crate::world::{MODEL, World};

const PROVIDER: &str = "upstream";

/// The names of the models that proxies can call.
async fn callable(world: &World) -> Vec<String> {
    let catalog = world.ledger.meter().catalog(&SecretKey::from_bytes([7; 32]), world.now).await.unwrap();
    let mut names: Vec<_> = catalog.models.into_keys().collect();
    names.sort_unstable();
    names
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_disabled_is_not_called_until_it_is_enabled_again(pool: PgPool) {
    let world = World::new(pool).await;
    let (system, since) = (world.ledger.system(), Some(world.now));
    assert_eq!(callable(&world).await, [MODEL]);
    system.disable_model(MODEL, since).await.unwrap();
    assert!(callable(&world).await.is_empty());
    assert!(world.ledger.price_list(world.now).await.unwrap().is_empty(), "customers are not offered it");
    assert_eq!(system.operator().priced_models(world.now).await.unwrap().len(), 1, "operators see it");
    system.disable_model(MODEL, None).await.unwrap();
    system.disable_provider(PROVIDER, since).await.unwrap();
    assert!(callable(&world).await.is_empty());
    assert_eq!(system.disabled().await.unwrap(), Disabled { providers: vec![PROVIDER.to_owned()], models: Vec::new() });
    system.disable_provider(PROVIDER, None).await.unwrap();
    assert_eq!(callable(&world).await, [MODEL]);
    assert!(matches!(system.disable_model("nothing", since).await, Err(Error::NotFound)));
    assert!(matches!(system.disable_provider("nobody", since).await, Err(Error::NotFound)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_leaves_what_it_does_not_name(pool: PgPool) {
    let world = World::new(pool).await;
    let system = world.ledger.system();
    let before = system.providers().await.unwrap().remove(0);
    let change = ProviderChange { usage_mode: Some(UsageMode::Native), ..ProviderChange::default() };
    system.change_provider(PROVIDER, change).await.unwrap();
    let after = system.providers().await.unwrap().remove(0);
    assert_eq!(after, domain::catalog::Provider { usage_mode: UsageMode::Native, ..before });
    system.set_credential(PROVIDER, None).await.unwrap();
    assert!(!system.providers().await.unwrap().remove(0).has_credential);

    let model = async || system.operator().priced_models(world.now).await.unwrap().remove(0).model;
    let before = model().await;
    let change = ModelChange { context_window: Some(Tokens::from_sum(200_000)), ..ModelChange::default() };
    system.change_model(MODEL, change).await.unwrap();
    assert_eq!(model().await, domain::catalog::Model { context_window: Tokens::from_sum(200_000), ..before });
    let elsewhere = ModelChange { provider: Some("nobody"), ..ModelChange::default() };
    assert!(matches!(system.change_model(MODEL, elsewhere).await, Err(Error::NotFound)));
    let absurd = ModelChange { default_output_hold: Some(Tokens::from_sum(300_000)), ..ModelChange::default() };
    assert!(matches!(system.change_model(MODEL, absurd).await, Err(Error::Invalid { .. })));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn nothing_is_removed_that_something_else_needs(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.call(ada, 10, 10, TimeDelta::zero());
    world.post(&[call]).await.unwrap();
    let system = world.ledger.system();
    let refused = system.remove_provider(PROVIDER).await.unwrap_err().to_string();
    assert!(refused.contains(MODEL) && refused.contains("disable it"), "{refused}");
    let refused = system.remove_model(MODEL).await.unwrap_err().to_string();
    assert!(refused.contains("it has prices"), "{refused}");
    assert!(matches!(system.remove_model("nothing").await, Err(Error::NotFound)));
    assert!(matches!(system.remove_provider("nobody").await, Err(Error::NotFound)));
}
