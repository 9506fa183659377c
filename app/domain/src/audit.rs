//! The audit log: who changed money, prices or rights, when, and from where.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    filter::{FilterError, date, one_of, pairs, problem},
    id::AccountId,
};

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident $name:literal $label:literal)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Operation {
            $($(#[$doc])* $variant,)*
        }

        impl Operation {
            /// Every operation, in the order in which they are offered.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Its name in the log and in a query string, which never changes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Its name on a page.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

operations! {
    /// An account with its first person.
    AccountOpen "account.open" "Open an account"
    /// Whether an account's calls are admitted.
    AccountState "account.state" "Suspend, resume or close an account"
    /// Its customer's data was looked at by an operator.
    AccountView "account.view" "Look at a customer's pages"
    /// A customer paid in.
    TopUp "money.top_up" "Top up"
    /// An operator gave credit.
    Credit "money.credit" "Give credit"
    /// An operator took credit back.
    TakeBack "money.take_back" "Take credit back"
    /// An operator noted that money went back to the customer.
    Refund "money.refund" "Refund"
    /// When an account is topped up by itself.
    AutoTopUp "account.auto_top_up" "Set auto top-up"
    /// A payment that an operator credited: a transfer, or one that could not be credited by itself.
    PaymentCredit "payment.credit" "Credit a payment"
    /// What an operator was to look at of a payment needs nothing.
    PaymentDismiss "payment.dismiss" "Dismiss a payment"
    /// Redemption codes.
    CodeNew "code.new" "Make redemption codes"
    /// Their end.
    CodeRevoke "code.revoke" "Revoke redemption codes"
    /// Credit by a code.
    CodeRedeem "code.redeem" "Redeem a code"
    /// Money that the provider was asked to pay back, or that an operator has.
    PaymentRefund "payment.refund" "Refund a payment"
    /// Who sells, as documents name them.
    SellerSet "seller.set" "Set the seller on documents"
    /// Who buys, as an account's documents name them.
    BuyerSet "account.billing_details" "Change billing details"
    /// A call was given back.
    CallCredit "call.credit" "Give a call back"
    /// Calls were charged anew by another version of their price.
    Reprice "call.reprice" "Charge calls anew"
    /// What is lent, the mode or the terms.
    CreditLine "account.credit_line" "Set a credit line"
    /// Credit beside the wallet.
    GrantAdd "grant.add" "Add a grant"
    /// Its end before its time.
    GrantEnd "grant.end" "End a grant"
    /// What a plan or a package is.
    PlanSet "plan.set" "Set a plan"
    /// A plan or a package for an account.
    PlanBuy "plan.buy" "Buy a plan"
    /// Whether a plan ends with its month.
    PlanEnd "plan.end" "End a plan"
    /// A bound on what may be used, or another capacity of one.
    LimitSet "limit.set" "Set a limit"
    /// Its end.
    LimitRemove "limit.remove" "Remove a limit"
    /// A key.
    KeyCreate "key.create" "Create a key"
    /// Its end.
    KeyRevoke "key.revoke" "Revoke a key"
    /// Another project of a key.
    KeyMove "key.move" "Move a key"
    /// Which models a key may call.
    KeyModels "key.models" "Change the models of a key"
    /// Whether the answers to a key's calls tell their cost.
    KeyCost "key.cost" "Tell or hide costs in answers to a key's calls"
    /// A key that reads usage and costs.
    ReportKeyCreate "report_key.create" "Create a report key"
    /// Its end.
    ReportKeyRevoke "report_key.revoke" "Revoke a report key"
    /// A part of an account.
    ProjectAdd "project.add" "Add a project"
    /// A version of a price.
    PriceSet "price.set" "Set a price"
    /// The end of one that had not begun.
    PriceWithdraw "price.withdraw" "Withdraw a price"
    /// A version of what one customer pays.
    OwnPriceSet "price.own" "Set a customer's own price"
    /// The end of one.
    OwnPriceEnd "price.own_end" "End a customer's own price"
    /// A provider.
    ProviderAdd "provider.add" "Add a provider"
    /// Its address, time-outs, APIs or policies.
    ProviderChange "provider.change" "Change a provider"
    /// What requests may hold that go to it.
    ProviderMembers "provider.members" "Open members of a provider's requests"
    /// Another credential.
    ProviderCredential "provider.credential" "Replace a credential"
    /// No more calls to it, or calls again.
    ProviderDisable "provider.disable" "Disable or enable a provider"
    /// A provider that answered no model.
    ProviderRemove "provider.remove" "Remove a provider"
    /// A model.
    ModelAdd "model.add" "Add a model"
    /// Its provider, names or bounds.
    ModelChange "model.change" "Change a model"
    /// What requests for it may hold.
    ModelMembers "model.members" "Open members of requests"
    /// No more calls to it, or calls again.
    ModelDisable "model.disable" "Disable or enable a model"
    /// A model that never had a price.
    ModelRemove "model.remove" "Remove a model"
    /// A further provider of a model.
    FallbackAdd "fallback.add" "Add a fall-back"
    /// One less.
    FallbackRemove "fallback.remove" "Remove a fall-back"
    /// Somebody who runs the gateway.
    OperatorAdd "operator.add" "Add an operator"
    /// A new password.
    PasswordSet "person.password" "Set a password"
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Where it stands.
    pub place: AuditPlace,
    /// The operation's name: one that this version does not know is shown as it is.
    pub operation: String,
    /// Who: an e-mail address, or the command line.
    pub who: String,
    /// Where the console was reached from; `None` of the command line.
    pub address: Option<String>,
    /// Whose account it is about.
    pub account: Option<AccountId>,
    /// The id of what it is about.
    pub object_id: String,
    /// Its name then.
    pub object: String,
    /// How what changed was, as a JSON object.
    pub before: Option<String>,
    /// How it is since.
    pub after: Option<String>,
}

impl AuditLine {
    /// What was done, in words.
    #[must_use]
    pub fn label(&self) -> &str {
        Operation::ALL.into_iter().find(|operation| operation.name() == self.operation).map_or(&self.operation, |known| known.label())
    }
}

/// A page of the log, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditPage {
    /// The lines.
    pub lines: Vec<AuditLine>,
    /// Where the next page begins.
    pub next: Option<AuditPlace>,
}

/// Where a line stands: lines of one instant are told apart by an id. In a query string it is `before=<microseconds>-<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AuditPlace {
    /// When, as PostgreSQL's clock had it: to the microsecond.
    pub at: DateTime<Utc>,
    /// Which of those of that instant.
    pub id: Uuid,
}

impl std::fmt::Display for AuditPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.at.timestamp_micros(), self.id)
    }
}

