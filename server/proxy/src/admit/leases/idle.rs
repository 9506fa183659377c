//! What is done every second: idle slices go back, accounts without anything are forgotten, and the figures are told.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain::credit::Unit;
use tokio::time::{MissedTickBehavior, interval};

use super::Leases;
use crate::instruments::{LEASE_ACCOUNTS, LEASE_CHANGES, LEASE_FREE, LEASE_HELD, LEASE_REFUSALS, gauged};

const EVERY: Duration = Duration::from_secs(1);

/// What all accounts have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Figures {
    /// Money, tokens and requests: what is free, and what running calls hold.
    pub(crate) units: [(i64, i64); 3],
    /// Accounts with slices.
    pub(crate) accounts: usize,
    /// Changes that were sent, each time that they were.
    pub(crate) sent: u64,
    /// Asks that were refused.
    pub(crate) refused: u64,
}

impl Leases {
    pub(super) async fn look_after(self: Arc<Self>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for account in self.all_accounts() {
                self.step(&account, |state, _, now| state.give_back_idle(now));
            }
            self.forget(self.clock.now());
            tell(&self.figures());
        }
    }

    /// The figures.
    pub(crate) fn figures(self: &Arc<Self>) -> Figures {
        let (sent, refused) = (self.sent.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        let mut figures = Figures { sent, refused, ..Figures::default() };
        for account in self.all_accounts() {
            self.step(&account, |state, _, _| {
                let slices = state.slices();
                figures.accounts += usize::from(slices.pools().next().is_some());
                for (sums, unit) in figures.units.iter_mut().zip(Unit::ALL) {
                    let (free, held) = slices.sums(unit);
                    *sums = (sums.0.saturating_add(free), sums.1.saturating_add(held));
                }
            });
        }
        figures
    }
}

fn tell(figures: &Figures) {
    for (unit, (free, held)) in Unit::ALL.into_iter().zip(figures.units) {
        let name = if unit == Unit::Money { "nanos" } else { unit.name() };
        LEASE_FREE.gauge(&[name]).set(gauged(free));
        LEASE_HELD.gauge(&[name]).set(gauged(held));
    }
    LEASE_ACCOUNTS.gauge(&[]).set(gauged(figures.accounts));
    LEASE_CHANGES.counter(&[]).absolute(figures.sent);
    LEASE_REFUSALS.counter(&[]).absolute(figures.refused);
}
