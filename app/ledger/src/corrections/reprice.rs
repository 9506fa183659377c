//! Past calls of a model, charged anew by a version of its price: what they cost more than that goes back to whoever paid.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    billing::JournalKind,
    call::CorrectionKind,
    catalog::PriceKind,
    credit::Unit,
    id::{AccountId, CallId, PriceId},
    money::Amount,
    rates::Rates,
    replay::Replayed,
};
use serde_json::json;
use sqlx::PgConnection;

use super::{
    Correction, CorrectionRecord, KnownCall, give_back, known_calls, net, overflow,
    replay::{Account, End, accounts, calls, corrections, of_call, versions_of},
    sum,
};
use crate::{
    Error, Operator, Result,
    audit::Line,
    books::{Book, Books, Lock, NewPosting, OpenCalls},
    limits,
    prices::histories_of,
    rollups,
    settled::PaidShare,
};

/// Calls to be charged anew.
#[derive(Debug, Clone, Copy)]
pub struct Reprice<'a> {
    /// The model's public name.
    pub model: &'a str,
    /// The first instant at which they began.
    pub from: DateTime<Utc>,
    /// The first one at which they did not.
    pub to: DateTime<Utc>,
    /// The version of the model's price, which may have begun later. Calls are charged anew by it that were charged by what everyone pays at its service
    /// tier.
    pub price: PriceId,
    /// Why, in words that each customer reads in the journal and on the receipt.
    pub note: &'a str,
    /// Who asks.
    pub actor: &'a str,
}

