//! Accounts whose pools are kept by what is tested, each beside its [`Book`].

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    attribution::Label,
    billing::GrantKind,
    credit::{
        Caller, Change, Charge, Demand, Exhausted, Grant, Hardness, Hold, Limit, Pool, PoolRef, Quantity, Refuser, Scope, Split,
        Strictness, Unit, admit, release, room, settle,
    },
    id::{GrantId, KeyId, LimitId, ProjectId, UserId},
    money::Amount,
    tokens::Tokens,
};
use uuid::Uuid;

use super::{
    book::{self, Book, GrantFacts, LimitFacts, Place, Question, Refused, Who},
    op::{Aim, Clock, Op, Part},
    tally::Tally,
};
use crate::{
    random::Random,
    walk::{Checked, Walk, ensure},
};

/// Two strict ones and two lenient ones, one of each with a credit line.
const ACCOUNTS: usize = 4;
/// An account with a longer history is closed and another one takes its place, since the model sums all of it after every step.
const HISTORY_MAX: usize = 300;
/// With more limits than these, hardly a call would be admitted: the oldest is dropped.
const LIMITS_MAX: usize = 6;
const KINDS: [GrantKind; 4] = [GrantKind::Promo, GrantKind::Plan, GrantKind::Package, GrantKind::Wallet];
/// Ten minutes before the end of a month, a Saturday.
const START: i64 = 1_769_903_400;

/// A call as the world knows it.
struct Call {
    split: Split,
    question: Question,
    admitted: i64,
    /// What it came to, once it has ended.
    ended: Option<(Demand, Charge)>,
}

struct Account {
    grants: Vec<Grant>,
    /// Their own pools are what every new window begins with.
    limits: Vec<Limit>,
    windows: BTreeMap<PoolRef, Pool>,
    calls: Vec<Call>,
    strictness: Strictness,
    book: Book,
}

/// All accounts, and the time.
pub(crate) struct World {
    accounts: Vec<Account>,
    now: i64,
    tally: Tally,
}

impl Default for World {
    fn default() -> Self {
        Self { accounts: (0..ACCOUNTS).map(|place| Account::open(place, START)).collect(), now: START, tally: Tally::default() }
    }
}

impl Walk for World {
    type Step = Op;

    fn any(random: &mut Random) -> Op {
        Op::any(random)
    }

    fn take(&mut self, op: Op) -> Checked {
        let (now, tally) = (self.now, &mut self.tally);
        let (place, outcome) = match op {
            Op::Ask { account, .. }
            | Op::Settle { account, .. }
            | Op::Release { account, .. }
            | Op::Replay { account, .. }
            | Op::TopUp { account, .. }
            | Op::TakeBack { account, .. }
            | Op::Grant { account, .. }
            | Op::Limit { account, .. }
            | Op::Change { account, .. }
            | Op::Drop { account, .. }
            | Op::Lapse { account } => (account % ACCOUNTS, self.accounts[account % ACCOUNTS].take(op, now, tally)),
            Op::Clock(clock) => return self.turn(clock),
        };
        outcome?;
        if self.accounts[place].book.len() > HISTORY_MAX {
            self.accounts[place] = Account::open(place, now);
        }
        Ok(())
    }

    fn finish(&mut self) -> Checked {
        Ok(())
    }
}

impl World {
    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    fn turn(&mut self, clock: Clock) -> Checked {
        let before = self.now;
        self.now = match clock {
            Clock::By(seconds) => before + seconds,
            Clock::To(window, off) => book::window(window, before).1.map_or(before, |ends| ends + off),
        };
        let is_earlier = self.now < before && self.now / 60 != before / 60;
        self.tally.count_if(is_earlier, "clock: back into the window before");
        self.accounts.iter().try_for_each(Account::check_sums)
    }
}

