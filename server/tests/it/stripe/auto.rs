//! Accounts that are topped up by themselves: the real binary and its jobs, and the jobs in this process, with a stand-in for Stripe.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use domain::{
    id::PaymentId,
    money::Amount,
    payment::{AutoTerms, PaymentState},
};
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::timeout;

use super::{
    paid::{balance, place, send, sign_in},
    standin::{Fault, Standin},
    told::{Shop, amount},
};
use crate::{
    farebox::{Place, Server},
    http::browse,
    life::wait_until,
};

const PATH: &str = "/billing/auto-top-up";

fn form(id: u64, rest: &str) -> String {
    format!("once=0199d2c8-0000-7000-8000-{id:012}&{rest}")
}

/// A console whose customer has nothing and asks to be topped up, with a card that is saved; told of it or not.
fn turned_on(standin: &Standin, place: &Place, method: &str) -> (Server, String) {
    let server = place.serve(&["--only", "console"]);
    let cookie = sign_in(&server);
    let url = server.said("/console_url").to_owned();
    let typed = form(1, "do=on&threshold=5&amount=20&cap=50");
    let answer = browse(&url, PATH, &cookie, Some(&typed)).expect("the console answers");
    assert_eq!((answer.status, answer.header("location")), (303, Some(format!("{}/pay/cs_test_1", standin.url).as_str())));
    let session = standin.save("cs_test_1", method);
    assert_eq!((&session["mode"], &session["customer"]), (&json!("setup"), &json!("cus_1")));
    (server, cookie)
}

fn page(server: &Server, path: &str, cookie: &str) -> String {
    browse(server.said("/console_url"), path, cookie, None).expect("the console answers").text()
}

fn payments(place: &Place) -> Value {
    place.json(&["payments", "list", "--all"], "")
}

#[test]
fn a_saved_card_pays_once_per_crossing_whatever_message_is_lost_or_comes_late() {
    let standin = Standin::start();
    let place = place(&standin);
    let (server, cookie) = turned_on(&standin, &place, "pm_1");
    assert!(page(&server, PATH, &cookie).contains("No card is saved yet"));
    // Nobody tells that the card is saved: whoever comes back to the page finds it.
    let back = page(&server, &format!("{PATH}?setup=cs_test_1"), &cookie);
    assert!(back.contains("visa ending in 4242"), "{back}");
    // Nor is it told that the charge succeeded: its answer is enough.
    wait_until(|| balance(&place) == json!("20"));
    let intents = standin.intents();
    assert_eq!(
        (intents.len(), &intents[0]["amount"], &intents[0]["payment_method"], &intents[0]["off_session"]),
        (1, &json!(2_000), &json!("pm_1"), &json!("true"))
    );
    // Told late, and twice.
    for _ in 0..2 {
        assert_eq!(send(&server, &standin.event("payment_intent.succeeded", &intents[0])), 200);
    }
    let listed = payments(&place);
    assert_eq!(
        (listed.as_array().map(Vec::len), &listed[0]["state"], &listed[0]["made_by"]),
        (Some(1), &json!("credited"), &json!("auto top-up"))
    );
    assert_eq!(balance(&place), json!("20"));
    let billing = page(&server, "/billing", &cookie);
    assert!(billing.contains("When the balance is below $5.00, $20.00 is paid by visa ending in 4242."), "{billing}");
    let portal = browse(server.said("/console_url"), PATH, &cookie, Some(&form(9, "do=portal"))).expect("the console answers");
    assert_eq!((portal.status, portal.header("location")), (303, Some(format!("{}/portal", standin.url).as_str())));
    server.process.stop(Signal::SIGTERM);
    assert_eq!(place.verify(), Vec::<Value>::new());
}

