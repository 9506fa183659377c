//! Stripe: its hosted page for a payment, what it tells of one, and what it answers when it is asked.
//!
//! A few calls of its API are all that is used, so they are written out here over the HTTP client that the proxy has, instead of a crate of a thousand
//! generated types: every field that money depends on is named in [`objects`], and the version of the API that they are read by is pinned
//! (<https://docs.stripe.com/api/versioning>). What Stripe says reaches the books through [`ledger::System::take_news`] alone.

mod auto;
mod client;
mod objects;
mod signature;
mod taking;
mod webhook;

use std::{fmt, sync::Arc, time::Duration};

use domain::{id::PaymentId, money::Amount};
use moka::sync::Cache;

use self::client::{Client, Failure};
pub use self::webhook::router as webhooks;
pub(crate) use self::{
    client::{NewSession, NewSetup},
    taking::NotTaken,
};

/// Where Stripe is.
pub const API: &str = "https://api.stripe.com";
/// Where its page for a payment is, to which a form of ours may lead.
const PAGES: &str = "https://checkout.stripe.com";
/// Where its page for a customer's cards and receipts is.
const PORTAL: &str = "https://billing.stripe.com";
/// A payment that somebody waits for on a page is asked for no sooner again.
const LOOKED_AT_FOR: Duration = Duration::from_secs(2);
/// Of so many payments it is remembered when they were asked for.
const LOOKED_AT_MAX: u64 = 10_000;

/// How payments are made.
pub struct StripeSettings {
    /// `sk_…`, or a restricted key `rk_…`.
    pub secret_key: String,
    /// `whsec_…`: what Stripe signs with. Several while one takes the place of another.
    pub webhook_secrets: Vec<String>,
    /// [`API`]; in tests something on this machine.
    pub api_base: String,
    /// The least that can be paid at once.
    pub smallest: Amount,
    /// The most; what is paid beyond it waits for an operator.
    pub largest: Amount,
    /// How long Stripe may take for an answer.
    pub answer_within: Duration,
}

/// Stripe, as it was set up. Cheap to clone.
#[derive(Clone)]
pub struct Stripe(Arc<Inner>);

struct Inner {
    client: Client,
    webhook_secrets: Vec<String>,
    is_test: bool,
    smallest: Amount,
    largest: Amount,
    pages: String,
    portal: String,
    looked_at: Cache<PaymentId, ()>,
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe").field("is_test", &self.0.is_test).finish_non_exhaustive()
    }
}

impl Stripe {
    /// Reaches nobody yet.
    ///
    /// # Errors
    /// What is wrong with the settings, in words that tell no secret.
    pub fn new(settings: StripeSettings) -> Result<Self, String> {
        let StripeSettings { secret_key, webhook_secrets, api_base, smallest, largest, answer_within } = settings;
        let is_of = |kinds: [&str; 2]| kinds.iter().any(|kind| secret_key.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()));
        let is_test = is_of(["sk_test_", "rk_test_"]);
        if !is_test && !is_of(["sk_live_", "rk_live_"]) {
            return Err("Stripe's secret key is none: it begins with sk_live_, rk_live_, sk_test_ or rk_test_".to_owned());
        }
        if webhook_secrets.is_empty() || webhook_secrets.iter().any(|secret| secret.len() < 16 || !secret.starts_with("whsec_")) {
            return Err(
                "Stripe's webhook secret is missing or none: it begins with whsec_, and stands beside the webhook in Stripe's dashboard"
                    .to_owned(),
            );
        }
        let is_stripe = api_base == API;
        if !is_stripe && !is_on_this_machine(&api_base) {
            return Err(format!("Stripe's address is {API}; another one is for tests, and on this machine: http://127.0.0.1:PORT"));
        }
        if smallest <= Amount::ZERO || largest < smallest {
            return Err("the smallest top-up is above zero, and the largest no smaller than that".to_owned());
        }
        let [pages, portal] = [PAGES, PORTAL].map(|origin| if is_stripe { origin.to_owned() } else { api_base.clone() });
        let looked_at = Cache::builder().max_capacity(LOOKED_AT_MAX).time_to_live(LOOKED_AT_FOR).build();
        let client = Client::new(api_base, &secret_key, answer_within)?;
        Ok(Self(Arc::new(Inner { client, webhook_secrets, is_test, smallest, largest, pages, portal, looked_at })))
    }

    /// Whether no real money is moved.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.0.is_test
    }

    /// What can be paid at once: from the least to the most.
    pub(crate) fn range(&self) -> (Amount, Amount) {
        (self.0.smallest, self.0.largest)
    }

    /// The origin of the pages on which somebody pays, and that of those on which they see to their cards: a form may lead there.
    pub(crate) fn origins(&self) -> [&str; 2] {
        [&self.0.pages, &self.0.portal]
    }

    /// An address of Stripe's, if it is of that origin.
    fn at(origin: &str, url: Option<String>) -> Result<String, NotTaken> {
        let url = url.filter(|url| url.strip_prefix(origin).is_some_and(|path| path.starts_with('/')));
        url.ok_or_else(|| Failure::Refused { status: 200, message: format!("its page is not at {origin}") }.into())
    }
}

/// Whether an address is a bare one of this machine: what is sent there, the key among it, goes over no network.
fn is_on_this_machine(base: &str) -> bool {
    let authority = base.strip_prefix("http://").unwrap_or_default();
    authority.parse().is_ok_and(|address: std::net::SocketAddr| address.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn settings() -> StripeSettings {
        StripeSettings {
            secret_key: "sk_test_51abc".to_owned(),
            webhook_secrets: vec!["whsec_0123456789abcdef".to_owned()],
            api_base: API.to_owned(),
            smallest: "5".parse().unwrap(),
            largest: "10000".parse().unwrap(),
            answer_within: Duration::from_secs(1),
        }
    }

    #[test]
    fn what_cannot_be_is_refused_and_no_secret_is_told() {
        assert!(Stripe::new(settings()).unwrap().is_test());
        assert!(!Stripe::new(StripeSettings { secret_key: "rk_live_x".to_owned(), ..settings() }).unwrap().is_test());
        assert!(Stripe::new(StripeSettings { api_base: "http://127.0.0.1:12111".to_owned(), ..settings() }).is_ok());
        let one = |secret: &str| vec![secret.to_owned()];
        let wrong = [
            StripeSettings { secret_key: "pk_live_SECRET".to_owned(), ..settings() },
            StripeSettings { secret_key: "sk_live_".to_owned(), ..settings() },
            StripeSettings { secret_key: String::new(), ..settings() },
            StripeSettings { secret_key: "sk_test_SECRET\n".to_owned(), ..settings() },
            StripeSettings { webhook_secrets: vec![], ..settings() },
            StripeSettings { webhook_secrets: one("whsec_"), ..settings() },
            StripeSettings { webhook_secrets: one("SECRET of another kind"), ..settings() },
            StripeSettings { api_base: "https://stripe.example".to_owned(), ..settings() },
            StripeSettings { api_base: "http://203.0.113.9:80".to_owned(), ..settings() },
            StripeSettings { api_base: "http://127.0.0.1:80@stripe.example".to_owned(), ..settings() },
            StripeSettings { smallest: "0".parse().unwrap(), ..settings() },
            StripeSettings { largest: "1".parse().unwrap(), ..settings() },
        ];
        for (number, wrong) in wrong.into_iter().enumerate() {
            let problem = Stripe::new(wrong).unwrap_err();
            assert!(!problem.contains("SECRET"), "{number}: {problem}");
        }
        assert!(!format!("{:?}", Stripe::new(settings()).unwrap()).contains("51abc"));
    }
}
