//! All versions of a model's price: which is in force when, and which was withdrawn before it ever was.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{PriceKind, PriceVersion},
    id::PriceId,
};

/// How far ahead a price is written, or withdrawn, at least. Proxies read prices every second, and one that could not for half of that admits nothing:
/// each of them knows a price before it is in force. So long that calls go on without the database for as long as a lease does.
pub const LEAD_MIN: TimeDelta = TimeDelta::minutes(1);

/// That a version will never be in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The version.
    pub price: PriceId,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Who withdrew it.
    pub by: String,
}

/// A model's versions at one service tier, of both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceHistory {
    /// Every one, the last to begin first.
    pub versions: Vec<PriceVersion>,
    /// Those of them that were withdrawn.
    pub withdrawn: Vec<Withdrawal>,
    /// The default's costs that were or will be in force, the last to begin first: what another service tier costs as long as it has no cost of its own.
    pub default_costs: Vec<PriceVersion>,
}

impl PriceHistory {
    /// The version of this id, withdrawn or not.
    #[must_use]
    pub fn version(&self, id: PriceId) -> Option<&PriceVersion> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Whether a version was withdrawn, and by whom.
    #[must_use]
    pub fn withdrawal(&self, id: PriceId) -> Option<&Withdrawal> {
        self.withdrawn.iter().find(|withdrawal| withdrawal.price == id)
    }

    /// The versions of a side that were or will be in force, the last to begin first.
    pub fn standing(&self, kind: PriceKind) -> impl Iterator<Item = &PriceVersion> {
        self.versions.iter().filter(move |version| version.kind == kind && self.withdrawal(version.id).is_none())
    }

    /// The version of a side that is in force at this instant.
    #[must_use]
    pub fn at(&self, kind: PriceKind, instant: DateTime<Utc>) -> Option<&PriceVersion> {
        self.standing(kind).find(|version| version.effective_from <= instant)
    }

    /// The version of the other side that a margin is worked out with at this instant: of a price, what it costs then.
    #[must_use]
    pub fn beside(&self, kind: PriceKind, instant: DateTime<Utc>) -> Option<&PriceVersion> {
        let default = || self.default_costs.iter().find(|version| version.effective_from <= instant);
        self.at(kind.other(), instant).or_else(|| if kind == PriceKind::Sale { default() } else { None })
    }

    /// The version that holds in the end: the last one that is scheduled, or that in force. A new one is written from it.
    #[must_use]
    pub fn latest(&self, kind: PriceKind) -> Option<&PriceVersion> {
        self.standing(kind).next()
    }

    /// The version that was written last. Whoever wrote from another one has not seen it.
    #[must_use]
    pub fn newest(&self, kind: PriceKind) -> Option<&PriceVersion> {
        self.standing(kind).max_by_key(|version| (version.created_at, version.id))
    }

    /// The version of a side that takes the place of one that begins at this instant.
    #[must_use]
    pub fn after(&self, kind: PriceKind, instant: DateTime<Utc>) -> Option<&PriceVersion> {
        self.standing(kind).take_while(|version| version.effective_from > instant).last()
    }

    /// How often a side was written to, withdrawals included: whoever has read it at this number has read all of it.
    #[must_use]
    pub fn revision(&self, kind: PriceKind) -> i64 {
        let own = self.versions.iter().filter(|version| version.kind == kind);
        own.map(|version| if self.withdrawal(version.id).is_some() { 2 } else { 1 }).sum()
    }

    /// Whether it is too late to withdraw a version: it is in force, or proxies may not hear of it before it is.
    #[must_use]
    pub fn is_settled(version: &PriceVersion, now: DateTime<Utc>) -> bool {
        version.effective_from < now + LEAD_MIN
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{id::ModelId, money::Amount, rates::Rates, service_tier::ServiceTier};

    const BEGIN: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn day(day: i64) -> DateTime<Utc> {
        BEGIN + TimeDelta::days(day)
    }

    fn id(number: u8) -> PriceId {
        PriceId::new(BEGIN, [number; 10])
    }

    fn version(number: u8, kind: PriceKind, begins: i64) -> PriceVersion {
        PriceVersion {
            id: id(number),
            model_id: ModelId::new(BEGIN, [0; 10]),
            kind,
            effective_from: day(begins),
            rates: Rates::plain(Amount::ZERO, Amount::ZERO),
            created_at: BEGIN,
            created_by: "somebody".to_owned(),
            service_tier: ServiceTier::Default,
        }
    }

    fn history(withdrawn: &[u8]) -> PriceHistory {
        let versions = vec![
            version(4, PriceKind::Sale, 30),
            version(3, PriceKind::Sale, 20),
            version(2, PriceKind::Cost, 15),
            version(1, PriceKind::Sale, 10),
        ];
        let withdrawn = withdrawn.iter().map(|number| Withdrawal { price: id(*number), at: day(1), by: "somebody".to_owned() }).collect();
        PriceHistory { versions, withdrawn, default_costs: vec![] }
    }

    #[test]
    fn a_version_is_in_force_until_the_next_one_of_its_side_that_stands() {
        let at = |history: &PriceHistory, kind, instant| history.at(kind, day(instant)).map(|version| version.id);
        let all = history(&[]);
        assert_eq!(
            [9, 10, 19, 20, 99].map(|instant| at(&all, PriceKind::Sale, instant)),
            [None, Some(id(1)), Some(id(1)), Some(id(3)), Some(id(4))]
        );
        assert_eq!(at(&all, PriceKind::Cost, 99), Some(id(2)));
        assert_eq!(at(&history(&[3]), PriceKind::Sale, 25), Some(id(1)));
    }

    #[test]
    fn what_follows_is_the_next_one_that_stands() {
        let after = |history: PriceHistory, instant| history.after(PriceKind::Sale, day(instant)).map(|version| version.id);
        assert_eq!((after(history(&[]), 10), after(history(&[3]), 10), after(history(&[]), 30)), (Some(id(3)), Some(id(4)), None));
        assert_eq!(history(&[4]).latest(PriceKind::Sale).unwrap().id, id(3));
    }

    #[test]
    fn the_newest_is_the_last_to_be_written_and_not_the_last_to_begin() {
        let newest = |withdrawn: &[u8]| {
            let mut history = history(withdrawn);
            history.versions[1].created_at = day(2);
            history.newest(PriceKind::Sale).unwrap().id
        };
        assert_eq!((newest(&[]), newest(&[3])), (id(3), id(4)));
    }

    #[test]
    fn whatever_is_written_to_a_side_is_another_revision_of_it() {
        assert_eq!((history(&[]).revision(PriceKind::Sale), history(&[]).revision(PriceKind::Cost)), (3, 1));
        assert_eq!((history(&[3]).revision(PriceKind::Sale), history(&[3]).revision(PriceKind::Cost)), (4, 1));
    }

    #[test]
    fn a_version_is_settled_a_minute_before_it_begins() {
        let version = version(1, PriceKind::Sale, 10);
        assert!(!PriceHistory::is_settled(&version, day(10) - LEAD_MIN));
        assert!(PriceHistory::is_settled(&version, day(10) - LEAD_MIN + TimeDelta::seconds(1)));
    }
}
