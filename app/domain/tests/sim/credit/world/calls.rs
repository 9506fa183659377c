//! Calls: what is asked, held, charged and given back, each time as the book says.

use domain::credit::{
    Change, Charge, Demand, Exhausted, Grant, Hold, Limit, Pool, PoolRef, Quantity, Refuser, Split, Strictness, Unit, admit, release, room,
    settle,
};

use super::{
    Account, Call,
    names::{caller, demand, limit_number, model, place, time},
};
use crate::{
    credit::{
        book::{self, Place, Question, Refused},
        op::{Aim, Part},
        tally::Tally,
    },
    walk::{Checked, ensure},
};

impl Account {
    pub(super) fn question(
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

    pub(super) fn ask(&mut self, question: Question, is_aimed: bool, now: i64, tally: &mut Tally) -> Checked {
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

    pub(super) fn settle(&mut self, call: usize, parts: [Part; 3], now: i64, tally: &mut Tally) -> Checked {
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

    pub(super) fn release(&mut self, call: usize, tally: &mut Tally) -> Checked {
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
    pub(super) fn replay(&mut self, call: usize, tally: &mut Tally) -> Checked {
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
}
