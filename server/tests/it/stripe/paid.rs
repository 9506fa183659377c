//! Paying on Stripe's page: the real binary, its forms, its jobs and its proxy, with a stand-in for Stripe.

use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::standin::{Fault, SECRET_KEY, Standin, WEBHOOK_SECRET, charge, dispute, signature};
use crate::{
    commands::add_model,
    farebox::{Place, Server},
    http::{ask, browse, tell},
    life::wait_until,
    upstream,
};

const SIGN_IN: &str = "email=owner%40example.com&password=a+long+password";

/// A place that takes payments, with an account that has nothing yet.
pub(super) fn place(standin: &Standin) -> Place {
    let mut place = Place::new();
    place.json(&["account", "create", "Example", "--email", "owner@example.com", "--password-env", "SECRET"], "a long password");
    place.tell("FAREBOX_STRIPE_SECRET_KEY", SECRET_KEY.to_owned());
    place.tell("FAREBOX_STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned());
    place.tell("FAREBOX_STRIPE_API_BASE", standin.url.clone());
    place
}

pub(super) fn sign_in(server: &Server) -> String {
    let signed_in = browse(server.said("/console_url"), "/login", "", Some(SIGN_IN)).expect("the console answers");
    signed_in.cookie().split(';').next().unwrap_or_default().to_owned()
}

pub(super) fn balance(place: &Place) -> Value {
    place.json(&["account", "show", "Example"], "")["balance"]["balance"].clone()
}

/// The form that a page has, with what is typed.
fn form(id: u64, amount: &str) -> String {
    format!("once=0199d2c8-0000-7000-8000-{id:012}&amount={amount}")
}

/// Sends an event to the console, as Stripe does.
pub(super) fn send(server: &Server, body: &str) -> u16 {
    let signature = signature(body, WEBHOOK_SECRET, 0);
    tell(server.said("/console_url"), "/webhooks/stripe", &format!("Stripe-Signature: {signature}\r\n"), body)
        .expect("the console answers")
        .status
}

#[test]
fn fifty_clicks_are_one_charge_and_a_crash_before_the_posting_loses_nothing() {
    let standin = Standin::start();
    let place = place(&standin);
    let server = place.serve(&[]);
    let cookie = sign_in(&server);
    let url = server.said("/console_url").to_owned();
    let page = browse(&url, "/billing", &cookie, None).expect("the console answers");
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains(&format!("form-action 'self' {}", standin.url))));
    let page = page.text();
    assert!(page.contains("Continue to Stripe") && page.contains("test mode") && page.contains("Pay $25.00"), "{page}");

    let clicks: Vec<_> = (0..50)
        .map(|_| {
            let (url, cookie) = (url.clone(), cookie.clone());
            thread::spawn(move || {
                let answer = browse(&url, "/billing", &cookie, Some(&form(1, "25.00"))).expect("the console answers");
                (answer.status, answer.header("location").map(str::to_owned))
            })
        })
        .collect();
    let expected = (303, Some(format!("{}/pay/cs_test_1", standin.url)));
    for click in clicks {
        assert_eq!(click.join().expect("it was answered"), expected);
    }
    let sessions = standin.sessions();
    assert_eq!((sessions.len(), &sessions[0]["amount_total"]), (1, &json!(2_500)));

    // It is paid, and Farebox dies before anybody tells it.
    let session = standin.complete("cs_test_1", "paid");
    server.process.kill();
    assert_eq!(balance(&place), json!("0"));
    let server = place.serve(&[]);
    wait_until(|| balance(&place) == json!("25"));
    for _ in 0..3 {
        assert_eq!(send(&server, &standin.event("checkout.session.completed", &session)), 200);
    }
    let back = session["success_url"].as_str().and_then(|url| url.split_once("/billing")).expect("a page of ours").1.to_owned();
    let page = browse(server.said("/console_url"), &format!("/billing{back}"), &cookie, None).expect("the console answers").text();
    assert!(page.contains("$25.00 added. The balance is now $25.00."), "{page}");
    assert_eq!(balance(&place), json!("25"));
    assert_eq!(place.json(&["payments", "list", "--all"], "")[0]["state"], json!("credited"));
    server.process.stop(Signal::SIGTERM);
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn what_stripe_fails_to_answer_is_asked_again_with_the_same_key_or_said_at_the_form() {
    let standin = Standin::start();
    let place = place(&standin);
    let server = place.serve(&["--only", "console"]);
    let (url, cookie) = (server.said("/console_url"), sign_in(&server));
    let post = |form: &str| browse(url, "/billing", &cookie, Some(form)).expect("the console answers");

    standin.fail([Fault::Status(500), Fault::Status(409)]);
    assert_eq!(post(&form(1, "25")).status, 303);
    // It was done, and nobody heard of it.
    standin.fail([Fault::Silence]);
    assert_eq!(post(&form(2, "25")).status, 303);
    assert_eq!((standin.sessions().len(), standin.asked("POST")), (2, 5));

    standin.fail([Fault::Status(500); 3]);
    let refused = post(&form(3, "25"));
    assert_eq!(refused.status, 503);
    let page = refused.text();
    assert!(page.contains("Stripe cannot be reached right now, and nothing was charged.") && page.contains("aria-invalid"), "{page}");
    assert!(page.contains("value=\"25\""), "what was typed stays there");
    assert_eq!(post(&form(3, "25")).status, 303, "the same form again");
    assert_eq!(standin.sessions().len(), 3);

    for (amount, problem) in
        [("4.99", "Write an amount from 5 to 10000."), ("10000.01", "Write an amount from 5 to 10000."), ("5.001", "in whole cents")]
    {
        let refused = post(&form(4, amount));
        assert_eq!(refused.status, 422, "{amount}");
        assert!(refused.text().contains(problem), "{amount}");
    }
    assert_eq!(post(&form(1, "26")).status, 409, "the same form with another amount");
    assert_eq!(post(&format!("{}&preset=10", form(5, ""))).status, 303);
    assert_eq!(standin.sessions().len(), 4);
}

