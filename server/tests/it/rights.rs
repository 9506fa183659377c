//! Who may do what: every address of the console, as its own list has them, asked by everybody there can be. An address that is not spoken of here fails
//! the test, and so does one that is spoken of and is none.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    commands::{add_account, add_customer},
    farebox::{Place, Server},
    http::{Answer, browse, browse_packed},
};

/// Whoever asks. `Other` owns another account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Anonymous,
    Other,
    Viewer,
    Member,
    Owner,
    Operator,
}

const EVERYBODY: [(Who, &str); 6] = [
    (Who::Anonymous, ""),
    (Who::Other, "Other@example.com"),
    (Who::Viewer, "viewer@example.com"),
    (Who::Member, "member@example.com"),
    (Who::Owner, "owner@example.com"),
    (Who::Operator, "operator@example.com"),
];

/// What it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// To be of an account.
    Account,
    /// To manage keys.
    Keys,
    /// To move money.
    Money,
    /// To run the gateway.
    Gateway,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Sign in first.
    SignIn,
    /// Not allowed.
    Refused,
    /// There is no such thing, as far as this visitor can know.
    Unknown,
    /// Nothing anybody is due.
    Failed,
    /// It was answered, if only by what is wrong with the form.
    Answered,
}

impl Takes {
    fn outcome(self, who: Who) -> Outcome {
        let is_allowed = match self {
            Self::Nothing => true,
            _ if who == Who::Anonymous => return Outcome::SignIn,
            Self::Account => who != Who::Operator,
            Self::Keys => !matches!(who, Who::Operator | Who::Viewer),
            Self::Money => matches!(who, Who::Owner | Who::Other),
            Self::Gateway => who == Who::Operator,
        };
        if is_allowed { Outcome::Answered } else { Outcome::Refused }
    }
}

/// Whose the thing is that an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// It names none.
    Nobodys,
    /// The first account's.
    Theirs,
    /// None there is.
    Missing,
}

/// An address and what it takes. Of pages, `page` is what the browser's half calls it.
struct Expected {
    method: &'static str,
    path: &'static str,
    takes: Takes,
    whose: Whose,
    /// The form, or the page's name.
    sent: &'static str,
}

const fn page(path: &'static str, page: &'static str, takes: Takes, whose: Whose) -> Expected {
    Expected { method: "GET", path, takes, whose, sent: page }
}

const fn file(path: &'static str, takes: Takes, whose: Whose) -> Expected {
    Expected { method: "GET", path, takes, whose, sent: "" }
}

const fn form(path: &'static str, sent: &'static str, takes: Takes, whose: Whose) -> Expected {
    Expected { method: "POST", path, takes, whose, sent }
}

use Takes::{Account, Gateway, Keys, Money, Nothing};
use Whose::{Missing, Nobodys, Theirs};

