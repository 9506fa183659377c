//! What is paid back: asked for by an operator, told by the provider.

use domain::{
    billing::JournalKind,
    id::PaymentId,
    money::Amount,
    payment::{PaymentState, Sum},
};
use futures_util::future::join_all;
use ledger::{Error, NewRefund, Says, Taken};
use sqlx::PgPool;

use super::{begun, begun_and_paid, is_moved, pay, problem, state, tell, usd};
use crate::world::{World, amount};

pub(crate) fn refund(world: &World, payment: PaymentId, text: &str) -> NewRefund<'static> {
    let id = PaymentId::new(world.now, world.random()).uuid();
    NewRefund { id, payment, amount: amount(text), reason: "asked for", actor: "root@example.com" }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn no_more_is_asked_back_of_a_payment_than_is_left_of_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let (system, operator) = (world.ledger.system(), world.ledger.system().operator());
    let payment = begun(&world, ada, "25").await;
    assert!(
        matches!(operator.begin_refund(refund(&world, payment.id, "1")).await, Err(Error::Invalid { field: "payment", .. })),
        "not paid"
    );
    pay(&world, &payment).await;
    let first = refund(&world, payment.id, "10");
    let asked = operator.begin_refund(first).await.unwrap();
    assert_eq!((asked.minor, asked.intent.clone()), (1_000, format!("pi_{}", payment.id)));
    assert_eq!(operator.begin_refund(first).await.unwrap(), asked, "the same again");
    assert!(matches!(operator.begin_refund(NewRefund { amount: amount("11"), ..first }).await, Err(Error::IdempotencyConflict)));
    assert!(matches!(operator.begin_refund(refund(&world, payment.id, "15.01")).await, Err(Error::Invalid { field: "amount", .. })));
    let silent = NewRefund { reason: " ", ..refund(&world, payment.id, "1") };
    assert!(matches!(operator.begin_refund(silent).await, Err(Error::Invalid { field: "reason", .. })));
    // The provider has done it, and somebody has paid back two more in its own pages.
    let told = Says::Refunded { charge: "ch_1", in_all: usd(1_200) };
    assert!(is_moved(&tell(&world, &payment, "refund", told).await));
    assert_eq!(operator.payment(payment.id).await.unwrap().left, 1_300);
    let many: Vec<_> = (0..20).map(|_| refund(&world, payment.id, "13")).collect();
    let begun_at_once = join_all(many.into_iter().map(|new| operator.begin_refund(new))).await;
    assert_eq!(begun_at_once.into_iter().filter(Result::is_ok).count(), 1);
    world.assert_proven().await;

    let other = begun_and_paid(&world, ada, "25").await;
    let asked = operator.begin_refund(refund(&world, other.id, "25")).await.unwrap();
    assert_eq!(operator.payment(other.id).await.unwrap().left, 0);
    system.note_refused_refund(&asked, "the balance at Stripe is too low").await.unwrap();
    assert_eq!(operator.payment(other.id).await.unwrap().left, 2_500);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_refund_is_asked_again_until_it_is_taken_and_one_that_was_refused_is_asked_anew(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let (system, operator) = (world.ledger.system(), world.ledger.system().operator());
    let payment = begun_and_paid(&world, ada, "25").await;
    let new = refund(&world, payment.id, "10");
    let asked = operator.begin_refund(new).await.unwrap();
    // What happens to an account is dated after what happened before, by some microseconds of this world's one instant.
    let later = world.ledger.clone().dated(world.now + chrono::TimeDelta::minutes(1));
    let to_ask = async || later.system().refunds_to_ask(chrono::TimeDelta::zero()).await.unwrap();
    let left = async || operator.payment(payment.id).await.unwrap().left;
    assert_eq!(to_ask().await, std::slice::from_ref(&asked));
    assert_eq!(system.refunds_to_ask(chrono::TimeDelta::minutes(5)).await.unwrap(), [], "its answer may be on its way");
    system.note_refused_refund(&asked, "no").await.unwrap();
    assert_eq!((to_ask().await, left().await), (vec![], 2_500));
    assert_eq!(operator.begin_refund(new).await.unwrap(), asked, "the same again is asked for anew");
    assert_eq!((to_ask().await, left().await), (vec![asked.clone()], 1_500));
    system.note_taken_refund(&asked).await.unwrap();
    system.note_refused_refund(&asked, "what was said late").await.unwrap();
    assert_eq!((to_ask().await, left().await), (vec![], 1_500));
    assert!(operator.begin_refund(new).await.unwrap().is_taken, "the same again is not asked for");
    world.assert_proven().await;
}

