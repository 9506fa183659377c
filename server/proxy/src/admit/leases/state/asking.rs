//! What is asked of the ledger for calls that wait, and what its answers mean to them.

use std::{mem, time::Duration};

use domain::{credit::Exhausted, id::EpochId, lease::Ask};
use ledger::ChangedLease;
use tokio::time::Instant;

use super::State;
use crate::admit::leases::{
    clock::Moment,
    life::Life,
    recent::sum,
    waiting::{Ticket, Wanted},
};

/// How long others may take to give back what they have idle before a refusal counts.
const RECALL_TIMEOUT: Duration = Duration::from_secs(1);
/// How much longer each pause between two asks is than the one before, while they do.
const PAUSE_STEP: Duration = Duration::from_millis(50);
/// So often a call asks again at once that was given what it asked for, and does not have it.
const IN_VAIN_MAX: u32 = 3;
/// The longest pause is of so many steps.
const PAUSES_MAX: u32 = 20;
/// How often it is looked whether the slices of an account run low.
const LOOKED_AHEAD_EVERY: Duration = Duration::from_millis(200);

/// For whom an ask was made, and who came after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    asker: Ticket,
    before: Ticket,
}

/// Others were asked for what they have idle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recall {
    at: Instant,
    tries: u32,
}

impl State {
    /// The change that was sent in an epoch was made. Says whether the ledger knows of a later one, which there is not, or lacks one that it told of.
    pub(in crate::admit::leases) fn answered(&mut self, changed: ChangedLease, epoch: EpochId, now: Moment) -> bool {
        (self.is_sending, self.is_difficult, self.is_waited_for, self.locked) = (false, false, false, 0);
        if epoch != self.epoch {
            return false;
        }
        self.failures = 0;
        let Some(answer) = changed.answer else { return true };
        let refused = self.slices.absorb(answer, changed.told);
        let Some(asked) = self.asked.take_if(|_| self.slices.pending().is_none()) else { return false };
        // Running calls may have left room meanwhile, too.
        self.serve(now);
        match (self.waiting.since(asked.asker), refused) {
            (Some(since), Some(exhausted)) => self.refused(asked, since, &exhausted, changed.others, now),
            (Some(_), None) => self.given_in_vain(),
            (None, _) => {
                self.in_vain = 0;
                self.is_wanted_back |= mem::take(&mut self.is_recalled);
            }
        }
        false
    }

    /// An ask was refused. That counts once others have had the time to give back what they have idle.
    fn refused(&mut self, asked: Asked, since: Instant, exhausted: &Exhausted, others: bool, now: Moment) {
        if others {
            // What they were asked for a moment ago they have given back.
            let is_of_now = |recall: &Recall| now.monotonic.saturating_duration_since(recall.at) < 2 * RECALL_TIMEOUT;
            let recall = self.recall.filter(|recall| recall.at >= since || is_of_now(recall)).unwrap_or_else(|| {
                self.todo.recall = true;
                Recall { at: now.monotonic, tries: 0 }
            });
            let tries = recall.tries + 1;
            self.recall = Some(Recall { tries, ..recall });
            let left = RECALL_TIMEOUT.saturating_sub(now.monotonic.saturating_duration_since(recall.at));
            if !left.is_zero() {
                self.pause((PAUSE_STEP * tries).min(left));
                return;
            }
        }
        self.waiting.refuse(asked.asker, asked.before, exhausted);
    }

    /// What was asked for was given, and there is no room for the call all the same: others have taken it, or the ledger and this proxy do not agree on
    /// what may pay for it. Whoever asks on and on then does so at leisure.
    fn given_in_vain(&mut self) {
        self.in_vain = self.in_vain.saturating_add(1);
        let many = self.in_vain.saturating_sub(IN_VAIN_MAX).min(PAUSES_MAX);
        if many > 0 {
            self.pause(PAUSE_STEP * many);
        }
    }

    fn pause(&mut self, lasts: Duration) {
        self.is_paused = true;
        self.is_wanted_back |= mem::take(&mut self.is_recalled);
        self.todo.pause = Some(lasts);
    }

    pub(in crate::admit::leases) const fn end_pause(&mut self) {
        self.is_paused = false;
    }

    /// Asks for more before a call has to wait for it, once one like this was admitted.
    pub(super) fn ask_ahead(&mut self, wanted: &Wanted, life: &Life, is_away: bool, now: Moment) {
        let has_looked = now.monotonic.saturating_duration_since(self.looked_ahead) < LOOKED_AHEAD_EVERY;
        if has_looked || is_away || self.is_wanted_back || !self.waiting.is_empty() {
            return;
        }
        self.looked_ahead = now.monotonic;
        let ahead = self.recent.total(now.monotonic);
        let Wanted { demand, caller, model, at } = wanted;
        if self.slices.run_low(ahead, caller, model, *at, now.ledger) {
            let ask = Ask { ahead, ..Ask::new(*demand, caller.clone(), model.clone(), *at) };
            self.slices.ask(life.epoch.next_number(), ask, now.ledger);
        }
    }

    /// Makes the next change, if there is one to be made.
    pub(super) fn change(&mut self, life: &Life, now: Moment) {
        if self.slices.pending().is_some() {
            return;
        }
        let is_wanted_back = mem::take(&mut self.is_wanted_back);
        let Some((asker, wanted)) = self.waiting.first().filter(|_| !self.is_paused) else {
            if is_wanted_back {
                self.slices.give_back(life.epoch.next_number());
            }
            return;
        };
        let ahead = sum(self.recent.total(now.monotonic), self.waiting.behind_first());
        let Wanted { demand, caller, model, at } = wanted.clone();
        let ask = Ask { ahead, ..Ask::new(demand, caller, model, at) };
        self.slices.ask(life.epoch.next_number(), ask, now.ledger);
        self.asked = Some(Asked { asker, before: self.waiting.next() });
    }
}