impl Account {
    fn open(place: usize, now: i64) -> Self {
        let wallet = grant_id(0);
        let mut account = Self {
            grants: Vec::new(),
            limits: Vec::new(),
            windows: BTreeMap::new(),
            calls: Vec::new(),
            strictness: if place.is_multiple_of(2) { Strictness::Strict } else { Strictness::Lenient { wallet } },
            book: Book::default(),
        };
        let line = if place < 2 { 0 } else { 6 };
        let facts = GrantFacts { unit: Unit::Money, is_wallet: true, line, models: None, starts: now - 100, expires: None, priority: 0 };
        account.add_grant(GrantKind::Wallet, facts, 20);
        account
    }

    /// Takes a step. No other account may hear of it; none is within reach here.
    fn take(&mut self, op: Op, now: i64, tally: &mut Tally) -> Checked {
        let before = self.over();
        match op {
            Op::Ask { key, run, model, aim, money, tokens, requests, .. } => {
                let question = self.question((key, run, model), aim, (money, tokens, requests), now);
                self.ask(question, !matches!(aim, Aim::AsSaid), now, tally)?;
            }
            Op::Settle { call, money, tokens, requests, .. } => self.settle(call, [money, tokens, requests], now, tally)?,
            Op::Release { call, .. } => self.release(call, tally)?,
            Op::Replay { call, .. } => self.replay(call, tally)?,
            Op::TopUp { grant, amount, .. } => self.pay_in(grant % self.grants.len(), amount, "topped up", tally)?,
            Op::TakeBack { grant, amount, .. } => self.take_back(grant % self.grants.len(), amount, tally)?,
            Op::Grant { kind, unit, amount, line, models, starts_in, expires_in, priority, .. } => {
                let kind = KINDS[kind % KINDS.len()];
                let models = [None, None, None, Some(vec![0]), Some(vec![0, 1]), Some(vec![2])][models % 6].clone();
                let expires = expires_in.map(|seconds| now + seconds);
                let is_wallet = kind == GrantKind::Wallet;
                self.add_grant(kind, GrantFacts { unit, is_wallet, line, models, starts: now + starts_in, expires, priority }, amount);
            }
            Op::Limit { who, window, unit, hard, capacity, .. } => {
                self.add_limit(LimitFacts { who: of_whom(who), window, unit, is_hard: hard, capacity, is_dropped: false });
            }
            Op::Change { limit, capacity, .. } => self.change(limit, capacity, tally),
            Op::Drop { limit, .. } => self.drop_limit(limit),
            Op::Lapse { .. } => self.lapse(now, tally)?,
            Op::Clock(_) => {}
        }
        self.check_sums()?;
        self.check_bounds(&before, matches!(op, Op::Change { .. }))
    }

    // --- Calls ---------------------------------------------------------------------------------------------------------------------

    fn question(
        &self,
        (key, run, model): (usize, usize, usize),
        aim: Aim,
        (money, tokens, requests): (i64, i64, u32),
        now: i64,
    ) -> Question {
        let key = key % 3;
        let said = Question {
            key,
            project: key % 2,
            member: (key < 2).then_some(key),
            run: (run % 3).checked_sub(1),
            model: model % 3,
            money,
            tokens,
            requests: i64::from(requests),
        };
        let (Aim::All(unit) | Aim::OneMore(unit)) = aim else { return said };
        let Some(most) = self.book.most(&said, unit, now) else { return said };
        let amount = most + i64::from(matches!(aim, Aim::OneMore(_)));
        match unit {
            Unit::Money => Question { money: amount, ..said },
            Unit::Tokens => Question { tokens: amount, ..said },
            Unit::Requests => Question { requests: amount, ..said },
        }
    }