#[test]
fn what_was_spent_and_is_disputed_is_a_debt_and_calls_are_refused() {
    let standin = Standin::start();
    let place = place(&standin);
    add_model(&place, &upstream::start());
    let key = place.json(&["key", "create", "owner@example.com", "--name", "first"], "")["key"].as_str().expect("the key").to_owned();
    let server = place.serve(&[]);
    let (url, cookie) = (server.said("/console_url"), sign_in(&server));
    let call = || {
        let body = json!({"model": "small", "messages": [{"role": "user", "content": "Hello"}]});
        ask(server.said("/proxy_url"), "/v1/chat/completions", &key, Some(&body)).expect("the proxy answers")
    };
    let refused = call();
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["code"], json!("insufficient_quota"));

    assert_eq!(browse(url, "/billing", &cookie, Some(&form(1, "5"))).expect("the console answers").status, 303);
    let session = standin.complete("cs_test_1", "paid");
    assert_eq!(send(&server, &standin.event("checkout.session.completed", &session)), 200);
    wait_until(|| call().status == 200);
    assert_eq!(send(&server, &standin.event("charge.refunded", &charge(&session, 200))), 200);
    assert_eq!(call().status, 200, "there is something left");
    assert_eq!(send(&server, &standin.event("charge.dispute.created", &dispute(&session, "needs_response"))), 200);
    wait_until(|| call().status == 429);
    let owed: String = serde_json::from_value(balance(&place)).expect("an amount");
    assert!(owed.starts_with("-2.0"), "what was spent, and what was refunded before all of it was disputed: {owed}");
    assert_eq!(send(&server, &standin.event("charge.dispute.closed", &dispute(&session, "won"))), 200);
    wait_until(|| call().status == 200);
    server.process.stop(Signal::SIGTERM);
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn settings_that_would_take_money_wrongly_are_refused_at_the_start() {
    let (key, hook) = ("FAREBOX_STRIPE_SECRET_KEY", "FAREBOX_STRIPE_WEBHOOK_SECRET");
    let live = "sk_live_HUSH";
    for (settings, args, problem) in [
        (vec![(key, ""), (hook, WEBHOOK_SECRET)], vec!["serve"], "secret key is empty"),
        (vec![(key, SECRET_KEY), (hook, " ")], vec!["serve"], "webhook secret is empty"),
        (vec![(key, SECRET_KEY)], vec!["serve"], "no webhook secret"),
        (vec![(hook, WEBHOOK_SECRET)], vec!["serve"], "no secret key"),
        (vec![(key, "pk_live_HUSH"), (hook, WEBHOOK_SECRET)], vec!["serve"], "it begins with sk_live_"),
        (vec![(key, live), (hook, WEBHOOK_SECRET)], vec!["serve", "--stripe-api-base", "http://203.0.113.9"], "on this machine"),
        (vec![(key, live), (hook, WEBHOOK_SECRET)], vec!["serve", "--demo"], "takes no real money"),
    ] {
        let mut place = Place::new();
        settings.into_iter().for_each(|(name, value)| place.tell(name, value.to_owned()));
        let (_, said) = place.refusal(&args);
        assert!(said.contains(problem) && !said.contains("HUSH"), "{said}");
    }
    let mut place = Place::new();
    place.tell(key, live.to_owned());
    place.tell(hook, "whsec_HUSH".to_owned());
    let shown = place.command(&["config"]).output().expect("farebox runs");
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("--stripe-secret-key") && !shown.contains("HUSH"), "{shown}");
}

#[test]
fn without_stripe_there_is_no_webhook() {
    let place = Place::new();
    let server = place.serve(&["--only", "console"]);
    assert_eq!(send(&server, "{}"), 404);
}
