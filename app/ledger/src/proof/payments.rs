//! What must hold of payments: that each is in the books as often and as much as it was paid, and that nothing else is.

use std::collections::HashMap;

use domain::{
    billing::{JournalKind, PostingNumber},
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{PaymentState, Provider},
};
use sqlx::PgConnection;

use super::claim::{Claim, Findings};
use crate::{
    Result,
    payments::{self, Intent, Moved, MovementKind, PostedMovement},
};

/// Checks every payment of an account. Returns by how much what payments took back is more than what came again, in nanos: so much may be missing.
pub(super) async fn check(connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<i128> {
    let moved = payments::of_account(connection, account).await?;
    moved.iter().for_each(|moved| check_movement(moved, findings));
    let mut credits: HashMap<PaymentId, &Moved> = HashMap::new();
    for credit in moved.iter().filter(|moved| moved.record.kind == MovementKind::Credit) {
        if credits.insert(credit.record.payment, credit).is_some() {
            findings.note(Claim::PaymentIsCredited, format!("payment {}", credit.record.payment), "one credit", "several");
        }
    }
    check_payments(connection, account, &credits, findings).await?;
    without_a_movement(connection, account, findings).await?;
    let back = moved.iter().filter(|moved| moved.record.kind != MovementKind::Credit).map(|moved| -i128::from(moved.record.amount.nanos()));
    Ok(back.sum::<i128>().max(0))
}

/// A movement is the one that was sealed, and its posting is of its kind, moves as much, and bears that seal.
fn check_movement(moved: &Moved, findings: &mut Findings) {
    let record = &moved.record;
    let row = || format!("posting {} of payment {}", record.posting, record.payment);
    findings.sealed(Claim::PaymentIsSealed, row, record.fits(&moved.seal));
    let (kind, amount, at) = (record.kind.posted_as(), record.amount, record.posted_at);
    if moved.posted.as_ref() != Some(&PostedMovement { kind, amount, at, seals: Some(moved.seal.clone()) }) {
        let found = moved.posted.as_ref().map(|posted| (posted.kind.name(), posted.amount, posted.at));
        let expected = format!("{:?}, with its seal", (kind.name(), amount, at));
        findings.note(Claim::PaymentIsPosted, row(), expected, format!("{found:?}"));
    }
}

/// A payment that is credited has its one credit, of what was to be paid unless somebody decided otherwise; one that is not has none.
async fn check_payments(
    connection: &mut PgConnection,
    account: AccountId,
    credits: &HashMap<PaymentId, &Moved>,
    findings: &mut Findings,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"
        select
            payment_id as "id: PaymentId", provider as "provider: Provider", amount as "amount: Amount", minor, currency, made_by, made_at, seal, state as "state: PaymentState"
        from payments where account_id = $1
        "#,
        account.uuid()
    );
    for row in rows.fetch_all(connection).await? {
        let name = || format!("payment {} of account {account}", row.id);
        let (amount, minor) = (row.amount, row.minor);
        let intent = Intent {
            account,
            id: row.id,
            provider: row.provider,
            amount,
            minor,
            currency: &row.currency,
            by: &row.made_by,
            at: row.made_at,
        };
        findings.sealed(Claim::PaymentIsSealed, name, intent.fits(&row.seal));
        let credit = credits.get(&row.id).map(|credit| &credit.record);
        findings.compare(Claim::PaymentIsCredited, name, row.state == PaymentState::Credited, credit.is_some());
        // Of a transfer, what was found on the bank's statement is what was to be paid.
        if let Some(credit) = credit.filter(|credit| credit.decided_by.is_none() || row.provider == Provider::Bank) {
            findings.compare(Claim::PaymentIsCredited, name, format!("{amount}, {minor}"), format!("{}, {}", credit.amount, credit.minor));
        }
    }
    Ok(())
}

/// Whatever is posted for payments has a movement: every chargeback, and a posting of money in or back that bears a seal, unless a code was redeemed.
async fn without_a_movement(connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<()> {
    let rows = sqlx::query!(
        r#"
        select j.seq as "posting: PostingNumber", j.kind as "kind: JournalKind" from journal j
        where j.account_id = $1 and (j.kind = 'chargeback' or (j.kind in ('top_up', 'refund') and j.seals is not null))
            and not exists (select from payment_movements m where m.account_id = j.account_id and m.posting = j.seq)
            and not exists (select from redemptions r where r.account_id = j.account_id and r.posting = j.seq)
        "#,
        account.uuid()
    );
    for row in rows.fetch_all(connection).await? {
        findings.note(
            Claim::PaymentIsPosted,
            format!("posting {} of account {account}", row.posting),
            "a payment's movement",
            row.kind.name(),
        );
    }
    Ok(())
}