    fn ask(&mut self, question: Question, is_aimed: bool, now: i64, tally: &mut Tally) -> Checked {
        let (demand, caller, model) = (demand(&question), caller(&question), model(question.model));
        let limits = self.limits_at(now);
        let answer = admit(demand, &caller, &model, &self.grants, &limits, time(now));
        let room = room(&caller, &model, &self.grants, &limits, time(now));
        ensure!(room.admits(demand) == answer.is_ok(), "the room {room:?} and the answer {answer:?} disagree about {demand:?}");
        match (answer, self.book.verdict(&question, now)) {
            (Ok(split), Ok(expected)) => {
                let holds: Vec<_> = split.payment.iter().chain(&split.limits).map(|hold| (place(hold.pool), hold.quantity.get())).collect();
                ensure!(holds == expected, "held {holds:?} instead of {expected:?}");
                self.begin(split, question, now)?;
                self.book.hold(self.calls.len() - 1, expected);
                self.tell_admitted(is_aimed, tally);
                Ok(())
            }
            (Err(exhausted), Err(expected)) => {
                let named = match exhausted.pool {
                    Refuser::Limit { id, .. } => Refused::Limit(limit_number(id)),
                    Refuser::Credit { unit } => Refused::Credit(unit),
                };
                let until = exhausted.resets_at.map(|at| at.timestamp());
                let expected = expected[0];
                ensure!(named == expected.by, "{named:?} is named instead of {expected:?}");
                ensure!(exhausted.available.get() == expected.available && until == expected.until, "{exhausted:?} is not {expected:?}");
                ensure!(exhausted.needed == demand.of(exhausted.pool.unit()), "{exhausted:?} says what nobody asked for");
                self.check_available(&exhausted, &question, &limits, now)?;
                self.tell_refused(&exhausted, is_aimed, &limits, tally);
                Ok(())
            }
            (Ok(split), Err(expected)) => Err(format!("admitted {split:?}, but there is {expected:?}")),
            (Err(exhausted), Ok(expected)) => Err(format!("refused {exhausted:?}, but these have room: {expected:?}")),
        }
    }

    /// The same question with just what is said to be available is not refused by the same pool.
    fn check_available(&self, exhausted: &Exhausted, question: &Question, limits: &[Limit], now: i64) -> Checked {
        let available = exhausted.available.get();
        if (&exhausted.pool, available) == (&Refuser::Credit { unit: Unit::Tokens }, 0) {
            // A call of no tokens is not paid in any.
            return Ok(());
        }
        let smaller = match exhausted.pool.unit() {
            Unit::Money => Question { money: available, ..*question },
            Unit::Tokens => Question { tokens: available, ..*question },
            Unit::Requests => Question { requests: available, ..*question },
        };
        let rich = Grant { pool: Pool::new(Unit::Money, Quantity::MAX), starts_at: time(0), ..self.grants[0].clone() };
        let (grants, limits): (Vec<_>, Vec<_>) = match exhausted.pool {
            Refuser::Limit { id, .. } => (vec![rich], limits.iter().filter(|limit| limit.id == id).cloned().collect()),
            Refuser::Credit { .. } => (self.grants.clone(), Vec::new()),
        };
        let answer = admit(demand(&smaller), &caller(&smaller), &model(smaller.model), &grants, &limits, time(now));
        ensure!(answer.is_ok(), "what {exhausted:?} calls available is not: {answer:?}");
        Ok(())
    }

    fn begin(&mut self, split: Split, question: Question, now: i64) -> Checked {
        for Hold { pool, quantity, unit } in split.payment.iter().chain(&split.limits).copied() {
            let own = self.pool_mut(pool)?;
            ensure!(own.unit == unit, "a hold of {unit:?} on a pool of {:?}", own.unit);
            *own = own.held(quantity).ok_or("a hold does not fit")?;
        }
        self.calls.push(Call { split, question, admitted: now, ended: None });
        Ok(())
    }

