//! What must hold of redemption codes: that each use of one is in the books once, and that nothing else is.

use std::collections::HashMap;

use domain::{
    billing::PostingNumber,
    code::Batch,
    id::{AccountId, BatchId},
};
use sqlx::PgConnection;

use super::claim::{Claim, Findings};
use crate::{
    Result,
    codes::{self, PostedRedemption, RedeemedRow},
};

/// Checks what an account has redeemed.
pub(super) async fn check(connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<()> {
    let redeemed = codes::of_account(connection, account).await?;
    if !redeemed.is_empty() {
        let batches: HashMap<_, _> = codes::sealed(connection).await?.into_iter().map(|sealed| (sealed.batch.id, sealed.batch)).collect();
        redeemed.iter().for_each(|redeemed| check_redemption(redeemed, batches.get(&redeemed.record.batch), findings));
    }
    let strays = sqlx::query_scalar!(
        r#"
        select j.seq as "posting: PostingNumber" from journal j
        where j.account_id = $1 and j.kind = 'promo' and j.seals is not null
            and not exists (select from redemptions r where r.account_id = j.account_id and r.posting = j.seq)
        "#,
        account.uuid()
    );
    for posting in strays.fetch_all(connection).await? {
        findings.note(Claim::CodeIsPosted, format!("posting {posting} of account {account}"), "a code that was redeemed", "none");
    }
    Ok(())
}

/// It is the one that was sealed, and its posting gives what its batch says, and bears that seal.
fn check_redemption(redeemed: &RedeemedRow, batch: Option<&Batch>, findings: &mut Findings) {
    let record = &redeemed.record;
    let row = || format!("redemption {} of account {}", record.id, record.account);
    findings.sealed(Claim::CodeIsSealed, row, record.fits(&redeemed.seal));
    let Some(batch) = batch else { return findings.note(Claim::CodeIsPosted, row(), "a batch", "none") };
    findings.compare(Claim::CodeIsPosted, row, batch.terms.is_sole, record.is_sole);
    let expected = PostedRedemption {
        kind: batch.terms.kind.posted_as(),
        amount: batch.terms.amount,
        expires_at: record.credit_ends(batch),
        at: record.at,
        seals: Some(redeemed.seal.clone()),
    };
    if redeemed.posted.as_ref() != Some(&expected) {
        let words = |posted: &PostedRedemption| {
            format!("{} of {}, until {:?}, {}", posted.kind.name(), posted.amount, posted.expires_at, posted.at)
        };
        let found = redeemed.posted.as_ref().map_or_else(|| "no posting".to_owned(), words);
        findings.note(Claim::CodeIsPosted, row(), format!("{}, with its seal", words(&expected)), found);
    }
}

/// Checks every batch, and that its codes were used as often as accounts have redeemed them, which is no more often than they may be. Of all accounts.
pub(super) async fn check_batches(connection: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let batches = codes::sealed(connection).await?;
    let made = sqlx::query!(r#"select batch_id as "batch: BatchId", count(*) as "codes!" from codes group by batch_id"#);
    let made: HashMap<_, _> = made.fetch_all(&mut *connection).await?.into_iter().map(|row| (row.batch, row.codes)).collect();
    for sealed in &batches {
        let row = || format!("batch {} of codes", sealed.batch.id);
        findings.sealed(Claim::CodeIsSealed, row, sealed.fits());
        findings.compare(Claim::CodeIsSealed, row, sealed.batch.terms.codes, made.get(&sealed.batch.id).copied().unwrap_or(0));
    }
    let uses: HashMap<_, _> = batches.iter().map(|sealed| (sealed.batch.id, sealed.batch.terms.uses)).collect();
    let redeemed =
        sqlx::query!(r#"select code, batch_id as "batch: BatchId", count(*) as "times!" from redemptions group by code, batch_id"#);
    let redeemed = redeemed.fetch_all(&mut *connection).await?.into_iter().map(|row| ((row.code, row.batch), row.times));
    let mut redeemed: HashMap<_, _> = redeemed.collect();
    let used = sqlx::query!(r#"select digest, batch_id as "batch: BatchId", used from codes where used <> 0"#);
    for code in used.fetch_all(connection).await? {
        let row = || format!("a code of batch {}", code.batch);
        let times = redeemed.remove(&(code.digest, code.batch)).unwrap_or(0);
        findings.compare(Claim::CodeIsUsed, row, times, code.used);
        if uses.get(&code.batch).is_none_or(|most| code.used > *most) {
            findings.note(Claim::CodeIsUsed, row(), format!("{:?} at most", uses.get(&code.batch)), code.used);
        }
    }
    for ((_, batch), times) in redeemed {
        findings.note(Claim::CodeIsUsed, format!("a code of batch {batch}"), times, "no code that was used");
    }
    Ok(())
}
