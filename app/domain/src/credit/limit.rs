//! Pools that only bound.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Pool, PoolRef, Window};
use crate::{
    attribution::Label,
    id::{KeyId, LimitId, ProjectId, UserId},
};

/// A bound on what an account, or a part of it, may use in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The limit.
    pub id: LimitId,
    /// Whose calls it counts.
    pub scope: Scope,
    /// When it begins anew.
    pub window: Window,
    /// What happens at its end.
    pub hardness: Hardness,
    /// What is in it, in the one window at which it is looked at: the one that [`Self::pool_ref`] names.
    pub pool: Pool,
}

impl Limit {
    /// The pool of the window that holds an instant. A call's is the window in which it was admitted.
    #[must_use]
    pub fn pool_ref(&self, at: DateTime<Utc>) -> PoolRef {
        PoolRef::Limit { id: self.id, from: self.window.range(at).from }
    }

    /// When it begins anew; `None` if it never does.
    #[must_use]
    pub fn resets_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.window.range(now).to
    }
}

/// A limit as people see it, with what is in its running window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitState {
    /// The limit.
    pub limit: Limit,
    /// Of one that does not count the whole account's: the name of the key, the project or the run, or the address of the member.
    pub whose: Option<String>,
    /// Who has set it.
    pub set_by: LimitSetter,
}

/// Who sets a limit. Each has limits of their own, and all of them bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum LimitSetter {
    /// An operator: the account cannot change or remove it.
    Operator,
    /// The account itself.
    Account,
    /// Its plan, with which it comes and goes: nobody changes or removes it.
    Plan,
}

impl LimitSetter {
    /// Its name in stored rows and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Account => "account",
            Self::Plan => "plan",
        }
    }
}

/// What happens to a call for which a limit has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Hardness {
    /// It is refused.
    Hard,
    /// It is admitted and counted; somebody is warned.
    Soft,
}

impl Hardness {
    /// Its name in stored rows and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }

    /// What it does, on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hard => "Refuses",
            Self::Soft => "Warns",
        }
    }
}

/// Whose calls a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All of the account's.
    Account,
    /// Those of a project's keys.
    Project(ProjectId),
    /// Those of a member's keys.
    Member(UserId),
    /// Those of one key.
    Key(KeyId),
    /// Those that name this run as their session.
    Run(Label),
}

impl Scope {
    /// Whether it counts the calls of this caller.
    #[must_use]
    pub fn applies_to(&self, caller: &Caller) -> bool {
        match self {
            Self::Account => true,
            Self::Project(project) => caller.project == *project,
            Self::Member(member) => caller.member == Some(*member),
            Self::Key(key) => caller.key == *key,
            Self::Run(run) => caller.run.as_ref() == Some(run),
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ScopeKind {
        match self {
            Self::Account => ScopeKind::Account,
            Self::Project(_) => ScopeKind::Project,
            Self::Member(_) => ScopeKind::Member,
            Self::Key(_) => ScopeKind::Key,
            Self::Run(_) => ScopeKind::Run,
        }
    }
}

/// A [`Scope`] without whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// See [`Scope::Account`].
    Account,
    /// See [`Scope::Project`].
    Project,
    /// See [`Scope::Member`].
    Member,
    /// See [`Scope::Key`].
    Key,
    /// See [`Scope::Run`].
    Run,
}

impl ScopeKind {
    /// Its name in stored rows and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Project => "project",
            Self::Member => "member",
            Self::Key => "key",
            Self::Run => "run",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::Project => "Project",
            Self::Member => "Member",
            Self::Key => "Key",
            Self::Run => "Run",
        }
    }
}

/// Who makes a call. Key, project and member are what the key proves; the run is what the client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The key.
    pub key: KeyId,
    /// The project that the key belongs to.
    pub project: ProjectId,
    /// The member whose key it is, unless it is nobody's own.
    pub member: Option<UserId>,
    /// The session that the call names.
    pub run: Option<Label>,
}

/// A part of a limit's capacity, in basis points, whose use alerts: 8,000 is 80 %. A soft limit may have some above its capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Threshold(i32);

/// A threshold outside 1 to 100,000 basis points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a threshold is above 0 and at most 1,000 percent")]
pub struct ThresholdError;

impl Threshold {
    /// The whole capacity, in basis points.
    const WHOLE_BPS: i128 = 10_000;

    /// A threshold of so many basis points.
    ///
    /// # Errors
    /// [`ThresholdError`] below 1 or above 100,000.
    pub const fn from_bps(bps: i32) -> Result<Self, ThresholdError> {
        if bps >= 1 && bps <= 100_000 { Ok(Self(bps)) } else { Err(ThresholdError) }
    }

    /// In basis points.
    #[must_use]
    pub const fn bps(self) -> i32 {
        self.0
    }

    /// Whether so much of a pool was used for good. What running calls hold does not count: most of it comes back.
    #[must_use]
    pub fn is_reached(self, pool: &Pool) -> bool {
        i128::from(pool.used.get()) * Self::WHOLE_BPS >= i128::from(pool.capacity.get()) * i128::from(self.0)
    }
}

impl TryFrom<i32> for Threshold {
    type Error = ThresholdError;

    fn try_from(bps: i32) -> Result<Self, ThresholdError> {
        Self::from_bps(bps)
    }
}

impl From<Threshold> for i32 {
    fn from(threshold: Threshold) -> Self {
        threshold.0
    }
}