    fn settle(&mut self, call: usize, parts: [Part; 3], now: i64, tally: &mut Tally) -> Checked {
        let Some(call) = self.running(call) else { return Ok(()) };
        let asked = self.calls[call].question;
        let [money, tokens, requests] = parts;
        let actual =
            Question { money: money.of(asked.money), tokens: tokens.of(asked.tokens), requests: requests.of(asked.requests), ..asked };
        let charge = settle(&self.calls[call].split, demand(&actual), self.strictness);
        let wallet = matches!(self.strictness, Strictness::Lenient { .. }).then_some(0);
        let expected = self.book.end(call, &actual, wallet);
        let got = book::Ending { charged: charge.charged.get(), overdrawn: charge.overdrawn.get(), written_off: charge.written_off.get() };
        ensure!(got == expected, "charged {got:?} instead of {expected:?}");
        self.check_charge(call, &charge, &actual)?;
        self.apply(&charge)?;
        tally.count_if(actual.of(charge.unit) < asked.of(charge.unit), "settled: below its hold");
        tally.count_if(expected.charged > 0 && actual.of(charge.unit) == asked.of(charge.unit), "settled: at its hold");
        tally.count_if(expected.written_off > 0, "settled: written off");
        tally.count_if(expected.overdrawn > 0, "settled: overdrawn");
        let later = charge.limits.iter().any(|change| self.limits_at(now).iter().all(|limit| limit.pool_ref(time(now)) != change.pool));
        tally.count_if(later, "settled: in a later window");
        let payers =
            charge.payment.iter().filter_map(|change| if let Place::Grant(grant) = place(change.pool) { Some(grant) } else { None });
        tally.count_if(payers.into_iter().any(|grant| self.book.has_expired(grant, now)), "settled: after the grant expired");
        self.calls[call].ended = Some((demand(&actual), charge));
        Ok(())
    }

    fn check_charge(&self, call: usize, charge: &Charge, actual: &Question) -> Checked {
        let Call { split, admitted, .. } = &self.calls[call];
        let held: i64 = split.payment.iter().map(|hold| hold.quantity.get()).sum();
        let used: i64 = charge.payment.iter().map(|change| change.used.get()).sum();
        let (charged, written_off) = (charge.charged.get(), charge.written_off.get());
        ensure!(charged + written_off == actual.of(charge.unit), "{charge:?} does not add up to {actual:?}");
        ensure!(used == charged, "{used} are used of grants, and {charged} charged");
        ensure!(charged - charge.overdrawn.get() <= held, "{charge:?} is more than the {held} held");
        ensure!(charged <= held || self.strictness != Strictness::Strict, "a strict account pays {charged} for a hold of {held}");
        for limit in &charge.limits {
            ensure!(limit.used <= limit.released, "{limit:?} counts more than was held");
            let PoolRef::Limit { id, from } = limit.pool else { return Err(format!("{limit:?} is no limit")) };
            let window = self.limits[limit_number(id)].window;
            ensure!(from.timestamp() == book::window(window, *admitted).0, "{limit:?} is not of the window in which the call was admitted");
        }
        Ok(())
    }

    fn release(&mut self, call: usize, tally: &mut Tally) -> Checked {
        let Some(call) = self.running(call) else { return Ok(()) };
        let charge = release(&self.calls[call].split);
        let nothing = Question { money: 0, tokens: 0, requests: 0, ..self.calls[call].question };
        self.book.end(call, &nothing, None);
        self.apply(&charge)?;
        self.calls[call].ended = Some((Demand::NOTHING, charge));
        tally.count("released");
        Ok(())
    }

    /// A settlement that is told again is worked out again, to the same charge, and not applied: it was.
    fn replay(&mut self, call: usize, tally: &mut Tally) -> Checked {
        let ended: Vec<_> = self.calls.iter().filter_map(|call| call.ended.as_ref().map(|ended| (&call.split, ended))).collect();
        if ended.is_empty() {
            return Ok(());
        }
        let (split, (actual, charge)) = ended[call % ended.len()];
        let again = settle(split, *actual, self.strictness);
        ensure!(again == *charge, "a replay makes {again:?} of {charge:?}");
        tally.count("replayed");
        Ok(())
    }

    fn apply(&mut self, charge: &Charge) -> Checked {
        for Change { pool, used, released, unit } in charge.payment.iter().chain(&charge.limits).copied() {
            let own = self.pool_mut(pool)?;
            ensure!(own.unit == unit, "a change of {unit:?} on a pool of {:?}", own.unit);
            *own = own.settled(used, released).ok_or("a change does not fit")?;
        }
        Ok(())
    }

