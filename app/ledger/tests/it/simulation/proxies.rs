//! Proxies that die, and what becomes of their calls.

use domain::id::EpochId;
use ledger::{Admitted, Error};

use super::{Walk, calls::State};
use crate::world::give_back_all;

impl Walk {
    pub(super) fn lives(&self, epoch: EpochId) -> bool {
        self.proxies.iter().any(|proxy| proxy.epoch == epoch)
    }

    /// Of a call whose proxy is dead there is nothing to give back.
    pub(super) async fn give_up(&self, intent: &Admitted) {
        let lives = self.world.holding(intent).epoch.is_some_and(|epoch| self.lives(epoch));
        match self.world.release_in(&self.ledger(), intent).await {
            Ok(()) if lives => {}
            Err(Error::EpochOver) if !lives => {}
            other => panic!("{other:?}"),
        }
    }

    /// A proxy dies. What it had announced is settled as interrupted, what it had leased goes back, and another takes its place; what else it ran is
    /// heard of later, or never.
    pub(super) async fn die(&mut self) {
        let place = self.dice.below(self.proxies.len());
        let epoch = self.proxies[place].epoch;
        let ending = self.ledger().meter().end_epoch(epoch).await.unwrap();
        let mut expected = Vec::new();
        for (_, intent, state) in &self.calls {
            let holding = self.world.holding(intent);
            if matches!(state, State::Running) && holding.epoch == Some(epoch) && self.announced.contains(&intent.call_id) {
                expected.push(holding);
            }
        }
        expected.sort_by_key(|call| call.call_id);
        assert_eq!(ending.announced().await.unwrap(), expected);
        let assumed = expected.iter().map(|call| {
            let place = self.calls.iter().position(|(_, intent, _)| intent.call_id == call.call_id).unwrap();
            (place, self.at_its_price(call, self.world.interrupt(call, self.customers[self.calls[place].0])))
        });
        self.post(assumed.collect()).await;
        assert_eq!(ending.announced().await.unwrap(), []);
        give_back_all(&ending).await;
        self.proxies[place] = self.world.proxy().await;
    }
}
