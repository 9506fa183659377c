//! Stripe's objects, as far as money depends on them, and what they say of a payment.
//!
//! Sources: <https://docs.stripe.com/api/checkout/sessions/object>, <https://docs.stripe.com/api/charges/object>,
//! <https://docs.stripe.com/api/disputes/object>, <https://docs.stripe.com/api/refunds/object>, <https://docs.stripe.com/api/events/types>.

use std::collections::HashMap;

use domain::{
    id::{AccountId, PaymentId},
    payment::Sum,
    text::is_disruptive,
};
use ledger::Says;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Under which names a payment's account and id stand in what Stripe keeps beside it.
pub(super) const ACCOUNT: &str = "farebox_account";
pub(super) const PAYMENT: &str = "farebox_payment";
/// What stands there of a payment that nobody is there for.
pub(super) const AUTO: &str = "farebox_auto";

/// Something that happened.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) livemode: bool,
    #[serde(borrow)]
    pub(super) data: Data<'a>,
}

/// What it happened to, as it was then.
#[derive(Debug, Deserialize)]
pub(super) struct Data<'a> {
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

/// Another object: its id, or all of it where that was asked for.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Other {
    Id(String),
    Whole(Intent),
}

impl Other {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Whole(Intent { id, .. }) => id,
        }
    }
}

type Metadata = HashMap<String, String>;

/// The payment itself.
#[derive(Debug, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    amount_received: Option<i64>,
    currency: Option<String>,
    last_payment_error: Option<Declined>,
    #[serde(default)]
    metadata: Metadata,
}

/// Why a payment was declined.
#[derive(Debug, Deserialize)]
struct Declined {
    message: Option<String>,
}

/// Payments, newest first.
#[derive(Debug, Deserialize)]
pub(super) struct Intents {
    pub(super) data: Vec<Intent>,
}

/// A visit to Stripe's page on which a card is saved.
#[derive(Debug, Deserialize)]
pub(super) struct Setup {
    status: Option<String>,
    customer: Option<String>,
    client_reference_id: Option<String>,
    setup_intent: Option<SetupIntent>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct SetupIntent {
    payment_method: Option<Method>,
}

/// What can be charged.
#[derive(Debug, Deserialize)]
struct Method {
    id: String,
    card: Option<Card>,
}

#[derive(Debug, Deserialize)]
struct Card {
    brand: String,
    last4: String,
}

/// A page of Stripe's.
#[derive(Debug, Deserialize)]
pub(super) struct PageOf {
    pub(super) url: Option<String>,
}

/// A visit to Stripe's page.
#[derive(Debug, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    /// `payment`, or `setup` where a card is saved.
    pub(super) mode: Option<String>,
    /// Where its page is, while it is open.
    pub(super) url: Option<String>,
    status: Option<String>,
    payment_status: String,
    amount_total: Option<i64>,
    currency: Option<String>,
    pub(super) payment_intent: Option<Other>,
    client_reference_id: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// What was charged.
#[derive(Debug, Deserialize)]
pub(super) struct Charge {
    pub(super) id: String,
    pub(super) payment_intent: Option<Other>,
    amount_refunded: i64,
    currency: String,
    #[serde(default)]
    metadata: Metadata,
}

/// A payment that its payer disputes.
#[derive(Debug, Deserialize)]
pub(super) struct Dispute {
    pub(super) id: String,
    pub(super) payment_intent: Option<Other>,
    amount: i64,
    currency: String,
    status: String,
}

/// Money on its way back.
#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) payment_intent: Option<Other>,
    amount: i64,
    currency: String,
    status: Option<String>,
}

/// Whose payment something is, by what was put beside it when it began.
fn named(metadata: &Metadata) -> Option<(AccountId, PaymentId)> {
    Some((metadata.get(ACCOUNT)?.parse().ok()?, metadata.get(PAYMENT)?.parse().ok()?))
}

impl Intent {
    pub(super) fn named(&self) -> Option<(AccountId, PaymentId)> {
        named(&self.metadata)
    }

