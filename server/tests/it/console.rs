//! The console of a real gateway: no payment that is none, no account that nobody opened, no cookie that travels in the clear.

use std::net::TcpListener;

use serde_json::json;

use crate::{
    farebox::Place,
    http::{Answer, ask, browse, browse_packed, get, preflight, send_form},
};

const SIGN_IN: &str = "email=owner%40example.com&password=a+long+password";

fn add_account(place: &Place) {
    place.json(&["account", "create", "Example", "--email", "owner@example.com", "--password-env", "SECRET"], "a long password");
}

#[test]
fn money_comes_from_the_operator_alone() {
    let place = Place::new();
    add_account(&place);
    let server = place.serve(&["--only", "console"]);
    let url = server.said("/console_url");
    let signed_in = browse(url, "/login", "", Some(SIGN_IN)).expect("the console answers");
    assert_eq!(signed_in.status, 303);
    let cookie = signed_in.cookie().split(';').next().unwrap_or_default().to_owned();
    let page = browse(url, "/billing", &cookie, None).expect("the console answers").text();
    assert!(page.contains("No payment provider is set up") && !page.contains("Make a test payment"));
    assert!(!page.contains("Demo. "));
    let form = "once=01890000-0000-7000-8000-000000000001&amount=5";
    assert_eq!(browse(url, "/billing", &cookie, Some(form)).expect("the console answers").status, 403);
    assert_eq!(place.json(&["account", "show", "Example"], "")["balance"]["balance"], json!("0"));
}

#[test]
fn accounts_are_opened_by_the_operator_alone_where_signing_up_is_closed() {
    let place = Place::new();
    let server = place.serve(&["--only", "console", "--signup", "closed"]);
    let url = server.said("/console_url");
    let page = browse(url, "/signup", "", None).expect("the console answers").text();
    assert!(!page.contains("name=\"password\""), "there is no form to fill in");
    let form = "once=01890000-0000-7000-8000-000000000001&email=owner%40example.com&password=a+long+password";
    assert_eq!(browse(url, "/signup", "", Some(form)).expect("the console answers").status, 403);
    let (code, said) = place.refusal(&["account", "show", "owner@example.com"]);
    assert!(code == Some(1) && said.contains("not found"), "{said}");
}

#[test]
fn behind_https_a_session_never_leaves_it() {
    let place = Place::new();
    add_account(&place);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").to_string();
    let _server = place.serve(&["--only", "console", "--console-addr", &free, "--console-url", "https://console.example.com"]);
    let answer = browse(&free, "/login", "", Some(SIGN_IN)).expect("the console answers");
    assert_eq!(answer.status, 303);
    assert_eq!(answer.cookies().count(), 2, "a session, and what the browser is known by");
    for cookie in answer.cookies() {
        assert!(cookie.starts_with("__Host-"), "{cookie}");
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
            assert!(cookie.contains(attribute), "{attribute} in {cookie}");
        }
    }
}

/// Its cookie is never sent without TLS, so that a sign-in there would be lost without a word.
#[test]
fn nobody_is_signed_in_where_the_browser_keeps_no_session() {
    let place = Place::new();
    add_account(&place);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").to_string();
    let server = place.serve_logged(&["--only", "console", "--console-addr", &free, "--console-url", "https://console.example.com"]);
    let here = format!("http://{free}");
    let sentence = format!("You have opened {here}, where your browser would not keep you signed in");
    let page = get(&free, "/login", "").expect("the console answers").text();
    assert!(page.contains(&sentence) && page.contains("https://console.example.com"), "{page}");
    assert!(!get(&free, "/login", "X-Forwarded-Proto: https\r\n").expect("the console answers").text().contains("You have opened"));

    let new = "email=new%40example.com&password=a+long+password";
    for (path, form) in [("/login", SIGN_IN), ("/signup", new)] {
        let answer = send_form(&free, path, &format!("Origin: {here}\r\n"), form).expect("the console answers");
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{path}");
        let page = answer.text();
        assert!(page.contains(&sentence), "{path}: {page}");
        assert_eq!(page.matches("role=\"alert\"").count(), 1, "it is said once at {path}: {page}");
    }
    let (code, said) = place.refusal(&["account", "show", "new@example.com"]);
    assert!(code == Some(1) && said.contains("not found"), "{said}");
    let answer = send_form(&free, "/login", "Origin: https://console.example.com\r\n", SIGN_IN).expect("the console answers");
    assert_eq!(answer.status, 303);
    drop(server);
    let log = place.log();
    assert_eq!(log.matches("opened the console without TLS").count(), 1, "{log}");
    assert_eq!(log.matches("no --trusted-proxies").count(), 1, "{log}");
}

