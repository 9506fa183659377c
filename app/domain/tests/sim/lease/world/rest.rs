//! Everything comes to rest, and then what is true of each call is what is in the books.

use super::*;

impl World {
    /// Everybody does what is left to do. Then nothing is leased, and each call is in the books as what it came to.
    pub(super) fn rest(&mut self) -> Checked {
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

    pub(super) fn check_rest(&self) -> Checked {
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

    pub(super) fn check_call(&self, call: CallId, truth: &Truth) -> Checked {
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
    pub(super) fn begin_anew(&mut self) {
        self.calls.clear();
        self.books.reopen();
        for process in self.machines.iter_mut().filter_map(|machine| machine.process.as_mut()) {
            process.slices = vec![domain::lease::Slices::default(); ACCOUNTS];
        }
    }
}