/// A shop whose customer has nothing and asks to be topped up, with a card that is saved.
async fn shop(pool: PgPool, method: &str) -> Shop {
    let shop = Shop::open(pool).await;
    let owner = shop.ledger.system().account(shop.account);
    let terms = AutoTerms { is_on: true, threshold: amount("5"), amount: amount("20"), monthly_cap: amount("50") };
    owner.set_auto_top_up(terms, "ada@example.com").await.expect("good terms");
    owner.note_setup("cs_setup").await.expect("it was set");
    assert!(shop.ledger.system().keep_method(shop.account, "cs_setup", ("cus_1", method, "visa")).await.expect("the books"));
    shop
}

/// Tops up, and dies once the card is charged: nobody hears the answer.
async fn crash_when_it_is_charged(shop: &Shop) {
    let charged = async {
        while shop.standin.intents().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    shop.standin.fail([Fault::Silence]);
    tokio::select! {
        _ = shop.stripe.top_up(&shop.ledger) => panic!("nobody answers"),
        charged = timeout(Duration::from_secs(60), charged) => charged.expect("the card is charged"),
    }
    assert_eq!(shop.balance(shop.account).await, Amount::ZERO);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_crash_between_success_and_posting_is_one_charge_and_one_credit(pool: PgPool) {
    let shop = shop(pool, "pm_1").await;
    crash_when_it_is_charged(&shop).await;
    shop.stripe.top_up(&shop.ledger).await.expect("the books");
    assert_eq!(shop.standin.asked("POST /v1/payment_intents"), 1, "another one is under way");
    shop.stripe.look_at_pending(&shop.ledger, TimeDelta::zero()).await.expect("the books");
    assert_eq!(
        (shop.standin.asked("POST /v1/payment_intents"), shop.standin.intents().len()),
        (2, 1),
        "the same words are the same charge"
    );
    assert_eq!(shop.balance(shop.account).await, amount("20"));
    shop.expect_proven().await;
}

/// What was written down and is asked for by nobody yet is not asked for once it is off; what was charged before is credited.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn off_charges_nothing_any_more(pool: PgPool) {
    let shop = shop(pool, "pm_1").await;
    let owner = shop.ledger.system().account(shop.account);
    let set = async |is_on: bool| {
        let terms = AutoTerms { is_on, threshold: amount("5"), amount: amount("20"), monthly_cap: amount("50") };
        owner.set_auto_top_up(terms, "ada@example.com").await.expect("good terms");
    };
    let look = async || shop.stripe.look_at_pending(&shop.ledger, TimeDelta::zero()).await.expect("the books");
    let id = PaymentId::new(Utc::now(), [77; 10]);
    let begun = shop.ledger.system().begin_auto_payment(shop.account, id, amount("100")).await.expect("the books");
    assert!(begun.is_some(), "a process dies before it asks for it");
    set(false).await;
    look().await;
    assert_eq!((shop.standin.asked("POST /v1/payment_intents"), shop.standin.asked("GET /v1/payment_intents?")), (0, 1));
    assert_eq!(owner.payment(id).await.expect("a payment").state, PaymentState::Ended);
    set(true).await;
    crash_when_it_is_charged(&shop).await;
    set(false).await;
    look().await;
    assert_eq!((shop.standin.asked("POST /v1/payment_intents"), shop.standin.intents().len()), (1, 1));
    assert_eq!(shop.balance(shop.account).await, amount("20"));
    shop.expect_proven().await;
}

/// What was paid must not be lost because nobody knows whose it is.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_charge_that_the_books_do_not_have_waits_for_an_operator(pool: PgPool) {
    let shop = shop(pool, "pm_1").await;
    shop.stripe.top_up(&shop.ledger).await.expect("the books");
    let mut intent = shop.standin.intents().remove(0);
    intent["id"] = json!("pi_of_nobody");
    intent["metadata"]["farebox_payment"] = json!(PaymentId::new(Utc::now(), [78; 10]));
    for kind in ["payment_intent.created", "payment_intent.processing"] {
        assert_eq!(shop.tell(kind, kind, &intent).await, StatusCode::OK);
    }
    let operator = shop.ledger.system().operator();
    assert_eq!(operator.strays_to_look_at().await.expect("the books"), 0, "nothing follows from these");
    assert_eq!(shop.tell("evt_1", "payment_intent.succeeded", &intent).await, StatusCode::OK);
    assert_eq!(operator.stray_payment("pi_of_nobody").await.expect("it waits").sum.minor, 2_000);
    intent["id"] = json!("pi_of_nothing");
    intent["amount_received"] = json!(0);
    assert_eq!(shop.tell("evt_2", "payment_intent.succeeded", &intent).await, StatusCode::OK);
    assert_eq!(operator.strays_to_look_at().await.expect("the books"), 1);
}

