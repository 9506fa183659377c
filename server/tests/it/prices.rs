//! Price lists at the command line.

use std::fs;

use serde_json::{Value, json};

use crate::{commands::add_account, farebox::Place};

/// Per token. `small` costs other than what it is sold for, `long` has a tier, `slip` is a hundred times what it is sold for.
const LIST: &str = r#"{
    "sample_spec": { "litellm_provider": "one of many" },
    "small": { "litellm_provider": "acme", "input_cost_per_token": 1.2e-07, "output_cost_per_token": 5e-07, "input_cost_per_token_batches": 6e-08 },
    "acme/long": {
        "litellm_provider": "acme", "input_cost_per_token": 3e-07, "output_cost_per_token": 1.2e-06, "cache_read_input_token_cost": 3e-08,
        "input_cost_per_token_above_200k_tokens": 6e-07, "output_cost_per_token_above_200k_tokens": 2.4e-06
    },
    "slip": { "litellm_provider": "acme", "input_cost_per_token": 0.000015, "output_cost_per_token": 6e-07 },
    "broken": { "litellm_provider": "acme", "input_cost_per_token": "-1", "output_cost_per_token": NaN },
    "unsold": { "litellm_provider": "acme", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06 }
}"#;

/// A place that sells five models at 0.00015 and 0.0006 per 1,000 tokens, `long` at twice as much, with this list beside it.
fn place(list: &str) -> (Place, String) {
    let place = Place::new();
    place.json(&["provider", "add", "acme", "--base-url", "http://127.0.0.1:1/v1", "--allow-private"], "");
    for model in ["small", "long", "slip", "broken", "unlisted"] {
        place.json(&["model", "add", model, "--provider", "acme", "--context-window", "128000", "--default-output-hold", "1024"], "");
        let rates = match model {
            "long" => ["--input", "0.0003", "--output", "0.0012", "--cache-read", "0.00003"],
            _ => ["--input", "0.00015", "--output", "0.0006", "--per-call", "0"],
        };
        place.json(&[&["price", "set", model][..], &rates].concat(), "");
    }
    let file = place.folder().join("list.json");
    fs::write(&file, list).expect("the folder is ours");
    (place, file.to_str().expect("a path of ours").to_owned())
}

fn listed(place: &Place) -> Value {
    place.json(&["prices", "list"], "")
}

/// What became of each model of ours.
fn verdicts(report: &Value) -> Vec<(&str, &str)> {
    report["models"]
        .as_array()
        .expect("models")
        .iter()
        .map(|model| (model["model"].as_str().expect("a name"), model["verdict"].as_str().expect("a verdict")))
        .collect()
}