    fn running(&self, call: usize) -> Option<usize> {
        let running: Vec<_> = (0..self.calls.len()).filter(|call| self.calls[*call].ended.is_none()).collect();
        running.get(call % running.len().max(1)).copied()
    }

    // --- Credit and limits ---------------------------------------------------------------------------------------------------------

    fn add_grant(&mut self, kind: GrantKind, facts: GrantFacts, amount: i64) {
        let number = self.grants.len();
        self.grants.push(Grant {
            id: grant_id(number),
            kind,
            pool: Pool::new(facts.unit, Quantity::from_count(amount + facts.line)),
            models: facts.models.as_ref().map(|models| models.iter().map(|number| model(*number)).collect()),
            floor: Quantity::from_count(-facts.line),
            starts_at: time(facts.starts),
            expires_at: facts.expires.map(time),
            priority: facts.priority,
        });
        self.book.grants.push(facts);
        self.book.pay_in(number, amount);
    }

    fn pay_in(&mut self, grant: usize, amount: i64, what: &'static str, tally: &mut Tally) -> Checked {
        let pool = &mut self.grants[grant].pool;
        pool.capacity = pool.capacity.checked_add(Quantity::from_count(amount)).ok_or("a capacity does not fit")?;
        self.book.pay_in(grant, amount);
        tally.count_if(amount != 0, what);
        Ok(())
    }

    fn take_back(&mut self, grant: usize, amount: i64, tally: &mut Tally) -> Checked {
        let amount = amount.min(self.grants[grant].pool.available().or_zero().get());
        self.pay_in(grant, -amount, "taken back", tally)
    }

    fn lapse(&mut self, now: i64, tally: &mut Tally) -> Checked {
        for grant in 0..self.grants.len() {
            let (lapsed, expected) = (self.grants[grant].lapsed(time(now)).get(), self.book.lapsed(grant, now));
            ensure!(lapsed == expected, "{lapsed} of grant {grant} lapse instead of {expected}");
            if lapsed > 0 {
                self.pay_in(grant, -lapsed, "lapsed", tally)?;
            }
            ensure!(self.grants[grant].lapsed(time(now)).is_zero(), "grant {grant} lapses twice");
        }
        Ok(())
    }

    fn add_limit(&mut self, facts: LimitFacts) {
        let number = self.limits.len();
        let scope = match facts.who {
            Who::Account => Scope::Account,
            Who::Project(number) => Scope::Project(ProjectId::from_uuid(uuid(number))),
            Who::Member(number) => Scope::Member(UserId::from_uuid(uuid(number))),
            Who::Key(number) => Scope::Key(KeyId::from_uuid(uuid(number))),
            Who::Run(number) => Scope::Run(run(number)),
        };
        self.limits.push(Limit {
            id: LimitId::from_uuid(uuid(number)),
            scope,
            window: facts.window,
            hardness: if facts.is_hard { Hardness::Hard } else { Hardness::Soft },
            pool: Pool::new(facts.unit, Quantity::from_count(facts.capacity)),
        });
        self.book.limits.push(facts);
        if self.book.limits.iter().filter(|facts| !facts.is_dropped).count() > LIMITS_MAX {
            self.drop_limit(0);
        }
    }

    fn change(&mut self, limit: usize, capacity: i64, tally: &mut Tally) {
        if self.limits.is_empty() {
            return;
        }
        let limit = limit % self.limits.len();
        self.limits[limit].pool.capacity = Quantity::from_count(capacity);
        self.book.limits[limit].capacity = capacity;
        for (own, pool) in &mut self.windows {
            if matches!(place(*own), Place::Window(number, _) if number == limit) {
                pool.capacity = Quantity::from_count(capacity);
                tally.count_if(pool.available().is_negative(), "limit: lowered below what is taken");
            }
        }
    }

    fn drop_limit(&mut self, limit: usize) {
        let mut live: Vec<_> = self.book.limits.iter_mut().filter(|facts| !facts.is_dropped).collect();
        let number = live.len();
        if let Some(facts) = live.get_mut(limit % number.max(1)) {
            facts.is_dropped = true;
        }
    }

