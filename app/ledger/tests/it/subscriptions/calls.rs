//! What a plan is to calls: its allowance, its discount, and whether the wallet pays beyond it.

use chrono::TimeDelta;
use domain::{
    billing::JournalKind,
    credit::{CreditLine, Mode, Quantity},
    plan::{Overage, PlanTerms},
    pricing::Discount,
    tokens::Tokens,
};
use ledger::Error;
use sqlx::PgPool;

use super::past_world;
use crate::world::{World, amount, monthly, with};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plan_that_refuses_what_goes_beyond_it_spares_the_wallet_for_as_long_as_it_lasts(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Fixed", PlanTerms { overage: Overage::Refused, allowance: Quantity::from(amount("1")), ..monthly() }).await;
    let lend = |line: CreditLine| {
        let operator = world.ledger.system().operator();
        async move { operator.change_credit_line(ada.account, "test", move |own| *own = line).await }
    };
    lend(CreditLine { amount: amount("5"), ..CreditLine::default() }).await.unwrap();
    let refused = world.buy(&world.ledger, ada, &plan).await;
    assert!(matches!(&refused, Err(Error::Invalid { field: "plan", .. })), "{refused:?}");
    assert_eq!(world.has(ada, world.now).await.0, amount("100"), "nothing was taken");
    lend(CreditLine::default()).await.unwrap();
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    assert_eq!(world.balance(ada).await.mode, Mode::Quota);
    let exhausted = world.lease(&world.intent(ada, "1.1")).await;
    assert!(matches!(&exhausted, Err(Error::Exhausted(_))), "{exhausted:?}");
    world.lease(&world.intent(ada, "1")).await.unwrap();
    let large = world.sell("Open", PlanTerms { fee: amount("20"), ..monthly() }).await;
    world.buy(&world.ledger, ada, &large).await.unwrap();
    assert_eq!(world.balance(ada).await.mode, Mode::Prepaid, "the next one does not");
    world.lease(&world.intent(ada, "50")).await.unwrap();
    world.assert_proven().await;
}

/// A plan takes nobody off quota whom an operator has put there.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_account_that_was_on_quota_before_stays_so_when_its_plan_ends(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    world.ledger.system().operator().change_credit_line(ada.account, "test", |line| line.is_quota = true).await.unwrap();
    let plan = world.sell("Fixed", PlanTerms { overage: Overage::Refused, ..monthly() }).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    world.ledger.owner(ada.user).await.unwrap().end_plan(plan.id, true).await.unwrap();
    world.renew_at(world.subscription(ada).await.unwrap().period.to).await;
    assert_eq!((world.subscription(ada).await, world.balance(ada).await.mode), (None, Mode::Quota));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plans_discount_holds_for_as_long_as_the_plan(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let discount = async || world.ledger.meter().key_of(ada.account, ada.key).await.unwrap().unwrap().discount.bps();
    let plan = world.sell("Tenth", PlanTerms { discount: Discount::from_bps(1_000).unwrap(), ..monthly() }).await;
    assert_eq!(discount().await, 0);
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    assert_eq!(discount().await, 1_000);
    sqlx::query("update accounts set discount_bps = 1500 where account_id = $1")
        .bind(ada.account.uuid())
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(discount().await, 1_500, "an own one that is better");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn calls_use_the_allowance_before_the_wallet(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    world.now += TimeDelta::seconds(1);
    let call = with(world.intent(ada, "0.5"), |call| call.tokens_held = Tokens::from_sum(3_000));
    world.lease(&call).await.unwrap();
    world.post(&[world.settle(&call, ada, 1_000, 0)]).await.unwrap();
    assert_eq!(world.subscription(ada).await.unwrap().left, Quantity::from(amount("19.999")));
    assert_eq!(world.has(ada, world.now).await.0, amount("90"));
    let statement = world.ledger.reader(ada.user).await.unwrap().statement(None, 50, world.now).await.unwrap();
    let fees: Vec<_> = statement.journal.lines.iter().flat_map(|line| line.rows()).filter(|row| row.kind == JournalKind::PlanFee).collect();
    assert_eq!((fees.len(), fees[0].amount), (1, amount("-10")));
    world.assert_proven().await;
}
