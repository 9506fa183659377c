//! A PostgreSQL that somebody else runs, shared by a proxy and a console on machines of their own.

use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    commands::{add_customer, add_model},
    farebox::{Place, Process},
    http::{ask, browse},
    life::{postmaster, wait_until},
    upstream,
};

/// A PostgreSQL that is not Farebox's to start and stop, with an empty database in it.
pub(crate) struct Elsewhere {
    pub(crate) postgresql: Process,
    /// Its address as whoever may do everything there.
    pub(crate) administrator: String,
    /// The address of `metering`, as its owner.
    pub(crate) url: String,
    place: Place,
}

impl Elsewhere {
    pub(crate) fn start() -> Self {
        let place = Place::new();
        let postgresql = Process::start(place.command(&["postgres"]));
        let administrator = postgresql.wait_for_line(|line| line.starts_with("postgres://"));
        run(&administrator, &["create role metering login createrole password 'hush'", "create database metering owner metering"]);
        let address = administrator.split_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("an address").0;
        let url = format!("postgres://metering:hush@{address}/metering?sslmode=disable");
        Self { postgresql, administrator, url, place }
    }

    /// Its server process.
    pub(crate) fn postmaster(&self) -> Pid {
        postmaster(&self.place)
    }

    /// Starts it at the same address, once it was killed.
    pub(crate) fn start_again(&mut self) {
        let again = Process::start(self.place.command(&["postgres"]));
        assert_eq!(again.wait_for_line(|line| line.starts_with("postgres://")), self.administrator);
        std::mem::replace(&mut self.postgresql, again).kill();
    }

    /// As after a failover: those that connect now find a database that takes no writes, for a while. The owner's sessions end last, so that nobody
    /// gets what one of them has locked.
    pub(crate) fn take_no_writes(&self) {
        let cut = "select pg_terminate_backend(pid, 60000) from \
                   (select pid from pg_stat_activity where datname = 'metering' order by usename = 'metering' offset 0) in_order";
        run(&self.administrator, &["alter database metering set default_transaction_read_only = on", cut]);
    }

    pub(crate) fn take_writes_again(&self) {
        run(&self.administrator, &["alter database metering reset default_transaction_read_only"]);
    }
}

pub(crate) fn run(url: &str, statements: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("the address works");
        for statement in statements {
            connection.execute(sqlx::AssertSqlSafe((*statement).to_owned())).await.expect("the administrator may do this");
        }
    });
}

#[test]
fn proxy_and_console_share_somebody_elses_postgresql() {
    let elsewhere = Elsewhere::start();
    let (proxy, console) = (Place::on(&elsewhere.url), Place::on(&elsewhere.url));
    let (code, said) = proxy.refusal(&["account", "show", "Example"]);
    assert!(code == Some(1) && said.contains("run `farebox migrate` first"), "only `migrate` and `serve` change it: {said}");
    proxy.json(&["migrate"], "");
    // The console's machine stores the credential; the proxy's can read it, since both have the same secret key.
    add_model(&console, &upstream::start());
    let key = add_customer(&console);

    let (serving, showing) = (proxy.serve(&["--only", "proxy"]), console.serve(&["--only", "console"]));
    let chat = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = ask(serving.said("/proxy_url"), "/v1/chat/completions", key["key"].as_str().expect("a key"), Some(&chat));
    assert_eq!(answer.expect("the proxy answers").status, 200);
    let pricing = browse(showing.said("/console_url"), "/pricing", "", None).expect("the console answers").text();
    assert!(pricing.contains("small"), "{pricing}");

    wait_until(|| console.json(&["account", "show", "Example"], "")["balance"]["balance"] != "10.5");
    assert_eq!(console.json(&["account", "show", "Example"], "")["balance"]["balance"], json!("10.49955"));
    assert_eq!(proxy.verify(), Vec::<Value>::new());
    elsewhere.take_no_writes();
    let status = |url: &str, path: &str, body| ask(url, path, key["key"].as_str().expect("a key"), body).map_or(0, |answer| answer.status);
    let (proxy_url, console_url) = (serving.said("/proxy_url"), showing.said("/console_url"));
    wait_until(|| status(proxy_url, "/readyz", None) == 503 && status(console_url, "/readyz", None) == 503);
    // Calls go on for a while within what is leased.
    wait_until(|| status(proxy_url, "/v1/chat/completions", Some(&chat)) == 503);
    assert_eq!(status(console_url, "/pricing", None), 200, "reading goes on");
    elsewhere.take_writes_again();
    wait_until(|| status(proxy_url, "/readyz", None) == 200 && status(console_url, "/readyz", None) == 200);
    for _ in 0..30 {
        assert_eq!(status(proxy_url, "/v1/chat/completions", Some(&chat)), 200, "every connection writes again");
    }
    assert_eq!(proxy.verify(), Vec::<Value>::new());
    for place in [&proxy, &console] {
        assert!(!place.data().join("postgres").exists(), "no PostgreSQL of its own");
    }
    assert!(serving.process.stop(Signal::SIGTERM).success() && showing.process.stop(Signal::SIGTERM).success());
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}