#[test]
fn a_list_is_looked_at_then_written_and_an_export_of_it_changes_nothing() {
    let (place, file) = place(LIST);
    let before = listed(&place);
    assert_eq!(before.as_array().map(Vec::len), Some(5));

    let looked = place.json(&["prices", "import", &file, "--sale-and-cost", "--markup", "2000"], "");
    let expected = [("broken", "refused"), ("long", "new"), ("slip", "refused"), ("small", "new")];
    assert_eq!(verdicts(&looked), expected);
    assert_eq!((&looked["new"], &looked["refused"], &looked["written"]), (&json!(2), &json!(2), &json!(null)));
    assert_eq!((&looked["not_listed"], &looked["not_sold"][0]["name"]), (&json!(["unlisted"]), &json!("unsold")));
    assert_eq!(listed(&place), before, "without --yes nothing is written");
    place.json(&["prices", "import", &file, "--dry-run"], "");
    assert_eq!(listed(&place), before);

    let output =
        place.command(&["prices", "import", &file, "--sale-and-cost", "--markup", "2000", "--yes"]).output().expect("farebox runs");
    let said = String::from_utf8(output.stdout).expect("text");
    for part in [
        "new small (in the list: acme small)",
        "not imported, since nothing here is priced so: input_cost_per_token_batches",
        "Prompt tokens 0.00015 0.000144",
        "Completion tokens, from 200001 prompt tokens on",
        r#"refused broken (in the list: acme broken): input_cost_per_token is text, "-1", where a number belongs"#,
        "refused slip (in the list: acme slip): cost, against the other side: Prompt tokens per 1,000: 0.015 here, and 0.00015 there",
        "Sold here, and not in the list: unlisted.",
        "In the list, and not sold here: unsold.",
        "2 new, 0 changed, 0 the same, 2 refused. Written: 4 prices. A price that leaps, is below cost or looks like a slip is written with --accept MODEL.",
    ] {
        assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains(part), "{part}:\n{said}");
    }
    let written = listed(&place);
    let long = written
        .as_array()
        .and_then(|prices| prices.iter().find(|price| price["model"] == "long" && price["kind"] == "cost"))
        .expect("a cost");
    let tier = json!({ "from_prompt_tokens": 200_001, "rates": { "input": "0.0006", "output": "0.0024", "cache_read": "0.00003" } });
    let base = json!({ "input": "0.0003", "output": "0.0012", "cache_read": "0.00003" });
    assert_eq!((&long["rates"]["base"], &long["rates"]["tiers"], &long["in_force"]), (&base, &json!([tier]), &json!(true)));
    let table = place.command(&["prices", "list"]).output().expect("farebox runs").stdout;
    let table = String::from_utf8(table).expect("text");
    assert!(table.starts_with("MODEL     PROVIDER  SIDE  STATE") && table.contains("small     acme      sale  scheduled"), "{table}");

    let again = place.json(&["prices", "import", &file, "--sale-and-cost", "--markup", "2000", "--yes"], "");
    assert_eq!((&again["new"], &again["changed"], &again["same"], &again["written"]), (&json!(0), &json!(0), &json!(2), &json!(0)));
    let exported = place.command(&["prices", "export"]).output().expect("farebox runs").stdout;
    let export = place.folder().join("export.json");
    fs::write(&export, &exported).expect("the folder is ours");
    let back = place.json(&["prices", "import", export.to_str().expect("a path"), "--yes"], "");
    assert_eq!((&back["format"], &back["same"], &back["written"]), (&json!("farebox"), &json!(5), &json!(0)));
    assert_eq!(listed(&place), written);
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn a_service_tier_has_prices_of_its_own() {
    let (place, file) = place(LIST);
    let rates = ["--input", "0.000075", "--output", "0.0003"];
    let set = place.json(&[&["price", "set", "small", "--service-tier", "flex"][..], &rates].concat(), "");
    assert_eq!((&set["model"], &set["service_tier"], &set["kind"]), (&json!("small"), &json!("flex"), &json!("sale")));
    let listed = listed(&place);
    let small: Vec<_> = listed.as_array().expect("a list").iter().filter(|price| price["model"] == "small").collect();
    assert_eq!(small.iter().map(|price| &price["service_tier"]).collect::<Vec<_>>(), ["default", "flex"]);
    assert_eq!(small[1]["rates"]["base"], json!({ "input": "0.000075", "output": "0.0003" }));
    let table = place.command(&["prices", "list"]).output().expect("farebox runs").stdout;
    assert!(String::from_utf8(table).expect("text").contains("sale at flex"));

    // The list has none of it, which is said, and changes nothing of it.
    let import = ["prices", "import", &file, "--sale-and-cost"];
    assert_eq!(place.json(&import, "")["tiers_not_listed"], json!([{ "model": "small", "service_tier": "flex" }]));
    let said = String::from_utf8(place.command(&import).output().expect("farebox runs").stdout).expect("text");
    assert!(said.contains("With a price here, and not in the list: small at flex. It stays in force."), "{said}");
    // Another one of that tier leaps from it, whatever the default costs.
    let leap = ["price", "set", "small", "--service-tier", "flex", "--input", "0.0006", "--output", "0.0006"];
    let refused = place.command(&leap).output().expect("farebox runs");
    assert!(String::from_utf8(refused.stderr).expect("text").contains("0.000075 becomes 0.0006, more than 3 times what it was"));
    let unknown = place.command(&["price", "set", "small", "--service-tier", "ultra", "--input", "1", "--output", "1"]).output();
    let said = String::from_utf8(unknown.expect("farebox runs").stderr).expect("text");
    assert!(said.contains("write one of default, flex, priority, scale, batch"), "{said}");

    let exported = place.command(&["prices", "export"]).output().expect("farebox runs").stdout;
    let (elsewhere, _) = self::place(LIST);
    let export = elsewhere.folder().join("export.json");
    fs::write(&export, &exported).expect("the folder is ours");
    let import = ["prices", "import", export.to_str().expect("a path"), "--yes"];
    assert_eq!(elsewhere.json(&import, "")["written"], json!(1), "what is there already is the same");
    assert_eq!(elsewhere.json(&import, "")["written"], json!(0));
    assert_eq!(elsewhere.verify(), Vec::<Value>::new());
}

