//! The model: facts about grants and limits, and a list of what happened. Every figure is summed anew from the list, every decision is made
//! one nano at a time, and nothing of what is tested is used but the names of units, kinds and windows.

use std::collections::{BTreeMap, BTreeSet};

use domain::credit::{Unit, Window};

/// A pool: a grant by its number, or a limit by its number and when the window began, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Grant(usize),
    Window(usize, i64),
}

#[derive(Debug, Clone)]
pub(crate) struct GrantFacts {
    pub(crate) unit: Unit,
    pub(crate) is_wallet: bool,
    pub(crate) line: i64,
    pub(crate) models: Option<Vec<usize>>,
    pub(crate) starts: i64,
    pub(crate) expires: Option<i64>,
    pub(crate) priority: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Account,
    Project(usize),
    Member(usize),
    Key(usize),
    Run(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct LimitFacts {
    pub(crate) who: Who,
    pub(crate) window: Window,
    pub(crate) unit: Unit,
    pub(crate) is_hard: bool,
    pub(crate) capacity: i64,
    pub(crate) is_dropped: bool,
}

/// A call's question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) key: usize,
    pub(crate) project: usize,
    pub(crate) member: Option<usize>,
    pub(crate) run: Option<usize>,
    pub(crate) model: usize,
    pub(crate) money: i64,
    pub(crate) tokens: i64,
    pub(crate) requests: i64,
}

impl Question {
    pub(crate) fn of(&self, unit: Unit) -> i64 {
        match unit {
            Unit::Money => self.money,
            Unit::Tokens => self.tokens,
            Unit::Requests => self.requests,
        }
    }
}

/// Who refuses: a limit by its number, or credit counted in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Limit(usize),
    Credit(Unit),
}

/// A refusal; `until` is `None` if it lasts forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) by: Refused,
    pub(crate) available: i64,
    pub(crate) until: Option<i64>,
}

#[derive(Debug, Clone)]
enum Event {
    PaidIn(usize, i64),
    Held(usize, Vec<(Place, i64)>),
    Took(usize, Vec<(Place, i64)>),
}

/// What the list of events says about a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) capacity: i64,
    pub(crate) used: i64,
    pub(crate) leased: i64,
}

impl Sums {
    pub(crate) fn rest(self) -> i64 {
        self.capacity - self.used - self.leased
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ending {
    pub(crate) charged: i64,
    pub(crate) overdrawn: i64,
    pub(crate) written_off: i64,
}

/// One account.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) grants: Vec<GrantFacts>,
    pub(crate) limits: Vec<LimitFacts>,
    events: Vec<Event>,
}

impl Book {
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn pay_in(&mut self, grant: usize, amount: i64) {
        self.events.push(Event::PaidIn(grant, amount));
    }

    pub(crate) fn sums(&self) -> BTreeMap<Place, Sums> {
        let mut sums: BTreeMap<Place, Sums> = BTreeMap::new();
        let ended: BTreeSet<usize> =
            self.events.iter().filter_map(|event| if let Event::Took(call, _) = event { Some(*call) } else { None }).collect();
        for (grant, facts) in self.grants.iter().enumerate() {
            sums.insert(Place::Grant(grant), Sums { capacity: facts.line, ..Sums::default() });
        }
        for event in &self.events {
            match event {
                Event::PaidIn(grant, amount) => sums.entry(Place::Grant(*grant)).or_default().capacity += amount,
                Event::Held(call, holds) => {
                    for (place, amount) in holds {
                        let sum = sums.entry(*place).or_default();
                        sum.leased += if ended.contains(call) { 0 } else { *amount };
                    }
                }
                Event::Took(_, takes) => takes.iter().for_each(|(place, amount)| sums.entry(*place).or_default().used += amount),
            }
        }
        for (place, sum) in &mut sums {
            if let Place::Window(limit, _) = place {
                sum.capacity = self.limits[*limit].capacity;
            }
        }
        sums
    }

    /// What is left of a pool, also of one that nothing has touched yet.
    fn rest(&self, place: Place, sums: &BTreeMap<Place, Sums>) -> i64 {
        match (sums.get(&place), place) {
            (Some(sums), _) => sums.rest(),
            (None, Place::Window(limit, _)) => self.limits[limit].capacity,
            (None, Place::Grant(_)) => 0,
        }
    }

    pub(crate) fn has_expired(&self, grant: usize, now: i64) -> bool {
        let facts = &self.grants[grant];
        !facts.is_wallet && facts.expires.is_some_and(|expires| now >= expires)
    }

    fn pays(&self, grant: usize, unit: Unit, model: usize, now: i64) -> bool {
        let facts = &self.grants[grant];
        let covers = facts.models.as_ref().is_none_or(|models| models.contains(&model));
        facts.unit == unit && now >= facts.starts && !self.has_expired(grant, now) && covers
    }

