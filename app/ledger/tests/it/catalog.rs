//! What can be called is changed, stopped and removed; what was called stays in the books.

use chrono::TimeDelta;
use domain::{
    catalog::{Api, DisconnectPolicy, Fallback, OutputCapField, TimeOuts, UsageMode},
    id::ProviderId,
    tokens::Tokens,
};
use ledger::{Disabled, Error, ModelChange, NewProvider, ProviderChange, secrets::SecretKey};
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
    let before = model().await;
    let pdf_max = Some(Tokens::from_sum(20_000));
    system.change_model(MODEL, ModelChange { pdf_max, ..ModelChange::default() }).await.unwrap();
    let bounds = domain::catalog::ModelBounds { pdf_max, ..before.bounds };
    assert_eq!(model().await, domain::catalog::Model { bounds, ..before });
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

async fn add_provider(world: &mut World, name: &str, apis: Option<&[Api]>) {
    let provider = NewProvider {
        id: ProviderId::new(world.now, world.random()),
        name,
        base_url: "https://api.example.com/v1",
        credential: None,
        usage_mode: UsageMode::Forced,
        on_disconnect: DisconnectPolicy::Drain,
        allow_private: false,
        hide_cost: false,
        apis,
        time_outs: TimeOuts::default(),
        now: world.now,
    };
    world.ledger.system().add_provider(provider).await.unwrap();
}

fn fallback(provider: &str) -> Fallback {
    Fallback { provider: provider.to_owned(), upstream_name: format!("{provider}/small"), output_cap_field: None, opened: Vec::new() }
}

/// The providers that a proxy asks for the model, in order, and what each calls it.
async fn routes(world: &World) -> Vec<(String, String)> {
    let mut catalog = world.ledger.meter().catalog(&SecretKey::from_bytes([7; 32]), world.now).await.unwrap();
    let routes = catalog.models.remove(MODEL).map_or_else(Vec::new, |model| model.routes);
    routes.into_iter().map(|route| (route.provider, route.upstream_name)).collect()
}

