use domain::{
    billing::{JournalKind, PostingNumber},
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{Currency, Payment, PaymentFilter, PaymentState, Provider, Sum},
};
use futures_util::future::join_all;
use ledger::{Error, Event, MoneyIn, NewPayment, NewRefund, NewReturn, News, PaymentCredit, Returned, Says, SentBack, Taken};
use sqlx::PgPool;

use crate::world::{Customer, World, amount};

pub(crate) const LARGEST: Amount = Amount::from_nanos(1_000_000_000_000);

fn new_payment(world: &World, credit: &str) -> NewPayment<'static> {
    NewPayment {
        id: PaymentId::new(world.now, world.random()),
        amount: amount(credit),
        currency: Currency::USD,
        actor: "ada@example.com",
        now: world.now,
    }
}

/// A payment for which the provider has been asked.
pub(crate) async fn begun(world: &World, customer: Customer, credit: &str) -> Payment {
    let new = new_payment(world, credit);
    let owner = world.ledger.owner(customer.user).await.unwrap();
    owner.begin_payment(new).await.unwrap();
    world.ledger.system().note_session(customer.account, new.id, &session(new.id)).await.unwrap();
    owner.payment(new.id).await.unwrap()
}

fn session(id: PaymentId) -> String {
    format!("cs_{id}")
}

pub(crate) fn usd(minor: i64) -> Sum {
    Sum { minor, currency: "usd".to_owned() }
}

/// Tells something of a payment, as an event of that id.
pub(crate) async fn tell(world: &World, of: &Payment, id: &str, says: Says<'_>) -> Taken {
    tell_of(world, (of.account, of.id), Event { id, kind: "test", about: "", is_final: false }, says).await
}

async fn tell_of(world: &World, (account, payment): (AccountId, PaymentId), event: Event<'_>, says: Says<'_>) -> Taken {
    let intent = format!("pi_{payment}");
    let news = News { event: Some(event), account, payment, intent: Some(&intent), says };
    world.ledger.system().take_news(&news, LARGEST).await.unwrap()
}

/// Tells that it is paid.
pub(crate) async fn pay(world: &World, of: &Payment) -> Taken {
    let session = session(of.id);
    let says = Says::Paid { session: &session, sum: usd(of.minor), names: Some((of.account, of.id)) };
    tell(world, of, &format!("paid {}", of.id), says).await
}

pub(crate) async fn dispute(world: &World, of: &Payment, id: &str, (is_taken, is_final): (bool, bool)) -> Taken {
    let event = Event { id, kind: "test", about: "du_1", is_final };
    tell_of(world, (of.account, of.id), event, Says::Disputed { dispute: "du_1", sum: usd(of.minor), is_taken }).await
}

async fn state(world: &World, of: &Payment) -> (PaymentState, Option<String>) {
    let payment = world.ledger.system().account(of.account).payment(of.id).await.unwrap();
    (payment.state, payment.problem)
}

/// What an operator sees of it.
pub(crate) async fn problem(world: &World, of: &Payment) -> String {
    state(world, of).await.1.unwrap_or_default()
}

