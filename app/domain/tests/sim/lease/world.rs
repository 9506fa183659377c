//! All machines, the network between them and the ledger, and what is true of each call.

mod machines;
mod questions;
mod rest;

use std::collections::BTreeMap;

use domain::{
    credit::{Caller, Charge, Demand, Exhausted, Grant, Quantity, Refuser, Split, Strictness, Unit, admit, settle, unit_of},
    id::{CallId, EpochId, ProjectId},
    lease::{Ask, Change},
    money::Amount,
    tokens::Tokens,
};
use uuid::Uuid;

use super::{
    books::{ACCOUNTS, Books, LONGEST, Settlement, TTL, key, run, time},
    machine::{Machine, Process, Record, Running, estimate},
    op::{CameTo, Dies, Net, Op},
    tally::Tally,
};
use crate::{
    random::Random,
    walk::{Checked, Walk, ensure},
};

const MACHINES: usize = 4;
const START: i64 = 1_769_903_400;

/// A question that nobody waits for any more, and that may be done all the same.
#[derive(Debug)]
enum Hanging {
    Change { epoch: EpochId, account: usize, change: Box<Change> },
    Post(Vec<Settlement>),
    Announce(Vec<Settlement>),
    Renew(EpochId),
}

/// What is true of a call, whatever anybody has heard of it.
#[derive(Debug)]
struct Truth {
    account: usize,
    machine: usize,
    split: Split,
    most: Demand,
    /// What it came to, once that is in a spool.
    came_to: Option<Demand>,
    /// The spool that it was in was lost.
    is_lost: bool,
}

/// What came of a question.
enum Heard {
    Nothing,
    Admits,
    Refused(Exhausted),
    Over,
}

pub(crate) struct World {
    books: Books,
    machines: Vec<Machine>,
    hanging: Vec<Hanging>,
    calls: BTreeMap<CallId, Truth>,
    /// By the clock that durations are measured with.
    now: i64,
    ids: u128,
    tally: Tally,
}

impl Default for World {
    fn default() -> Self {
        let machines = (0..MACHINES).map(|_| Machine::default()).collect();
        let mut world = Self {
            books: Books::open(START),
            machines,
            hanging: Vec::new(),
            calls: BTreeMap::new(),
            now: START,
            ids: 0,
            tally: Tally::default(),
        };
        (0..MACHINES).for_each(|machine| world.start(machine));
        world
    }
}

impl Walk for World {
    type Step = Op;

    fn any(random: &mut Random) -> Op {
        Op::any(random)
    }

    fn take(&mut self, op: Op) -> Checked {
        match op {
            Op::Begin { machine, account, key, money, tokens, ahead, recalls, net, dies } => {
                let money = Amount::from_nanos(money);
                let most = Demand { money, tokens: Tokens::from_sum(tokens), requests: 1 };
                let ahead = Demand { money: Amount::from_nanos(ahead), tokens: Tokens::from_sum(ahead), requests: u32::from(ahead > 0) };
                self.begin_call(machine % MACHINES, account % ACCOUNTS, key % 2, most, ahead, (recalls, net), dies)?;
            }
            Op::End { machine, call, came_to, dies } => self.end_some_call(machine % MACHINES, call, came_to, dies),
            Op::Post { machine, many, net } => self.post(machine % MACHINES, many, net)?,
            Op::Again { machine, account, net } => drop(self.send(machine % MACHINES, account % ACCOUNTS, net)?),
            Op::Idle { machine, account, net } => self.give_back(machine % MACHINES, account % ACCOUNTS, net)?,
            Op::Announce { machine, net } => self.announce(machine % MACHINES, net),
            Op::Renew { machine, net } => self.renew(machine % MACHINES, net),
            Op::Arrive { which } => self.arrive(which)?,
            Op::Kill { machine } => self.machines[machine % MACHINES].kill(),
            Op::Start { machine } => self.start(machine % MACHINES),
            Op::Lose { machine } => self.lose(machine % MACHINES),
            Op::Suspend { machine } => {
                let machine = &mut self.machines[machine % MACHINES];
                machine.is_suspended = !machine.is_suspended && machine.process.is_some();
            }
            Op::Part { machine } => self.machines[machine % MACHINES].is_parted ^= true,
            Op::EndOwn { machine } => self.end_own(machine % MACHINES)?,
            Op::Reap => self.books.reap(&mut self.tally)?,
            Op::Time { seconds } => self.pass(seconds),
            Op::SetClock { by } => self.books.now += by,
            Op::PayIn { account, grant, amount } => self.pay_in(account % ACCOUNTS, grant, amount),
            Op::Rest => self.rest()?,
        }
        self.books.check()?;
        self.machines.iter().try_for_each(|machine| machine.check(&self.books))
    }

