//! The whole ledger under everything at once: calls of several proxies, replays, deaths of proxies and late settlements, corrections, money in and out,
//! credit that ends, limits, prices that change, hours and days that close, and a clock that is set forward and back. A plain sum beside it says what each account must have; the proof is
//! asked again and again.
//!
//! A short round runs with the other tests. `make sim-ledger` runs `FAREBOX_SIM_SEEDS` of `FAREBOX_SIM_STEPS`; a seed that fails is printed, and the step.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::Label,
    call::CallDetail,
    catalog::PriceKind,
    credit::{CreditLine, Grace, Hardness, Quantity, Scope, Unit, Window},
    id::{CallId, EpochId, GrantId, LimitId, PriceId, ProjectId},
    money::Amount,
    pricing::{self, Charge, Discount, Excess},
    rates::Rates,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{Admitted, Error, Ledger, NewGrant, NewLimit, NewPrice, NewProject, PostedCalls, SettledCall};
use sqlx::PgPool;

use crate::{
    leases::slices,
    world::{Customer, MODEL, Proxy, World, amount, give_back_all, with},
};

/// SplitMix64: the same in every run and on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % (to - from + 1) as u64) as i64
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len())].clone())
    }
}

/// What an account must have of money or of tokens, as a plain sum: what came in less what its calls cost and what lapsed.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    put_in: i128,
    cost: i128,
    lapsed: i128,
}

/// Of each unit that is paid in.
type Both<T> = [T; 2];
const PAID_IN: Both<Unit> = [Unit::Money, Unit::Tokens];

/// Where a unit stands among them.
fn place_of(unit: Unit) -> usize {
    usize::from(unit == Unit::Tokens)
}

/// What became of a call.
#[derive(Debug, Clone)]
enum State {
    Running,
    /// Taken for dead, and charged for its prompt.
    Interrupted,
    Settled(Box<SettledCall>),
}

struct Walk {
    world: World,
    dice: Dice,
    customers: Vec<Customer>,
    projects: Vec<[ProjectId; 2]>,
    sums: Vec<Both<Sum>>,
    calls: Vec<(usize, Admitted, State)>,
    /// Those that live.
    proxies: Vec<Proxy>,
    /// Calls that ran when their proxies told of them.
    announced: BTreeSet<CallId>,
    /// Calls that ended, and whose rests did not go back yet.
    idle: Vec<(Vec<SettledCall>, PostedCalls)>,
    /// What calls are paid in.
    paid_in: BTreeMap<CallId, Unit>,
    grants: Vec<(usize, GrantId)>,
    limits: Vec<(usize, LimitId)>,
    /// Which of the customers ever were lenient.
    lenient: Vec<bool>,
    /// Every price there was, by when it began.
    prices: BTreeMap<DateTime<Utc>, PriceId>,
    rates: BTreeMap<PriceId, Rates>,
    /// The latest instant that the clock has shown.
    latest: DateTime<Utc>,
    serial: u64,
}

impl Walk {
    async fn begin(pool: PgPool, seed: u64) -> Self {
        let mut world = World::new(pool).await;
        let mut customers = Vec::new();
        let mut projects = Vec::new();
        for name in ["ada", "bob", "cyd"] {
            let customer = world.customer(name, "0").await;
            let second = ProjectId::new(world.now, world.random());
            let owner = world.ledger.owner(customer.user).await.unwrap();
            owner.add_project(NewProject { id: second, name: "second", now: world.now }).await.unwrap();
            projects.push([ProjectId::first_of(customer.account), second]);
            customers.push(customer);
        }
        let prices = BTreeMap::from([(DateTime::UNIX_EPOCH, world.price)]);
        let rates = BTreeMap::from([(world.price, world.rates.clone())]);
        let sums = customers.iter().map(|_| Both::default()).collect();
        let mut walk = Self {
            world,
            dice: Dice(seed),
            customers,
            projects,
            sums,
            calls: Vec::new(),
            proxies: Vec::new(),
            announced: BTreeSet::new(),
            idle: Vec::new(),
            paid_in: BTreeMap::new(),
            grants: Vec::new(),
            limits: Vec::new(),
            lenient: vec![false; 3],
            prices,
            rates,
            latest: DateTime::UNIX_EPOCH,
            serial: 0,
        };
        for of in 0..walk.customers.len() {
            walk.top_up(of, 5_000_000_000).await;
        }
        for _ in 0..3 {
            walk.proxies.push(walk.world.proxy().await);
        }
        walk
    }