/// The thresholds that a change of a pool reached, be it by use or because the capacity was lowered. Each alerts once: one that was
/// reached before is not among them.
#[must_use]
pub fn crossed(thresholds: &[Threshold], before: &Pool, after: &Pool) -> Vec<Threshold> {
    thresholds.iter().copied().filter(|threshold| !threshold.is_reached(before) && threshold.is_reached(after)).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;
    use crate::credit::{
        Unit,
        testing::{NOW, caller, limit, quantity, run, uuid},
    };

    #[test]
    fn a_scope_counts_its_own_calls_alone() {
        let own = [
            Scope::Account,
            Scope::Project(ProjectId::from_uuid(uuid(1))),
            Scope::Member(UserId::from_uuid(uuid(1))),
            Scope::Key(KeyId::from_uuid(uuid(1))),
            Scope::Run(run("r1")),
        ];
        let other = [
            Scope::Project(ProjectId::from_uuid(uuid(2))),
            Scope::Member(UserId::from_uuid(uuid(2))),
            Scope::Key(KeyId::from_uuid(uuid(2))),
            Scope::Run(run("r")),
        ];
        let caller = Caller { run: Some(run("r1")), ..caller() };
        assert!(own.iter().all(|scope| scope.applies_to(&caller)));
        assert!(other.iter().all(|scope| !scope.applies_to(&caller)));
        let nobody = Caller { member: None, run: None, ..caller };
        let applies: Vec<_> = own.iter().map(|scope| scope.applies_to(&nobody)).collect();
        assert_eq!(applies, [true, true, false, true, false]);
    }

    #[test]
    fn names_are_those_of_json() {
        let name = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        for (scope, kind) in [(Scope::Account, ScopeKind::Account), (Scope::Run(run("r")), ScopeKind::Run)] {
            assert_eq!(scope.kind(), kind);
            assert_eq!(name(serde_json::to_value(kind).unwrap()), kind.name());
        }
        for window in Window::ALL {
            assert_eq!(name(serde_json::to_value(window).unwrap()), window.name());
        }
        for unit in Unit::ALL {
            assert_eq!(name(serde_json::to_value(unit).unwrap()), unit.name());
        }
        for hardness in [Hardness::Hard, Hardness::Soft] {
            assert_eq!(name(serde_json::to_value(hardness).unwrap()), hardness.name());
        }
    }

    #[test]
    fn a_limit_survives_its_own_text() {
        let before = Limit { scope: Scope::Run(run("nightly")), ..limit(1, Window::Week, Unit::Tokens, 10) };
        assert_eq!(serde_json::from_str::<Limit>(&serde_json::to_string(&before).unwrap()).unwrap(), before);
        assert_eq!(postcard::from_bytes::<Limit>(&postcard::to_allocvec(&before).unwrap()).unwrap(), before);
    }

    #[test]
    fn each_window_of_a_limit_is_a_pool_of_its_own() {
        let minute = limit(1, Window::Minute, Unit::Requests, 10);
        let next = minute.resets_at(NOW).unwrap();
        assert_eq!(minute.pool_ref(NOW), minute.pool_ref(next - chrono::TimeDelta::nanoseconds(1)));
        assert_ne!(minute.pool_ref(NOW), minute.pool_ref(next));
        assert_eq!(minute.pool_ref(next), PoolRef::Limit { id: minute.id, from: next });
        assert_eq!(limit(1, Window::Ever, Unit::Requests, 10).resets_at(NOW), None);
    }

    #[test]
    fn a_threshold_alerts_when_it_is_reached_and_only_then() {
        let thresholds = [5_000, 8_000, 10_000, 12_000].map(|bps| Threshold::from_bps(bps).unwrap());
        let of = |capacity, used| Pool { used: quantity(used), leased: quantity(99), ..Pool::new(Unit::Money, quantity(capacity)) };
        let bps = |before, after| crossed(&thresholds, &before, &after).into_iter().map(Threshold::bps).collect::<Vec<_>>();
        assert_eq!(bps(of(10, 0), of(10, 4)), [0; 0]);
        assert_eq!(bps(of(10, 4), of(10, 5)), [5_000]);
        assert_eq!(bps(of(10, 5), of(10, 8)), [8_000]);
        assert_eq!(bps(of(10, 8), of(10, 12)), [10_000, 12_000]);
        assert_eq!(bps(of(10, 5), of(6, 5)), [8_000]);
        assert_eq!(bps(of(10, 12), of(10, 12)), [0; 0]);
        // 80 % of 7 is 5.6: five are below it, six above.
        assert_eq!(bps(of(7, 4), of(7, 5)), [0; 0]);
        assert_eq!(bps(of(7, 5), of(7, 6)), [8_000]);
        assert_eq!(Threshold::from_bps(0), Err(ThresholdError));
        assert_eq!(Threshold::from_bps(100_001), Err(ThresholdError));
        assert!(Threshold::from_bps(1).is_ok() && Threshold::from_bps(100_000).is_ok());
    }

    proptest! {
        #[test]
        fn a_threshold_is_crossed_once_however_the_use_is_cut(
            capacity in 1_i64..i64::MAX,
            mut steps in prop::collection::vec(0_i64..i64::MAX, 0..8),
            bps in 1..=100_000,
        ) {
            let threshold = Threshold::from_bps(bps).unwrap();
            steps.sort_unstable();
            let fresh = Pool::new(Unit::Money, quantity(capacity));
            let pools: Vec<_> = std::iter::once(0).chain(steps).map(|used| Pool { used: quantity(used), ..fresh }).collect();
            let alerts: usize = pools.windows(2).map(|pair| crossed(&[threshold], &pair[0], &pair[1]).len()).sum();
            let reached = pools.last().is_some_and(|last| threshold.is_reached(last));
            prop_assert_eq!(alerts, usize::from(reached));
        }
    }
}
