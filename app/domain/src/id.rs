//! Identifiers: one type per noun, so that a key can never be passed for an account.
//!
//! All of them are UUIDv7 made by the application: they sort by time, need no sequence, and a call's id *is* its start.

use chrono::{DateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A UUIDv7 of this instant; `random` supplies the bits that are not time.
            #[must_use]
            pub fn new(at: DateTime<Utc>, random: [u8; 10]) -> Self {
                Self(uuid_v7(at, random))
            }

            /// Wraps an id that was made before.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// Who pays: the tenant.
    AccountId;
    /// A person who signs in.
    UserId;
    /// An API key of an account.
    KeyId;
    /// A key that reads an account's usage and costs.
    ReportKeyId;
    /// An upstream that answers calls.
    ProviderId;
    /// A model as customers name it.
    ModelId;
    /// One immutable version of a model's price.
    PriceId;
    /// A pool of credit of one account.
    GrantId;
    /// A limit on what an account, or a part of it, may use.
    LimitId;
    /// A plan or a package that operators sell.
    PlanId;
    /// A customer's plan, or a package that was bought.
    SubscriptionId;
    /// What a customer pays through a provider.
    PaymentId;
    /// A batch of redemption codes.
    BatchId;
    /// What an account has redeemed.
    RedemptionId;
    /// A part of an account that has keys and limits of its own.
    ProjectId;
    /// One call; its time is when the call was admitted.
    CallId;
    /// One life of a proxy, from its start to its end: what it has leased is leased to that.
    EpochId;
}

impl ProjectId {
    /// The project that an account has from the beginning, where keys are that nobody put into another.
    #[must_use]
    pub const fn first_of(account: AccountId) -> Self {
        Self(account.0)
    }
}

impl CallId {
    /// When the call was admitted, to the millisecond: the time inside the id (RFC 9562, section 5.7).
    ///
    /// `None` if the id is no UUIDv7, which only a hand-made one can be.
    #[must_use]
    pub fn started_at(self) -> Option<DateTime<Utc>> {
        if self.0.get_version_num() != 7 {
            return None;
        }
        let (high, low, _, _) = self.0.as_fields();
        let millis = (i64::from(high) << 16) | i64::from(low);
        Utc.timestamp_millis_opt(millis).single()
    }
}

fn uuid_v7(at: DateTime<Utc>, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_call_id_carries_its_own_start(millis in 0_i64..253_402_300_799_999, random: [u8; 10]) {
            let at = DateTime::from_timestamp_millis(millis).unwrap_or_default();
            prop_assert_eq!(CallId::new(at, random).started_at(), Some(at));
        }
    }

    #[test]
    fn an_id_of_another_version_has_no_start() {
        assert_eq!(CallId::from_uuid(Uuid::nil()).started_at(), None);
    }
}
