//! Parts of accounts, at the command line.

use serde_json::{Value, json};

use crate::{commands::add_customer, farebox::Place};

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
