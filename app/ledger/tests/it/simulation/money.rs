//! Money and tokens that come in, go out, lapse and are lent.

use chrono::TimeDelta;
use domain::{
    credit::{CreditLine, Grace, Quantity, Unit},
    money::Amount,
    pricing::Excess,
};
use ledger::{Error, NewGrant};

use super::Walk;
use crate::world::{MODEL, World};

/// What an account must have of money or of tokens, as a plain sum: what came in less what its calls cost and what lapsed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) put_in: i128,
    pub(super) cost: i128,
    pub(super) lapsed: i128,
}

/// Of each unit that is paid in.
pub(super) type Both<T> = [T; 2];
const PAID_IN: Both<Unit> = [Unit::Money, Unit::Tokens];

/// Where a unit stands among them.
pub(super) fn place_of(unit: Unit) -> usize {
    usize::from(unit == Unit::Tokens)
}

impl Walk {
    pub(super) async fn top_up(&mut self, of: usize, nanos: i64) {
        let (key, owner) = (self.key(), self.ledger().owner(self.customers[of].user).await.unwrap());
        let money =
            || ledger::MoneyIn { amount: Amount::from_nanos(nanos), idempotency_key: &key, memo: "sim", actor: "sim", now: self.world.now };
        assert!(!owner.top_up(money()).await.unwrap().replayed);
        assert!(owner.top_up(money()).await.unwrap().replayed);
        self.sums[of][0].put_in += i128::from(nanos);
    }

    /// An operator takes back some of what is available, or is refused.
    pub(super) async fn take_back(&mut self, of: usize) {
        let (key, nanos) = (self.key(), self.dice.between(1, 900_000_000));
        let money =
            ledger::MoneyIn { amount: Amount::from_nanos(-nanos), idempotency_key: &key, memo: "sim", actor: "sim", now: self.world.now };
        match self.ledger().system().operator().credit(self.customers[of].account, money).await {
            Ok(_) => self.sums[of][0].put_in -= i128::from(nanos),
            Err(Error::InsufficientCredit { available, .. }) => assert!(available.nanos() < nanos),
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) async fn give_grant(&mut self, of: usize) {
        let unit = PAID_IN[self.dice.below(2)];
        let most = if unit == Unit::Money { 2_000_000_000 } else { 3_000_000 };
        let (key, quantity, hours) = (self.key(), self.dice.between(1, most), self.dice.between(1, 200));
        let new = self.world.grant("1", &key);
        let expires_at = Some(self.world.now + TimeDelta::hours(hours));
        let starts_at = (self.dice.below(3) == 0).then(|| self.world.now + TimeDelta::minutes(self.dice.between(0, 59)));
        let models = self.dice.pick(&[None, Some(vec![MODEL.to_owned()])]).flatten();
        let new = NewGrant { unit, quantity: Quantity::from_count(quantity), starts_at, expires_at, models, ..new };
        let id = new.id;
        match self.ledger().system().operator().add_grant(self.customers[of].account, new).await {
            Ok(_) => {
                self.sums[of][place_of(unit)].put_in += i128::from(quantity);
                self.grants.push((of, id));
            }
            // The books are ahead of a clock that was set back.
            Err(Error::Invalid { field: "expires", .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// What lapses is what is left beyond what running calls hold.
    pub(super) async fn end_credit(&mut self, of: usize) {
        let before = self.balance(of).await;
        if self.dice.below(2) == 0 {
            let ends: Vec<_> = self.grants.iter().filter(|(owner, _)| *owner == of).map(|(_, id)| *id).collect();
            let Some(id) = self.dice.pick(&ends) else { return };
            self.ledger().system().operator().end_grant(self.customers[of].account, id, "sim").await.unwrap();
            self.lapse(of, before).await;
        } else {
            let mut befores = Vec::new();
            for of in 0..self.customers.len() {
                befores.push(self.balance(of).await);
            }
            self.ledger().system().lapse_grants().await.unwrap();
            for (of, before) in befores.into_iter().enumerate() {
                self.lapse(of, before).await;
            }
        }
    }

    /// What is gone since was lost.
    async fn lapse(&mut self, of: usize, before: Both<i128>) {
        let after = self.balance(of).await;
        for (sum, (before, after)) in self.sums[of].iter_mut().zip(before.into_iter().zip(after)) {
            assert!(after <= before);
            sum.lapsed += before - after;
        }
    }

    /// What an account has, of credit that has ended too.
    pub(super) async fn balance(&self, of: usize) -> Both<i128> {
        let sql = "select coalesce(sum(granted - used) filter (where unit = 'money'), 0)::bigint, \
                   coalesce(sum(granted - used) filter (where unit = 'tokens'), 0)::bigint from grants where account_id = $1";
        let account = self.customers[of].account.uuid();
        let (money, tokens): (i64, i64) = sqlx::query_as(sql).bind(account).fetch_one(&self.world.pool).await.unwrap();
        let shown = self.world.balance(self.customers[of]).await.balance;
        assert_eq!(shown.nanos(), money);
        [money, tokens].map(i128::from)
    }

    /// What is lent changes; some of the calls that follow are lenient.
    pub(super) async fn lend(&mut self, of: usize) {
        let mut some = || Amount::from_nanos(self.dice.between(0, 3_000_000_000).max(0));
        let (amount, grace) = (some(), some());
        let until = self.world.now.max(self.latest) + TimeDelta::days(1) + TimeDelta::hours(self.dice.between(0, 40));
        let grace = Some(Grace { amount: grace, until }).filter(|grace| !grace.amount.is_zero() && self.dice.below(2) == 0);
        let line = CreditLine { amount, grace, excess: Excess::of(self.dice.below(3) == 0), is_quota: false };
        let line = if self.dice.below(5) == 0 { CreditLine { is_quota: true, ..CreditLine::default() } } else { line };
        match self.ledger().system().operator().change_credit_line(self.customers[of].account, "sim", |own| *own = line).await {
            Ok(line) => self.lenient[of] |= line.excess.is_charged(),
            // One was given this month, or the books are ahead of a clock that was set back.
            Err(Error::Invalid { field: "grace", .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Calendar months of an account in which more than one grace began, worked out from what was set alone.
pub(super) async fn months_with_two_graces(world: &World) -> i64 {
    let months = sqlx::query_scalar(
        "select count(*) from (
            select from (
                select
                    account_id, set_at, grace, grace_until,
                    lag(case when grace_until > set_at then grace end) over each as before, lag(grace_until) over each as before_until
                from credit_lines window each as (partition by account_id order by set_at)
            ) line
            where grace > 0 and (before_until is null or before_until <= set_at or grace > before or grace_until > before_until)
            group by account_id, date_trunc('month', set_at at time zone 'UTC')
            having count(*) > 1
        ) twice",
    );
    months.fetch_one(&world.pool).await.unwrap()
}