fn named(names: &[&str]) -> Vec<(String, String)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), if *name == PROVIDER { "small-2026".to_owned() } else { format!("{name}/small") }))
        .collect()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_providers_of_a_model_are_asked_in_the_order_in_which_they_were_added_without_those_that_are_disabled(pool: PgPool) {
    let mut world = World::new(pool).await;
    for name in ["spare", "last"] {
        add_provider(&mut world, name, None).await;
        world.ledger.system().add_fallback(MODEL, &fallback(name)).await.unwrap();
    }
    let (system, since) = (world.ledger.system(), Some(world.now));
    assert_eq!(routes(&world).await, named(&[PROVIDER, "spare", "last"]));
    assert_eq!(
        system.fallbacks().await.unwrap().into_iter().collect::<Vec<_>>(),
        [(MODEL.to_owned(), vec![fallback("spare"), fallback("last")])]
    );
    for (disabled, left) in [("spare", named(&[PROVIDER, "last"])), (PROVIDER, named(&["last"])), ("last", vec![])] {
        system.disable_provider(disabled, since).await.unwrap();
        assert_eq!(routes(&world).await, left);
        assert_eq!(
            world.ledger.price_list(world.now).await.unwrap().len(),
            usize::from(!left.is_empty()),
            "customers are offered what is answered"
        );
    }
    for name in [PROVIDER, "spare", "last"] {
        system.disable_provider(name, None).await.unwrap();
    }
    system.remove_fallback(MODEL, "spare").await.unwrap();
    system.add_fallback(MODEL, &fallback("spare")).await.unwrap();
    assert_eq!(routes(&world).await, named(&[PROVIDER, "last", "spare"]), "behind the others");
    system.change_model(MODEL, ModelChange { provider: Some("last"), ..ModelChange::default() }).await.unwrap();
    assert_eq!(
        routes(&world).await.into_iter().map(|(provider, _)| provider).collect::<Vec<_>>(),
        ["last", "spare"],
        "nobody is asked twice"
    );
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_fall_back_that_could_answer_nothing_or_is_there_is_refused(pool: PgPool) {
    let mut world = World::new(pool).await;
    add_provider(&mut world, "spare", Some(&[Api::Messages])).await;
    let system = world.ledger.system();
    assert!(matches!(system.add_fallback(MODEL, &fallback(PROVIDER)).await, Err(Error::Taken(_))), "it is its own");
    assert!(matches!(system.add_fallback(MODEL, &fallback("nobody")).await, Err(Error::NotFound)));
    assert!(matches!(system.add_fallback("nothing", &fallback("spare")).await, Err(Error::NotFound)));
    let speaks = |apis| ProviderChange { apis: Some(apis), ..ProviderChange::default() };
    system.change_provider(PROVIDER, speaks(&[Api::Chat, Api::Embeddings])).await.unwrap();
    let refused = system.add_fallback(MODEL, &fallback("spare")).await.unwrap_err().to_string();
    assert!(refused.contains("upstream speaks chat, embeddings, and spare speaks messages"), "{refused}");
    system.change_provider("spare", speaks(&[Api::Messages, Api::Chat])).await.unwrap();
    system.add_fallback(MODEL, &fallback("spare")).await.unwrap();
    assert!(matches!(system.add_fallback(MODEL, &fallback("spare")).await, Err(Error::Taken(_))));
    system.change_provider("spare", speaks(&[])).await.unwrap();
    assert_eq!(
        system.providers().await.unwrap().into_iter().find(|provider| provider.name == "spare").and_then(|provider| provider.apis),
        None
    );

    let refused = system.remove_provider("spare").await.unwrap_err().to_string();
    assert!(refused.contains("small as a fall-back"), "{refused}");
    system.remove_fallback(MODEL, "spare").await.unwrap();
    assert!(matches!(system.remove_fallback(MODEL, "spare").await, Err(Error::NotFound)));
    system.remove_provider("spare").await.unwrap();

    for number in 0..=Fallback::MAX {
        let name = format!("spare-{number}");
        add_provider(&mut world, &name, None).await;
        let added = world.ledger.system().add_fallback(MODEL, &fallback(&name)).await;
        assert_eq!(added.is_ok(), number < Fallback::MAX, "{added:?}");
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_said_of_a_fall_back_is_said_of_no_other(pool: PgPool) {
    let mut world = World::new(pool).await;
    add_provider(&mut world, "spare", None).await;
    let system = world.ledger.system();
    system.open_members(MODEL, &["search".to_owned()], &[]).await.unwrap();
    let own =
        Fallback { output_cap_field: Some(OutputCapField::MaxCompletionTokens), opened: vec!["tools".to_owned()], ..fallback("spare") };
    system.add_fallback(MODEL, &own).await.unwrap();
    let mut catalog = world.ledger.meter().catalog(&SecretKey::from_bytes([7; 32]), world.now).await.unwrap();
    let model = catalog.models.remove(MODEL).unwrap();
    let [first, second] = &model.routes[..] else { panic!("{model:?}") };
    assert_eq!((first, &first.opened[..]), (&model.model, &["search".to_owned()][..]));
    assert_eq!((&second.opened, second.output_cap_field), (&own.opened, OutputCapField::MaxCompletionTokens));
    assert_eq!(
        (&second.name, second.context_window, second.bounds),
        (&first.name, first.context_window, first.bounds),
        "what is held rests on these"
    );
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_time_out_is_kept_until_another_is_written_and_one_that_cannot_be_is_refused(pool: PgPool) {
    let world = World::new(pool).await;
    let system = world.ledger.system();
    let set = async |time_outs| system.change_provider(PROVIDER, ProviderChange { time_outs, ..ProviderChange::default() }).await;
    set(TimeOuts { connect_ms: Some(5_000), idle_ms: Some(1_800_000), ..TimeOuts::default() }).await.unwrap();
    set(TimeOuts { first_byte_ms: Some(600_000), ..TimeOuts::default() }).await.unwrap();
    let all = TimeOuts { connect_ms: Some(5_000), first_byte_ms: Some(600_000), idle_ms: Some(1_800_000) };
    assert_eq!(system.providers().await.unwrap().remove(0).time_outs, all);
    for wrong in [
        TimeOuts { connect_ms: Some(0), ..TimeOuts::default() },
        TimeOuts { first_byte_ms: Some(600_001), ..TimeOuts::default() },
        TimeOuts { idle_ms: Some(1_800_001), ..TimeOuts::default() },
    ] {
        assert!(matches!(set(wrong).await, Err(Error::Invalid { .. })), "{wrong:?}");
    }
    assert_eq!(system.providers().await.unwrap().remove(0).time_outs, all);
}