    /// Whether one grant pays before another. Of two that are alike it is the later one, which has the lower id.
    fn pays_before(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.grants[one], &self.grants[other]);
        let expiry = |facts: &GrantFacts| if facts.is_wallet { i64::MAX } else { facts.expires.unwrap_or(i64::MAX) };
        if expiry(a) != expiry(b) {
            return expiry(a) < expiry(b);
        }
        if a.priority != b.priority {
            return a.priority < b.priority;
        }
        if a.is_wallet != b.is_wallet {
            return b.is_wallet;
        }
        one > other
    }

    fn first(&self, candidates: impl Iterator<Item = usize>) -> Option<usize> {
        candidates.fold(None, |best, grant| if best.is_none_or(|best| self.pays_before(grant, best)) { Some(grant) } else { best })
    }

    /// Who pays for a call, a nano at a time; `None` if they cannot.
    fn payment(&self, question: &Question, now: i64, sums: &BTreeMap<Place, Sums>) -> Option<Vec<(Place, i64)>> {
        if question.money == 0 {
            return Some(Vec::new());
        }
        let grants = 0..self.grants.len();
        let rest = |grant| self.rest(Place::Grant(grant), sums);
        let of_tokens = |grant: &usize| self.pays(*grant, Unit::Tokens, question.model, now) && rest(*grant) >= question.tokens;
        if let Some(grant) = self.first(grants.clone().filter(of_tokens)).filter(|_| question.tokens > 0) {
            return Some(vec![(Place::Grant(grant), question.tokens)]);
        }
        let mut taken: Vec<(Place, i64)> = Vec::new();
        for _ in 0..question.money {
            let gave =
                |grant: usize| taken.iter().filter(|(place, _)| *place == Place::Grant(grant)).map(|(_, amount)| *amount).sum::<i64>();
            let has_more = |grant: &usize| self.pays(*grant, Unit::Money, question.model, now) && rest(*grant) > gave(*grant);
            let place = Place::Grant(self.first(grants.clone().filter(has_more))?);
            match taken.iter_mut().find(|(other, _)| *other == place) {
                Some((_, amount)) => *amount += 1,
                None => taken.push((place, 1)),
            }
        }
        Some(taken)
    }

    /// The limits that count a call, with their pools.
    fn counting(&self, question: &Question, now: i64) -> Vec<(usize, Place)> {
        let counts = |who| match who {
            Who::Account => true,
            Who::Project(project) => question.project == project,
            Who::Member(member) => question.member == Some(member),
            Who::Key(key) => question.key == key,
            Who::Run(run) => question.run == Some(run),
        };
        let live = self.limits.iter().enumerate().filter(|(_, facts)| !facts.is_dropped && counts(facts.who));
        live.map(|(limit, facts)| (limit, Place::Window(limit, window(facts.window, now).0))).collect()
    }