    /// Whether it was asked for while nobody was there to pay: then it is the payment itself, and not only what a session was paid by.
    pub(super) fn is_auto(&self) -> bool {
        self.metadata.contains_key(AUTO)
    }

    /// What it says where nobody is there: what somebody would have to do is not done (<https://docs.stripe.com/payments/paymentintents/lifecycle>).
    pub(super) fn says(&self) -> Says<'_> {
        match self.status.as_str() {
            "succeeded" => {
                let sum = Sum { minor: self.amount_received.unwrap_or_default(), currency: self.currency.clone().unwrap_or_default() };
                Says::Paid { session: &self.id, sum, names: self.named() }
            }
            "requires_action" => Says::Declined { why: "Your bank wants you to confirm the payment yourself." },
            // Nobody has tried yet, so nobody has declined.
            "requires_payment_method" if self.last_payment_error.is_none() => Says::Waiting,
            "requires_payment_method" | "canceled" => {
                let why = self.last_payment_error.as_ref().and_then(|error| error.message.as_deref());
                Says::Declined { why: why.unwrap_or("Your card was declined.") }
            }
            _ => Says::Waiting,
        }
    }
}

impl Setup {
    /// Whose it is: the two places that say so must agree.
    pub(super) fn account(&self) -> Option<AccountId> {
        let account = self.metadata.get(ACCOUNT).filter(|account| self.client_reference_id.as_ref() == Some(account))?;
        account.parse().ok()
    }

    /// Whom to charge, by what, and how people know that; once it was saved.
    pub(super) fn method(&self) -> Option<(&str, &str, String)> {
        let method = self.setup_intent.as_ref()?.payment_method.as_ref().filter(|_| self.status.as_deref() == Some("complete"))?;
        let name = method.card.as_ref().map_or_else(|| "saved card".to_owned(), |card| format!("{} ending in {}", card.brand, card.last4));
        let name = name.chars().filter(|letter| !is_disruptive(*letter)).take(60).collect();
        Some((self.customer.as_deref()?, &method.id, name))
    }
}

impl Charge {
    pub(super) fn named(&self) -> Option<(AccountId, PaymentId)> {
        named(&self.metadata)
    }

    /// How much of it was paid back is said in all, so that it does not matter in which order it is told.
    pub(super) fn says(&self) -> Says<'_> {
        Says::Refunded { charge: &self.id, in_all: Sum { minor: self.amount_refunded, currency: self.currency.clone() } }
    }
}

impl Session {
    /// The two places that say whose it is must agree.
    pub(super) fn named(&self) -> Option<(AccountId, PaymentId)> {
        named(&self.metadata).filter(|(account, _)| self.client_reference_id.as_deref() == Some(account.to_string().as_str()))
    }

    /// A session that is complete need not be paid: some ways of paying take days, and may fail.
    pub(super) fn says(&self) -> Says<'_> {
        let is_lost = matches!(&self.payment_intent, Some(Other::Whole(intent)) if ["canceled", "requires_payment_method"].contains(&intent.status.as_str()));
        match (self.payment_status.as_str(), self.status.as_deref()) {
            ("unpaid", Some("expired")) => Says::Ended,
            ("unpaid", Some("complete")) if is_lost => Says::Ended,
            ("paid" | "no_payment_required", _) => {
                let sum = Sum { minor: self.amount_total.unwrap_or_default(), currency: self.currency.clone().unwrap_or_default() };
                Says::Paid { session: &self.id, sum, names: self.named() }
            }
            _ => Says::Waiting,
        }
    }
}

impl Dispute {
    /// Nothing comes after these.
    pub(super) fn is_final(&self) -> bool {
        ["won", "lost", "warning_closed", "prevented"].contains(&self.status.as_str())
    }

    /// A warning takes nothing yet. A dispute takes the money from its first moment on, and gives it back where it is won.
    pub(super) fn says(&self) -> Says<'_> {
        let is_taken = ["needs_response", "under_review", "lost"].contains(&self.status.as_str());
        Says::Disputed { dispute: &self.id, sum: Sum { minor: self.amount, currency: self.currency.clone() }, is_taken }
    }
}

