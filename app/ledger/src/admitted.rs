//! What is known of a call when it begins.

use chrono::{DateTime, Utc};
use domain::{
    attribution::Attribution,
    credit::Split,
    id::{AccountId, CallId, EpochId, KeyId, PriceId, ProjectId, UserId},
    money::Amount,
    pricing::{Discount, Excess},
    service_tier::ServiceTier,
    tokens::Tokens,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A call, whoever makes it, and the terms on which it is admitted. None of this changes any more, but that what it settles at may be another provider's
/// answer, and the price of the service tier that served it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Who pays.
    pub account_id: AccountId,
    /// The call.
    pub call_id: CallId,
    /// The key it is made with.
    pub key_id: KeyId,
    /// The project that the key is in.
    pub project_id: ProjectId,
    /// The member whose key it is, unless it is nobody's own.
    pub member: Option<UserId>,
    /// What the client says of it.
    pub attribution: Attribution,
    /// The model the client asked for.
    pub model: String,
    /// The provider's name.
    pub provider: String,
    /// The sale price in force: of the service tier that was asked for, once it is settled of that which served it.
    pub price_id: PriceId,
    /// The discount in force.
    pub discount: Discount,
    /// Whether the answer is a stream.
    pub stream: bool,
    /// Who bears what it costs beyond what is held.
    pub excess: Excess,
    /// Prompt tokens, as they were estimated before the call.
    pub input_estimate: Tokens,
    /// The most that the call can cost: [`domain::pricing::upper_bound`].
    pub held: Amount,
    /// The most tokens that it can take, of the prompt and of all answers.
    pub tokens_held: Tokens,
    /// The life of the proxy whose slices it holds. `None` where nobody leased anything for it: it was brought in from elsewhere, or admitted by a
    /// version that held in the database for each call.
    #[serde(default)]
    pub epoch: Option<EpochId>,
    /// What it holds of them.
    #[serde(default)]
    pub split: Split,
    /// The service tier that the client asked for.
    #[serde(default)]
    pub asked_tier: ServiceTier,
}

impl Admitted {
    /// When it was admitted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the id carries no time.
    pub(crate) fn started_at(&self) -> Result<DateTime<Utc>> {
        self.call_id.started_at().ok_or_else(|| Error::Corrupt(format!("call {}: its id carries no time", self.call_id)))
    }
}