impl Operator {
    /// Charges calls anew: what [`Self::replay`] says goes back does, to the nano. Nobody pays more than they did. Each transaction is of one
    /// customer's calls, so that a repetition finds what is left to do, and does nothing where all is done.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown model; [`Error::Invalid`] for a window that has not ended, a missing note, or what is no price of the model.
    pub async fn reprice(&self, reprice: Reprice<'_>) -> Result<Replayed> {
        let note = Error::one_line("note", reprice.note)?;
        if note.is_empty() {
            return Err(Error::invalid("note", "say why: each customer reads it in the journal and on the receipt"));
        }
        if reprice.from >= reprice.to || reprice.to > self.database.dated.unwrap_or_else(Utc::now) {
            return Err(Error::invalid("window", "name a start, and an end after it that has passed"));
        }
        let reprice = Reprice { note, ..reprice };
        let (histories, accounts) = {
            let connection = &mut *self.database.read().await?;
            let histories = histories_of(connection, reprice.model).await?;
            (histories, accounts(connection, reprice.model, reprice.from, reprice.to).await?)
        };
        let version = histories.values().flat_map(|history| history.standing(PriceKind::Sale)).find(|version| version.id == reprice.price);
        let version = version.ok_or_else(|| Error::invalid("price", "no price of this model that customers pay has this id"))?;
        let prices = versions_of(histories.get(&version.service_tier));
        let mut done = Replayed::default();
        for account in accounts {
            let mut after = None;
            loop {
                let (own, last) = self.charge_anew(&account, &reprice, (&version.rates, &prices), after).await?;
                done = done.plus(own).ok_or_else(overflow)?;
                after = last;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(done)
    }

    /// The next calls of a customer. Returns where they end; `None` where there are no more.
    async fn charge_anew(
        &self,
        account: &Account,
        reprice: &Reprice<'_>,
        (rates, prices): (&Rates, &HashSet<PriceId>),
        after: Option<(DateTime<Utc>, CallId)>,
    ) -> Result<(Replayed, Option<(DateTime<Utc>, CallId)>)> {
        let mut tx = self.database.change().await?;
        // A call's row never changes; what was corrected of it may, until the books are locked.
        let calls = calls(&mut tx, account.id, reprice.model, (reprice.from, reprice.to), after).await?;
        let Some(last) = calls.last().map(|call| (call.started_at, call.call_id)) else { return Ok((Replayed::default(), None)) };
        let mut books = Books::lock(&mut tx, &[account.id], Lock::Wait, self.database.dated).await?;
        let book = books.of(account.id)?;
        let before = corrections(&mut tx, account.id, &calls).await?;
        let (mut sums, mut less) = (Replayed::default(), Vec::new());
        for call in &calls {
            let before = before.get(&call.call_id).map_or(&[][..], Vec::as_slice);
            if !prices.contains(&End::of(call, before)?.price) {
                continue;
            }
            let own = of_call(call, before, Some(rates))?;
            sums = sums.plus(own).ok_or_else(overflow)?;
            if own.lowered > 0 {
                less.push((call.call_id, own.given_back, before));
            }
        }
        if less.is_empty() {
            return Ok((sums, Some(last)));
        }
        let known = known(&mut tx, account.id, &less).await?;
        let corrected = post(reprice, &known, &less, book)?;
        if book.is_limited {
            let mut runs: Vec<_> = corrected.iter().flat_map(|correction| correction.of.run()).collect();
            runs.sort_unstable();
            runs.dedup();
            let limits: Vec<_> = limits::in_force(&mut tx, &[account.id], &runs).await?.into_iter().map(|(_, limit)| limit).collect();
            for correction in &corrected {
                limits::count(correction.counted(), &limits, book)?;
            }
        }
        books.write(&mut tx).await?;
        for correction in &corrected {
            correction.insert_row(&mut tx).await?;
        }
        rollups::add(&mut tx, &corrected.iter().map(Correction::addition).collect::<Vec<_>>()).await?;
        let posting = corrected.first().map(|correction| correction.record.seq);
        let after = json!({
            "model": reprice.model, "from": reprice.from, "to": reprice.to, "price": reprice.price, "reason": reprice.note,
            "calls": sums.lowered, "given_back": sums.given_back, "posting": posting,
        });
        tx.commit(Line::new(Operation::Reprice, account.id, account.name.clone(), None, Some(after)).of(account.id)).await?;
        Ok((sums, Some(last)))
    }
}

/// What goes back of a call, and what was corrected of it before.
type Less<'a> = (CallId, Amount, &'a [CorrectionRecord]);

/// These calls as they were posted.
async fn known(connection: &mut PgConnection, account: AccountId, less: &[Less<'_>]) -> Result<HashMap<CallId, KnownCall>> {
    let ids: Vec<_> = less.iter().map(|(call, ..)| (account, *call)).collect();
    Ok(known_calls(connection, &ids).await?.into_iter().map(|call| (call.call_id, call)).collect())
}

/// One posting of all that goes back, with a correction for each call.
fn post(reprice: &Reprice<'_>, known: &HashMap<CallId, KnownCall>, less: &[Less<'_>], book: &mut Book) -> Result<Vec<Correction>> {
    let mut corrected = Vec::with_capacity(less.len());
    let (mut seals, mut shares) = (OpenCalls::since(book.now()), Vec::<PaidShare>::new());
    for (id, back, before) in less {
        let call = known.get(id).ok_or_else(|| Error::Corrupt(format!("call {id} is gone from the books")))?;
        let paid_by = give_back(&net(call, before)?, back.nanos(), Unit::Money, book)?;
        let record = CorrectionRecord {
            account_id: book.account,
            started_at: super::started_at(call.call_id)?,
            call_id: call.call_id,
            seq: book.next_number()?,
            kind: CorrectionKind::Reprice,
            prompt_tokens: 0,
            completion_tokens: 0,
            total_tokens: 0,
            amount: sum(&paid_by)?,
            tokens_paid: None,
            written_off: 0,
            paid_by,
            settlement: None,
            price_id: Some(reprice.price),
            posted_at: book.now(),
        };
        seals.add(&record.seal()).ok_or_else(overflow)?;
        for share in &record.paid_by {
            match shares.iter_mut().find(|one| one.grant_id == share.grant_id) {
                Some(one) => one.amount = one.amount.checked_add(share.amount).ok_or_else(overflow)?,
                None => shares.push(*share),
            }
        }
        corrected.push(Correction { record, of: call.clone(), tokens: 0 });
    }
    let given = shares.iter().map(|share| Some((share.grant_id, share.amount.checked_neg()?)));
    book.post(NewPosting {
        kind: JournalKind::Reprice,
        memo: reprice.note.to_owned(),
        actor: reprice.actor.to_owned(),
        request: None,
        event_at: book.now(),
        posted_at: book.now(),
        calls: Some(seals.calls),
        seals: Some(seals.seals.to_vec()),
        grants: given.collect::<Option<_>>().ok_or_else(overflow)?,
    })?;
    Ok(corrected)
}
