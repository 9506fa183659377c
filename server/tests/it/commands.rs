//! What an operator does at the command line.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    farebox::{PATIENCE, Place},
    http::ask,
    life::wait_until,
    upstream,
};

/// Adds a provider at this address, with a model that has a price.
pub(crate) fn add_model(place: &Place, base_url: &str) {
    add_model_of(place, "acme", base_url, "small");
}

/// The same, of another provider and by another name.
pub(crate) fn add_model_of(place: &Place, provider: &str, base_url: &str, model: &str) {
    place.json(&["provider", "add", provider, "--base-url", base_url, "--allow-private", "--credential-env", "SECRET"], "sk-upstream");
    place.json(&["model", "add", model, "--provider", provider, "--context-window", "128000", "--default-output-hold", "1024"], "");
    place.json(&["price", "set", model, "--input", "0.00015", "--output", "0.0006"], "");
}

/// Makes an account that has paid 10.50, and a key of it.
pub(crate) fn add_customer(place: &Place) -> Value {
    place.json(&["account", "create", "Example", "--email", "owner@example.com", "--password-env", "SECRET"], "a long password");
    let credit = ["account", "credit", "Example", "10.50", "--reason", "First payment", "--idempotency-key", "payment-1"];
    assert_eq!(place.json(&credit, "")["balance"], "10.5");
    let again = place.json(&credit, "");
    assert_eq!((&again["balance"], &again["replayed"]), (&json!("10.5"), &json!(true)));
    place.json(&["key", "create", "owner@example.com", "--name", "first"], "")
}

/// Makes another account, which has paid nothing, and returns a key of it.
pub(crate) fn add_account(place: &Place, name: &str) -> String {
    let email = format!("{name}@example.com");
    place.json(&["account", "create", name, "--email", &email, "--password-env", "SECRET"], "a long password");
    place.json(&["key", "create", name, "--name", "first"], "")["key"].as_str().expect("the key").to_owned()
}