#[test]
fn a_form_that_does_not_say_where_it_comes_from_does_nothing() {
    let place = Place::new();
    add_account(&place);
    let server = place.serve_logged(&["--only", "console"]);
    let url = server.said("/console_url");
    for (headers, status) in [
        (String::new(), 403),
        ("Origin: \r\nSec-Fetch-Site: \r\n".to_owned(), 403),
        ("Origin: null\r\n".to_owned(), 403),
        ("Origin: https://elsewhere.example\r\n".to_owned(), 403),
        (format!("Origin: {url}\r\n"), 303),
        ("Sec-Fetch-Site: same-origin\r\n".to_owned(), 303),
    ] {
        let answer = send_form(url, "/login", &headers, SIGN_IN).expect("the console answers");
        assert_eq!((answer.status, answer.header("set-cookie").is_some()), (status, status == 303), "{headers}");
    }
    let nothing = send_form(url, "/login", "", SIGN_IN).expect("the console answers").text();
    assert!(nothing.contains("which page it was sent from") && nothing.contains("Origin"), "{nothing}");
    assert_eq!(get(url, "/login", "").expect("the console answers").status, 200, "whoever only reads need not say");
    drop(server);
    assert!(!place.log().contains("--trusted-proxies"), "one that only this machine reaches needs none: {}", place.log());
}

/// A page of another origin is no client of the console, also where it may be one of the proxy.
#[test]
fn pages_of_other_origins_may_call_the_proxy_alone() {
    let place = Place::new();
    let server = place.serve(&["--allowed-origins", "app://notes.example,https://app.example.com"]);
    let console = preflight(server.said("/console_url"), "/login").expect("the console answers");
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").map(str::to_owned);
    assert_eq!((allowed(&console), console.header("access-control-allow-headers")), (None, None));
    let proxy = preflight(server.said("/proxy_url"), "/v1/chat/completions").expect("the proxy answers");
    assert_eq!((proxy.status, allowed(&proxy).as_deref()), (204, Some("app://notes.example")));
}

const FORM: &str = "application/x-www-form-urlencoded";

/// How an answer is encoded, and whether it says that nobody may change it.
fn sent(answer: &Answer) -> (Option<&str>, bool) {
    (answer.header("content-encoding"), answer.header("cache-control").is_some_and(|said| said.contains("no-transform")))
}

#[test]
fn pages_and_what_the_browser_reads_of_them_are_compressed() {
    let place = Place::new();
    let server = place.serve(&["--only", "console"]);
    let url = server.said("/console_url");
    let plain = browse(url, "/pricing", "", None).expect("the console answers");
    let packed = browse_packed(url, "/pricing", "", None).expect("the console answers");
    assert_eq!((sent(&plain), sent(&packed)), ((None, false), (Some("br"), false)));
    let (plain, packed) = (plain.size(), packed.size());
    assert!(packed * 2 < plain, "{packed} of {plain} bytes");
    let address = json!({"address": {"page": "pricing", "account": "", "id": "", "query": ""}}).to_string();
    let read = browse_packed(url, "/api/page", "", Some(("application/json", &address))).expect("the console answers");
    assert_eq!((read.status, sent(&read)), (200, (Some("br"), false)));
}

#[test]
fn what_shows_a_key_or_takes_a_secret_is_never_compressed() {
    let place = Place::new();
    add_account(&place);
    let server = place.serve(&["--only", "console"]);
    let url = server.said("/console_url");
    for path in ["/login", "/signup"] {
        let page = browse_packed(url, path, "", None).expect("the console answers");
        assert_eq!((page.status, sent(&page)), (200, (None, true)), "{path}");
    }
    let wrong = browse_packed(url, "/login", "", Some((FORM, "email=owner%40example.com&password=wrong"))).expect("the console answers");
    assert_eq!((wrong.status, sent(&wrong)), (401, (None, true)));
    let signed_in = browse(url, "/login", "", Some(SIGN_IN)).expect("the console answers");
    let cookie = signed_in.cookie().split(';').next().unwrap_or_default().to_owned();
    let form = "once=01890000-0000-7000-8000-000000000001&name=laptop";
    let shown = browse_packed(url, "/keys/new", &cookie, Some((FORM, form))).expect("the console answers");
    assert_eq!((shown.status, sent(&shown)), (200, (None, true)));
    assert!(shown.text().contains("sk-fb_"));
    let keys = browse_packed(url, "/keys", &cookie, None).expect("the console answers");
    assert_eq!(sent(&keys), (Some("br"), false), "the list shows none");
}

/// Its answers are the upstream's, to the byte.
#[test]
fn the_proxy_compresses_nothing() {
    let place = Place::new();
    let server = place.serve(&[]);
    let answer = browse_packed(server.said("/proxy_url"), "/v1/models", "", None).expect("the proxy answers");
    assert_eq!(sent(&answer).0, None);
    assert_eq!(ask(server.said("/proxy_url"), "/v1/models", "sk-none", None).expect("the proxy answers").status, answer.status);
}
