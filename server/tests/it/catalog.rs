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

    for (arguments, said) in [
        (&["provider", "remove", "acme"][..], "it answers small"),
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
