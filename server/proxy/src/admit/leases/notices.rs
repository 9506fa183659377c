//! What other processes say of accounts: that their idle slices are wanted back, or that something of them has changed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::AccountId;
use ledger::Notices;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Leases, accounts::Account, clock::Moment, life::Problem};

/// How often it is asked for.
const EVERY: Duration = Duration::from_millis(250);
/// What is said is looked for so long: its transaction may have begun long before it was committed.
const OVERLAP: TimeDelta = TimeDelta::seconds(10);

/// Whoever has heard nothing for so long may have missed what was said: it is forgotten after a minute.
const MISSED_AFTER: Duration = Duration::from_secs(30);

/// Of which accounts keys, terms or limits may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed<'a> {
    Of(&'a [AccountId]),
    /// Nobody knows.
    Any,
}

/// What was heard already.
struct Heard {
    since: DateTime<Utc>,
    at: Moment,
    recalled: HashSet<(AccountId, DateTime<Utc>)>,
    changed: HashSet<(AccountId, DateTime<Utc>)>,
}

impl Heard {
    /// The accounts of which there is something new: what is idle of the first is wanted back, something of the second has changed.
    fn new_of(&mut self, notices: Notices, at: Moment) -> (Vec<AccountId>, Vec<AccountId>) {
        let recalled = new_in(&mut self.recalled, notices.recalled);
        let changed = new_in(&mut self.changed, notices.changed);
        // Only now: what has just become too old to be asked for again was asked for this time.
        (self.since, self.at) = (notices.clock - OVERLAP, at);
        let since = self.since;
        [&mut self.recalled, &mut self.changed].into_iter().for_each(|heard| heard.retain(|(_, at)| *at >= since));
        (recalled, changed)
    }

    /// Whether something may have been missed, by either clock.
    fn may_have_missed(&self, now: Moment) -> bool {
        let by_wall = (now.wall - self.at.wall).to_std().unwrap_or_default();
        now.monotonic.saturating_duration_since(self.at.monotonic).max(by_wall) > MISSED_AFTER
    }
}

fn new_in(heard: &mut HashSet<(AccountId, DateTime<Utc>)>, said: Vec<(AccountId, DateTime<Utc>)>) -> Vec<AccountId> {
    let mut new: Vec<_> = said.into_iter().filter(|notice| heard.insert(*notice)).map(|(id, _)| id).collect();
    new.sort_unstable();
    new.dedup();
    new
}

impl Leases {
    /// The ledger is away, as it seems: whoever waits for it is told, and the next renewal, which comes at once, says when it is back.
    fn is_away(self: &Arc<Self>, problem: &Problem) {
        self.trouble.begins(problem);
        self.fail_all();
        self.wanted_alive.notify_one();
    }

    /// Does what is said from now on, and tells `heard` of what has changed.
    pub(super) async fn listen(self: Arc<Self>, heard: impl Fn(Changed<'_>) + Send + Sync) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = self.clock.now();
        let mut all = Heard { since: begun.ledger - OVERLAP, at: begun, recalled: HashSet::new(), changed: HashSet::new() };
        loop {
            ticks.tick().await;
            let asked = self.clock.now();
            match timeout(self.options.away_after, self.books.notices(all.since)).await {
                Ok(Ok(notices)) => {
                    if all.may_have_missed(asked) {
                        heard(Changed::Any);
                        self.doubt(self.all_accounts());
                    }
                    let (recalled, changed) = all.new_of(notices, asked);
                    if !changed.is_empty() {
                        heard(Changed::Of(&changed));
                    }
                    self.doubt(changed.iter().filter_map(|account| self.known_account(*account)).collect());
                    self.recall(&recalled);
                }
                Ok(Err(error)) => self.is_away(&error.into()),
                // Else it is this machine that stands still.
                Err(_) if asked.monotonic.elapsed() < self.options.away_after + EVERY => self.is_away(&Problem::Silence),
                Err(_) => {}
            }
        }
    }

    /// Keys are another's to look at; of the accounts, what was told of them counts no more.
    fn doubt(self: &Arc<Self>, accounts: Vec<Arc<Account>>) {
        accounts.iter().for_each(|account| self.step(account, |state, _, _| state.doubt()));
    }

    /// Somebody wants back what is idle of these accounts.
    pub(super) fn recall(self: &Arc<Self>, accounts: &[AccountId]) {
        for account in accounts.iter().filter_map(|id| self.known_account(*id)) {
            self.step(&account, |state, _, _| state.recalled());
        }
    }
}
