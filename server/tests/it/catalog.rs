//! What an operator changes of providers and models, beside a proxy that runs.

use serde_json::json;

use crate::{
    commands::{add_customer, add_model, add_model_of},
    farebox::Place,
    http::ask,
    life::wait_until,
    upstream,
};

#[test]
fn another_provider_answers_where_the_first_is_away_and_says_so_on_the_receipt() {
    let place = Place::new();
    let upstream = upstream::start();
    add_model(&place, "http://127.0.0.1:1/v1");
    add_model_of(&place, "spare", &upstream, "other");
    let key = add_customer(&place);
    place.json(&["model", "fallback", "small", "add", "spare", "--upstream-model", "small-2027", "--allow", "web_search_options"], "");
    let server = place.serve(&["--only", "proxy"]);
    let (url, secret) = (server.said("/proxy_url"), key["key"].as_str().expect("a key"));
    let chat = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = || ask(url, "/v1/chat/completions", secret, Some(&chat)).expect("the proxy answers");
    let listed = || {
        place
            .json(&["model", "list"], "")
            .as_array()
            .and_then(|models| models.iter().find(|model| model["model"]["name"] == "small").cloned())
    };
    let fallbacks =
        json!([{ "provider": "spare", "upstream_name": "small-2027", "output_cap_field": null, "opened": ["web_search_options"] }]);
    assert_eq!(listed().map(|model| model["fallbacks"].clone()), Some(fallbacks));
    let id = answer().header("x-request-id").expect("its id").to_owned();
    let receipt = ask(url, &format!("/v1/generation?id={id}"), secret, None).expect("the proxy answers").json()["data"].take();
    let attempt = &receipt["attempts"][0];
    assert_eq!((&receipt["provider"], &attempt["provider"], &attempt["failure"]), (&json!("spare"), &json!("acme"), &json!("unreachable")));

    for (arguments, said) in [
        (&["model", "fallback", "small", "add", "spare"][..], "a provider of this model"),
        (&["model", "fallback", "small", "add", "nobody"], "not found"),
        (&["provider", "edit", "acme", "--connect-timeout", "11m"], "1 ms to 10 minutes"),
        (&["provider", "edit", "acme", "--idle-timeout", "soon"], "500ms, 30s or 10m"),
        (&["provider", "remove", "spare"], "small as a fall-back"),
    ] {
        let (_, refused) = place.refusal(arguments);
        assert!(refused.contains(said), "{arguments:?}: {refused}");
    }
    let edit = [
        "provider",
        "edit",
        "acme",
        "--connect-timeout",
        "5s",
        "--first-byte-timeout",
        "500ms",
        "--speaks",
        "chat,messages",
        "--hide-cost",
    ];
    place.json(&edit, "");
    let provider = place.json(&["provider", "list"], "")[0].take();
    assert_eq!(provider["time_outs"], json!({ "connect_ms": 5_000, "first_byte_ms": 500, "idle_ms": null }));
    assert_eq!((&provider["apis"], &provider["hide_cost"]), (&json!(["chat", "messages"]), &json!(true)));
    place.json(&["provider", "disable", "acme"], "");
    assert_eq!(listed().map(|model| model["enabled"].clone()), Some(json!(true)), "another answers it");
    place.json(&["provider", "enable", "acme"], "");
    place.json(&["model", "fallback", "small", "remove", "spare"], "");
    wait_until(|| answer().status == 502);
    assert_eq!(place.verify(), Vec::<serde_json::Value>::new());
}

