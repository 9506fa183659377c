//! What proxies ask of the ledger, over a network that loses and repeats.

use super::*;

impl World {
    pub(super) fn ask(&mut self, machine: usize, account: usize, ask: &Ask, net: Net) -> Checked<Heard> {
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

    pub(super) fn pending(&self, machine: usize, account: usize) -> Option<(EpochId, Change)> {
        let process = self.machines[machine].process.as_ref()?;
        Some((process.epoch, process.slices[account].pending()?.clone()))
    }

    /// Sends what has no answer yet.
    pub(super) fn send(&mut self, machine: usize, account: usize, net: Net) -> Checked<Heard> {
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

    pub(super) fn give_back(&mut self, machine: usize, account: usize, net: Net) -> Checked {
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
    pub(super) fn recall(&mut self, asking: usize, account: usize) -> Checked {
        for machine in (0..MACHINES).filter(|machine| *machine != asking) {
            self.send(machine, account, Net::Answered)?;
            self.give_back(machine, account, Net::Answered)?;
        }
        Ok(())
    }

    pub(super) fn post(&mut self, machine: usize, many: usize, net: Net) -> Checked {
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

    pub(super) fn announce(&mut self, machine: usize, net: Net) {
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

    pub(super) fn renew(&mut self, machine: usize, net: Net) {
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
    pub(super) fn find_over(&mut self, machine: usize) {
        self.tally.count("epoch: found that it is over");
        let epoch = EpochId::from_uuid(self.id());
        self.books.begin(epoch);
        let here = &mut self.machines[machine];
        here.epochs.push(epoch);
        if let Some(process) = &mut here.process {
            process.become_epoch(epoch, self.now);
        }
    }

    pub(super) fn arrive(&mut self, which: usize) -> Checked {
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
}
