//! What an operator does at the command line.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    farebox::{PATIENCE, Place},
    http::ask,
    upstream,
};

/// Adds a provider at this address, with a model that has a price.
pub(crate) fn add_model(place: &Place, base_url: &str) {
    add_model_of(place, "acme", base_url, "small");
}

fn add_model_of(place: &Place, provider: &str, base_url: &str, model: &str) {
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
    let credits = ask(url, "/v1/credits", secret, None).expect("the proxy answers").json();
    assert_eq!(credits["data"]["balance"], "9.99955", "10 less 1,000 × 0.00015 ÷ 1,000 and 500 × 0.0006 ÷ 1,000");

    // Beside the running server.
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
    assert_eq!((answer.status, &answer.json()["usage"]["total_tokens"]), (200, &json!(1500))); // read to its end: then it is settled
    let credits = || ask(url, "/v1/credits", secret, None).expect("the proxy answers").json()["data"]["balance"].clone();
    assert_eq!(credits(), "12.49955");
    place.json(&["grant", "end", "Example", id], "");
    assert_eq!(credits(), "10.5", "what was left of it has lapsed; the call was paid from it");

    assert_eq!(place.verify(), Vec::<Value>::new());
    let proof = place.json(&["verify", "--account", "Example", "--since", "2020-01-01", "--at-once", "1"], "");
    assert_eq!((&proof["accounts"], &proof["calls"]), (&json!(1), &json!(1)));
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
fn what_is_lent_is_set_and_shown_and_what_is_not_named_stays() {
    let place = Place::new();
    add_customer(&place);
    let set = |args: &[&str]| place.json(&[&["account", "set", "Example"][..], args].concat(), "")["credit_line"].clone();
    let shown = || {
        let account = place.json(&["account", "show", "Example"], "");
        (account["credit_line"].clone(), account["balance"]["available"].clone())
    };
    assert_eq!(shown(), (json!({ "amount": "0", "grace": null, "terms": "strict" }), json!("10.5")));
    assert_eq!(set(&["--credit-line", "5"]), json!({ "amount": "5", "grace": null, "terms": "strict" }));
    let grace = json!({ "amount": "2", "until": "2100-01-01T00:00:00Z" });
    assert_eq!(set(&["--grace", "2", "--until", "2100-01-01"]), json!({ "amount": "5", "grace": grace, "terms": "strict" }));
    let lenient = json!({ "amount": "5", "grace": grace, "terms": "lenient" });
    assert_eq!(set(&["--terms", "lenient"]), lenient);
    assert_eq!(shown(), (lenient, json!("17.5")));

    let said = |args: &[&str]| String::from_utf8_lossy(&place.command(args).output().expect("farebox runs").stdout).into_owned();
    let table = said(&["account", "show", "Example"]);
    for line in ["credit line  5", "grace        2 until 2100-01-01 00:00:00 UTC", "terms        lenient: it pays what a call came to"] {
        assert!(table.lines().any(|found| found == line), "{line} is missing: {table}");
    }
    assert_eq!(
        said(&["account", "set", "Example", "--credit-line", "3", "--terms", "strict"]),
        "Example is lent 3, and 2 more until 2100-01-01 00:00:00 UTC; it is strict: a call is never charged more than was held for it.\n"
    );
    assert_eq!(set(&["--grace", "0"]), json!({ "amount": "3", "grace": null, "terms": "strict" }));
    assert_eq!(set(&["--grace", "0"]), json!({ "amount": "3", "grace": null, "terms": "strict" }), "one that has ended ends again");
    assert_eq!(shown().1, "13.5");
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn a_variable_that_is_set_to_nothing_sets_nothing() {
    let mut place = Place::new();
    add_customer(&place);
    for variable in ["CREDIT_LINE", "GRACE", "UNTIL", "TERMS"].map(|name| format!("FAREBOX_ACCOUNT_{name}")) {
        place.tell(variable.leak(), String::new());
    }
    for variable in ["FAREBOX_KEY_MEMBER", "FAREBOX_KEY_PROJECT", "FAREBOX_LIMIT_KEY", "FAREBOX_LIMIT_PROJECT", "FAREBOX_LIMIT_RUN"] {
        place.tell(variable, String::new());
    }
    let (code, said) = place.refusal(&["account", "set", "Example"]);
    assert!(code == Some(2) && said.contains("--credit-line <AMOUNT>|--grace <AMOUNT>"), "nothing was named: {said}");
    let lent = place.json(&["account", "set", "Example", "--terms", "lenient"], "")["credit_line"].clone();
    assert_eq!(lent, json!({ "amount": "0", "grace": null, "terms": "lenient" }));
    assert_eq!(place.json(&["key", "create", "Example", "--name", "second"], "")["member"], json!(null));
    let limit = place.json(&["limit", "set", "Example", "1", "--per", "day", "--member", "owner@example.com"], "");
    assert_eq!(limit["scope"], "member");

    place.tell("FAREBOX_ACCOUNT_TERMS", "strict".to_owned());
    assert_eq!(place.json(&["account", "set", "Example"], "")["credit_line"]["terms"], "strict", "one that says something counts");
}

#[test]
fn what_cannot_be_lent_is_refused_with_a_reason() {
    let place = Place::new();
    add_customer(&place);
    let to_come = "2100-01-01";
    for (args, code, reason) in [
        (vec!["Example"], 2, "--credit-line <AMOUNT>|--grace <AMOUNT>"),
        (vec!["Example", "--credit-line", "-1"], 1, "credit line: write an amount from 0 to 1,000,000,000"),
        (vec!["Example", "--credit-line", "a lot"], 2, "write it like 12.50"),
        (vec!["Example", "--grace", "2"], 1, "name it with --until"),
        (vec!["Example", "--until", to_come], 2, "--grace <AMOUNT>"),
        (vec!["Example", "--grace", "2", "--until", "soon"], 2, "write a date like"),
        (vec!["Example", "--grace", "2", "--until", "2020-01-01"], 1, "an instant that is still to come"),
        (vec!["Example", "--grace", "-2", "--until", to_come], 1, "write an amount above 0"),
        (vec!["Example", "--grace", "0", "--until", to_come], 1, "leave --until out"),
        (vec!["Example", "--terms", "kind"], 2, "possible values: strict, lenient"),
        (vec!["nobody", "--terms", "lenient"], 1, "account nobody: not found"),
    ] {
        let (found, said) = place.refusal(&[&["account", "set"][..], &args[..]].concat());
        assert!(found == Some(code) && said.contains(reason), "farebox account set {args:?} ended with {found:?} and said: {said}");
    }
    let account = place.json(&["account", "show", "Example"], "");
    assert_eq!(account["credit_line"], json!({ "amount": "0", "grace": null, "terms": "strict" }));
}

#[test]
fn a_project_is_added_and_listed_and_takes_keys() {
    let place = Place::new();
    let first = add_customer(&place);
    assert_eq!(first["project"], first["account"], "the first project bears the account's id");
    let research = place.json(&["project", "add", "Example", " Research "], "");
    assert_eq!((&research["account"], &research["name"]), (&first["account"], &json!("Research")));
    let projects = place.json(&["project", "list", "Example"], "");
    let shown = |place: usize| (projects[place]["id"].clone(), projects[place]["name"].clone());
    assert_eq!(projects.as_array().map(Vec::len), Some(2));
    assert_eq!([shown(0), shown(1)], [(first["project"].clone(), json!("Default")), (research["id"].clone(), json!("Research"))]);
    let table = place.command(&["project", "list", "Example"]).output().expect("farebox runs");
    let table = String::from_utf8_lossy(&table.stdout);
    assert!(table.starts_with("NAME      SINCE") && table.contains("\nResearch  20"), "{table}");

    let made = place.json(&["key", "create", "Example", "--name", "notebooks", "--project", "research"], "");
    assert_eq!(made["project"], research["id"], "a project's name is the same in any case");
    let project_of = |key: &Value| {
        let account = place.json(&["account", "show", "Example"], "");
        let keys = account["keys"].as_array().expect("a list of keys");
        keys.iter().find(|found| found["id"] == key["id"]).map(|found| found["project"].clone())
    };
    let move_key = |key: &Value, project: &str| {
        let key = key["id"].as_str().expect("an id");
        place.json(&["project", "move-key", key, project], "")
    };
    for _ in 0..2 {
        assert_eq!(move_key(&first, "Research"), json!({ "key": first["id"], "project": research["id"] }));
        assert_eq!(project_of(&first), Some(research["id"].clone()));
    }
    move_key(&made, first["project"].as_str().expect("an id"));
    assert_eq!(project_of(&made), Some(first["project"].clone()));
    let shown = place.command(&["account", "show", "Example"]).output().expect("farebox runs");
    let shown = String::from_utf8_lossy(&shown.stdout);
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    assert!(line("first").contains("  Research  works") && line("notebooks").contains("  Default   works"), "{shown}");
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn a_key_is_a_members_where_that_is_said_and_else_nobodys() {
    let place = Place::new();
    let first = add_customer(&place);
    assert_eq!(first["member"], json!(null));
    let own = place.json(&["key", "create", "Example", "--name", "laptop", "--member", "Owner@example.com"], "");
    let limit = place.json(&["limit", "set", "Example", "1", "--per", "day", "--member", "owner@example.com"], "");
    assert!(own["member"].is_string() && own["member"] == limit["member"], "{own} {limit}");

    let account = place.json(&["account", "show", "Example"], "");
    let shown = |key: &Value| {
        let keys = account["keys"].as_array().expect("a list of keys");
        keys.iter().find(|found| found["id"] == key["id"]).map(|found| (found["member"].clone(), found["member_email"].clone()))
    };
    assert_eq!(shown(&own), Some((own["member"].clone(), json!("owner@example.com"))));
    assert_eq!(shown(&first), Some((json!(null), json!(null))));
    assert_eq!(account["balance"]["excess"], json!(null), "the terms are said once, by the credit line");
    let table = place.command(&["account", "show", "Example"]).output().expect("farebox runs");
    let table = String::from_utf8_lossy(&table.stdout);
    let line = |key: &str| table.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    assert!(line("laptop").contains("  owner@example.com  Default") && !line("first").contains('@'), "{table}");

    let (code, said) = place.refusal(&["key", "create", "Example", "--name", "stray", "--member", "stranger@example.com"]);
    assert!(code == Some(1) && said.contains("member stranger@example.com: not found"), "{said}");
}

#[test]
fn a_project_that_cannot_be_is_refused_with_a_reason() {
    let place = Place::new();
    let key = add_customer(&place);
    let key = key["id"].as_str().expect("an id");
    place.json(&["project", "add", "Example", "Research"], "");
    place.json(&["account", "create", "Other", "--email", "other@example.com", "--password-env", "SECRET"], "a long password");
    let others = place.json(&["project", "add", "Other", "Secret"], "");
    let others = others["id"].as_str().expect("an id");
    let (unknown, long) = ("0193a5b0-0000-7000-8000-000000000000", "n".repeat(101));
    for (args, code, reason) in [
        (vec!["project", "add", "Example", "Research"], 1, "a project of this name already exists"),
        (vec!["project", "add", "Example", "RESEARCH"], 1, "a project of this name already exists"),
        (vec!["project", "add", "Example", " "], 1, "1 to 100 characters"),
        (vec!["project", "add", "Example", &long], 1, "1 to 100 characters"),
        (vec!["project", "add", "Example", "two\nlines"], 1, "on one line"),
        (vec!["project", "add", "nobody", "Research"], 1, "account nobody: not found"),
        (vec!["project", "list", "nobody"], 1, "account nobody: not found"),
        (vec!["project", "move-key", key, "nowhere"], 1, "project nowhere: not found; `farebox project list`"),
        (vec!["project", "move-key", key, others], 1, "not found"),
        (vec!["project", "move-key", key, "Secret"], 1, "not found"),
        (vec!["project", "move-key", unknown, "Research"], 1, "not found"),
        (vec!["project", "move-key", "first", "Research"], 2, "as `farebox account show` lists it"),
        (vec!["key", "create", "Example", "--name", "second", "--project", "nowhere"], 1, "project nowhere: not found"),
    ] {
        let (found, said) = place.refusal(&args);
        assert!(found == Some(code) && said.contains(reason), "farebox {args:?} ended with {found:?} and said: {said}");
    }
    assert_eq!(place.json(&["project", "list", "Example"], "").as_array().map(Vec::len), Some(2));
    let account = place.json(&["account", "show", "Example"], "");
    assert_eq!(account["keys"].as_array().map(Vec::len), Some(1), "no key was made");
    assert_eq!(account["keys"][0]["project"], account["account"]["id"]);
}

#[test]
fn limits_are_set_listed_and_removed() {
    let place = Place::new();
    let key = add_customer(&place);
    let set = |args: &[&str]| place.json(&[&["limit", "set", "Example"][..], args].concat(), "");
    let monthly = set(&["10", "--per", "month"]);
    assert_eq!((&monthly["capacity"], &monthly["unit"], &monthly["key"]), (&json!("10"), &json!("money"), &json!(null)));
    assert_eq!(monthly["scope"], "account");
    let minute = set(&["5", "--per", "minute", "--unit", "requests", "--key", "first"]);
    assert_eq!((&minute["capacity"], &minute["key"]), (&json!(5), &key["id"]));
    let again = set(&["7", "--per", "minute", "--unit", "requests", "--key", key["id"].as_str().expect("an id")]);
    assert_eq!((&again["limit"], &again["capacity"]), (&minute["limit"], &json!(7)), "one of the same kind is changed");

    let limits = place.json(&["limit", "list", "Example"], "");
    let shown = |place: usize| ["whose", "per", "unit", "hardness", "capacity", "used", "left"].map(|name| limits[place][name].clone());
    assert_eq!(limits.as_array().map(Vec::len), Some(2));
    assert_eq!(shown(0), [json!(null), json!("month"), json!("money"), json!("hard"), json!("10"), json!("0"), json!("10")]);
    assert_eq!(shown(1), [json!("first"), json!("minute"), json!("requests"), json!("hard"), json!(7), json!(0), json!(7)]);
    assert!(limits[0]["resets_at"].is_string());
    let table = place.command(&["limit", "list", "Example"]).output().expect("farebox runs");
    let table = String::from_utf8_lossy(&table.stdout);
    assert!(table.contains("account         10 per month") && table.contains("key      first  7 requests per minute"), "{table}");

    set(&["0.5", "--per", "ever", "--soft"]);
    let minute = minute["limit"].as_str().expect("an id");
    for _ in 0..2 {
        place.json(&["limit", "remove", "Example", minute], "");
    }
    let limits = place.json(&["limit", "list", "Example"], "");
    let kind = |place: usize| (limits[place]["per"].clone(), limits[place]["hardness"].clone());
    assert_eq!(limits.as_array().map(Vec::len), Some(2));
    assert_eq!([kind(0), kind(1)], [(json!("month"), json!("hard")), (json!("ever"), json!("soft"))]);
    assert_eq!(limits[1]["resets_at"], json!(null));
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn a_limit_is_of_a_project_a_member_a_key_or_a_run() {
    let place = Place::new();
    let key = add_customer(&place);
    let research = place.json(&["project", "add", "Example", "Research"], "");
    let parts = [
        ("project", "--project", "research", "Research"),
        ("member", "--member", "Owner@example.com", "owner@example.com"),
        ("key", "--key", "first", "first"),
        ("run", "--run", "nightly", "nightly"),
    ];
    let set = |option: &str, typed: &str, amount: &str| place.json(&["limit", "set", "Example", amount, "--per", "day", option, typed], "");
    for (scope, option, typed, _) in parts {
        let (once, again) = (set(option, typed, "1"), set(option, typed, "2"));
        assert_eq!((&once["scope"], &once["limit"]), (&json!(scope), &again["limit"]), "{scope}");
        let listed = place.json(&["limit", "list", "Example"], "");
        let listed = listed.as_array().into_iter().flatten().find(|listed| listed["limit"] == again["limit"]).expect("it is listed");
        for name in ["scope", "whose", "key", "project", "member", "run"] {
            assert_eq!((&again[name], again.get(name).is_some()), (&listed[name], true), "{name} of a limit of a {scope}");
        }
    }
    let limits = place.json(&["limit", "list", "Example"], "");
    assert_eq!(limits.as_array().map(Vec::len), Some(parts.len()));
    let table = place.command(&["limit", "list", "Example"]).output().expect("farebox runs");
    let table = String::from_utf8_lossy(&table.stdout);
    for (limit, (scope, _, _, whose)) in limits.as_array().into_iter().flatten().zip(parts) {
        assert_eq!((&limit["scope"], &limit["whose"], &limit["capacity"]), (&json!(scope), &json!(whose), &json!("2")));
        for (name, id) in [("key", &key["id"]), ("project", &research["id"]), ("run", &json!("nightly"))] {
            assert_eq!(&limit[name], if scope == name { id } else { &Value::Null }, "{name} of a limit of a {scope}");
        }
        assert_eq!(limit["member"].is_string(), scope == "member");
        assert!(table.lines().any(|line| line.starts_with(scope) && line.contains(&format!("  {whose}  "))), "{table}");
    }
    let said = place.command(&["limit", "set", "Example", "3", "--per", "day", "--project", "Research"]).output().expect("farebox runs");
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.starts_with("Project Research of Example is limited to 3 per day: limit "), "{said}");
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn a_limit_that_cannot_be_is_refused_with_a_reason() {
    let place = Place::new();
    add_customer(&place);
    place.json(&["key", "create", "Example", "--name", "twin"], "");
    place.json(&["key", "create", "Example", "--name", "twin"], "");
    let unknown = "0193a5b0-0000-7000-8000-000000000000";
    for (args, code, reason) in [
        (vec!["set", "Example", "10"], 2, "--per"),
        (vec!["set", "Example", "10", "--per", "year"], 2, "possible values"),
        (vec!["set", "Example", "a lot", "--per", "day"], 1, "the amount is not a number"),
        (
            vec!["set", "Example", "1.5", "--per", "day", "--unit", "tokens"],
            1,
            "the amount is not a whole number, which tokens are counted in",
        ),
        (vec!["set", "Example", "-1", "--per", "day"], 1, "from 0 on"),
        (vec!["set", "nobody", "1", "--per", "day"], 1, "account nobody: not found"),
        (vec!["set", "Example", "1", "--per", "day", "--key", "second"], 1, "key second: not found"),
        (vec!["set", "Example", "1", "--per", "day", "--key", "twin"], 1, "several keys are called twin"),
        (vec!["set", "Example", "1", "--per", "day", "--project", "nowhere"], 1, "project nowhere: not found"),
        (vec!["set", "Example", "1", "--per", "day", "--member", "stranger@example.com"], 1, "member stranger@example.com: not found"),
        (vec!["set", "Example", "1", "--per", "day", "--run", ""], 2, "is empty"),
        (vec!["set", "Example", "1", "--per", "day", "--key", "first", "--project", "Default"], 2, "cannot be used with"),
        (vec!["remove", "Example", unknown], 1, "not found"),
        (vec!["remove", "Example", "first"], 2, "invalid"),
    ] {
        let (found, said) = place.refusal(&[&["limit"][..], &args[..]].concat());
        assert!(found == Some(code) && said.contains(reason), "farebox limit {args:?} ended with {found:?} and said: {said}");
    }
    assert_eq!(place.json(&["limit", "list", "Example"], ""), json!([]));
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
        let (found, said) = (answer.status, answer.text()); // to its end: then it is settled
        assert_eq!((found, balance()), (status, json!(left)), "{model}: {said}");
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
    check(&["price", "set", "small", "--input", "1", "--output", "1", "--effective-from", "2020-01-01"], 1, "10 seconds");
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
