//! What operators give back of calls.

use domain::{credit::Unit, id::CallId, money::Amount};
use ledger::Error;

use super::{
    Walk,
    calls::{State, cost_of},
    money::place_of,
};

impl Walk {
    /// An operator gives back some of a call, or is told that it does not cost so much.
    pub(super) async fn give_back(&mut self) {
        let ended: Vec<_> =
            self.calls.iter().filter(|(_, _, state)| !matches!(state, State::Running)).map(|(of, it, _)| (*of, it.call_id)).collect();
        let Some((of, call)) = self.dice.pick(&ended) else { return };
        let (unit, cost) = self.cost(of, call).await;
        let given = (self.dice.below(3) > 0).then(|| self.dice.between(1, 400_000_000));
        let key = self.key();
        let credit = ledger::CallCredit { amount: given.map(Amount::from_nanos), idempotency_key: &key, memo: "sim", actor: "sim" };
        match self.ledger().system().operator().credit_call(call, credit).await {
            Ok(credited) => {
                let after = self.cost(of, call).await;
                assert_eq!((credited.unit, i128::from(credited.cost.get())), after);
                assert!(given.is_none_or(|given| unit == Unit::Money && i128::from(given) == cost - after.1));
                self.sums[of][place_of(unit)].cost -= cost - after.1;
            }
            Err(Error::Invalid { field: "amount", .. }) => {
                assert!(cost == 0 || given.is_some_and(|given| unit == Unit::Tokens || i128::from(given) > cost));
            }
            Err(Error::Invalid { field: "call", .. }) => {
                assert_eq!((unit, given), (Unit::Tokens, None));
                assert!(self.has_ended(of, call).await, "the package that paid is still there");
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Whether all that paid for a call has ended by the clock of its account's books; or by Postgres' own, which is ahead of it here, and by which books
    /// are opened without what has ended and is empty.
    async fn has_ended(&self, of: usize, call: CallId) -> bool {
        let detail = self.world.ledger.meter().generation(self.customers[of].account, call).await.unwrap();
        let payers: Vec<_> = detail.paid_by.iter().map(|share| share.grant.uuid()).collect();
        let sql = "select bool_and(
                       least(g.expires_at, g.ended_at) <= greatest(h.posted_at + interval '1 microsecond', $2)
                       or (least(g.expires_at, g.ended_at) < now() and g.granted = g.used and g.leased = 0 and g.unbooked = 0)
                   ) from grants g join heads h using (account_id)
                   where grant_id = any($1) or grant_id in (
                       select (share ->> 'grant_id')::uuid from corrections, jsonb_array_elements(paid_by) share where call_id = $3
                   )";
        sqlx::query_scalar(sql).bind(payers).bind(self.world.now).bind(call.uuid()).fetch_one(&self.world.pool).await.unwrap()
    }

    async fn cost(&self, of: usize, call: CallId) -> (Unit, i128) {
        cost_of(&self.world.ledger.meter().generation(self.customers[of].account, call).await.unwrap())
    }
}
