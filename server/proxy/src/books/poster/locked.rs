//! Accounts that somebody else has locked, with what is to be posted of them.

use std::{collections::HashMap, time::Duration};

use domain::id::AccountId;

use super::Queued;

/// So often in a row an account may be found locked before it is waited for.
const LOCKED_MAX: u32 = 4;
/// When accounts are looked at again, times how often they were found locked.
const PAUSE: Duration = Duration::from_millis(20);

/// Those that may be free in a moment.
#[derive(Default)]
pub(super) struct Locked {
    accounts: HashMap<AccountId, Account>,
}

#[derive(Default)]
struct Account {
    /// How often in a row it was found locked.
    times: u32,
    calls: Vec<Queued>,
}

/// An account that is to be waited for, and what of it.
pub(super) type Waiting = (AccountId, Vec<Queued>);

impl Locked {
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// How long they are left alone.
    pub(super) fn pause(&self) -> Duration {
        PAUSE * self.accounts.values().map(|account| account.times).max().unwrap_or_default()
    }

    /// What is to be posted of all of them, which is tried again.
    pub(super) fn take_calls(&mut self) -> Vec<Queued> {
        self.accounts.values_mut().flat_map(|account| std::mem::take(&mut account.calls)).collect()
    }

    /// A try found these locked, and no others. Returns those that were found so too often.
    pub(super) fn found(&mut self, deferred: Vec<Queued>) -> impl Iterator<Item = Waiting> + use<> {
        let before = std::mem::take(&mut self.accounts);
        for queued in deferred {
            let id = queued.call.account_id;
            let times = before.get(&id).map_or(0, |account| account.times);
            self.accounts.entry(id).or_insert_with(|| Account { times: times + 1, calls: Vec::new() }).calls.push(queued);
        }
        let often: Vec<_> = self.accounts.extract_if(|_, account| account.times >= LOCKED_MAX).collect();
        often.into_iter().map(|(id, account)| (id, account.calls))
    }
}

#[cfg(test)]
mod tests {
    use domain::id::CallId;
    use uuid::Uuid;

    use super::*;
    use crate::books::poster::tests::queued_of;

    fn ids(calls: &[Queued]) -> Vec<u128> {
        let mut ids: Vec<_> = calls.iter().map(|queued| queued.call.call_id.uuid().as_u128()).collect();
        ids.sort_unstable();
        ids
    }

    fn queued(account: u128, call: u128) -> Queued {
        queued_of(AccountId::from_uuid(Uuid::from_u128(account)), CallId::from_uuid(Uuid::from_u128(call)))
    }

    #[test]
    fn accounts_that_are_locked_for_a_moment_are_tried_again_together() {
        let mut locked = Locked::default();
        assert_eq!(locked.found(vec![queued(1, 10), queued(2, 20), queued(1, 11)]).count(), 0);
        assert_eq!(ids(&locked.take_calls()), [10, 11, 20], "all of them at once");
        assert_eq!(locked.found(vec![queued(2, 20)]).count(), 0);
        assert_eq!(ids(&locked.take_calls()), [20], "the other one was free");
        assert_eq!(locked.found(Vec::new()).count(), 0);
        assert!(locked.is_empty());
    }

    #[test]
    fn an_account_that_is_locked_again_and_again_is_waited_for_and_no_other() {
        let mut locked = Locked::default();
        let mut pauses = Vec::new();
        for _ in 1..LOCKED_MAX {
            assert_eq!(locked.found(vec![queued(1, 10)]).count(), 0);
            pauses.push(locked.pause());
            locked.take_calls();
        }
        assert!(pauses.is_sorted() && pauses.first() < pauses.last(), "{pauses:?}");
        let waiting: Vec<_> = locked.found(vec![queued(1, 10), queued(1, 11), queued(2, 20)]).collect();
        let [(account, calls)] = &waiting[..] else { panic!("one is waited for") };
        assert_eq!((account.uuid().as_u128(), ids(calls)), (1, vec![10, 11]));
        assert_eq!(ids(&locked.take_calls()), [20]);
    }

    #[test]
    fn one_that_was_free_in_between_is_as_good_as_one_that_was_never_locked() {
        let mut locked = Locked::default();
        for _ in 0..2 {
            for _ in 1..LOCKED_MAX {
                assert_eq!(locked.found(vec![queued(1, 10)]).count(), 0);
            }
            assert_eq!(locked.found(Vec::new()).count(), 0);
        }
    }
}