    /// The limits that are left, each with the pool of the window that holds this instant.
    fn limits_at(&self, now: i64) -> Vec<Limit> {
        let live = self.limits.iter().zip(&self.book.limits).filter(|(_, facts)| !facts.is_dropped);
        live.map(|(limit, _)| {
            let pool = self.windows.get(&limit.pool_ref(time(now))).copied().unwrap_or(limit.pool);
            Limit { pool, ..limit.clone() }
        })
        .collect()
    }

    fn pool_mut(&mut self, pool: PoolRef) -> Checked<&mut Pool> {
        match pool {
            PoolRef::Grant(id) => {
                let grant = self.grants.iter_mut().find(|grant| grant.id == id);
                grant.map(|grant| &mut grant.pool).ok_or_else(|| format!("there is no grant {id}"))
            }
            PoolRef::Limit { id, .. } => {
                let limit = self.limits.iter().find(|limit| limit.id == id).ok_or_else(|| format!("there is no limit {id}"))?;
                Ok(self.windows.entry(pool).or_insert(limit.pool))
            }
        }
    }

    // --- Checks --------------------------------------------------------------------------------------------------------------------

    /// Every pool is what the list of events sums up to.
    fn check_sums(&self) -> Checked {
        let sums = self.book.sums();
        let pools = self.pools();
        for (place, pool) in &pools {
            let sum = sums.get(place).copied().unwrap_or_default();
            let got = book::Sums { capacity: pool.capacity.get(), used: pool.used.get(), leased: pool.leased.get() };
            ensure!(got == sum, "{place:?} has {got:?} instead of {sum:?}");
        }
        let unknown = sums.keys().find(|place| !pools.contains_key(place));
        ensure!(unknown.is_none(), "{unknown:?} was never touched");
        Ok(())
    }

    /// No grant is used below its floor but a lenient account's wallet, and no hard limit is passed, unless an operator lowered it.
    fn check_bounds(&self, before: &BTreeMap<Place, i64>, is_lowered: bool) -> Checked {
        for (place, over) in self.over() {
            match place {
                Place::Grant(0) if self.strictness != Strictness::Strict => {}
                Place::Grant(grant) => {
                    let (pool, floor) = (&self.grants[grant].pool, self.grants[grant].floor.get());
                    ensure!(over <= 0, "grant {grant} is {over} beyond what it has");
                    let balance = pool.capacity.get() + floor - pool.used.get();
                    ensure!(balance >= floor, "grant {grant} is at {balance}, below its floor of {floor}");
                }
                Place::Window(limit, _) if self.limits[limit].hardness == Hardness::Hard && !is_lowered => {
                    let over_before = before.get(&place).copied().unwrap_or(0).max(0);
                    ensure!(over <= over_before, "limit {limit} is {over} beyond its capacity, and was {over_before}");
                }
                Place::Window(..) => {}
            }
        }
        Ok(())
    }

    fn pools(&self) -> BTreeMap<Place, Pool> {
        let grants = self.grants.iter().map(|grant| (place(PoolRef::Grant(grant.id)), grant.pool));
        grants.chain(self.windows.iter().map(|(own, pool)| (place(*own), *pool))).collect()
    }

    /// How far each pool is beyond its capacity; below zero if it is not.
    fn over(&self) -> BTreeMap<Place, i64> {
        self.pools().into_iter().map(|(place, pool)| (place, pool.used.get() + pool.leased.get() - pool.capacity.get())).collect()
    }

    // --- What happened -------------------------------------------------------------------------------------------------------------