    fn ledger(&self) -> Ledger {
        self.world.ledger.dated(self.world.now)
    }

    fn key(&mut self) -> String {
        self.serial += 1;
        format!("step {}", self.serial)
    }

    async fn top_up(&mut self, of: usize, nanos: i64) {
        let (key, owner) = (self.key(), self.ledger().owner(self.customers[of].user).await.unwrap());
        let money =
            || ledger::MoneyIn { amount: Amount::from_nanos(nanos), idempotency_key: &key, memo: "sim", actor: "sim", now: self.world.now };
        assert!(!owner.top_up(money()).await.unwrap().replayed);
        assert!(owner.top_up(money()).await.unwrap().replayed);
        self.sums[of][0].put_in += i128::from(nanos);
    }

    /// An operator takes back some of what is available, or is refused.
    async fn take_back(&mut self, of: usize) {
        let (key, nanos) = (self.key(), self.dice.between(1, 900_000_000));
        let money =
            ledger::MoneyIn { amount: Amount::from_nanos(-nanos), idempotency_key: &key, memo: "sim", actor: "sim", now: self.world.now };
        match self.ledger().system().operator().credit(self.customers[of].account, money).await {
            Ok(_) => self.sums[of][0].put_in -= i128::from(nanos),
            Err(Error::InsufficientCredit { available, .. }) => assert!(available.nanos() < nanos),
            Err(other) => panic!("{other}"),
        }
    }