impl Refund {
    /// `None` of one that goes its way: the charge says how much of it was paid back.
    pub(super) fn says(&self) -> Option<Says<'static>> {
        let status = self.status.as_deref().filter(|status| ["failed", "canceled"].contains(status))?;
        let sum = Sum { minor: self.amount, currency: self.currency.clone() };
        Some(Says::Trouble(format!("a refund of {sum} {status} ({}): it was taken from the balance, and did not reach the payer", self.id)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    const OF: &str = "0199d2c8-0000-7000-8000-000000000001";

    fn session(status: &str, payment_status: &str, intent: serde_json::Value) -> Session {
        serde_json::from_value(json!({
            "id": "cs_1", "object": "checkout.session", "status": status, "payment_status": payment_status, "amount_total": 2_500, "currency": "usd",
            "payment_intent": intent, "client_reference_id": OF, "metadata": {ACCOUNT: OF, PAYMENT: OF}, "livemode": false
        }))
        .unwrap()
    }

    #[test]
    fn a_session_that_is_complete_need_not_be_paid() {
        let paid = session("complete", "paid", json!("pi_1"));
        assert!(matches!(paid.says(), Says::Paid { sum: Sum { minor: 2_500, .. }, names: Some(_), .. }));
        assert!(matches!(session("complete", "unpaid", json!("pi_1")).says(), Says::Waiting));
        assert!(matches!(session("open", "unpaid", json!(null)).says(), Says::Waiting));
        assert!(matches!(session("expired", "unpaid", json!(null)).says(), Says::Ended));
        for (status, ended) in [("processing", false), ("canceled", true), ("requires_payment_method", true)] {
            let said = session("complete", "unpaid", json!({"id": "pi_1", "status": status, "metadata": {}}));
            assert_eq!(matches!(said.says(), Says::Ended), ended, "{status}");
            assert_eq!(said.payment_intent.unwrap().id(), "pi_1");
        }
    }

    #[test]
    fn a_payment_that_nobody_is_there_for_is_paid_declined_or_on_its_way() {
        let intent = |status: &str| -> Intent {
            let error = json!({"code": "card_declined", "message": "Your card has insufficient funds."});
            let intent = json!({
                "id": "pi_1", "status": status, "amount_received": 2_500, "currency": "usd", "last_payment_error": error,
                "metadata": {ACCOUNT: OF, PAYMENT: OF, AUTO: "yes"}
            });
            serde_json::from_value(intent).unwrap()
        };
        assert!(matches!(intent("succeeded").says(), Says::Paid { session: "pi_1", sum: Sum { minor: 2_500, .. }, names: Some(_) }));
        assert!(matches!(intent("processing").says(), Says::Waiting));
        assert!(matches!(intent("requires_payment_method").says(), Says::Declined { why: "Your card has insufficient funds." }));
        assert!(matches!(intent("requires_action").says(), Says::Declined { why } if why.contains("confirm")));
        assert!(intent("canceled").is_auto());
        let untried = Intent { last_payment_error: None, ..intent("requires_payment_method") };
        assert!(matches!(untried.says(), Says::Waiting));
    }

    #[test]
    fn whose_a_session_is_stands_in_two_places_that_must_agree() {
        let mut said = session("complete", "paid", json!("pi_1"));
        assert!(said.named().is_some());
        said.client_reference_id = Some("somebody else".to_owned());
        assert!(said.named().is_none());
    }

    #[test]
    fn a_dispute_has_the_money_unless_it_is_a_warning_or_won() {
        let of = |status: &str| Dispute {
            id: "du_1".to_owned(),
            payment_intent: None,
            amount: 1,
            currency: "usd".to_owned(),
            status: status.to_owned(),
        };
        for (status, taken, over) in [
            ("warning_needs_response", false, false),
            ("warning_under_review", false, false),
            ("warning_closed", false, true),
            ("needs_response", true, false),
            ("under_review", true, false),
            ("won", false, true),
            ("lost", true, true),
        ] {
            assert_eq!(of(status).is_final(), over, "{status}");
            assert!(matches!(of(status).says(), Says::Disputed { is_taken, .. } if is_taken == taken), "{status}");
        }
    }
}