impl AuditPlace {
    /// Where a page begins: after this line, going back in time.
    ///
    /// # Errors
    /// [`FilterError`] for what is no place.
    pub fn from_query(query: &str) -> Result<Option<Self>, FilterError> {
        let parse = |text: &str| {
            let (at, id) = text.split_once('-')?;
            Some(Self { at: DateTime::from_timestamp_micros(at.parse().ok()?)?, id: id.parse().ok()? })
        };
        let place = pairs(query).find(|(name, _)| name == "before").map(|(_, text)| text);
        place.map(|text| parse(&text).ok_or_else(|| problem("before", "is no place in the log: start from its first page"))).transpose()
    }
}

/// Which lines.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditFilter {
    /// A part of who did it.
    pub who: String,
    /// One operation only.
    pub operation: Option<Operation>,
    /// A part of the name of what it is about; or its id, or that of its account, whole.
    pub object: String,
    /// From this day on, UTC.
    pub from: Option<NaiveDate>,
    /// Up to the end of this day, UTC.
    pub to: Option<NaiveDate>,
}

impl AuditFilter {
    /// Reads a query string. What it does not say is not narrowed; unknown parameters are not ours and are left alone.
    ///
    /// # Errors
    /// [`FilterError`] for a value that means nothing, or a range that ends before it begins.
    pub fn from_query(query: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (name, value) in pairs(query) {
            match name.as_ref() {
                "who" => filter.who = value.trim().to_owned(),
                "operation" => filter.operation = Some(one_of("operation", &value, &Operation::ALL, Operation::name)?),
                "object" => filter.object = value.trim().to_owned(),
                "from" => filter.from = Some(date("from", &value)?),
                "to" => filter.to = Some(date("to", &value)?),
                _ => {}
            }
        }
        if filter.from.zip(filter.to).is_some_and(|(from, to)| to < from) {
            return Err(problem("to", "is before the first day"));
        }
        Ok(filter)
    }

    /// The query string of this choice, without a `?`.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let days = [("from", self.from), ("to", self.to)].map(|(name, day)| (name, day.map(|day| day.to_string()).unwrap_or_default()));
        let operation = self.operation.map(Operation::name).unwrap_or_default();
        let words = [("who", self.who.clone()), ("operation", operation.to_owned()), ("object", self.object.clone())];
        for (name, value) in words.into_iter().chain(days).filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, &value);
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let names: HashSet<_> = Operation::ALL.into_iter().map(Operation::name).collect();
        assert_eq!(names.len(), Operation::ALL.len());
    }

    #[test]
    fn a_filter_survives_its_own_query() {
        for query in ["", "who=ada&operation=money.credit&object=a+b&from=2026-11-01&to=2026-11-02", "to=2026-11-02"] {
            assert_eq!(AuditFilter::from_query(query).unwrap().to_query(), query);
        }
        for (query, field) in [("operation=steal", "operation"), ("from=yesterday", "from"), ("from=2026-11-02&to=2026-11-01", "to")] {
            assert_eq!(AuditFilter::from_query(query).unwrap_err().field, field, "{query}");
        }
    }

    #[test]
    fn a_place_survives_its_own_query() {
        let place = AuditPlace { at: DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap(), id: Uuid::from_u128(7) };
        assert_eq!(AuditPlace::from_query(&format!("before={place}")).unwrap(), Some(place));
        assert_eq!(AuditPlace::from_query("").unwrap(), None);
        for wrong in ["before=1", "before=x-7", "before="] {
            assert!(AuditPlace::from_query(wrong).is_err() || wrong == "before=", "{wrong}");
        }
    }
}
