//! Machines that die, start, are lost and stand still.

use super::*;

impl World {
    /// A proxy starts: what its spool does not know the end of it settles as interrupted, before anything else.
    pub(super) fn start(&mut self, machine: usize) {
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
    pub(super) fn end_own(&mut self, machine: usize) -> Checked {
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

    pub(super) fn lose(&mut self, machine: usize) {
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

    pub(super) fn pass(&mut self, seconds: i64) {
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

    pub(super) fn pay_in(&mut self, account: usize, grant: usize, amount: i64) {
        let grants = &mut self.books.accounts[account].grants;
        let grant = grant % grants.len();
        let capacity = &mut grants[grant].pool.capacity;
        *capacity = Quantity::from_count(capacity.get() + amount);
    }
}
