//! The proof finds what was changed by hand.

mod columns;
mod extent;
mod prices;
mod rows;
mod slices;

use chrono::TimeDelta;
use domain::{
    credit::{CreditLine, Grace, Hardness, Quantity, Scope, Unit, Window},
    id::{LimitId, ProjectId},
    plan::PlanTerms,
    proof::Proof,
    tokens::Tokens,
};
use ledger::NewLimit;
use sqlx::{AssertSqlSafe, PgPool};

use crate::{
    codes, documents, payments,
    world::{Customer, World, amount, monthly, with},
};

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

fn named(proof: &Proof) -> Vec<(String, String)> {
    proof.faults.iter().map(|fault| (fault.claim.clone(), fault.row.clone())).collect()
}