    async fn give_grant(&mut self, of: usize) {
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
    async fn end_credit(&mut self, of: usize) {
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
    async fn balance(&self, of: usize) -> Both<i128> {
        let sql = "select coalesce(sum(granted - used) filter (where unit = 'money'), 0)::bigint, \
                   coalesce(sum(granted - used) filter (where unit = 'tokens'), 0)::bigint from grants where account_id = $1";
        let account = self.customers[of].account.uuid();
        let (money, tokens): (i64, i64) = sqlx::query_as(sql).bind(account).fetch_one(&self.world.pool).await.unwrap();
        let shown = self.world.balance(self.customers[of]).await.balance;
        assert_eq!(shown.nanos(), money);
        [money, tokens].map(i128::from)
    }

    /// A call is admitted if and only if it is within what is available, unless a limit refuses it.
    async fn begin_call(&mut self, of: usize) {
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
                self.paid_in.insert(intent.call_id, unit);
                self.calls.push((of, intent, State::Running));
            }
            Err(Error::Exhausted(exhausted)) => {
                assert!(exhausted.available < exhausted.needed, "{exhausted:?}");
                let balance = reader.balance(self.world.now.max(self.latest)).await.unwrap();
                let is_limited = self.limits.iter().any(|(owner, _)| *owner == of);
                let mut packages = balance.grants.iter().filter(|grant| grant.unit == Unit::Tokens && grant.in_force(self.world.now));
                let has_tokens = packages.any(|grant| grant.balance.get() - grant.leased.get() >= tokens);
                assert!((balance.available.nanos() < held && !has_tokens) || is_limited, "{exhausted:?} {balance:?}");
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

    fn at_its_price(&self, intent: &Admitted, call: SettledCall) -> SettledCall {
        let rates = &self.rates[&intent.price_id];
        let Charge { amount, written_off } = pricing::charge(&call.usage, rates, Discount::NONE, intent.held, intent.excess);
        SettledCall { amount, written_off, ..call }
    }

    /// Some calls end, together with some that had ended before.
    async fn end_calls(&mut self) {
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
    async fn post(&mut self, batch: Vec<(usize, SettledCall)>) {
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

    fn lives(&self, epoch: EpochId) -> bool {
        self.proxies.iter().any(|proxy| proxy.epoch == epoch)
    }

    /// What ended calls left in their slices goes back.
    async fn return_idle(&mut self) {
        for (calls, done) in std::mem::take(&mut self.idle) {
            self.world.return_rests(&self.ledger(), &calls, &done).await.unwrap();
        }
    }

    /// A call that was never forwarded leaves nothing.
    async fn release(&mut self) {
        let is_running =
            |place: &usize| matches!(self.calls[*place].2, State::Running) && !self.announced.contains(&self.calls[*place].1.call_id);
        let running: Vec<_> = (0..self.calls.len()).filter(is_running).collect();
        let Some(place) = self.dice.pick(&running) else { return };
        let (_, intent, _) = self.calls.swap_remove(place);
        self.give_up(&intent).await;
    }

    /// Of a call whose proxy is dead there is nothing to give back.
    async fn give_up(&self, intent: &Admitted) {
        let lives = self.world.holding(intent).epoch.is_some_and(|epoch| self.lives(epoch));
        match self.world.release_in(&self.ledger(), intent).await {
            Ok(()) if lives => {}
            Err(Error::EpochOver) if !lives => {}
            other => panic!("{other:?}"),
        }
    }

    /// A proxy dies. What it had announced is settled as interrupted, what it had leased goes back, and another takes its place; what else it ran is
    /// heard of later, or never.
    async fn die(&mut self) {
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

    /// An operator gives back some of a call, or is told that it does not cost so much.
    async fn give_back(&mut self) {
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
                   ) from grants g join heads h using (account_id) where grant_id = any($1)";
        sqlx::query_scalar(sql).bind(payers).bind(self.world.now).fetch_one(&self.world.pool).await.unwrap()
    }

    async fn cost(&self, of: usize, call: CallId) -> (Unit, i128) {
        cost_of(&self.world.ledger.meter().generation(self.customers[of].account, call).await.unwrap())
    }

    async fn change_limits(&mut self, of: usize) {
        let member = self.ledger().owner(self.customers[of].user).await.unwrap();
        let own: Vec<_> = self.limits.iter().filter(|(owner, _)| *owner == of).map(|(_, id)| *id).collect();
        if let (true, Some(id)) = (self.dice.below(3) == 0, self.dice.pick(&own)) {
            member.remove_limit(id).await.unwrap();
            self.limits.retain(|(_, other)| *other != id);
            return;
        }
        let unit = Unit::ALL[self.dice.below(3)];
        let most = if unit == Unit::Requests { 40 } else { 4_000_000_000 };
        let new = NewLimit {
            id: LimitId::new(self.world.now, self.world.random()),
            scope: match self.dice.below(5) {
                0 => Scope::Account,
                1 => Scope::Project(self.projects[of][self.dice.below(2)]),
                2 => Scope::Member(self.customers[of].user),
                3 => Scope::Key(self.customers[of].key),
                _ => Scope::Run(run(1)),
            },
            window: Window::ALL[self.dice.below(5)],
            unit,
            hardness: if self.dice.below(4) == 0 { Hardness::Soft } else { Hardness::Hard },
            capacity: Quantity::from_count(self.dice.between(0, most)),
        };
        let id = member.set_limit(&new).await.unwrap();
        self.limits.retain(|(_, other)| *other != id);
        self.limits.push((of, id));
    }

    /// What is lent changes; some of the calls that follow are lenient.
    async fn lend(&mut self, of: usize) {
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

    /// A price begins ahead of every call that was admitted: also of those of a clock that has been set back since.
    async fn change_price(&mut self) {
        if self.world.now < self.latest {
            return;
        }
        let rates = Rates::plain(Amount::from_nanos(self.dice.between(0, 2_000_000)), Amount::from_nanos(self.dice.between(0, 2_000_000)));
        let id = PriceId::new(self.world.now, self.world.random());
        let new = NewPrice {
            id,
            model: MODEL,
            kind: PriceKind::Sale,
            rates: rates.clone(),
            effective_from: self.world.now,
            actor: "sim",
            now: self.world.now,
            service_tier: ServiceTier::Default,
        };
        match self.world.ledger.system().import_price(new).await {
            // It is known ten seconds later.
            Ok(()) => {
                self.rates.insert(id, rates);
                self.prices.insert(self.world.now, id);
                self.world.now += TimeDelta::seconds(20);
            }
            Err(Error::Taken(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// Time passes; now and then the clock is set back.
    fn pass(&mut self) {
        self.latest = self.latest.max(self.world.now);
        let minutes = if self.dice.below(8) == 0 { self.dice.between(-40, 0) } else { self.dice.between(0, 90) };
        self.world.now += TimeDelta::minutes(minutes);
    }

    async fn step(&mut self) {
        let of = self.dice.below(self.customers.len());
        match self.dice.below(100) {
            0..35 => self.begin_call(of).await,
            35..65 => self.end_calls().await,
            65..70 => self.release().await,
            70..75 => self.give_back().await,
            75..79 => {
                let nanos = self.dice.between(1, 2_000_000_000);
                self.top_up(of, nanos).await;
            }
            79..82 => self.take_back(of).await,
            82..85 => self.give_grant(of).await,
            85..89 => self.end_credit(of).await,
            89..93 => self.change_limits(of).await,
            93..94 => self.change_price().await,
            94..96 => self.lend(of).await,
            96..97 => self.die().await,
            _ => self.pass(),
        }
    }

    /// Every account has what came in, less what its calls cost and what lapsed.
    async fn check(&self) {
        for (of, sums) in self.sums.iter().enumerate() {
            assert_eq!(self.balance(of).await, sums.map(|Sum { put_in, cost, lapsed }| put_in - cost - lapsed), "account {of}");
        }
    }
}

/// What a call costs by its receipt and its corrections, and in what.
fn cost_of(call: &CallDetail) -> (Unit, i128) {
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

fn run(number: u8) -> Label {
    format!("run {number}").parse().unwrap()
}

/// Calendar months of an account in which more than one grace began, worked out from what was set alone.
async fn months_with_two_graces(world: &World) -> i64 {
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

async fn walk(pool: PgPool, seed: u64, steps: usize) {
    let mut walk = Walk::begin(pool, seed).await;
    for step in 0..steps {
        println!("seed {seed}, step {step}");
        walk.step().await;
        walk.check().await;
        if step % 50 == 49 {
            walk.world.assert_proven().await;
        }
    }
    // Everything ends, and nothing is held any more.
    walk.return_idle().await;
    while let Some((_, intent, state)) = walk.calls.pop() {
        if matches!(state, State::Running) {
            walk.give_up(&intent).await;
        }
    }
    assert_eq!(slices(&walk.world).await, 0);
    assert_eq!(months_with_two_graces(&walk.world).await, 0);
    let system = walk.world.ledger.system();
    system.close_hours().await.unwrap();
    system.seal_days().await.unwrap();
    for customer in &walk.customers {
        assert_eq!(walk.world.balance(*customer).await.reserved, amount("0"));
    }
    walk.check().await;
    walk.world.assert_proven().await;
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_account_has_what_came_in_less_what_its_calls_cost(pool: PgPool) {
    let (first, seeds, steps) = (setting("FAREBOX_SIM_FIRST", 1), setting("FAREBOX_SIM_SEEDS", 1), setting("FAREBOX_SIM_STEPS", 600));
    for seed in first..first + seeds {
        // Each on empty books.
        let tables = "accounts, users, memberships, sessions, projects, api_keys, key_digests, providers, models, price_versions, heads, grants, credit_lines, limits, limit_windows, \
                      intents, epochs, leases, slices, notices, journal, entries, books, roots, proofs, calls, corrections, usage_hourly, usage_daily, quarantine";
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("truncate {tables} cascade"))).execute(&pool).await.unwrap();
        walk(pool.clone(), seed, usize::try_from(steps).unwrap()).await;
    }
}