    fn finish(&mut self) -> Checked {
        self.rest()
    }
}

impl World {
    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    // --- Calls ---------------------------------------------------------------------------------------------------------------------

    #[expect(clippy::too_many_arguments, reason = "all that one step says")]
    fn begin_call(
        &mut self,
        machine: usize,
        account: usize,
        by_key: usize,
        most: Demand,
        ahead: Demand,
        (recalls, net): (bool, Net),
        dies: Dies,
    ) -> Checked {
        let Some(process) = self.machines[machine].awake() else { return Ok(()) };
        if self.now >= process.deadline {
            self.tally.count("refused: the epoch's lease has run out");
            return Ok(());
        }
        let at = time(self.now + process.offset);
        let caller =
            Caller { key: key(by_key), project: ProjectId::from_uuid(Uuid::nil()), member: None, run: by_key.is_multiple_of(3).then(run) };
        let ask = Ask { ahead, ..Ask::new(most, caller, "m".to_owned(), at) };
        let Some(split) = self.admit(machine, account, &ask, recalls, net)? else { return Ok(()) };
        self.expect_bounded(account, &ask, &split)?;
        self.tally.count_if(unit_of(&split.payment) == Unit::Tokens, "admitted: by tokens");
        self.tally.count_if(split.payment.len() > 1, "admitted: by several grants");
        self.run(machine, account, split, most, dies);
        Ok(())
    }

    /// Every limit that counts a call is held for it.
    fn expect_bounded(&self, account: usize, ask: &Ask, split: &Split) -> Checked {
        let demand = ask.demand.paid_in(unit_of(&split.payment));
        let counting = self.books.accounts[account].limits.iter().filter(|limit| limit.scope.applies_to(&ask.caller));
        for limit in counting.filter(|limit| !demand.of(limit.pool.unit).is_zero()) {
            let is_held = split.limits.iter().any(|hold| hold.pool == limit.pool_ref(ask.at));
            ensure!(is_held, "a call is admitted without {limit:?}");
        }
        Ok(())
    }

    /// What a call holds once it is admitted, which may take an ask, and another one after everybody else gave back what is idle.
    fn admit(&mut self, machine: usize, account: usize, ask: &Ask, recalls: bool, net: Net) -> Checked<Option<Split>> {
        if let Some(split) = self.try_admit(machine, account, ask) {
            self.tally.count("admitted: in memory");
            return Ok(Some(split));
        }
        for is_last in [false, true] {
            match self.ask(machine, account, ask, net)? {
                Heard::Admits => {}
                Heard::Nothing | Heard::Over => {
                    self.tally.count("refused: nobody hears of the ledger");
                    return Ok(None);
                }
                Heard::Refused(exhausted) if is_last || !recalls => {
                    self.refuse(machine, account, ask, &exhausted, is_last)?;
                    return Ok(None);
                }
                Heard::Refused(_) => {
                    self.recall(machine, account)?;
                    continue;
                }
            }
            let split = self.try_admit(machine, account, ask);
            ensure!(split.is_some() || is_last, "the ledger gave what was asked for, and there is no room for it");
            self.tally.count(if is_last { "admitted: after a recall" } else { "admitted: after asking" });
            return Ok(split);
        }
        Ok(None)
    }

    fn try_admit(&mut self, machine: usize, account: usize, ask: &Ask) -> Option<Split> {
        let now = self.now;
        let process = self.machines[machine].awake()?;
        process.slices[account].admit(ask.demand, &ask.caller, &ask.model, ask.at, time(now + process.offset))
    }

