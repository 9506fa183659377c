//! Bounds on accounts and their parts, at the command line.

use serde_json::{Value, json};

use crate::{commands::add_customer, farebox::Place};

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
