//! All machines, the network between them and the ledger, and what is true of each call.

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
    books::{ACCOUNTS, Books, LONGEST, Settlement, TTL, key, time},
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
        let caller = Caller { key: key(by_key), project: ProjectId::from_uuid(Uuid::nil()), member: None, run: None };
        let ask = Ask { demand: most, ahead, caller, model: "m".to_owned(), at, free: Vec::new(), runs: Vec::new() };
        let Some(split) = self.admit(machine, account, &ask, recalls, net)? else { return Ok(()) };
        self.tally.count_if(unit_of(&split.payment) == Unit::Tokens, "admitted: by tokens");
        self.tally.count_if(split.payment.len() > 1, "admitted: by several grants");
        self.run(machine, account, split, most, dies);
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

    // --- Questions to the ledger ---------------------------------------------------------------------------------------------------

    fn ask(&mut self, machine: usize, account: usize, ask: &Ask, net: Net) -> Checked<Heard> {
        let now = time(self.books.now);
        // A change without an answer comes first.
        if self.pending(machine, account).is_some() && matches!(self.send(machine, account, Net::Answered)?, Heard::Nothing | Heard::Over) {
            return Ok(Heard::Nothing);
        }
        let Some(process) = self.machines[machine].awake() else { return Ok(Heard::Nothing) };
        let number = process.next_number();
        process.slices[account].ask(number, ask.clone(), now);
        self.send(machine, account, net)
    }

    fn pending(&self, machine: usize, account: usize) -> Option<(EpochId, Change)> {
        let process = self.machines[machine].process.as_ref()?;
        Some((process.epoch, process.slices[account].pending()?.clone()))
    }

    /// Sends what has no answer yet.
    fn send(&mut self, machine: usize, account: usize, net: Net) -> Checked<Heard> {
        let Some((epoch, change)) = self.pending(machine, account) else { return Ok(Heard::Nothing) };
        if self.machines[machine].is_parted || self.machines[machine].is_suspended || net == Net::AskLost {
            self.tally.count("lost: an ask");
            return Ok(Heard::Nothing);
        }
        if net == Net::Hangs {
            self.hanging.push(Hanging::Change { epoch, account, change: Box::new(change) });
            return Ok(Heard::Nothing);
        }
        let answered = self.books.change(epoch, account, &change, &mut self.tally)?;
        if net == Net::AnswerLost {
            self.tally.count("lost: an answer");
            return Ok(Heard::Nothing);
        }
        let Some((answer, told)) = answered else {
            self.find_over(machine);
            return Ok(Heard::Over);
        };
        let Some(process) = &mut self.machines[machine].process else { return Ok(Heard::Nothing) };
        process.offset = self.books.now - self.now;
        let refused = process.slices[account].absorb(answer, told);
        Ok(refused.map_or(Heard::Admits, Heard::Refused))
    }

    fn give_back(&mut self, machine: usize, account: usize, net: Net) -> Checked {
        if let Some(process) = self.machines[machine].awake() {
            let number = process.next_number();
            if process.slices[account].give_back(number).is_some() {
                self.tally.count("given back: idle");
            }
            self.send(machine, account, net)?;
        }
        Ok(())
    }

    /// Everybody else gives back what no call holds.
    fn recall(&mut self, asking: usize, account: usize) -> Checked {
        for machine in (0..MACHINES).filter(|machine| *machine != asking) {
            self.send(machine, account, Net::Answered)?;
            self.give_back(machine, account, Net::Answered)?;
        }
        Ok(())
    }

    fn post(&mut self, machine: usize, many: usize, net: Net) -> Checked {
        let here = &mut self.machines[machine];
        if here.is_parted || here.awake().is_none() {
            return Ok(());
        }
        let (calls, to) = here.next_settled(many);
        match net {
            Net::AskLost => return Ok(()),
            Net::Hangs => {
                self.hanging.push(Hanging::Post(calls));
                return Ok(());
            }
            Net::Answered | Net::AnswerLost => self.books.post(&calls, &mut self.tally)?,
        }
        if let Some(process) = here.process.as_mut().filter(|_| net == Net::Answered) {
            process.read = to;
            here.forget_posted();
        }
        Ok(())
    }

    fn announce(&mut self, machine: usize, net: Net) {
        let (now, here) = (self.now, &mut self.machines[machine]);
        let is_parted = here.is_parted;
        let Some(process) = here.awake() else { return };
        let of = |call: &Running| Settlement {
            call: call.call,
            account: call.account,
            epoch: call.epoch,
            split: call.split.clone(),
            came_to: estimate(call.most),
            is_own: false,
        };
        let calls: Vec<_> = process.running.iter().filter(|call| call.began + 2 < now).map(of).collect();
        match net {
            _ if is_parted => {}
            Net::AskLost => {}
            Net::Hangs => self.hanging.push(Hanging::Announce(calls)),
            Net::Answered | Net::AnswerLost => self.books.announce(&calls),
        }
    }

    fn renew(&mut self, machine: usize, net: Net) {
        let (now, here) = (self.now, &mut self.machines[machine]);
        let is_parted = here.is_parted;
        let Some(process) = here.awake() else { return };
        match net {
            _ if is_parted => {}
            Net::AskLost => {}
            Net::Hangs => self.hanging.push(Hanging::Renew(process.epoch)),
            Net::Answered | Net::AnswerLost => {
                let goes_on = self.books.renew(process.epoch);
                if net == Net::AnswerLost {
                    return;
                }
                process.offset = self.books.now - now;
                if goes_on { process.deadline = now + TTL } else { self.find_over(machine) }
            }
        }
    }

    /// A proxy hears that its epoch is over, and begins another.
    fn find_over(&mut self, machine: usize) {
        self.tally.count("epoch: found that it is over");
        let epoch = EpochId::from_uuid(self.id());
        self.books.begin(epoch);
        let here = &mut self.machines[machine];
        here.epochs.push(epoch);
        if let Some(process) = &mut here.process {
            process.become_epoch(epoch, self.now);
        }
    }

    fn arrive(&mut self, which: usize) -> Checked {
        if self.hanging.is_empty() {
            return Ok(());
        }
        match self.hanging.swap_remove(which % self.hanging.len()) {
            Hanging::Change { epoch, account, change } => {
                self.tally.count("came after all: a change");
                self.books.change(epoch, account, &change, &mut self.tally)?;
            }
            Hanging::Post(calls) => {
                self.tally.count("came after all: a posting");
                self.books.post(&calls, &mut self.tally)?;
            }
            Hanging::Announce(calls) => self.books.announce(&calls),
            Hanging::Renew(epoch) => drop(self.books.renew(epoch)),
        }
        Ok(())
    }

    // --- Machines ------------------------------------------------------------------------------------------------------------------

    /// A proxy starts: what its spool does not know the end of it settles as interrupted, before anything else.
    fn start(&mut self, machine: usize) {
        if self.machines[machine].process.is_some() || self.machines[machine].is_parted {
            return;
        }
        let epoch = EpochId::from_uuid(self.id());
        self.books.begin(epoch);
        let here = &mut self.machines[machine];
        for call in here.unsettled() {
            self.tally.count("posted: as interrupted, by its own proxy");
            if let Some(truth) = self.calls.get_mut(&call.call) {
                truth.came_to = None;
            }
            here.spool.push(Record::Settled(call));
        }
        let mut process = Process::begin(epoch, self.now, self.books.now - self.now);
        process.successor_of = here.epochs.clone();
        process.posted_to = here.spool.len();
        here.epochs.push(epoch);
        here.process = Some(process);
    }

    /// The successor of an epoch ends it, when all that was in the spool as it started is posted.
    fn end_own(&mut self, machine: usize) -> Checked {
        let here = &mut self.machines[machine];
        if here.is_parted {
            return Ok(());
        }
        let Some(process) = here.awake().filter(|process| process.read >= process.posted_to) else { return Ok(()) };
        let ended = std::mem::take(&mut process.successor_of);
        for epoch in &ended {
            self.tally.count("epoch: ended by its successor");
            self.books.end(*epoch)?;
        }
        here.epochs.retain(|epoch| !ended.contains(epoch));
        Ok(())
    }

    fn lose(&mut self, machine: usize) {
        self.tally.count("machine: lost with its spool");
        self.machines[machine] = Machine::default();
        let books = &self.books;
        let is_posted = |call: &CallId, truth: &Truth| books.accounts[truth.account].calls.contains_key(call);
        for (_, truth) in self.calls.iter_mut().filter(|(call, truth)| truth.machine == machine && !is_posted(call, truth)) {
            truth.is_lost = true;
        }
        // Nobody knows what a call came to that was posted as interrupted, and whose settlement was lost.
        for (call, truth) in self.calls.iter_mut().filter(|(_, truth)| truth.machine == machine) {
            let entry = books.accounts[truth.account].calls.get(call);
            truth.is_lost |= entry.is_some_and(|entry| entry.posted.is_interrupted && !entry.posted.is_corrected);
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += seconds;
        self.books.now += seconds;
        for machine in 0..MACHINES {
            let (now, here) = (self.now, &mut self.machines[machine]);
            let is_past = here.process.as_ref().is_some_and(|process| here.is_suspended && now > process.deadline);
            self.tally.count_if(is_past, "machine: suspended past its lease");
            // No call is let run longer than the longest.
            let Some(process) = here.awake() else { continue };
            let (over, running) = std::mem::take(&mut process.running).into_iter().partition(|call| call.began + LONGEST <= now);
            process.running = running;
            let over: Vec<Running> = over;
            over.iter().for_each(|call| self.end_call(machine, call, call.most, Dies::Not));
        }
    }

    fn pay_in(&mut self, account: usize, grant: usize, amount: i64) {
        let grants = &mut self.books.accounts[account].grants;
        let grant = grant % grants.len();
        let capacity = &mut grants[grant].pool.capacity;
        *capacity = Quantity::from_count(capacity.get() + amount);
    }

    // --- Rest ----------------------------------------------------------------------------------------------------------------------

    /// Everybody does what is left to do. Then nothing is leased, and each call is in the books as what it came to.
    fn rest(&mut self) -> Checked {
        while !self.hanging.is_empty() {
            self.arrive(0)?;
        }
        for machine in 0..MACHINES {
            (self.machines[machine].is_suspended, self.machines[machine].is_parted) = (false, false);
            self.start(machine);
            self.renew(machine, Net::Answered);
            while let Some(call) = self.machines[machine].process.as_mut().and_then(|process| process.running.pop()) {
                self.end_call(machine, &call, call.most, Dies::Not);
            }
            for account in 0..ACCOUNTS {
                self.send(machine, account, Net::Answered)?;
                self.give_back(machine, account, Net::Answered)?;
            }
            while !self.machines[machine].next_settled(1).0.is_empty() {
                self.post(machine, 7, Net::Answered)?;
            }
            self.end_own(machine)?;
        }
        // The lost ones are found once their time is over, while the others go on.
        let renewed = self.books.epochs.values().map(|epoch| epoch.renewed_at).max().unwrap_or(0);
        self.pass((renewed - self.books.now).max(0) + TTL + LONGEST + 1);
        (0..MACHINES).for_each(|machine| self.renew(machine, Net::Answered));
        self.books.reap(&mut self.tally)?;
        self.books.check()?;
        self.check_rest()?;
        self.begin_anew();
        Ok(())
    }

    fn check_rest(&self) -> Checked {
        for account in &self.books.accounts {
            ensure!(account.announced.is_empty(), "announced, and nobody settles them: {:?}", account.announced);
            for (pool, it) in account.pools() {
                ensure!(it.leased.is_zero(), "nobody has anything of {pool:?}, and it says {it:?}");
            }
        }
        for machine in &self.machines {
            let free = machine.process.iter().flat_map(|process| &process.slices).flat_map(|slices| slices.pools());
            ensure!(free.count() == 0, "a proxy believes to have what went back");
        }
        self.calls.iter().try_for_each(|(call, truth)| self.check_call(*call, truth))
    }

    fn check_call(&self, call: CallId, truth: &Truth) -> Checked {
        let account = &self.books.accounts[truth.account];
        let Some(entry) = account.calls.get(&call) else {
            ensure!(truth.is_lost, "a call is in no books: {truth:?}");
            return Ok(());
        };
        let charge = |came_to| settle(&truth.split, came_to, account.strictness());
        let assumed: Charge = charge(estimate(truth.most));
        let (own, posted) = (truth.came_to.map(charge), entry.posted);
        if posted.is_interrupted && !posted.is_corrected {
            ensure!(own.is_none() || truth.is_lost, "its own settlement is not posted: {truth:?} {entry:?}");
            let expected = if entry.is_stray { 0 } else { assumed.charged.get() };
            ensure!(entry.charged == expected, "{entry:?} is not {assumed:?}");
            return Ok(());
        }
        let own = own.ok_or(format!("what nobody knows the end of is posted as known: {truth:?} {entry:?}"))?;
        // What came late of a strict account is paid from what there was.
        let is_short = posted.is_corrected && account.strictness() == Strictness::Strict && entry.charged < own.charged.get();
        let adds_up = entry.charged == own.charged.get() || is_short && entry.charged + entry.written_off >= own.charged.get();
        ensure!(adds_up, "{entry:?} is not {own:?}");
        Ok(())
    }

    /// Accounts with all their credit, and proxies that have none of it.
    fn begin_anew(&mut self) {
        self.calls.clear();
        self.books.reopen();
        for process in self.machines.iter_mut().filter_map(|machine| machine.process.as_mut()) {
            process.slices = vec![domain::lease::Slices::default(); ACCOUNTS];
        }
    }
}