    fn tell_admitted(&self, is_aimed: bool, tally: &mut Tally) {
        let Some(Call { split, .. }) = self.calls.last() else { return };
        let grants: Vec<_> =
            split.payment.iter().filter_map(|hold| self.grants.iter().find(|grant| hold.pool == PoolRef::Grant(grant.id))).collect();
        tally.count("admitted");
        tally.count_if(split.payment.is_empty(), "admitted: free");
        tally.count_if(split.payment.len() > 1, "admitted: by several grants");
        tally.count_if(grants.iter().any(|grant| grant.pool.unit == Unit::Tokens), "admitted: by tokens");
        tally.count_if(grants.iter().any(|grant| grant.models.is_some()), "admitted: by a grant for some models");
        let on_line = grants.iter().any(|grant| grant.pool.available() < Quantity::from_count(-grant.floor.get()));
        tally.count_if(on_line && self.strictness == Strictness::Strict, "admitted: on a credit line");
        let pools: Vec<_> = split.limits.iter().filter_map(|hold| self.windows.get(&hold.pool).map(|pool| (hold, pool))).collect();
        tally.count_if(
            pools.iter().any(|(hold, pool)| !hold.quantity.is_zero() && pool.available().is_negative()),
            "admitted: beyond a soft limit",
        );
        let is_full = !grants.is_empty() && grants.iter().all(|grant| grant.pool.available().is_zero())
            || pools.iter().any(|(_, pool)| pool.available().is_zero());
        tally.count_if(is_aimed && is_full, "admitted: all that there was");
    }

    fn tell_refused(&self, exhausted: &Exhausted, is_aimed: bool, limits: &[Limit], tally: &mut Tally) {
        let is_one_more = exhausted.available.checked_add(Quantity::from_count(1)) == Some(exhausted.needed);
        tally.count_if(is_aimed && is_one_more, "refused: one more than there was");
        match &exhausted.pool {
            Refuser::Credit { unit: Unit::Tokens } => tally.count("refused: credit, tokens"),
            Refuser::Credit { .. } => tally.count("refused: credit, money"),
            Refuser::Limit { id, window, .. } => {
                let Some(limit) = limits.iter().find(|limit| limit.id == *id) else { return };
                tally.refused_by(limit);
                let is_larger = exhausted.needed > limit.pool.capacity;
                tally.count_if(is_larger && *window != domain::credit::Window::Ever, "refused: larger than the limit");
                let only_running = limit.pool.used.checked_add(exhausted.needed).is_some_and(|all| all <= limit.pool.capacity);
                tally.count_if(only_running, "refused: because others still run");
            }
        }
    }
}

// --- Numbers to names ----------------------------------------------------------------------------------------------------------------

fn uuid(number: usize) -> Uuid {
    Uuid::from_u128(u128::MAX - number as u128)
}

/// Later ones have lower ids, so that the order of ids is not the one in which they are read.
fn grant_id(number: usize) -> GrantId {
    GrantId::from_uuid(uuid(number))
}

fn number(uuid: Uuid) -> usize {
    usize::try_from(u128::MAX - uuid.as_u128()).unwrap_or(usize::MAX)
}

fn limit_number(id: LimitId) -> usize {
    number(id.uuid())
}

fn place(pool: PoolRef) -> Place {
    match pool {
        PoolRef::Grant(id) => Place::Grant(number(id.uuid())),
        PoolRef::Limit { id, from } => Place::Window(limit_number(id), from.timestamp()),
    }
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

fn model(number: usize) -> String {
    format!("m{number}")
}

fn run(number: usize) -> Label {
    format!("run {number}").parse().unwrap_or_else(|error| panic!("{error}"))
}

fn of_whom(number: usize) -> Who {
    [
        Who::Account,
        Who::Account,
        Who::Project(0),
        Who::Project(1),
        Who::Member(0),
        Who::Member(1),
        Who::Key(0),
        Who::Key(1),
        Who::Key(2),
        Who::Run(0),
        Who::Run(1),
    ][number % 11]
}

fn demand(question: &Question) -> Demand {
    Demand {
        money: Amount::from_nanos(question.money),
        tokens: Tokens::from_sum(question.tokens),
        requests: u32::try_from(question.requests).unwrap_or_default(),
    }
}

fn caller(question: &Question) -> Caller {
    Caller {
        key: KeyId::from_uuid(uuid(question.key)),
        project: ProjectId::from_uuid(uuid(question.project)),
        member: question.member.map(|number| UserId::from_uuid(uuid(number))),
        run: question.run.map(run),
    }
}