const EXPECTED: &[Expected] = &[
    file("/", Nothing, Nobodys),
    file("/dashboard", Nothing, Nobodys),
    page("/pricing", "pricing", Nothing, Nobodys),
    page("/login", "login", Nothing, Nobodys),
    page("/signup", "signup", Nothing, Nobodys),
    page("/usage", "usage", Account, Nobodys),
    page("/calls", "calls", Account, Nobodys),
    page("/calls/{id}", "call", Account, Missing),
    page("/keys", "keys", Account, Nobodys),
    page("/keys/new", "new_key", Keys, Nobodys),
    page("/keys/reports", "report_keys", Account, Nobodys),
    page("/keys/{id}", "limits", Account, Theirs),
    page("/billing", "billing", Account, Nobodys),
    page("/billing/plans", "offers", Account, Nobodys),
    page("/billing/documents", "documents", Account, Nobodys),
    page("/billing/documents/{id}", "document", Account, Missing),
    page("/billing/statements/{id}", "statement", Account, Missing),
    page("/billing/details", "billing_details", Account, Nobodys),
    page("/admin", "today", Gateway, Nobodys),
    page("/admin/pricing", "prices", Gateway, Nobodys),
    page("/admin/pricing/import", "price_list", Gateway, Nobodys),
    page("/admin/pricing/reprice", "repricing", Gateway, Missing),
    page("/admin/plans", "plans", Gateway, Nobodys),
    page("/admin/plans/{id}", "plan", Gateway, Missing),
    page("/admin/customers", "customers", Gateway, Nobodys),
    page("/admin/customers/new", "new_customer", Gateway, Nobodys),
    page("/admin/customers/{id}", "customer", Gateway, Theirs),
    page("/admin/customers/{account}/usage", "usage", Gateway, Theirs),
    page("/admin/customers/{account}/calls", "calls", Gateway, Theirs),
    page("/admin/customers/{account}/calls/{id}", "call", Gateway, Missing),
    page("/admin/customers/{account}/keys", "keys", Gateway, Theirs),
    page("/admin/customers/{account}/keys/{id}", "limits", Gateway, Theirs),
    page("/admin/customers/{account}/billing", "billing", Gateway, Theirs),
    page("/admin/customers/{account}/billing/documents", "documents", Gateway, Theirs),
    page("/admin/customers/{account}/billing/documents/{id}", "document", Gateway, Missing),
    page("/admin/customers/{account}/billing/statements/{id}", "statement", Gateway, Missing),
    page("/admin/customers/{id}/prices", "own_prices", Gateway, Theirs),
    page("/admin/customers/{id}/settings", "account_settings", Gateway, Theirs),
    page("/admin/codes", "codes", Gateway, Nobodys),
    page("/admin/payments", "payments", Gateway, Nobodys),
    page("/admin/proof", "proof", Gateway, Nobodys),
    page("/admin/audit", "audit", Gateway, Nobodys),
    file("/billing/documents/{id}.pdf", Account, Missing),
    file("/billing/statements/{id}.pdf", Account, Missing),
    file("/billing/statements/{id}.csv", Account, Missing),
    file("/admin/customers/{account}/billing/documents/{id}.pdf", Gateway, Missing),
    file("/admin/customers/{account}/billing/statements/{id}.pdf", Gateway, Missing),
    file("/admin/customers/{account}/billing/statements/{id}.csv", Gateway, Missing),
    file("/usage.csv", Account, Nobodys),
    file("/calls.csv", Account, Nobodys),
    file("/billing.csv", Account, Nobodys),
    file("/admin/audit.csv", Gateway, Nobodys),
    file("/admin/customers.csv", Gateway, Nobodys),
    file("/admin/customers/{account}/usage.csv", Gateway, Theirs),
    file("/admin/customers/{account}/calls.csv", Gateway, Theirs),
    file("/admin/customers/{account}/billing.csv", Gateway, Theirs),
    form("/theme", "theme=dark", Nothing, Nobodys),
    form("/login", "email=nobody%40example.com&password=long+enough", Nothing, Nobodys),
    form("/signup", "once=ONCE&email=nobody&password=short", Nothing, Nobodys),
    form("/billing/details", "once=ONCE&name=", Money, Nobodys),
    form("/billing/plans", "once=ONCE&plan=MISSING&version=1", Money, Nobodys),
    form("/keys", "revoke=KEY", Keys, Theirs),
    form("/keys/new", "once=ONCE&name=", Keys, Nobodys),
    form("/keys/reports", "once=ONCE&name=", Money, Nobodys),
    form("/keys/{id}", "unit=requests&window=day&hardness=hard&capacity=5", Keys, Theirs),
    form("/keys/{id}", "change_models=yes&models=", Keys, Theirs),
    form("/keys/{id}", "tells_cost=yes", Keys, Theirs),
    form("/admin/pricing", "once=ONCE", Gateway, Nobodys),
    form("/admin/pricing/import", "once=ONCE", Gateway, Nobodys),
    form("/admin/pricing/reprice", "once=ONCE", Gateway, Missing),
    form("/admin/plans/{id}", "once=ONCE", Gateway, Missing),
    form("/admin/customers/new", "once=ONCE&name=&email=", Gateway, Nobodys),
    form("/admin/customers/{id}", "once=ONCE&how=credit&amount=&reason=", Gateway, Theirs),
    form("/admin/codes", "once=ONCE", Gateway, Nobodys),
    form("/admin/payments", "once=ONCE", Gateway, Nobodys),
    form("/admin/customers/{id}/prices", "once=ONCE", Gateway, Theirs),
    form("/admin/customers/{id}/settings", "once=ONCE", Gateway, Theirs),
    form("/admin/proof", "", Gateway, Nobodys),
    // Nobody takes payments here, so that not even an owner pays in.
    form("/billing", "once=ONCE&amount=5", Money, Nobodys),
    page("/billing/auto-top-up", "auto_top_up", Money, Nobodys),
    form("/billing/auto-top-up", "once=ONCE", Money, Nobodys),
    // What every page is read with: asked below for each of them.
    form("/api/page", "", Nothing, Nobodys),
    form("/logout", "", Nothing, Nobodys),
];

#[test]
fn every_address_is_spoken_of() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _inside = runtime.enter();
    let there_are: BTreeSet<_> = app::server::every_address().into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let spoken_of: BTreeSet<_> = EXPECTED.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    let unspoken: Vec<_> = there_are.difference(&spoken_of).collect();
    let gone: Vec<_> = spoken_of.difference(&there_are).collect();
    assert!(unspoken.is_empty() && gone.is_empty(), "say in EXPECTED who may ask for {unspoken:?}; there is no longer {gone:?}");
}

/// A console with an account that has an owner, a member and a viewer, another account, and an operator.
struct Console {
    server: Server,
    /// Goes after what runs in it.
    place: Place,
    /// Of the first account.
    account: String,
    key: String,
    /// Everybody, with the cookie of their session.
    everybody: Vec<(Who, String)>,
}

const MISSING: &str = "0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f";
const ONCE: &str = "01890000-0000-7000-8000-000000000001";

