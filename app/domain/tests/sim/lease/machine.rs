//! A machine: the spool on its disk, and the proxy that runs on it, if one does.

use std::collections::BTreeSet;

use domain::{
    credit::{Charge, Demand, PoolRef, Split, Strictness, settle},
    id::{CallId, EpochId},
    lease::{Slices, spend},
    money::Amount,
    tokens::Tokens,
};

use super::books::{ACCOUNTS, Books, Settlement, TTL};
use crate::walk::{Checked, ensure};

/// What is written to a spool.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// Before a call is forwarded: what it is settled from should nobody know better.
    Intent(Settlement),
    /// Before its client sees the end.
    Settled(Settlement),
}

/// A call that runs.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) call: CallId,
    pub(crate) account: usize,
    pub(crate) epoch: EpochId,
    pub(crate) split: Split,
    pub(crate) most: Demand,
    pub(crate) began: i64,
}

/// A proxy's memory.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) epoch: EpochId,
    /// Until when it may admit, by the clock that durations are measured with.
    pub(crate) deadline: i64,
    /// The ledger's clock less that one, when it was last heard.
    pub(crate) offset: i64,
    pub(crate) number: i64,
    pub(crate) slices: Vec<Slices>,
    pub(crate) running: Vec<Running>,
    /// How far the spool is posted.
    pub(crate) read: usize,
    /// Epochs of earlier runs, which end once the spool is posted up to here.
    pub(crate) successor_of: Vec<EpochId>,
    pub(crate) posted_to: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) process: Option<Process>,
    pub(crate) is_suspended: bool,
    pub(crate) is_parted: bool,
    pub(crate) spool: Vec<Record>,
    /// Those whose calls are in this spool, and that are not over yet as far as it knows.
    pub(crate) epochs: Vec<EpochId>,
}

/// A prompt's estimate, in money and tokens: what a call pays whose proxy died.
pub(crate) fn estimate(most: Demand) -> Demand {
    Demand { money: most.money.min(Amount::from_nanos(2)), tokens: most.tokens.min(Tokens::from_sum(2)), requests: 1 }
}

impl Process {
    pub(crate) fn begin(epoch: EpochId, now: i64, offset: i64) -> Self {
        Self {
            epoch,
            deadline: now + TTL,
            offset,
            number: 0,
            slices: vec![Slices::default(); ACCOUNTS],
            running: Vec::new(),
            read: 0,
            successor_of: Vec::new(),
            posted_to: 0,
        }
    }

    /// The one that it had is over: what it had leased is not its own any more.
    pub(crate) fn become_epoch(&mut self, epoch: EpochId, now: i64) {
        (self.epoch, self.deadline, self.slices) = (epoch, now + TTL, vec![Slices::default(); ACCOUNTS]);
    }

    pub(crate) fn next_number(&mut self) -> i64 {
        self.number += 1;
        self.number
    }

    /// What a call that has ended leaves in the slices.
    pub(crate) fn settle(&mut self, call: &Running, charge: &Charge) {
        if call.epoch == self.epoch {
            self.slices[call.account].settle(charge);
        }
    }
}

impl Machine {
    /// A process that can do something.
    pub(crate) fn awake(&mut self) -> Option<&mut Process> {
        self.process.as_mut().filter(|_| !self.is_suspended)
    }

    pub(crate) fn kill(&mut self) {
        (self.process, self.is_suspended) = (None, false);
    }

    /// Calls that were admitted, and of which the spool does not know the end.
    pub(crate) fn unsettled(&self) -> Vec<Settlement> {
        let settled: BTreeSet<_> =
            self.spool.iter().filter_map(|record| if let Record::Settled(call) = record { Some(call.call) } else { None }).collect();
        let intents = self.spool.iter().filter_map(|record| if let Record::Intent(call) = record { Some(call) } else { None });
        intents.filter(|call| !settled.contains(&call.call)).cloned().collect()
    }

    /// The next settlements to be posted, and up to where they are.
    pub(crate) fn next_settled(&self, many: usize) -> (Vec<Settlement>, usize) {
        let read = self.process.as_ref().map_or(0, |process| process.read);
        let (mut calls, mut to) = (Vec::new(), read);
        for record in &self.spool[read..] {
            if let Record::Settled(call) = record {
                if calls.len() == many {
                    break;
                }
                calls.push(call.clone());
            }
            to += 1;
        }
        (calls, to)
    }

    /// Forgets the beginning of the spool, up to where something is unsettled or not posted.
    pub(crate) fn forget_posted(&mut self) {
        let unsettled: BTreeSet<_> = self.unsettled().iter().map(|call| call.call).collect();
        let Some(process) = &mut self.process else { return };
        let is_open = |record: &Record| matches!(record, Record::Intent(call) if unsettled.contains(&call.call));
        let to = self.spool[..process.read].iter().position(is_open).unwrap_or(process.read);
        self.spool.drain(..to);
        process.read -= to;
        process.posted_to = process.posted_to.saturating_sub(to);
    }

    /// Whatever happens: all that a proxy believes to have, and all that it has used and not posted, is leased to it.
    pub(crate) fn check(&self, books: &Books) -> Checked {
        let Some(process) = &self.process else { return Ok(()) };
        if books.epochs.get(&process.epoch).is_none_or(|epoch| epoch.is_over) {
            return Ok(());
        }
        for (place, (account, slices)) in books.accounts.iter().zip(&process.slices).enumerate() {
            for (pool, own) in slices.pools() {
                let leased = account.leases.get(&process.epoch).map_or(0, |lease| lease.of(pool).get());
                let needed = own.room().get() + own.leased.get() + self.unposted(books, process.epoch, place, pool);
                ensure!(leased >= needed, "{needed} are needed of {pool:?}, and {leased} leased");
            }
        }
        Ok(())
    }

    fn unposted(&self, books: &Books, epoch: EpochId, account: usize, pool: PoolRef) -> i64 {
        let of = |record: &Record| match record {
            Record::Settled(call)
                if (call.epoch, call.account) == (epoch, account) && !books.accounts[account].calls.contains_key(&call.call) =>
            {
                let charge = settle(&call.split, call.came_to, Strictness::Strict);
                let spent: i64 = spend(&charge).filter(|spent| spent.used.pool == pool).map(|spent| spent.of_slice.get()).sum();
                spent
            }
            _ => 0,
        };
        self.spool.iter().map(of).sum()
    }
}