/// Stripe may have forgotten the key by then, and the same words would be another charge.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_was_asked_for_a_day_ago_is_looked_up_and_not_asked_for_again(pool: PgPool) {
    let shop = shop(pool, "pm_1").await;
    crash_when_it_is_charged(&shop).await;
    sqlx::query("update payments set made_at = made_at - interval '1 day'").execute(&shop.pool).await.expect("a payment");
    shop.stripe.look_at_pending(&shop.ledger, TimeDelta::zero()).await.expect("the books");
    assert_eq!((shop.standin.asked("POST /v1/payment_intents"), shop.standin.asked("GET /v1/payment_intents?")), (1, 1));
    assert_eq!((shop.standin.intents().len(), shop.balance(shop.account).await), (1, amount("20")));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_message_that_comes_before_the_answer_credits_and_the_answer_changes_nothing(pool: PgPool) {
    let shop = shop(pool, "pm_1").await;
    crash_when_it_is_charged(&shop).await;
    let intent = shop.standin.intents().remove(0);
    for id in ["evt_1", "evt_1", "evt_2"] {
        assert_eq!(shop.tell(id, "payment_intent.succeeded", &intent).await, StatusCode::OK);
    }
    shop.stripe.look_at_pending(&shop.ledger, TimeDelta::zero()).await.expect("the books");
    assert_eq!((shop.standin.intents().len(), shop.balance(shop.account).await), (1, amount("20")));
    shop.expect_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn under_load_from_many_processes_a_balance_is_topped_up_once(pool: PgPool) {
    let shop = shop(pool, "pm_1").await;
    let done = join_all((0..20).map(|_| shop.stripe.top_up(&shop.ledger))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!((shop.standin.intents().len(), shop.balance(shop.account).await), (1, amount("20")));
    shop.expect_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_declined_card_stops_it(pool: PgPool) {
    declined(pool, "pm_1", Some(Fault::Declined("card_declined")), "Your card was declined.").await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_bank_that_wants_to_be_asked_stops_it(pool: PgPool) {
    let words = "Your bank wants you to confirm the payment yourself.";
    declined(pool, "pm_1", Some(Fault::Declined("authentication_required")), words).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_removed_card_stops_it(pool: PgPool) {
    declined(pool, "pm_removed", None, "The saved card was removed, or cannot be charged any more.").await;
}

/// It is asked for once, and goes on with another card.
async fn declined(pool: PgPool, method: &str, fault: Option<Fault>, words: &str) {
    let shop = shop(pool, method).await;
    let owner = shop.ledger.system().account(shop.account);
    shop.standin.fail(fault);
    for _ in 0..3 {
        shop.stripe.top_up(&shop.ledger).await.expect("the books");
    }
    let auto = owner.auto_top_up(Utc::now()).await.expect("the books").expect("it was set");
    assert_eq!((auto.stopped.map(|(_, why)| why), auto.pending, auto.this_month), (Some(words.to_owned()), None, Amount::ZERO));
    assert_eq!((shop.standin.asked("POST /v1/payment_intents"), shop.standin.intents().len()), (1, 0));
    owner.note_setup("cs_other").await.expect("it was set");
    assert!(shop.ledger.system().keep_method(shop.account, "cs_other", ("cus_1", "pm_2", "visa")).await.expect("the books"));
    shop.stripe.top_up(&shop.ledger).await.expect("the books");
    assert_eq!((&shop.standin.intents()[0]["payment_method"], shop.balance(shop.account).await), (&json!("pm_2"), amount("20")));
    shop.expect_proven().await;
}
