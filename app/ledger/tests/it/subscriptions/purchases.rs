//! What is bought, once and as it was seen.

use chrono::{Days, TimeDelta};
use domain::{
    billing::GrantKind,
    credit::{Quantity, Unit},
    money::Amount,
    plan::{Plan, PlanTerms, Term},
};
use ledger::{Bought, Error, Ledger, NewPlan};
use sqlx::PgPool;

use super::{half_of, past_world};
use crate::world::{MODEL, amount, monthly};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plan_takes_its_fee_and_gives_its_allowance_once_however_often_it_is_asked_for(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "25").await;
    let plan = world.sell("Basic", monthly()).await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let purchase = world.purchase(&plan);
    let both = tokio::join!(owner.buy(purchase), owner.buy(purchase));
    let Bought::Now(until) = both.0.unwrap() else { panic!("it begins now") };
    assert_eq!(both.1.unwrap(), Bought::Now(until));
    assert_eq!(world.has(ada, world.now).await, (amount("15"), amount("20")));
    let subscription = world.subscription(ada).await.unwrap();
    assert_eq!((subscription.plan.name.as_str(), subscription.period.to), ("Basic", until));
    assert_eq!((subscription.left, until.date_naive().to_string().as_str()), (Quantity::from(amount("20")), "2024-02-29"));
    // Another purchase of the same is none.
    let again = world.buy(&world.ledger, ada, &plan).await;
    assert!(matches!(again, Err(Error::Invalid { field: "plan", .. })), "{again:?}");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_cannot_be_paid_for_is_not_had(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "9.999999999").await;
    let plan = world.sell("Basic", monthly()).await;
    let refused = world.buy(&world.ledger, ada, &plan).await;
    assert!(matches!(refused, Err(Error::InsufficientCredit { needed, .. }) if needed == amount("10")), "{refused:?}");
    assert_eq!(world.subscription(ada).await, None);
    assert_eq!(world.has(ada, world.now).await, (amount("9.999999999"), Amount::ZERO));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_package_is_bought_once_beside_any_plan_and_lapses(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let terms = PlanTerms { term: Term::Once { days: 30 }, unit: Unit::Tokens, allowance: Quantity::from_count(5_000), ..monthly() };
    let package = world.sell("Volume", PlanTerms { models: Some(vec![MODEL.to_owned()]), ..terms }).await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let purchase = world.purchase(&package);
    let Bought::Now(until) = owner.buy(purchase).await.unwrap() else { panic!("it begins now") };
    assert_eq!(owner.buy(purchase).await.unwrap(), Bought::Now(until), "the second click");
    world.buy(&world.ledger, ada, &package).await.unwrap();
    let balance = world.ledger.reader(ada.user).await.unwrap().balance(world.now + TimeDelta::days(1)).await.unwrap();
    let packages: Vec<_> = balance.grants.iter().filter(|grant| grant.kind == GrantKind::Package).collect();
    assert_eq!((packages.len(), packages[0].balance, balance.balance), (2, Quantity::from_count(5_000), amount("80")));
    assert_eq!(packages[0].models.as_deref(), Some(&[MODEL.to_owned()][..]));
    let over = until.checked_add_days(Days::new(1)).unwrap();
    assert_eq!((world.renew_at(over).await, world.ledger.dated(over).system().lapse_grants().await.unwrap()), (0, 2));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_purchase_would_come_to_is_what_it_comes_to_and_nothing_is_bought_by_asking(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "40").await;
    let plan = world.sell("Basic", monthly()).await;
    let large = world.sell("Large", PlanTerms { fee: amount("50"), ..monthly() }).await;
    let package = world.sell("Volume", PlanTerms { term: Term::Once { days: 30 }, ..monthly() }).await;
    let quote = async |ledger: &Ledger, plan: &Plan| ledger.owner(ada.user).await.unwrap().quote(plan.id).await.unwrap();
    let first = quote(&world.ledger, &plan).await;
    assert_eq!((first.due, first.credit, first.balance, first.missing()), (amount("10"), Amount::ZERO, amount("40"), None));
    assert_eq!(world.subscription(ada).await, None, "asking buys nothing");
    assert_eq!(world.buy(&world.ledger, ada, &plan).await.unwrap(), first.bought);
    let period = world.subscription(ada).await.unwrap().period;
    let half = world.ledger.dated(half_of(period));
    let dearer = quote(&half, &large).await;
    assert_eq!((dearer.credit, dearer.due, dearer.missing()), (amount("5"), amount("45"), Some(amount("15"))));
    assert_eq!(dearer.balance_after(), Some(amount("-15")), "which is why it is not sold");
    assert!(matches!(world.buy(&half, ada, &large).await, Err(Error::InsufficientCredit { .. })));
    world.ledger.owner(ada.user).await.unwrap().top_up(world.money("15", "more")).await.unwrap();
    assert_eq!(quote(&half, &large).await.missing(), None, "to the nano");
    assert_eq!(world.buy(&half, ada, &large).await.unwrap(), dearer.bought);
    assert_eq!(world.has(ada, half_of(period)).await.0, Amount::ZERO);
    let cheaper = quote(&half, &plan).await;
    assert_eq!((cheaper.due, cheaper.missing()), (Amount::ZERO, None));
    assert_eq!(world.buy(&half, ada, &plan).await.unwrap(), cheaper.bought);
    assert_eq!(quote(&half, &package).await.missing(), Some(amount("10")));
    // What is lent pays for no fee.
    let lent = world.ledger.system().operator().change_credit_line(ada.account, "test", |line| line.amount = amount("100")).await;
    assert!(lent.is_ok());
    assert_eq!(quote(&half, &package).await.missing(), Some(amount("10")));
    assert!(matches!(world.buy(&half, ada, &package).await, Err(Error::InsufficientCredit { .. })));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn nobody_pays_another_price_than_they_have_seen_or_buys_what_is_not_offered(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let seen = world.sell("Basic", monthly()).await;
    assert_eq!(world.sell("Basic", monthly()).await, seen, "the same is no other version");
    let dearer = world.sell("basic", PlanTerms { fee: amount("11"), ..monthly() }).await;
    assert_eq!((dearer.id, dearer.version, dearer.name.as_str()), (seen.id, 2, "Basic"));
    let refused = world.buy(&world.ledger, ada, &seen).await;
    assert!(matches!(&refused, Err(Error::Invalid { problem, .. }) if problem.contains("has changed")), "{refused:?}");
    let new =
        NewPlan { id: dearer.id, name: "Basic", is_offered: false, terms: dearer.terms.clone(), seen: None, actor: "test", now: world.now };
    let hidden = world.ledger.system().operator().set_plan(new).await.unwrap();
    assert_eq!(world.ledger.offers().await.unwrap(), []);
    let refused = world.buy(&world.ledger, ada, &hidden).await;
    assert!(matches!(&refused, Err(Error::Invalid { problem, .. }) if problem.contains("not sold")), "{refused:?}");
    let operator = world.ledger.system().operator();
    assert!(operator.buy(ada.account, world.purchase(&hidden)).await.is_ok());
    assert_eq!(operator.plans().await.unwrap(), [(hidden.clone(), 1)]);
    let package = NewPlan {
        id: hidden.id,
        name: "Basic",
        is_offered: true,
        terms: PlanTerms { term: Term::Once { days: 3 }, ..monthly() },
        seen: None,
        actor: "test",
        now: world.now,
    };
    assert!(matches!(operator.set_plan(package).await, Err(Error::Invalid { field: "name", .. })));
    world.assert_proven().await;
}