#[test]
fn a_running_proxy_takes_up_what_is_changed_and_nothing_needed_is_removed() {
    let place = Place::new();
    let upstream = upstream::start();
    add_model(&place, "http://127.0.0.1:1/v1");
    let key = add_customer(&place);
    let server = place.serve(&["--only", "proxy"]);
    let (url, secret) = (server.said("/proxy_url"), key["key"].as_str().expect("a key"));
    let status = || {
        let chat = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello" }] });
        ask(url, "/v1/chat/completions", secret, Some(&chat)).expect("the proxy answers").status
    };
    assert_eq!(status(), 502, "nobody is there");
    let moved = format!(" {upstream}/chat/completions ");
    place.json(&["provider", "edit", "acme", "--base-url", &moved], "");
    assert_eq!(place.json(&["provider", "list"], "")[0]["base_url"], upstream);
    wait_until(|| status() == 200);
    for noun in [["provider", "acme"], ["model", "small"]] {
        let [noun, name] = noun;
        place.json(&[noun, "disable", name], "");
        assert_eq!(place.json(&["model", "list"], "")[0]["enabled"], false, "{noun}");
        wait_until(|| status() == 404);
        place.json(&[noun, "enable", name], "");
        wait_until(|| status() == 200);
    }
    place.json(&["provider", "credential", "acme", "--credential-env", "SECRET"], "Bearer sk-another\n");
    place.json(&["model", "edit", "small", "--upstream-name", "small-2027", "--default-output-hold", "512"], "");
    assert_eq!(place.json(&["model", "list"], "")[0]["model"]["upstream_name"], "small-2027");
    assert_eq!(place.json(&["model", "list"], "")[0]["model"]["bounds"]["pdf_max"], json!(null));
    place.json(&["model", "edit", "small", "--pdf-max", "20000"], "");
    assert_eq!(place.json(&["model", "list"], "")[0]["model"]["bounds"]["pdf_max"], 20_000);

    let id = key["id"].as_str().expect("an id");
    assert_eq!(place.json(&["key", "models", id, "--model", "small"], "")["models"], json!(["small"]));
    assert_eq!(place.json(&["key", "models", id, "--every-model"], "")["models"], json!(null));
    for (told, tells) in [("on", true), ("off", false)] {
        assert_eq!(place.json(&["key", "cost", id, told], "")["tells_cost"], json!(tells));
        let shown = place.json(&["account", "show", "owner@example.com"], "");
        assert_eq!(shown["keys"][0]["tells_cost"], json!(tells), "{shown}");
    }
    assert_eq!(place.json(&["provider", "allow", "acme", "web_search_options"], "")["opened"], json!(["web_search_options"]));
    assert_eq!(place.json(&["provider", "list"], "")[0]["opened"], json!(["web_search_options"]));
    assert_eq!(place.json(&["provider", "refuse", "acme", "web_search_options"], "")["opened"], json!([]));

    for (arguments, said) in [
        (&["key", "models", id][..], "say which: --model"),
        (&["key", "models", id, "--model", "nobody"], "there is no model nobody"),
        (&["key", "models", id, "--model", "small", "--every-model"], "cannot be used with"),
        (&["provider", "remove", "acme"], "it answers small"),
        (&["model", "remove", "small"], "it has prices"),
        (&["provider", "edit", "nobody", "--usage-mode", "native"], "not found"),
        (&["provider", "edit", "acme"], "required"),
        (&["provider", "edit", "acme", "--allow-private", "no"], "its address is private"),
    ] {
        let (_, refused) = place.refusal(arguments);
        assert!(refused.contains(said), "{arguments:?}: {refused}");
    }
    add_model_of(&place, "spare", &upstream, "priced");
    let add = ["model", "add", "unpriced", "--provider", "spare", "--context-window", "128000", "--default-output-hold", "1024"];
    place.json(&add, "");
    place.json(&["model", "remove", "unpriced"], "");
    place.json(&["model", "edit", "priced", "--provider", "acme"], "");
    place.json(&["provider", "remove", "spare"], "");
    assert_eq!(place.json(&["provider", "list"], "").as_array().map(Vec::len), Some(1));
    assert_eq!(place.json(&["model", "list"], "").as_array().map(Vec::len), Some(2));
}
