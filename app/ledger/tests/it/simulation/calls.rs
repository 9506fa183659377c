//! Calls: admitted, ended, ended again, and given back.

use domain::{
    call::CallDetail,
    credit::{Refuser, Unit},
    money::Amount,
    pricing::Excess,
    tokens::Tokens,
};
use ledger::{Admitted, Error, SettledCall};

use super::{Walk, money::place_of, run};
use crate::world::with;

/// What became of a call.
#[derive(Debug, Clone)]
pub(super) enum State {
    Running,
    /// Taken for dead, and charged for its prompt.
    Interrupted,
    Settled(Box<SettledCall>),
}

impl Walk {
    /// A call is admitted if and only if it is within what is available, unless a limit refuses it.
    pub(super) async fn begin_call(&mut self, of: usize) {
        let (held, tokens) = (self.dice.between(0, 900_000_000), self.dice.between(20, 900_000));
        let excess = Excess::of(self.lenient[of] && self.dice.below(2) == 0);
        let (project, session) = (self.projects[of][self.dice.below(2)], self.dice.pick(&[None, Some(1), Some(2)]).flatten());
        let intent = with(self.world.intent(self.customers[of], "1"), |call| {
            (call.held, call.tokens_held) = (Amount::from_nanos(held), Tokens::from_sum(tokens));
            call.price_id = self.prices.range(..=call.call_id.started_at().unwrap()).next_back().map(|(_, price)| *price).unwrap();
            (call.project_id, call.attribution.session, call.excess) = (project, session.map(run), excess);
        });
        let reader = self.ledger().reader(self.customers[of].user).await.unwrap();
        let proxy = self.proxies[self.dice.below(self.proxies.len())].clone();
        match self.world.lease_of(&proxy, &self.ledger(), &intent).await {
            Ok(unit) => {
                if self.dice.below(3) == 0 {
                    self.ledger().meter().announce(proxy.epoch, &[self.world.holding(&intent)]).await.unwrap();
                    self.announced.insert(intent.call_id);
                }
                self.assert_within_the_plan(of, &intent, unit).await;
                self.paid_in.insert(intent.call_id, unit);
                self.calls.push((of, intent, State::Running));
            }
            Err(Error::Exhausted(exhausted)) => {
                assert!(exhausted.available < exhausted.needed, "{exhausted:?}");
                let balance = reader.balance(self.world.now.max(self.latest)).await.unwrap();
                if let Refuser::Limit { id, .. } = exhausted.pool {
                    let is_own = self.limits.contains(&(of, id));
                    assert!(is_own != self.is_of_the_plan(of, id).await, "{exhausted:?}");
                    self.refused_by_plans += usize::from(!is_own);
                    return;
                }
                let mut packages = balance.grants.iter().filter(|grant| grant.unit == Unit::Tokens && grant.in_force(self.world.now));
                let has_tokens = packages.any(|grant| grant.balance.get() - grant.leased.get() >= tokens);
                assert!(balance.available.nanos() < held && !has_tokens, "{exhausted:?} {balance:?}");
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// The settlement of a call after so many tokens of each side.
    fn settlement(&mut self, of: usize, intent: &Admitted, source: &State) -> SettledCall {
        let (prompt, completion) = (self.dice.between(0, 300_000), self.dice.between(0, 300_000));
        let customer = self.customers[of];
        let call = match source {
            State::Running if self.dice.below(6) == 0 => self.world.interrupt(intent, customer),
            _ => self.world.settle(intent, customer, prompt, completion),
        };
        self.at_its_price(intent, call)
    }

    /// Some calls end, together with some that had ended before.
    pub(super) async fn end_calls(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..self.dice.between(1, 6) {
            if self.calls.is_empty() {
                return;
            }
            let place = self.dice.below(self.calls.len());
            let (of, intent, state) = self.calls[place].clone();
            if batch.iter().any(|(other, _): &(usize, SettledCall)| *other == place) {
                continue;
            }
            let call = match &state {
                State::Settled(call) => (**call).clone(),
                open => self.settlement(of, &intent, open),
            };
            batch.push((place, call));
        }
        self.post(batch).await;
    }

    /// Posts settlements of calls in these places, and looks at what each of them comes to.
    pub(super) async fn post(&mut self, batch: Vec<(usize, SettledCall)>) {
        let calls: Vec<_> = batch.iter().map(|(_, call)| call.clone()).collect();
        let before = self.costs(&calls).await;
        let done = self.ledger().meter().post_calls(&calls).await.unwrap();
        assert!(done.quarantined.is_empty() && done.deferred.is_empty() && done.unleased.is_empty(), "{done:?}");
        let after = self.costs(&calls).await;
        self.idle.push((calls, done));
        if self.dice.below(3) > 0 {
            self.return_idle().await;
        }
        for ((place, call), (before, after)) in batch.into_iter().zip(before.into_iter().zip(after)) {
            let has_slices = call.epoch.is_some_and(|epoch| self.lives(epoch));
            let is_assumed = call.source == domain::call::UsageSource::Interrupted;
            let (of, _, state) = &mut self.calls[place];
            match (&*state, before, after) {
                (State::Running, None, Some(cost)) => {
                    let unit = self.paid_in[&call.call_id];
                    assert_eq!(cost.0, unit);
                    if has_slices {
                        assert_eq!(cost.1, owed(&call, unit));
                    } else {
                        assert!(cost.1 <= owed(&call, unit) && (!is_assumed || cost.1 == 0), "{cost:?}");
                    }
                }
                (State::Interrupted, Some(before), Some(after)) => {
                    assert!(after.0 == before.0 && after.1 <= owed(&call, after.0).max(before.1), "it takes at most what it came to");
                }
                (State::Settled(_), Some(before), Some(after)) => assert_eq!(before, after, "a replay changes nothing"),
                other => panic!("{other:?}"),
            }
            let (unit, after) = after.unwrap();
            self.sums[*of][place_of(unit)].cost += after - before.map_or(0, |(_, before)| before);
            self.announced.remove(&call.call_id);
            let is_dead = matches!(state, State::Running) && is_assumed;
            *state = if is_dead { State::Interrupted } else { State::Settled(Box::new(call)) };
        }
    }

    /// What calls cost by their receipts, corrections included; `None` for one that is not posted.
    async fn costs(&self, calls: &[SettledCall]) -> Vec<Option<(Unit, i128)>> {
        let mut costs = Vec::new();
        for call in calls {
            let detail = self.world.ledger.meter().generation(call.account_id, call.call_id).await.ok();
            costs.push(detail.as_ref().map(cost_of));
        }
        costs
    }

    /// What ended calls left in their slices goes back.
    pub(super) async fn return_idle(&mut self) {
        for (calls, done) in std::mem::take(&mut self.idle) {
            self.world.return_rests(&self.ledger(), &calls, &done).await.unwrap();
        }
    }

    /// A call that was never forwarded leaves nothing.
    pub(super) async fn release(&mut self) {
        let is_running =
            |place: &usize| matches!(self.calls[*place].2, State::Running) && !self.announced.contains(&self.calls[*place].1.call_id);
        let running: Vec<_> = (0..self.calls.len()).filter(is_running).collect();
        let Some(place) = self.dice.pick(&running) else { return };
        let (_, intent, _) = self.calls.swap_remove(place);
        self.give_up(&intent).await;
    }
}

/// What a call costs by its receipt and its corrections, and in what.
pub(super) fn cost_of(call: &CallDetail) -> (Unit, i128) {
    let Some(tokens) = call.row.tokens_paid else { return (Unit::Money, i128::from(call.row.cost().nanos())) };
    let corrected: i64 = call.corrections.iter().filter_map(|correction| correction.tokens_paid).sum();
    assert_eq!(call.row.cost(), Amount::ZERO);
    (Unit::Tokens, i128::from(tokens.get() + corrected))
}

/// What a settlement comes to in a unit: of tokens at most what was held.
fn owed(call: &SettledCall, unit: Unit) -> i128 {
    let tokens = |side: Option<Tokens>| side.map_or(0, Tokens::get);
    match unit {
        Unit::Tokens => i128::from((tokens(call.usage.prompt_tokens) + tokens(call.usage.completion_tokens)).min(call.tokens_held.get())),
        Unit::Money | Unit::Requests => i128::from(call.amount.nanos()),
    }
}
