//! What calls hold of what a proxy leased for them, and what goes back of it.

use std::collections::BTreeMap;

use domain::{
    call::UsageSource,
    credit::{self, Caller, Demand, Hold, PoolRef, Split, Strictness, Unit},
    id::CallId,
    lease::Ask,
};
use ledger::{Admitted, Error, Ledger, PostedCalls, SettledCall};

use super::{Proxy, World};

/// What a call was leased.
#[derive(Debug)]
pub(super) struct Held {
    proxy: Proxy,
    split: Split,
    /// Whether what it did not use went back, or all of it.
    is_back: bool,
}

/// What a proxy with nothing free asks for a call.
pub(crate) fn ask(call: &Admitted) -> Ask {
    let demand = Demand { money: call.held, tokens: call.tokens_held, requests: 1 };
    let caller = Caller { key: call.key_id, project: call.project_id, member: call.member, run: call.attribution.session.clone() };
    Ask::new(demand, caller, call.model.clone(), call.call_id.started_at().unwrap())
}

/// What a call holds that has just this.
pub(crate) fn split_of(given: &[Hold]) -> Split {
    let (payment, limits) = given.iter().partition(|hold| matches!(hold.pool, PoolRef::Grant(_)));
    Split { payment, limits }
}

impl World {
    /// Leases all that a call can take, just for it. Says what it is paid in.
    pub(crate) async fn lease(&self, call: &Admitted) -> ledger::Result<Unit> {
        self.lease_of(&self.proxy, &self.ledger, call).await
    }

    /// [`Self::lease`] by a proxy.
    pub(crate) async fn lease_by(&self, proxy: &Proxy, call: &Admitted) -> ledger::Result<Unit> {
        self.lease_of(proxy, &self.ledger, call).await
    }

    /// [`Self::lease`] by a ledger that is dated otherwise.
    pub(crate) async fn lease_in(&self, ledger: &Ledger, call: &Admitted) -> ledger::Result<Unit> {
        self.lease_of(&self.proxy, ledger, call).await
    }

    pub(crate) async fn lease_of(&self, proxy: &Proxy, ledger: &Ledger, call: &Admitted) -> ledger::Result<Unit> {
        let ask = Ask { held: self.held_by(proxy), ..ask(call) };
        let changed = proxy.change(ledger, call.account_id, Vec::new(), Some(ask)).await?;
        let answer = changed.answer.unwrap();
        if let Some(refused) = answer.refused {
            return Err(Error::Exhausted(Box::new(refused)));
        }
        let split = split_of(&answer.given);
        let unit = credit::unit_of(&split.payment);
        self.held.lock().unwrap().insert(call.call_id, Held { proxy: proxy.clone(), split, is_back: false });
        Ok(unit)
    }

    /// What the running calls of a proxy hold.
    fn held_by(&self, proxy: &Proxy) -> Vec<Hold> {
        let held = self.held.lock().unwrap();
        let own = held.values().filter(|held| held.proxy.epoch == proxy.epoch && !held.is_back);
        own.flat_map(|held| held.split.payment.iter().chain(&held.split.limits)).copied().collect()
    }

    /// Gives back all that a call holds: it was never forwarded.
    pub(crate) async fn release(&self, call: &Admitted) -> ledger::Result<()> {
        self.release_in(&self.ledger, call).await
    }

    /// [`Self::release`] by a ledger that is dated otherwise.
    pub(crate) async fn release_in(&self, ledger: &Ledger, call: &Admitted) -> ledger::Result<()> {
        let Some((proxy, split)) = self.take_held(call.call_id) else { return Ok(()) };
        let returned = [split.payment, split.limits].concat();
        proxy.change(ledger, call.account_id, returned, None).await.map(drop)
    }

    /// Posts calls. What those that were leased held and did not use goes back then, as idle slices do within seconds.
    pub(crate) async fn post(&self, calls: &[SettledCall]) -> ledger::Result<PostedCalls> {
        self.post_in(&self.ledger, calls).await
    }

    /// [`Self::post`] by a ledger that is dated otherwise.
    pub(crate) async fn post_in(&self, ledger: &Ledger, calls: &[SettledCall]) -> ledger::Result<PostedCalls> {
        let done = ledger.meter().post_calls(calls).await?;
        self.return_rests(ledger, calls, &done).await?;
        Ok(done)
    }

    /// Gives back what calls held and did not use, each once.
    pub(crate) async fn return_rests(&self, ledger: &Ledger, calls: &[SettledCall], done: &PostedCalls) -> ledger::Result<()> {
        let mut rests: BTreeMap<_, (Proxy, Vec<Hold>)> = BTreeMap::new();
        // Of a call's two settlements its own was posted.
        let (assumed, own): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.source == UsageSource::Interrupted);
        for call in own.into_iter().chain(assumed) {
            if done.quarantined.contains(&call.call_id) || done.deferred.contains(&call.call_id) {
                continue;
            }
            let Some((proxy, split)) = self.take_held(call.call_id) else { continue };
            let (_, rests) = rests.entry((proxy.epoch, call.account_id)).or_insert((proxy, Vec::new()));
            let charge = call.charge(&split, Strictness::Strict);
            for change in charge.payment.iter().chain(&charge.limits) {
                let rest = change.released.checked_sub(change.used).unwrap();
                match rests.iter_mut().find(|hold| hold.pool == change.pool) {
                    Some(hold) => hold.quantity = hold.quantity.checked_add(rest).unwrap(),
                    None => rests.push(Hold { pool: change.pool, unit: change.unit, quantity: rest }),
                }
            }
        }
        for ((_, account), (proxy, mut rests)) in rests {
            rests.retain(|hold| !hold.quantity.is_zero());
            if rests.is_empty() {
                continue;
            }
            match proxy.change(ledger, account, rests, None).await {
                // What it had went back with its end.
                Ok(_) | Err(Error::EpochOver) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// What a call holds that nothing went back of yet.
    fn take_held(&self, call: CallId) -> Option<(Proxy, Split)> {
        let mut held = self.held.lock().unwrap();
        let held = held.get_mut(&call).filter(|held| !held.is_back)?;
        held.is_back = true;
        Some((held.proxy.clone(), held.split.clone()))
    }

    /// The call with what it holds.
    pub(crate) fn holding(&self, call: &Admitted) -> Admitted {
        match self.held.lock().unwrap().get(&call.call_id) {
            Some(held) => Admitted { epoch: Some(held.proxy.epoch), split: held.split.clone(), ..call.clone() },
            None => call.clone(),
        }
    }
}