fn is_moved(taken: &Taken) -> bool {
    matches!(taken, Taken::Moved(_))
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn fifty_clicks_begin_one_payment(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let new = new_payment(&world, "25");
    for begun in join_all((0..50).map(|_| owner.begin_payment(new))).await {
        assert_eq!(begun.unwrap().state, PaymentState::Pending);
    }
    assert_eq!(world.ledger.system().operator().payments(true, 100).await.unwrap().len(), 1);
    let other = NewPayment { amount: amount("26"), ..new };
    assert!(matches!(owner.begin_payment(other).await, Err(Error::IdempotencyConflict)));
    for wrong in ["0", "-5", "1.005"] {
        let wrong = NewPayment { amount: amount(wrong), ..new_payment(&world, "1") };
        assert!(matches!(owner.begin_payment(wrong).await, Err(Error::Invalid { field: "amount", .. })));
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_told_a_hundred_times_is_credited_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    let taken = join_all((0..100).map(|_| pay(&world, &payment))).await;
    let credited = taken.iter().filter(|taken| matches!(taken, Taken::Credited(_))).count();
    assert_eq!((credited, taken.iter().filter(|taken| **taken == Taken::Before).count()), (1, 99));
    // Another event, and the answer to a question, say the same.
    let session = session(payment.id);
    let says = || Says::Paid { session: &session, sum: usd(2_500), names: Some((payment.account, payment.id)) };
    assert_eq!(tell(&world, &payment, "another", says()).await, Taken::Nothing);
    let asked = News { event: None, account: payment.account, payment: payment.id, intent: None, says: says() };
    assert_eq!(world.ledger.system().take_news(&asked, LARGEST).await.unwrap(), Taken::Nothing);
    assert_eq!(tell(&world, &payment, "ended", Says::Ended).await, Taken::Nothing, "nor does it go back");
    assert_eq!(world.balance(ada).await.balance, amount("25"));
    assert_eq!(state(&world, &payment).await, (PaymentState::Credited, None));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_ended_and_is_paid_after_all_is_credited(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    assert_eq!(tell(&world, &payment, "waiting", Says::Waiting).await, Taken::Nothing);
    assert_eq!(tell(&world, &payment, "ended", Says::Ended).await, Taken::Ended);
    assert!(matches!(pay(&world, &payment).await, Taken::Credited(_)));
    assert_eq!(world.balance(ada).await.balance, amount("25"));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_does_not_fit_the_payment_is_credited_to_nobody_and_waits_for_an_operator(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let (operator, first) = (world.ledger.system().operator(), begun(&world, ada, "25").await);
    let own = (first.account, first.id);
    let of_first = session(first.id);
    let wrong = [
        (of_first.as_str(), usd(2_499), Some(own), "24.99 USD was paid where 25 USD was to be"),
        (&of_first, Sum { minor: 2_500, currency: "eur".to_owned() }, Some(own), "25 EUR was paid where 25 USD was to be"),
        (&of_first, usd(2_500), Some((bob.account, first.id)), "another account"),
        (&of_first, usd(2_500), None, "another account"),
        ("cs_other", usd(2_500), Some(own), "not begun with"),
    ];
    for (number, (_, sum, names, problem)) in wrong.iter().enumerate() {
        let payment = begun(&world, ada, "25").await;
        let names = names.map(|(account, id)| (account, if id == first.id { payment.id } else { id }));
        let session = if number == 4 { "cs_other".to_owned() } else { session(payment.id) };
        let says = Says::Paid { session: &session, sum: sum.clone(), names };
        let Taken::Held(found) = tell(&world, &payment, &format!("event {number}"), says).await else { panic!("{problem}") };
        assert!(found.contains(problem), "{found}");
        assert_eq!(state(&world, &payment).await.0, PaymentState::Held);
    }
    // Somebody else's session: nothing of it reaches whom it names.
    let stolen = Says::Paid { session: &of_first, sum: usd(2_500), names: Some((bob.account, first.id)) };
    let event = Event { id: "stolen", kind: "test", about: "", is_final: false };
    assert_eq!(tell_of(&world, (bob.account, first.id), event, stolen).await, Taken::Unknown);
    let bobs = begun(&world, bob, "25").await;
    let stolen = Says::Paid { session: &of_first, sum: usd(2_500), names: Some((bob.account, bobs.id)) };
    assert!(matches!(tell(&world, &bobs, "stolen too", stolen).await, Taken::Held(_)));

    let large = begun(&world, ada, "1000.01").await;
    assert!(matches!(pay(&world, &large).await, Taken::Held(problem) if problem.contains("largest top-up")));
    let full = begun(&world, ada, "25").await;
    let most = Amount::from_nanos(i64::MAX - 1_000_000_000);
    world.ledger.system().operator().credit(ada.account, ledger::MoneyIn { amount: most, ..world.money("1", "all") }).await.unwrap();
    assert!(matches!(pay(&world, &full).await, Taken::Held(problem) if problem.contains("too large")));
    let late = begun(&world, bob, "25").await;
    sqlx::query("update accounts set status = 'closed' where account_id = $1").bind(bob.account.uuid()).execute(&world.pool).await.unwrap();
    assert!(matches!(pay(&world, &late).await, Taken::Held(problem) if problem.contains("closed")));
    assert!(world.ledger.owner(bob.user).await.unwrap().begin_payment(new_payment(&world, "5")).await.is_err());

    assert_eq!(operator.payments(false, 100).await.unwrap().len(), 9);
    assert_eq!((world.balance(ada).await.balance, world.balance(bob).await.balance), (most, Amount::ZERO));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_operator_credits_what_is_held_once_or_dismisses_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let operator = world.ledger.system().operator();
    let [one, another] = [begun(&world, ada, "2000").await, begun(&world, ada, "3000").await];
    let unpaid = PaymentCredit { amount: None, reason: "seen at Stripe", seen: "", actor: "root@example.com" };
    assert!(operator.credit_payment(one.id, unpaid).await.is_err(), "it is not paid");
    for payment in [&one, &another] {
        assert!(matches!(pay(&world, payment).await, Taken::Held(_)));
    }
    let (first, seen) = (problem(&world, &one).await, problem(&world, &another).await);
    // Something is added while the operator looks at what was there.
    let again = Says::Trouble("it was paid back".to_owned());
    assert!(matches!(tell(&world, &one, "trouble", again).await, Taken::Held(_)));
    let credit = PaymentCredit { seen: &first, ..unpaid };
    assert!(matches!(operator.credit_payment(one.id, credit).await, Err(Error::Invalid { field: "seen", .. })));
    assert!(matches!(operator.dismiss_payment(one.id, &first, "paid back").await, Err(Error::Invalid { field: "seen", .. })));
    let first = problem(&world, &one).await;
    assert!(first.contains("it was paid back"), "{first}");
    let credit = PaymentCredit { seen: &first, ..unpaid };
    assert!(matches!(
        operator.credit_payment(one.id, PaymentCredit { reason: " ", ..credit }).await,
        Err(Error::Invalid { field: "reason", .. })
    ));
    let part = PaymentCredit { amount: Some(amount("1999.5")), ..credit };
    operator.credit_payment(one.id, part).await.unwrap();
    assert!(operator.credit_payment(one.id, part).await.is_err(), "once");
    operator.dismiss_payment(another.id, &seen, "paid back").await.unwrap();
    assert!(operator.dismiss_payment(another.id, &seen, "again").await.is_err(), "once");
    assert!(operator.credit_payment(another.id, credit).await.is_err(), "it does not go back");
    assert_eq!((state(&world, &one).await.0, state(&world, &another).await.0), (PaymentState::Credited, PaymentState::Dismissed));
    assert_eq!(operator.payments(false, 100).await.unwrap(), []);
    assert_eq!(world.balance(ada).await.balance, amount("1999.5"));
    world.assert_proven().await;
}

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

async fn begun_and_paid(world: &World, customer: Customer, credit: &str) -> Payment {
    let payment = begun(world, customer, credit).await;
    pay(world, &payment).await;
    payment
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn operators_page_through_payments_and_what_is_nobodys_is_counted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let operator = world.ledger.system().operator();
    let pending = begun(&world, ada, "5").await;
    for _ in 0..4 {
        begun_and_paid(&world, ada, "5").await;
    }
    let held = begun_and_paid(&world, ada, "2000").await;
    let ids = async |filter, most| {
        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let (page, next) = operator.payments_of(filter, before, most).await.unwrap();
            ids.extend(page.iter().map(|seen| (seen.payment.id, seen.left)));
            before = next;
            if before.is_none() {
                return ids;
            }
        }
    };
    assert_eq!(ids(PaymentFilter::All, 2).await, ids(PaymentFilter::All, 100).await, "nothing is skipped or shown twice");
    assert_eq!(ids(PaymentFilter::All, 2).await.len(), 6);
    assert_eq!(ids(PaymentFilter::Pending, 2).await, [(pending.id, 0)]);
    assert_eq!(ids(PaymentFilter::ToLookAt, 2).await, [(held.id, 0)]);
    assert!(ids(PaymentFilter::Credited, 3).await.iter().all(|(_, left)| *left == 500));
    for _ in 0..2 {
        world.ledger.system().note_stray("cs_stray", &usd(700)).await.unwrap();
    }
    assert_eq!(operator.payments_to_look_at().await.unwrap(), 2);
    assert_eq!(operator.stray_payments(10).await.unwrap()[0].sum, usd(700));
    assert_eq!((operator.stray_payment("cs_stray").await.unwrap().sum, operator.strays_to_look_at().await.unwrap()), (usd(700), 1));
    operator.dismiss_stray("cs_stray", "credited by hand").await.unwrap();
    assert!(matches!(operator.dismiss_stray("cs_stray", "again").await, Err(Error::NotFound)));
    assert!(matches!(operator.stray_payment("cs_stray").await, Err(Error::NotFound)));
    world.ledger.system().note_stray("cs_stray", &usd(700)).await.unwrap();
    assert_eq!(operator.payments_to_look_at().await.unwrap(), 1, "told again, it does not come back");
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

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_dispute_takes_once_and_gives_back_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    assert_eq!(dispute(&world, &payment, "created", (true, false)).await, Taken::TooEarly);
    pay(&world, &payment).await;
    assert_eq!(dispute(&world, &payment, "inquiry", (false, false)).await, Taken::Nothing, "nothing is taken yet");
    assert!(is_moved(&dispute(&world, &payment, "created", (true, false)).await));
    assert_eq!(dispute(&world, &payment, "funds withdrawn", (true, false)).await, Taken::Nothing);
    assert_eq!(world.balance(ada).await.balance, Amount::ZERO);
    world.assert_proven().await;
    assert!(is_moved(&dispute(&world, &payment, "won", (false, true)).await));
    assert_eq!(dispute(&world, &payment, "funds reinstated", (false, true)).await, Taken::Nothing);
    assert_eq!(dispute(&world, &payment, "updated, told late", (true, false)).await, Taken::Nothing);
    assert_eq!(world.balance(ada).await.balance, amount("25"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_dispute_whose_end_is_told_first_ends_the_same(pool: PgPool) {
    let mut world = World::new(pool).await;
    for (name, is_lost, left) in [("ada", true, "0"), ("bob", false, "25")] {
        let customer = world.customer(name, "0").await;
        let payment = begun(&world, customer, "25").await;
        pay(&world, &payment).await;
        let about = format!("du_{name}");
        for (id, is_taken, is_final) in [("closed", is_lost, true), ("created", true, false)] {
            let event = Event { id: &format!("{name} {id}"), kind: "test", about: &about, is_final };
            tell_of(&world, (payment.account, payment.id), event, Says::Disputed { dispute: &about, sum: usd(2_500), is_taken }).await;
        }
        assert_eq!(world.balance(customer).await.balance, amount(left), "{name}");
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_stays_pending_is_looked_at_now_and_then(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    let after = chrono::TimeDelta::minutes(5);
    let looked_at = async |minutes: i64| {
        let then = world.ledger.dated(world.now + chrono::TimeDelta::minutes(minutes));
        then.system().payments_to_look_at(after).await.unwrap().len()
    };
    assert_eq!([looked_at(4).await, looked_at(5).await, looked_at(6).await, looked_at(10).await], [0, 1, 0, 1]);
    pay(&world, &payment).await;
    assert_eq!(looked_at(60).await, 0);
    let reference = world.ledger.system().payment_of(&format!("pi_{}", payment.id)).await.unwrap();
    assert_eq!(reference, Some((payment.account, payment.id)), "what refunds and disputes name it by");
}

/// Credits a bank transfer of that reference under a key.
async fn transfer(world: &World, of: Customer, (reference, sum, key): (&str, &str, &str)) -> ledger::Result<ledger::Posted> {
    let money = MoneyIn { amount: amount(sum), idempotency_key: key, memo: "invoice 12", actor: "root@example.com", now: world.now };
    world.ledger.system().operator().credit_transfer(of.account, reference, money).await
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_bank_transfer_is_a_payment_that_is_credited_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let posted = join_all((0..20).map(|_| transfer(&world, ada, ("RF18 5390", "250", "form")))).await;
    assert_eq!(posted.iter().filter(|posted| !posted.as_ref().unwrap().replayed).count(), 1);
    assert_eq!(posted.iter().map(|posted| posted.as_ref().unwrap().posting).max(), Some(PostingNumber::from_count(1)));
    assert_eq!(world.balance(ada).await.balance, amount("250"));
    // Another operator finds the same line of the statement, and types it in small letters, or without its blanks.
    for (of, key) in [(ada, "another form"), (bob, "form")] {
        for reference in [" rf18 5390 ", "RF185390", "RF18  5390", "RF18\u{a0}5390"] {
            let again = transfer(&world, of, (reference, "250", key)).await;
            assert!(matches!(again, Err(Error::Invalid { field: "reference", .. })), "{reference}: {again:?}");
        }
    }
    let other = transfer(&world, ada, ("RF18 5390", "251", "form")).await;
    assert!(matches!(other, Err(Error::IdempotencyConflict)), "{other:?}");
    for (field, reference, sum) in [("reference", " ", "1"), ("reference", "a\tb", "1"), ("amount", "ok", "0.005"), ("amount", "ok", "-1")]
    {
        let wrong = transfer(&world, bob, (reference, sum, "wrong")).await;
        assert!(matches!(&wrong, Err(Error::Invalid { field: at, .. }) if *at == field), "{field}: {wrong:?}");
    }
    let (listed, _) = world.ledger.system().operator().payments_of(PaymentFilter::Credited, None, 10).await.unwrap();
    let [seen] = &listed[..] else { panic!("{listed:?}") };
    let Payment { provider, session, state, .. } = &seen.payment;
    assert_eq!((*provider, session.as_deref(), *state, seen.left), (Provider::Bank, Some("RF18 5390"), PaymentState::Credited, 25_000));
    assert_eq!(world.balance(bob).await.balance, Amount::ZERO);
    world.assert_proven().await;
}

/// What an operator has transferred back of a payment, and the bank calls so.
pub(crate) fn back(payment: PaymentId, reference: &'static str, text: &str) -> NewReturn<'static> {
    let amount = Some(amount(text));
    NewReturn { payment, reference, amount, by: SentBack::ByUs, reason: "asked for", actor: "root@example.com" }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_transferred_back_is_noted_once_and_is_no_more_than_came_and_is_there(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let operator = world.ledger.system().operator();
    transfer(&world, bob, ("T 0", "10", "form")).await.unwrap();
    transfer(&world, ada, ("T 1", "10", "form")).await.unwrap();
    let [of_ada, of_bob] = [operator.transfer_called("t1").await.unwrap(), operator.transfer_called("T0").await.unwrap()];
    assert!(matches!(operator.transfer_called("T2").await, Err(Error::NotFound)));
    assert!(matches!(operator.begin_refund(refund(&world, of_ada, "4")).await, Err(Error::Invalid { field: "payment", .. })));
    let done = join_all([0; 8].map(|_| operator.return_transfer(back(of_ada, "B 1", "4")))).await;
    assert_eq!(done.iter().filter(|done| done.as_ref().unwrap().is_new).count(), 1);
    for reference in ["b1", " B  1 "] {
        let same = NewReturn { amount: None, ..back(of_ada, reference, "4") };
        assert_eq!(operator.return_transfer(same).await.unwrap(), Returned { amount: amount("4"), is_new: false });
    }
    assert_eq!(world.balance(ada).await.balance, amount("6"), "once");
    for (other, at) in [
        (back(of_ada, "B1", "5"), "reference"),
        (back(of_bob, "B1", "4"), "reference"),
        (back(of_ada, " ", "1"), "reference"),
        (NewReturn { reason: " ", ..back(of_ada, "B2", "1") }, "reason"),
        (back(of_ada, "B2", "6.01"), "amount"),
        (back(of_ada, "B2", "0.001"), "amount"),
    ] {
        let refused = operator.return_transfer(other).await;
        assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if *field == at), "{other:?}: {refused:?}");
    }
    let by_card = begun_and_paid(&world, ada, "5").await;
    let of_card = operator.return_transfer(back(by_card.id, "B2", "1")).await;
    assert!(matches!(of_card, Err(Error::Invalid { field: "payment", .. })), "{of_card:?}");
    let all = operator.return_transfer(NewReturn { amount: None, ..back(of_ada, "B2", "1") }).await.unwrap();
    assert_eq!((all, world.balance(ada).await.balance), (Returned { amount: amount("6"), is_new: true }, amount("5")));
    let nothing = operator.return_transfer(NewReturn { amount: None, ..back(of_ada, "B3", "1") }).await;
    assert!(matches!(nothing, Err(Error::Invalid { field: "amount", .. })), "{nothing:?}");
    assert_eq!(world.balance(bob).await.balance, amount("10"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_the_bank_took_back_is_gone_though_it_is_spent(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let operator = world.ledger.system().operator();
    transfer(&world, ada, ("T1", "10", "form")).await.unwrap();
    let payment = operator.transfer_called("T1").await.unwrap();
    let call = world.call(ada, 1_000_000, 0, chrono::TimeDelta::zero());
    world.post(&[call]).await.unwrap();
    let spent = operator.return_transfer(back(payment, "B1", "10")).await;
    assert!(matches!(spent, Err(Error::InsufficientCredit { available, .. }) if available == amount("9")), "{spent:?}");
    let recalled = NewReturn { amount: None, by: SentBack::ByTheBank, ..back(payment, "B1", "10") };
    for is_new in [true, false] {
        assert_eq!(operator.return_transfer(recalled).await.unwrap(), Returned { amount: amount("10"), is_new });
        assert_eq!(world.balance(ada).await.balance, amount("-1"));
    }
    let newest = world.ledger.reader(ada.user).await.unwrap().statement(None, 10, world.now).await.unwrap().journal;
    let newest = &newest.lines[0].rows()[0];
    assert_eq!((newest.kind, newest.amount), (JournalKind::Chargeback, amount("-10")));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_session_is_of_one_payment(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let (one, other) = (begun(&world, ada, "25").await, new_payment(&world, "25"));
    world.ledger.owner(bob.user).await.unwrap().begin_payment(other).await.unwrap();
    let note = async |account, id, name: &str| world.ledger.system().note_session(account, id, name).await;
    note(one.account, one.id, &session(one.id)).await.unwrap();
    assert!(matches!(note(one.account, one.id, "cs_another").await, Err(Error::IdempotencyConflict)));
    assert!(matches!(note(bob.account, other.id, &session(one.id)).await, Err(Error::IdempotencyConflict)));
    assert!(matches!(world.ledger.reader(bob.user).await.unwrap().payment(one.id).await, Err(Error::NotFound)));
    assert_eq!(world.ledger.reader(bob.user).await.unwrap().payment(other.id).await.unwrap().session, None, "nothing of it was done");
}

/// The books of an account that was charged back are found wrong where they are: by what a payment has moved, and no more.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proof_finds_a_payment_that_was_credited_twice_or_never(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    let Taken::Credited(posting) = pay(&world, &payment).await else { panic!("it is not credited") };
    assert_eq!(posting, PostingNumber::from_count(1));
    world.assert_proven().await;
    for change in [
        "update payments set state = 'pending'",
        "update payment_movements set amount = amount + 1",
        "update payment_movements set posting = 9",
        "delete from payment_movements",
        "update journal set seals = null",
    ] {
        let mut tx = world.pool.begin().await.unwrap();
        sqlx::raw_sql("create table if not exists kept_p as select * from payments; create table if not exists kept_m as select * from payment_movements; \
                       create table if not exists kept_j as select * from journal")
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(change.to_owned())).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let faults = world.proof().await.faults;
        assert!(faults.iter().any(|fault| fault.claim.contains("payment")), "{change}: {faults:?}");
        let back = "set session_replication_role = replica; delete from payments; insert into payments select * from kept_p; \
                    delete from payment_movements; insert into payment_movements select * from kept_m; \
                    delete from journal; insert into journal select * from kept_j; set session_replication_role = origin";
        sqlx::raw_sql(back).execute(&world.pool).await.unwrap();
        world.assert_proven().await;
    }
}