/// The provider may have forgotten by then that it was asked, and the same words would be another refund.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_refund_of_which_nothing_is_known_for_long_waits_for_an_operator_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let (system, operator) = (world.ledger.system(), world.ledger.system().operator());
    let payment = begun_and_paid(&world, ada, "25").await;
    let new = refund(&world, payment.id, "10");
    operator.begin_refund(new).await.unwrap();
    assert_eq!(system.give_up_refunds().await.unwrap(), [], "it may be asked again yet");
    sqlx::query("update payment_refunds set asked_at = asked_at - interval '21 hours'").execute(&world.pool).await.unwrap();
    assert_eq!(system.refunds_to_ask(chrono::TimeDelta::zero()).await.unwrap(), []);
    assert!(matches!(operator.begin_refund(new).await, Err(Error::Invalid { field: "payment", .. })), "nor by the same form");
    assert_eq!(system.give_up_refunds().await.unwrap(), [payment.id]);
    let seen = problem(&world, &payment).await;
    assert!(seen.contains("a refund of 10 USD was asked for on") && seen.contains(&new.id.to_string()), "{seen}");
    assert_eq!((state(&world, &payment).await.0, operator.payment(payment.id).await.unwrap().left), (PaymentState::Credited, 1_500));
    operator.dismiss_payment(payment.id, &seen, "it was done").await.unwrap();
    assert_eq!((system.give_up_refunds().await.unwrap(), problem(&world, &payment).await), (vec![], String::new()));
    world.assert_proven().await;
}

/// What was told first may follow on what is told later; what is told in all may be less than what was told before.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn refunds_are_posted_once_in_whatever_order_they_are_told(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    let refunded = |minor| Says::Refunded { charge: "ch_1", in_all: usd(minor) };
    assert_eq!(tell(&world, &payment, "refund 2", refunded(1_500)).await, Taken::TooEarly);
    pay(&world, &payment).await;
    assert!(is_moved(&tell(&world, &payment, "refund 2", refunded(1_500)).await), "it was not taken before");
    assert_eq!(tell(&world, &payment, "refund 1", refunded(500)).await, Taken::Nothing);
    assert!(is_moved(&tell(&world, &payment, "refund 3", refunded(2_500)).await));
    let euro = Says::Refunded { charge: "ch_1", in_all: Sum { minor: 9_999, currency: "eur".to_owned() } };
    assert!(matches!(tell(&world, &payment, "refund 4", euro).await, Taken::Held(_)));
    assert_eq!(state(&world, &payment).await.0, PaymentState::Credited, "what is in the books stays there");
    assert_eq!(world.balance(ada).await.balance, Amount::ZERO);
    let statement = world.ledger.reader(ada.user).await.unwrap().statement(None, 10, world.now).await.unwrap();
    let kinds: Vec<_> = statement.journal.lines.iter().flat_map(|line| line.rows()).map(|row| (row.kind, row.amount)).collect();
    let expected = [(JournalKind::Refund, "-10"), (JournalKind::Refund, "-15"), (JournalKind::TopUp, "25")];
    assert_eq!(kinds, expected.map(|(kind, text)| (kind, amount(text))));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_refund_of_what_was_spent_is_a_debt_that_refuses_calls(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "1").await;
    pay(&world, &payment).await;
    let intent = world.intent(ada, "0.9");
    world.lease(&intent).await.unwrap();
    let call = world.settle(&intent, ada, 500_000, 0);
    world.post(std::slice::from_ref(&call)).await.unwrap();
    let in_all = usd(100);
    assert!(is_moved(&tell(&world, &payment, "refund", Says::Refunded { charge: "ch_1", in_all }).await));
    let debt = world.balance(ada).await.balance;
    assert_eq!(debt, call.amount.checked_neg().unwrap());
    assert!(debt.is_negative());
    let refused = world.intent(ada, "0.0001");
    assert!(matches!(world.lease(&refused).await, Err(Error::Exhausted(_))));
    world.assert_proven().await;
    let more = begun(&world, ada, "2").await;
    pay(&world, &more).await;
    assert!(world.lease(&refused).await.is_ok(), "with new money calls go on");
    world.assert_proven().await;
}