    /// What a call would hold: of those who pay, and of limits. Or who refuses it, first whom the refusal has to name.
    pub(crate) fn verdict(&self, question: &Question, now: i64) -> Result<Vec<(Place, i64)>, Vec<Refusal>> {
        let sums = self.sums();
        let counting = self.counting(question, now);
        let payment = self.payment(question, now, &sums);
        let is_token_grant = |place: &Place| matches!(place, Place::Grant(grant) if self.grants[*grant].unit == Unit::Tokens);
        let costs_money = !payment.iter().flatten().any(|(place, _)| is_token_grant(place));
        let needed_of = |unit| if unit == Unit::Money && !costs_money { 0 } else { question.of(unit) };
        let mut refusals: Vec<Refusal> = Vec::new();
        for (limit, place) in counting.iter().filter(|(limit, _)| self.limits[*limit].is_hard) {
            let (facts, rest) = (&self.limits[*limit], self.rest(*place, &sums));
            let needed = needed_of(facts.unit);
            if needed > 0 && needed > rest {
                let until = if needed > facts.capacity { None } else { window(facts.window, now).1 };
                refusals.push(Refusal { by: Refused::Limit(*limit), available: rest.max(0), until });
            }
        }
        if payment.is_none() {
            refusals.push(self.broke(question, now, &sums));
        }
        // Last in the list is the newest limit or credit, so that a stable sort by how long it lasts names those first.
        refusals.reverse();
        refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.until.unwrap_or(i64::MAX)));
        match payment {
            Some(mut holds) if refusals.is_empty() => {
                holds.extend(counting.into_iter().map(|(limit, place)| (place, needed_of(self.limits[limit].unit))));
                Ok(holds)
            }
            _ => Err(refusals),
        }
    }

    fn broke(&self, question: &Question, now: i64, sums: &BTreeMap<Place, Sums>) -> Refusal {
        let (money, tokens) = self.credit(question.model, now, sums);
        // What there would be, had running calls given everything back.
        let ended: BTreeMap<Place, Sums> = sums.iter().map(|(place, sums)| (*place, Sums { leased: 0, ..*sums })).collect();
        let (money_then, tokens_then) = self.credit(question.model, now, &ended);
        let is_larger =
            |tokens: i64, money: i64| (i128::from(tokens) * i128::from(question.money)) > (i128::from(money) * i128::from(question.tokens));
        let is_even = !is_larger(tokens, money)
            && (i128::from(tokens) * i128::from(question.money)) == (i128::from(money) * i128::from(question.tokens));
        let in_tokens = question.tokens > 0 && (is_larger(tokens, money) || (is_even && is_larger(tokens_then, money_then)));
        let (unit, available) = if in_tokens { (Unit::Tokens, tokens) } else { (Unit::Money, money) };
        Refusal { by: Refused::Credit(unit), available, until: None }
    }

    /// All money, and the tokens of the largest token grant, that pay for a model now.
    fn credit(&self, model: usize, now: i64, sums: &BTreeMap<Place, Sums>) -> (i64, i64) {
        let of = |unit| {
            let paying = (0..self.grants.len()).filter(move |grant| self.pays(*grant, unit, model, now));
            paying.map(|grant| self.rest(Place::Grant(grant), sums)).filter(|rest| *rest > 0)
        };
        (of(Unit::Money).sum(), of(Unit::Tokens).max().unwrap_or(0))
    }

    /// All that there is of a unit for a call like this one, if anything bounds it.
    pub(crate) fn most(&self, question: &Question, unit: Unit, now: i64) -> Option<i64> {
        let sums = self.sums();
        let (money, tokens) = self.credit(question.model, now, &sums);
        let credit = match unit {
            Unit::Money => Some(money),
            Unit::Tokens => Some(tokens).filter(|tokens| *tokens > 0),
            Unit::Requests => None,
        };
        let counting =
            self.counting(question, now).into_iter().filter(|(limit, _)| self.limits[*limit].is_hard && self.limits[*limit].unit == unit);
        counting.map(|(_, place)| self.rest(place, &sums).max(0)).chain(credit).min()
    }

    pub(crate) fn hold(&mut self, call: usize, holds: Vec<(Place, i64)>) {
        self.events.push(Event::Held(call, holds));
    }

    /// Ends a call, a nano at a time. `wallet` pays what was not held, if the account is lenient.
    pub(crate) fn end(&mut self, call: usize, actual: &Question, wallet: Option<usize>) -> Ending {
        let held: Vec<(Place, i64)> = self
            .events
            .iter()
            .find_map(|event| match event {
                Event::Held(holder, holds) if *holder == call => Some(holds.clone()),
                _ => None,
            })
            .unwrap_or_default();
        let mut takes: Vec<(Place, i64)> = Vec::new();
        let mut ending = Ending::default();
        let paying: Vec<(usize, i64)> = held
            .iter()
            .filter_map(|(place, amount)| if let Place::Grant(grant) = place { Some((*grant, *amount)) } else { None })
            .collect();
        let unit = paying.first().map_or(Unit::Money, |(grant, _)| self.grants[*grant].unit);
        let mut left = paying;
        for _ in 0..actual.of(unit) {
            if let Some((grant, amount)) = left.iter_mut().find(|(_, amount)| *amount > 0) {
                *amount -= 1;
                takes.push((Place::Grant(*grant), 1));
                ending.charged += 1;
            } else if let Some(wallet) = wallet.filter(|_| unit == Unit::Money) {
                takes.push((Place::Grant(wallet), 1));
                ending.charged += 1;
                ending.overdrawn += 1;
            } else {
                ending.written_off += 1;
            }
        }
        for (place, amount) in held {
            if let Place::Window(limit, _) = place {
                let came_to = actual.of(self.limits[limit].unit);
                takes.push((place, if came_to > amount { amount } else { came_to }));
            }
        }
        self.events.push(Event::Took(call, takes));
        ending
    }

    /// What of an expired grant is lost.
    pub(crate) fn lapsed(&self, grant: usize, now: i64) -> i64 {
        let rest = self.sums().get(&Place::Grant(grant)).copied().unwrap_or_default().rest() - self.grants[grant].line;
        if self.has_expired(grant, now) && rest > 0 { rest } else { 0 }
    }
}

const DAY: i64 = 86_400;

/// When the window that holds an instant began and ends, in seconds.
pub(crate) fn window(window: Window, at: i64) -> (i64, Option<i64>) {
    let day = at.div_euclid(DAY);
    match window {
        Window::Minute => (at - at.rem_euclid(60), Some(at - at.rem_euclid(60) + 60)),
        Window::Day => (day * DAY, Some((day + 1) * DAY)),
        Window::Week => {
            // The first day of Unix time was a Thursday, three days after a Monday.
            let monday = day - (day + 3).rem_euclid(7);
            (monday * DAY, Some((monday + 7) * DAY))
        }
        Window::Month => {
            let mut first = 0;
            for month in 0.. {
                let next = first + days_in(month);
                if day < next {
                    return (first * DAY, Some(next * DAY));
                }
                first = next;
            }
            unreachable!("months do not end")
        }
        Window::Ever => (0, None),
    }
}

/// How long the month is that begins so many months after January 1970.
fn days_in(month: i64) -> i64 {
    let year = 1970 + month / 12;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month % 12 {
        1 if is_leap => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}