impl Console {
    fn open() -> Self {
        let place = Place::new();
        let server = place.serve_logged(&["--only", "console"]);
        let key = add_customer(&place);
        for name in ["Other", "viewer", "member"] {
            add_account(&place, name);
        }
        place.json(&["admin", "create", "operator@example.com", "--password-env", "SECRET"], "a long password");
        let account = text(&key["account"]);
        join(&server, &account);
        let everybody = EVERYBODY.map(|(who, email)| (who, sign_in(&server, email))).into();
        Self { account, key: text(&key["id"]), everybody, place, server }
    }

    /// An address or a form about the first account's things, or about none there are.
    fn named(&self, text: &str, whose: Whose) -> String {
        let id = if whose == Missing {
            MISSING
        } else if text.starts_with("/admin/customers/{id}") {
            &self.account
        } else {
            &self.key
        };
        let known = [("{account}", self.account.as_str()), ("{id}", id), ("KEY", &self.key), ("MISSING", MISSING), ("ONCE", ONCE)];
        known.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn ask(&self, expected: &Expected, cookie: &str) -> Answer {
        let path = self.named(expected.path, expected.whose);
        let form = (expected.method == "POST").then(|| self.named(expected.sent, expected.whose));
        browse(self.server.said("/console_url"), &path, cookie, form.as_deref())
            .unwrap_or_else(|error| panic!("{} {path}: {error}: {}", expected.method, self.place.log()))
    }

    /// Asks for a page as the browser's half does.
    fn read(&self, expected: &Expected, cookie: &str) -> Answer {
        let (account, id) = (if expected.path.contains("{account}") { &self.account } else { "" }, self.named("{id}", expected.whose));
        let id = if expected.path.starts_with("/admin/customers/{id}") { &self.account } else { &id };
        let address = json!({"address": {"page": expected.sent, "account": account, "id": id, "query": ""}}).to_string();
        let url = self.server.said("/console_url");
        browse_packed(url, "/api/page", cookie, Some(("application/json", &address))).expect("the console answers")
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Two of those who have accounts of their own come into the first one.
fn join(server: &Server, account: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = PgConnection::connect(server.said("/database_url")).await.expect("the database answers");
        for role in ["viewer", "member"] {
            let moved = sqlx::query(
                "update memberships set account_id = $1::uuid, role = $2 where user_id = (select user_id from users where email = $2 || '@example.com')",
            );
            let moved = moved.bind(account).bind(role).execute(&mut connection).await.expect("the table takes it");
            assert_eq!(moved.rows_affected(), 1, "{role}");
        }
    });
}

fn sign_in(server: &Server, email: &str) -> String {
    if email.is_empty() {
        return String::new();
    }
    let form = format!("email={}&password=a+long+password", email.replace('@', "%40"));
    let answer = browse(server.said("/console_url"), "/login", "", Some(&form)).expect("the console answers");
    assert_eq!(answer.status, 303, "{email}");
    answer.cookie().split(';').next().unwrap_or_default().to_owned()
}

fn outcome(answer: &Answer) -> Outcome {
    match answer.status {
        303 if answer.header("location").is_some_and(|to| to.starts_with("/login")) => Outcome::SignIn,
        401 => Outcome::SignIn,
        403 => Outcome::Refused,
        404 => Outcome::Unknown,
        status if status < 500 => Outcome::Answered,
        // It failed, which is nobody's due.
        _ => Outcome::Failed,
    }
}

/// What an address must come to for this visitor.
fn due(expected: &Expected, who: Who) -> Outcome {
    let by_right = expected.takes.outcome(who);
    match (by_right, expected.whose) {
        (Outcome::Answered, Missing) => Outcome::Unknown,
        // An operator reaches every account; a customer only their own.
        (Outcome::Answered, Theirs) if who == Who::Other => Outcome::Unknown,
        _ => by_right,
    }
}

#[test]
fn who_may_not_is_refused_and_what_is_anothers_is_unknown() {
    let console = Console::open();
    let mut wrong = Vec::new();
    for expected in EXPECTED {
        for (who, cookie) in &console.everybody {
            let due = match (expected.method, expected.path) {
                ("POST", "/billing") | (_, "/billing/auto-top-up") if *who != Who::Anonymous => Outcome::Refused,
                // Not the password of anybody.
                ("POST", "/login") => Outcome::SignIn,
                // Which leads to where one signs in again.
                ("POST", "/logout") => Outcome::SignIn,
                _ => due(expected, *who),
            };
            if expected.path == "/api/page" {
                continue;
            }
            let found = outcome(&console.ask(expected, cookie));
            if found != due {
                wrong.push(format!("{} {} by {who:?}: {found:?}, not {due:?}", expected.method, expected.path));
            }
            if expected.method == "GET" && !expected.sent.is_empty() {
                let found = outcome(&console.read(expected, cookie));
                if found != due {
                    wrong.push(format!("the page {} at {} by {who:?}: {found:?}, not {due:?}", expected.sent, expected.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