#[test]
fn what_cannot_be_asked_is_refused_and_writes_nothing() {
    let (place, file) = place(LIST);
    let before = listed(&place);
    let rubbish = place.folder().join("rubbish.json");
    fs::write(&rubbish, "{").expect("the folder is ours");
    let rubbish = rubbish.to_str().expect("a path");
    for (arguments, code, reason) in [
        (&["/nowhere/list.json"][..], 2, "No such file"),
        (&[rubbish], 1, "is not JSON"),
        (&[&file, "--format", "genai-prices"], 1, "is not a list in the format genai-prices"),
        (&[&file, "--against", rubbish], 1, "--against"),
        (&[&file, "--provider", "ACME ", "--yes"], 1, "the list has no ACME ; it has acme"),
        (&[&file, "--model", "gpt-*", "--yes"], 1, "no model of yours is called so"),
        (&[&file, "--accept", "nobody", "--yes"], 1, "there is no model nobody"),
        (&[&file, "--markup", "100", "--yes"], 2, "--sale-and-cost"),
        (&[&file, "--sale-and-cost", "--markup", "-1", "--yes"], 2, "--markup"),
        (&[&file, "--cost-only", "--sale-and-cost"], 2, "cannot be used with"),
        (&[&file, "--dry-run", "--yes"], 2, "cannot be used with"),
        (&[&file, "--sale-and-cost", "--from", "2026-01-01", "--yes"], 1, "at least a minute from now"),
    ] {
        let (exit, said) = place.refusal(&[&["prices", "import"], arguments].concat());
        assert!(exit == Some(code) && said.contains(reason), "{arguments:?}: {exit:?} {said}");
    }
    assert_eq!(listed(&place), before);

    let accepted = place.json(&["prices", "import", &file, "--model", "s*", "--accept", "slip", "--from", "2020-01-01", "--yes"], "");
    assert_eq!(verdicts(&accepted), [("slip", "new"), ("small", "new")]);
    assert_eq!(
        (&accepted["written"], accepted["models"][0]["accepted"].as_array().map(Vec::len)),
        (&json!(2), Some(2)),
        "a slip, and below cost"
    );
    let cost = |price: &&Value| price["kind"] == "cost";
    assert_eq!(listed(&place).as_array().map(|prices| prices.iter().filter(cost).count()), Some(2), "and nobody's bill is another");
}

#[test]
fn a_customers_own_price_is_asked_about_as_any_and_listed_until_it_has_ended() {
    let (place, _) = place(LIST);
    add_account(&place, "Example");
    let set = ["price", "own", "set", "Example", "small", "--input", "0.00004", "--output", "0.0005"];
    let (code, said) = place.refusal(&set);
    assert!(code == Some(1) && said.contains("Prompt") && said.contains("--yes small"), "{said}");
    let written = place.json(&[&set[..], &["--yes", "small"]].concat(), "");
    let later = place.json(
        &["price", "own", "set", "Example", "small", "--input", "0.00005", "--output", "0.0005", "--effective-from", "2100-01-01"],
        "",
    );
    let own = place.json(&["price", "own", "list", "Example"], "");
    assert_eq!([&own[0]["id"], &own[1]["id"]], [&later["id"], &written["id"]]);
    assert_eq!(own[1]["rates"]["base"]["input"], "0.00004");
    let everyones = listed(&place);
    let small = everyones.as_array().expect("models").iter().find(|model| model["model"] == "small").expect("a model").to_string();
    assert!(small.contains("0.00015") && !small.contains("0.00004"), "{small}");

    let id = later["id"].as_str().expect("an id");
    assert!(place.json(&["price", "own", "end", "Example", id], "")["withdrawn_at"].is_string());
    let id = written["id"].as_str().expect("an id");
    let (code, said) = place.refusal(&["price", "own", "end", "Example", "00000000-0000-0000-0000-000000000001"]);
    assert!(code == Some(1) && said.contains("not found"), "{said}");
    place.json(&["price", "own", "end", "Example", id, "--at", "2100-01-01"], "");
    // It begins within the minute that proxies need to hear of it: it can be ended, and no longer be taken back.
    let ended = place.json(&["price", "own", "list", "Example"], "")[1].take();
    assert_eq!((&ended["ends_at"], &ended["withdrawn_at"]), (&json!("2100-01-01T00:00:00Z"), &json!(null)));
    assert_eq!(place.verify(), Vec::<Value>::new());
}