    fn refuse(&mut self, machine: usize, account: usize, ask: &Ask, exhausted: &Exhausted, is_last: bool) -> Checked {
        let is_credit = matches!(exhausted.pool, Refuser::Credit { .. });
        self.tally.count(if is_credit { "refused: no credit" } else { "refused: a limit" });
        if !is_last {
            return Ok(());
        }
        // Everybody who can be reached has given back what no call holds. Had it been enough, the refusal were a false one.
        let books = &self.books.accounts[account];
        let (mut grants, mut limits) = (books.grants.clone(), books.limits_at(ask.at));
        for machine in self.machines.iter().filter(|machine| !machine.is_suspended && !machine.is_parted) {
            let Some(process) = machine.process.as_ref().filter(|process| self.books.is_on(process.epoch)) else { continue };
            for (pool, own) in process.slices[account].pools() {
                let back = own.room().get();
                let of_grants = grants.iter_mut().filter(|grant: &&mut Grant| grant.pool_ref() == pool).map(|grant| &mut grant.pool);
                let of_limits = limits.iter_mut().filter(|limit| limit.pool_ref(ask.at) == pool).map(|limit| &mut limit.pool);
                of_grants.chain(of_limits).for_each(|it| it.leased = Quantity::from_count(it.leased.get() - back));
            }
        }
        let is_parted = self.machines[machine].is_parted;
        let answer = admit(ask.demand, &ask.caller, &ask.model, &grants, &limits, time(self.books.now));
        ensure!(is_parted || ask.at != time(self.books.now) || answer.is_err(), "refused {exhausted:?}, but there is room: {answer:?}");
        Ok(())
    }

    /// An admitted call, up to its upstream.
    fn run(&mut self, machine: usize, account: usize, split: Split, most: Demand, dies: Dies) {
        let call = CallId::from_uuid(self.id());
        let here = &mut self.machines[machine];
        let Some(process) = &mut here.process else { return };
        if dies == Dies::BeforeSpool {
            self.tally.count("machine: killed between admission and spool");
            return here.kill();
        }
        let epoch = process.epoch;
        let assumed = Settlement { call, account, epoch, split: split.clone(), came_to: estimate(most), is_own: false };
        here.spool.push(Record::Intent(assumed));
        self.calls.insert(call, Truth { account, machine, split: split.clone(), most, came_to: None, is_lost: false });
        process.running.push(Running { call, account, epoch, split, most, began: self.now });
        if dies == Dies::AfterSpool {
            self.tally.count("machine: killed between spool and upstream");
            here.kill();
        }
    }

    fn end_some_call(&mut self, machine: usize, call: usize, came_to: CameTo, dies: Dies) {
        let Some(process) = self.machines[machine].awake().filter(|process| !process.running.is_empty()) else { return };
        let call = process.running.remove(call % process.running.len());
        let most = call.most;
        let part = |of: i64| came_to.of(of);
        let came_to =
            Demand { money: Amount::from_nanos(part(most.money.nanos())), tokens: Tokens::from_sum(part(most.tokens.get())), requests: 1 };
        self.end_call(machine, &call, came_to, dies);
    }

    fn end_call(&mut self, machine: usize, call: &Running, came_to: Demand, dies: Dies) {
        let here = &mut self.machines[machine];
        if dies == Dies::BeforeSpool {
            self.tally.count("machine: killed between upstream and spool");
            return here.kill();
        }
        let Running { call: id, account, epoch, split, .. } = call.clone();
        let charge = settle(&split, came_to, self.books.accounts[account].strictness());
        here.spool.push(Record::Settled(Settlement { call: id, account, epoch, split, came_to, is_own: true }));
        if let Some(truth) = self.calls.get_mut(&id) {
            truth.came_to = Some(came_to);
        }
        if let Some(process) = &mut here.process {
            self.tally.count_if(epoch != process.epoch, "settled: after its epoch was over");
            process.settle(call, &charge);
        }
        self.tally.count_if(charge.charged.get() < came_to.of(charge.unit).get(), "settled: written off");
        self.tally.count_if(!charge.overdrawn.is_zero(), "settled: overdrawn");
        self.tally.count_if(came_to.money < call.most.money, "settled: below its hold");
        if dies == Dies::AfterSpool {
            self.tally.count("machine: killed between spool and client");
            here.kill();
        }
    }
}
