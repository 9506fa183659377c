//! What an operator lends to accounts, at the command line.

use serde_json::{Value, json};

use crate::{commands::add_customer, farebox::Place};

#[test]
fn what_is_lent_is_set_and_shown_and_what_is_not_named_stays() {
    let place = Place::new();
    add_customer(&place);
    let set = |args: &[&str]| place.json(&[&["account", "set", "Example"][..], args].concat(), "")["credit_line"].clone();
    let shown = || {
        let account = place.json(&["account", "show", "Example"], "");
        (account["credit_line"].clone(), account["balance"]["available"].clone())
    };
    assert_eq!(shown(), (json!({ "mode": "prepaid", "amount": "0", "grace": null, "terms": "strict" }), json!("10.5")));
    assert_eq!(set(&["--credit-line", "5"]), json!({ "mode": "postpaid", "amount": "5", "grace": null, "terms": "strict" }));
    assert_eq!(set(&["--mode", "postpaid"])["amount"], "5", "what was lent stays");
    let grace = json!({ "amount": "2", "until": "2100-01-01T00:00:00Z" });
    assert_eq!(
        set(&["--grace", "2", "--until", "2100-01-01"]),
        json!({ "mode": "postpaid", "amount": "5", "grace": grace, "terms": "strict" })
    );
    let lenient = json!({ "mode": "postpaid", "amount": "5", "grace": grace, "terms": "lenient" });
    assert_eq!(set(&["--terms", "lenient"]), lenient);
    assert_eq!(shown(), (lenient, json!("17.5")));

    let said = |args: &[&str]| String::from_utf8_lossy(&place.command(args).output().expect("farebox runs").stdout).into_owned();
    let table = said(&["account", "show", "Example"]);
    for line in ["credit line  5", "grace        2 until 2100-01-01 00:00:00 UTC", "terms        lenient: it pays what a call came to"] {
        assert!(table.lines().any(|found| found == line), "{line} is missing: {table}");
    }
    assert_eq!(
        said(&["account", "set", "Example", "--credit-line", "3", "--terms", "strict"]),
        "Example is postpaid: it is lent 3, and 2 more until 2100-01-01 00:00:00 UTC; it is strict: a call is never charged more than was held for it.\n"
    );
    assert_eq!(set(&["--grace", "0"]), json!({ "mode": "postpaid", "amount": "3", "grace": null, "terms": "strict" }));
    assert_eq!(
        set(&["--grace", "0"]),
        json!({ "mode": "postpaid", "amount": "3", "grace": null, "terms": "strict" }),
        "one that has ended ends again"
    );
    assert_eq!(shown().1, "13.5");
    let (found, reason) = place.refusal(&["account", "set", "Example", "--grace", "1", "--until", "2100-01-01"]);
    assert!(found == Some(1) && reason.contains("one was given this month already"), "{reason}");
    assert!(said(&["account", "show", "Example"]).contains("next grace   from "), "and since when another may begin is said");
    set(&["--terms", "lenient"]);
    assert_eq!(set(&["--mode", "quota"]), json!({ "mode": "quota", "amount": "0", "grace": null, "terms": "strict" }));
    assert_eq!(shown().1, "0", "its balance pays for no call");
    assert_eq!(set(&["--mode", "prepaid"]), json!({ "mode": "prepaid", "amount": "0", "grace": null, "terms": "strict" }));
    assert_eq!(shown().1, "10.5");
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn a_variable_that_is_set_to_nothing_sets_nothing() {
    let mut place = Place::new();
    add_customer(&place);
    for variable in ["MODE", "CREDIT_LINE", "GRACE", "UNTIL", "TERMS"].map(|name| format!("FAREBOX_ACCOUNT_{name}")) {
        place.tell(variable.leak(), String::new());
    }
    for variable in ["FAREBOX_KEY_MEMBER", "FAREBOX_KEY_PROJECT", "FAREBOX_LIMIT_KEY", "FAREBOX_LIMIT_PROJECT", "FAREBOX_LIMIT_RUN"] {
        place.tell(variable, String::new());
    }
    let (code, said) = place.refusal(&["account", "set", "Example"]);
    assert!(code == Some(2) && said.contains("--mode <MODE>|--credit-line <AMOUNT>|--grace <AMOUNT>"), "nothing was named: {said}");
    let lent = place.json(&["account", "set", "Example", "--terms", "lenient"], "")["credit_line"].clone();
    assert_eq!(lent, json!({ "mode": "prepaid", "amount": "0", "grace": null, "terms": "lenient" }));
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
        (vec!["Example"], 2, "--mode <MODE>|--credit-line <AMOUNT>|--grace <AMOUNT>"),
        (vec!["Example", "--credit-line", "-1"], 1, "credit line: write an amount from 0 to 1,000,000,000"),
        (vec!["Example", "--mode", "prepaid", "--credit-line", "1"], 1, "write --mode postpaid"),
        (vec!["Example", "--mode", "postpaid", "--credit-line", "0"], 1, "say how much with --credit-line"),
        (vec!["Example", "--mode", "quota", "--terms", "lenient"], 1, "is lent nothing, and strict"),
        (vec!["Example", "--mode", "postpaid"], 1, "say how much with --credit-line"),
        (vec!["Example", "--mode", "quota", "--credit-line", "1"], 1, "its balance pays for no call"),
        (vec!["Example", "--mode", "quota", "--grace", "1", "--until", to_come], 1, "is lent nothing"),
        (vec!["Example", "--mode", "free"], 2, "possible values: prepaid, postpaid, quota"),
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
    assert_eq!(account["credit_line"], json!({ "mode": "prepaid", "amount": "0", "grace": null, "terms": "strict" }));
}