#[test]
fn a_bank_transfer_goes_back_once_by_what_the_bank_calls_it() {
    let place = Place::new();
    place.json(&["account", "create", "Example", "--email", "owner@example.com", "--password-env", "SECRET"], "a long password");
    place.json(&["account", "credit", "Example", "10", "--transfer", "RF18 5390", "--reason", "Invoice 12"], "");
    let back = |more: &[&str]| {
        let named = ["payments", "return", "rf185390", "RF18 back", "--reason", "Sent back"];
        place.json(&[&named, more].concat(), "")
    };
    let first = back(&["--amount", "4"]);
    assert_eq!((&first["amount"], &first["replayed"]), (&json!("4"), &json!(false)));
    assert_eq!(back(&["--amount", "4"])["replayed"], json!(true));
    let id = first["payment"].as_str().expect("the payment's id");
    // By the bank, and all that is left.
    let rest = place.json(&["payments", "return", id, "recall 7", "--by-bank", "--reason", "Recalled"], "");
    assert_eq!((&rest["amount"], &rest["replayed"]), (&json!("6"), &json!(false)));
    let (_, said) = place.refusal(&["payments", "return", id, "more", "--amount", "0.01", "--reason", "More"]);
    assert!(said.contains("write at most 0"), "{said}");
    assert_eq!(place.json(&["account", "show", "Example"], "")["balance"]["balance"], "0");
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn a_provider_is_served_without_the_console() {
    let place = Place::new();
    add_model(&place, &upstream::start());
    let key = add_customer(&place);
    place.json(&["account", "credit", "Example", "-0.5", "--reason", "Taken back"], "");
    place.json(&["admin", "create", "operator@example.com", "--password-env", "SECRET"], "a long password");
    place.json(&["user", "set-password", "operator@example.com", "--password-env", "SECRET"], "another password");

    let providers = place.json(&["provider", "list"], "");
    assert_eq!((&providers[0]["name"], &providers[0]["has_credential"]), (&json!("acme"), &json!(true)));
    assert!(!providers.to_string().contains("sk-upstream"));
    let models = place.json(&["model", "list"], "");
    assert_eq!((&models[0]["model"]["name"], &models[0]["sale"]["rates"]["base"]["input"]), (&json!("small"), &json!("0.00015")));
    assert!(place.is_quiet(), "each command leaves nothing behind");

    let server = place.serve(&["--only", "proxy"]);
    let (url, secret) = (server.said("/proxy_url"), key["key"].as_str().expect("a key"));
    let models = ask(url, "/v1/models", secret, None).expect("the proxy answers").json();
    assert_eq!(models["data"][0]["id"], "small");
    let chat = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = ask(url, "/v1/chat/completions", secret, Some(&chat)).expect("the proxy answers");
    let (status, call) = (answer.status, answer.header("x-request-id").map(str::to_owned));
    assert_eq!((status, &answer.json()["usage"]["total_tokens"]), (200, &json!(1500)));
    let credits = || ask(url, "/v1/credits", secret, None).expect("the proxy answers").json()["data"].clone();
    wait_until(|| credits()["balance"] != "10");
    assert_eq!(credits()["balance"], "9.99955", "10 less 1,000 × 0.00015 ÷ 1,000 and 500 × 0.0006 ÷ 1,000");

    // Beside the running server.
    let status = place.json(&["status"], "");
    assert_eq!((&status["proxies"][0]["standing"], status["proxies"].as_array().map(Vec::len)), (&json!("serves"), Some(1)), "{status}");
    let id = call.expect("the answer bears the call's id");
    let credit = ["call", "credit", &id, "0.0001", "--reason", "It was slow", "--idempotency-key", "slow-1"];
    for replayed in [false, true] {
        let credited = place.json(&credit, "");
        assert_eq!((&credited["cost"], &credited["replayed"]), (&json!("0.00035"), &json!(replayed)));
    }
    let (code, said) = place.refusal(&["call", "credit", &id, "0.0004", "--reason", "It was very slow"]);
    assert!(code == Some(1) && said.contains("the call costs 0.00035 by now"), "{said}");
    let receipt = ask(url, &format!("/v1/generation?id={id}"), secret, None).expect("the proxy answers").json();
    assert_eq!((&receipt["data"]["amount"], &receipt["data"]["cost"]), (&json!("0.00045"), &json!("0.00035")));
    assert_eq!(receipt["data"]["corrections"][0]["reason"], "It was slow");

    place.json(&["key", "revoke", key["id"].as_str().expect("an id")], "");
    let account = place.json(&["account", "show", "Example"], "");
    assert_ne!(account["keys"][0]["revoked_at"], json!(null));
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
}

#[test]
fn credit_beside_the_balance_is_given_listed_used_first_and_ended() {
    let place = Place::new();
    add_model(&place, &upstream::start());
    let key = add_customer(&place);
    let add = [
        "grant",
        "add",
        "Example",
        "2",
        "--reason",
        "Welcome",
        "--model",
        "small",
        "--expires",
        "2100-01-01",
        "--idempotency-key",
        "welcome",
    ];
    let given = place.json(&add, "");
    let again = place.json(&add, "");
    assert_eq!((&given["posting"], &given["replayed"]), (&json!(2), &json!(false)));
    assert_eq!((&again["posting"], &again["replayed"]), (&json!(2), &json!(true)));
    let id = given["grant"].as_str().expect("an id");
    let grants = place.json(&["grant", "list", "Example"], "");
    let shown = |place: usize| (grants[place]["kind"].clone(), grants[place]["balance"].clone(), grants[place]["models"].clone());
    assert_eq!(shown(0), (json!("promo"), json!("2"), json!(["small"])));
    assert_eq!(shown(1), (json!("wallet"), json!("10.5"), json!(null)));
    for (args, reason) in [
        (vec!["grant", "add", "Example", "1", "--reason", "x", "--model", "smal"], "there is no model smal"),
        (vec!["grant", "add", "Example", "1", "--reason", "x", "--expires", "2020-01-01"], "still to come"),
        (vec!["grant", "add", "Example", "0", "--reason", "x"], "above zero"),
        (vec!["grant", "end", "Example", "0193a5b0-0000-7000-8000-000000000000"], "not found"),
    ] {
        let (code, said) = place.refusal(&args);
        assert!(code == Some(1) && said.contains(reason), "farebox {args:?}: {said}");
    }

    let server = place.serve(&["--only", "proxy"]);
    let (url, secret) = (server.said("/proxy_url"), key["key"].as_str().expect("a key"));
    let chat = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = ask(url, "/v1/chat/completions", secret, Some(&chat)).expect("the proxy answers");
    assert_eq!((answer.status, &answer.json()["usage"]["total_tokens"]), (200, &json!(1500)));
    let credits = || ask(url, "/v1/credits", secret, None).expect("the proxy answers").json()["data"].clone();
    // It is posted, and what was leased with it and is idle has gone back.
    wait_until(|| credits()["reserved"] == "0" && credits()["balance"] != "12.5");
    let credits = || credits()["balance"].clone();
    assert_eq!(credits(), "12.49955");
    place.json(&["grant", "end", "Example", id], "");
    assert_eq!(credits(), "10.5", "what was left of it has lapsed; the call was paid from it");

    let (code, said) = place.refusal(&["grant", "add", "Example", "1.5", "--unit", "tokens", "--reason", "x"]);
    assert!(code == Some(1) && said.contains("not a whole number, which tokens are counted in"), "{said}");
    let package = place.json(&["grant", "add", "Example", "1000000", "--unit", "tokens", "--kind", "package", "--reason", "order 7"], "");
    assert_eq!((&package["unit"], &package["amount"]), (&json!("tokens"), &json!(1_000_000)));
    let answer = ask(url, "/v1/chat/completions", secret, Some(&chat)).expect("the proxy answers");
    let call = answer.header("x-request-id").expect("its id").to_owned();
    assert_eq!(answer.json()["usage"]["total_tokens"], json!(1500));
    assert_eq!(credits(), "10.5");
    let left = || place.json(&["grant", "list", "Example"], "")[0]["balance"].clone();
    let receipt = ask(url, &format!("/v1/generation?id={call}"), secret, None).expect("the proxy answers").json()["data"].take();
    let paid = receipt["tokens_paid"].as_i64().expect("tokens");
    assert_eq!((&receipt["tokens_paid"], left()), (&receipt["tokens_held"], json!(1_000_000 - paid)), "no Hello is as long as is reported");
    let credited = place.json(&["call", "credit", &call, "--reason", "sorry"], "");
    assert_eq!((&credited["unit"], &credited["cost"], left()), (&json!("tokens"), &json!(0), json!(1_000_000)));

    for (state, before) in [("suspended", "active"), ("suspended", "suspended"), ("active", "suspended")] {
        let said = place.json(&["account", "state", "Example", state], "");
        assert_eq!((&said["state"], &said["before"]), (&json!(state), &json!(before)));
    }

    let later = ["price", "set", "small", "--input", "0.0001", "--output", "0.0003", "--effective-from", "2100-01-01"];
    let cheaper = place.json(&later, "")["id"].as_str().expect("an id").to_owned();
    let reprice = ["price", "reprice", "small", "--from", "2020-01-01", "--price", &cheaper];
    let said = place.json(&reprice, "");
    assert_eq!((&said["replay"]["sums"]["given_back"], &said["replay"]["sums"]["in_tokens"]), (&json!("0.0002"), &json!(1)));
    assert_eq!((&said["posted"], credits()), (&json!(null), json!("10.5")), "nothing is posted without --yes");
    let (code, said) = place.refusal(&[&reprice[..], &["--yes"]].concat());
    assert!(code == Some(2) && said.contains("--note"), "{said}");
    let yes = [&reprice[..], &["--yes", "--note", "The price was a slip"]].concat();
    assert_eq!(place.json(&yes, "")["posted"]["given_back"], json!("0.0002"));
    assert_eq!(place.json(&yes, "")["posted"]["given_back"], json!("0"), "what is posted is not posted twice");
    assert_eq!(credits(), "10.5002");

    assert_eq!(place.verify(), Vec::<Value>::new());
    let proof = place.json(&["verify", "--account", "Example", "--since", "2020-01-01", "--at-once", "1"], "");
    assert_eq!((&proof["accounts"], &proof["calls"]), (&json!(1), &json!(2)));
    let (code, said) = place.refusal(&["verify", "--against", "2026-11-25:beef"]);
    assert!(code == Some(2) && said.contains("64 hexadecimal digits"), "{said}");
    let nothing = format!("2020-01-01:{}", "0".repeat(64));
    let (code, _) = place.refusal(&["verify", "--against", &nothing]);
    assert_eq!(code, Some(1), "that is no day's root");
    // The server seals the days that have ended.
    let deadline = std::time::Instant::now() + PATIENCE;
    let roots = loop {
        let roots = place.json(&["root", "list"], "");
        if roots[0].is_object() {
            break roots;
        }
        assert!(std::time::Instant::now() < deadline, "no day is sealed");
    };
    let root = roots[0]["root"].as_str().expect("a root");
    assert_eq!(place.json(&["verify", "--against", root], "")["faults"], json!([]));
}

#[test]
fn an_upstream_over_tls_is_believed_only_if_the_machine_trusts_its_certificate_and_its_name_is_in_it() {
    let (trusted, certificate) = upstream::start_tls();
    let (stranger, _) = upstream::start_tls();
    let mut place = Place::new();
    let authorities = place.folder().join("authorities.pem");
    fs::write(&authorities, certificate).expect("the folder is ours");
    place.tell("SSL_CERT_FILE", authorities.display().to_string());
    add_model_of(&place, "trusted", &format!("https://localhost:{trusted}/v1"), "trusted");
    add_model_of(&place, "stranger", &format!("https://localhost:{stranger}/v1"), "stranger");
    add_model_of(&place, "misnamed", &format!("https://127.0.0.1:{trusted}/v1"), "misnamed");
    let key = add_customer(&place);
    let server = place.serve(&["--only", "proxy"]);
    let (url, secret) = (server.said("/proxy_url"), key["key"].as_str().expect("a key"));
    let balance = || ask(url, "/v1/credits", secret, None).expect("the proxy answers").json()["data"]["balance"].clone();
    for (model, status, left) in [("trusted", 200, "10.49955"), ("stranger", 502, "10.49955"), ("misnamed", 502, "10.49955")] {
        let chat = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
        let answer = ask(url, "/v1/chat/completions", secret, Some(&chat)).expect("the proxy answers");
        let (found, said) = (answer.status, answer.text());
        assert_eq!(found, status, "{model}: {said}");
        wait_until(|| balance() == left);
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_reason_and_changes_nothing() {
    let place = Place::new();
    add_model(&place, "https://api.example.com/v1");
    let check = |args: &[&str], code: i32, reason: &str| {
        let (found, said) = place.refusal(args);
        assert!(found == Some(code) && said.contains(reason), "farebox {args:?} ended with {found:?} and said: {said}");
    };
    let provider = ["provider", "add", "other", "--credential-env", "NOWHERE", "--base-url"];
    check(&[&provider[..], &["https://api.example.com/v1"]].concat(), 1, "environment variable NOWHERE");
    check(&[&provider[..], &["api.example.com"]].concat(), 2, "write it like https://");
    check(&[&provider[..], &["https://api.example.com/v1#models"]].concat(), 2, "write it like https://");
    for private in ["http://127.0.0.1:9/v1", "http://127.1:9/v1", "http://0x7f000001/v1", "http://localhost:9/v1"] {
        check(&["provider", "add", "other", "--base-url", private], 1, "its address is private");
    }
    check(&["provider", "add", "ev\nil", "--base-url", "https://api.example.com/v1"], 1, "on one line");
    check(
        &["model", "add", "other", "--provider", "nobody", "--context-window", "10", "--default-output-hold", "1"],
        1,
        "provider nobody: not found",
    );
    check(&["model", "add", "other", "--provider", "acme", "--context-window", "10", "--default-output-hold", "11"], 1, "context window");
    check(&["price", "set", "small", "--input", "-1", "--output", "1"], 1, "below zero");
    check(&["price", "set", "small", "--input", "0.0000000001", "--output", "1"], 2, "more than nine decimals");
    check(&["price", "set", "small", "--input", "cheap", "--output", "1"], 2, "not a number");
    check(&["price", "set", "small", "--input", "1", "--output", "1", "--effective-from", "2026-02-30"], 2, "write a date like");
    check(&["price", "set", "small", "--input", "1", "--output", "1", "--effective-from", "2020-01-01"], 1, "at least a minute");
    let leap = ["price", "set", "small", "--input", "0.15", "--output", "0.0006"];
    check(&leap, 1, "Prompt tokens, per 1K: 0.00015 becomes 0.15, more than 3 times what it was");
    check(&[&leap[..], &["--yes", "large"]].concat(), 1, "run this again with --yes small");
    check(&["price", "set", "large", "--input", "1", "--output", "1"], 1, "model large: not found");
    check(&["account", "credit", "nobody", "1", "--reason", "why"], 1, "account nobody: not found");
    check(&["key", "revoke", "0193a5b0-0000-7000-8000-000000000000"], 1, "not found");
    check(&["key", "revoke", "first"], 2, "as `farebox account show` lists it");
    check(&["serve", "--only", "half"], 2, "possible values");
    check(&["serve", "--console-addr", "somewhere"], 2, "invalid");
    assert_eq!(place.json(&["model", "list"], "").as_array().map(Vec::len), Some(1));
    assert_eq!(place.json(&["provider", "list"], "").as_array().map(Vec::len), Some(1));
}

#[test]
fn nothing_is_proven_where_there_is_nothing() {
    let (code, said) = Place::new().refusal(&["verify"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no database in"), "{said}");
}

#[test]
fn every_option_is_shown_with_its_source_and_no_secret() {
    let place = Place::new();
    let output = place
        .command(&["config", "--json", "--proxy-addr", "127.0.0.1:9090"])
        .env("DATABASE_URL", "postgres://me:hush@db.example/farebox")
        .env("FAREBOX_SECRET_KEY", "0a".repeat(32))
        .env("FAREBOX_SIGNUP", "closed")
        .output()
        .expect("farebox runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !text.contains("hush") && !text.contains("0a0a"), "{text}");
    let settings: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let find = |option: &str| {
        let setting = settings.iter().find(|setting| setting["option"] == option).unwrap_or_else(|| panic!("no {option}"));
        (setting["value"].as_str().unwrap_or_default().to_owned(), setting["source"].as_str().unwrap_or_default().to_owned())
    };
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(find("--database-url"), pair("postgres://me:…@db.example/farebox", "environment"));
    assert_eq!(find("--proxy-addr"), pair("127.0.0.1:9090", "command line"));
    assert_eq!(find("--signup"), pair("closed", "environment"));
    assert_eq!(find("--console-addr"), pair("127.0.0.1:3000", "default"));
    assert!(!place.data().exists(), "looking makes nothing");
}

#[test]
fn a_plan_is_sold_bought_changed_and_ended() {
    let place = Place::new();
    add_model(&place, &upstream::start());
    add_customer(&place);
    let basic = place.json(&["plan", "set", "Basic", "--fee", "4", "--allowance", "6", "--beyond", "refuse"], "");
    assert_eq!((&basic["version"], &basic["days"], &basic["overage"]), (&json!(1), &json!(null), &json!("refused")));
    place.json(
        &["plan", "set", "Free", "--fee", "0", "--allowance", "1000", "--unit", "tokens", "--model", "small", "--discount", "250"],
        "",
    );
    place.json(&["plan", "set", "Volume", "--fee", "1.5", "--allowance", "2", "--days", "30", "--hidden"], "");
    let plans = place.json(&["plan", "list"], "");
    let names: Vec<_> = plans.as_array().expect("a list").iter().map(|plan| &plan["name"]).collect();
    assert_eq!(names, ["Free", "Basic", "Volume"]);
    assert_eq!(place.json(&["plan", "show", "Example"], ""), json!(null));
    let id = "0193a5b0-0000-7000-8000-000000000001";
    let bought = place.json(&["plan", "buy", "Example", "basic", "--purchase", id], "");
    assert_eq!(place.json(&["plan", "buy", "Example", "Basic", "--purchase", id], ""), bought, "the same purchase");
    place.json(&["plan", "buy", "Example", "Volume"], "");
    assert_eq!(place.json(&["account", "show", "Example"], "")["credit_line"]["mode"], "quota");
    let grants = place.json(&["grant", "list", "Example"], "");
    let grants: Vec<_> = grants.as_array().expect("a list").iter().map(|grant| (&grant["kind"], &grant["balance"])).collect();
    assert!(grants.contains(&(&json!("wallet"), &json!("5"))), "10.5 less 4 less 1.5: {grants:?}");
    assert!(grants.contains(&(&json!("plan"), &json!("6"))) && grants.contains(&(&json!("package"), &json!("2"))), "{grants:?}");
    assert_eq!(place.json(&["plan", "buy", "Example", "Free"], "")["begins"], "later");
    assert_eq!(place.json(&["plan", "show", "Example"], "")["next"], "Free");
    assert_eq!(place.json(&["plan", "end", "Example"], "")["ends"], true);
    let shown = place.json(&["plan", "show", "Example"], "");
    assert_eq!((&shown["ends"], &shown["next"], &shown["left"]), (&json!(true), &json!(null), &json!("6")));
    place.json(&["plan", "keep", "Example"], "");
    for (args, reason) in [
        (vec!["plan", "buy", "Example", "Basic"], "is the account's plan already"),
        (vec!["plan", "buy", "Example", "Large"], "there is no plan Large: see `farebox plan list`"),
        (vec!["plan", "set", "Basic", "--fee", "1", "--allowance", "0"], "above zero"),
        (vec!["plan", "set", "Basic", "--fee", "1", "--allowance", "1", "--days", "3"], "choose another name"),
        (vec!["plan", "set", "New", "--fee", "-1", "--allowance", "1"], "fee"),
        (vec!["plan", "set", "New", "--fee", "1", "--allowance", "1", "--model", "smal"], "there is no model smal"),
        (vec!["plan", "set", "New", "--fee", "1", "--allowance", "1", "--days", "3", "--beyond", "refuse"], "only a plan can refuse"),
    ] {
        let (code, said) = place.refusal(&args);
        assert!(code != Some(0) && said.contains(reason), "farebox {args:?}: {said}");
    }
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn who_sells_is_said_version_by_version() {
    let place = Place::new();
    place.json(&["migrate"], "");
    assert_eq!(place.json(&["seller", "list"], ""), json!([]));
    let set = ["seller", "set", "--name", "Gateway Ltd", "--address", "1 High Street, London", "--tax-rate", "7.75"];
    let first = place.json(&set, "");
    assert_eq!((&first["version"], &first["tax_rate"], &first["tax_label"]), (&json!(1), &json!(775), &json!("VAT")));
    assert_eq!(place.json(&set, ""), first, "the same again changes nothing");
    assert_eq!(place.json(&[&set[..], &["--prefix", "GW-"]].concat(), "")["version"], 2);
    let versions = place.json(&["seller", "list"], "");
    let versions: Vec<_> = versions.as_array().expect("a list").iter().map(|seller| &seller["prefix"]).collect();
    assert_eq!(versions, ["GW-", ""], "newest first");
    for (args, reason) in [
        (vec!["--name", "", "--address", "x"], "name"),
        (vec!["--name", "x", "--address", "1 High Street\nLondon"], "address"),
        (vec!["--name", "x", "--address", "x", "--tax-rate", "19.001"], "write a rate in per cent"),
        (vec!["--name", "x", "--address", "x", "--prefix", "gw-"], "write at most 12 of A to Z"),
    ] {
        let (code, said) = place.refusal(&[vec!["seller", "set"], args.clone()].concat());
        assert!(code != Some(0) && said.contains(reason), "farebox seller set {args:?}: {said}");
    }
    assert_eq!(place.verify(), Vec::<Value>::new());
}
