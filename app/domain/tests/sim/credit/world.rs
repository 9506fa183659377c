//! Accounts whose pools are kept by what is tested, each beside its [`Book`].

mod calls;
mod checks;
mod names;
mod pools;
mod tell;

use std::collections::BTreeMap;

use domain::{
    billing::GrantKind,
    credit::{Charge, Demand, Grant, Limit, Pool, PoolRef, Split, Strictness, Unit},
};

use self::names::{grant_id, of_whom};
use super::{
    book::{self, Book, GrantFacts, LimitFacts, Question},
    op::{Aim, Clock, Op},
    tally::Tally,
};
use crate::{
    random::Random,
    walk::{Checked, Walk},
};

/// Two strict ones and two lenient ones, one of each with a credit line.
const ACCOUNTS: usize = 4;
/// An account with a longer history is closed and another one takes its place, since the model sums all of it after every step.
const HISTORY_MAX: usize = 300;
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
}
