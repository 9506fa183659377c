//! Bank transfers: payments past every provider. An operator who finds one on the bank's statement credits it, by what the bank calls it, and notes what was
//! transferred back of it. Both are movements of a payment, as a provider's are, and get the same documents.

use domain::{
    audit::Operation,
    id::{AccountId, PaymentId},
    payment::{Currency, PaymentState, Provider},
};
use serde_json::json;
use sqlx::PgConnection;

use super::{
    NewPayment, Way, auto, insert,
    movement::{MovementKind, NewMovement},
    news::{WENT_BACK, set},
    queue::reason,
    read, refer,
    refunds::{Before, NewRefund, before, expect_left, insert_refund, minor_of},
};
use crate::{
    Error, MoneyIn, Operator, Posted, Result,
    account_state::is_closed,
    audit::{self, Line},
    books::{Books, Lock},
    encoding::Encoding,
    money, notices,
};

/// The most letters of what a bank calls a transfer.
const REFERENCE_MAX: usize = 100;

impl Operator {
    /// Credits what came in by bank transfer, which the bank calls so: a payment that a receipt is issued of. One transfer is credited once, to whomever.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account; [`Error::Invalid`] at `amount` for one that is not above zero and in whole cents, or a closed account, at
    /// `reference` for none, or that of a transfer that was credited before, and at `reason` for none; [`Error::IdempotencyConflict`].
    pub async fn credit_transfer(&self, account: AccountId, reference: &str, money: MoneyIn<'_>) -> Result<Posted> {
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let before = books.of(account)?.balance();
        let posted = draft(&mut tx, &mut books, account, reference, &money).await?;
        if posted.replayed {
            return Ok(posted);
        }
        let after = json!({
            "balance": books.of(account)?.balance(), "amount": money.amount, "reference": reference.trim(), "reason": money.memo.trim(),
            "posting": posted.posting
        });
        books.write(&mut tx).await?;
        let name = audit::account_name(&mut tx, account).await?;
        let line =
            Line::new(Operation::PaymentCredit, id_of(account, money.idempotency_key), name, Some(json!({"balance": before})), Some(after));
        tx.commit(line.of(account)).await?;
        Ok(posted)
    }

    /// Whether [`Self::credit_transfer`] could credit it right now. Posts nothing.
    ///
    /// # Errors
    /// As there.
    pub async fn expect_transfer(&self, account: AccountId, reference: &str, money: MoneyIn<'_>) -> Result<()> {
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        draft(&mut tx, &mut books, account, reference, &money).await?;
        tx.undo().await
    }

    /// Notes that a bank transfer was transferred back, all that is left of it or a part, and takes it out of the balance: a credit note is issued of it. The
    /// same again is the same refund.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a payment that is no bank transfer, more than is left of it, or a missing reason;
    /// [`Error::InsufficientCredit`] where it is spent, or held by running calls; [`Error::IdempotencyConflict`] when this id was another refund's.
    pub async fn return_transfer(&self, new: NewRefund<'_>) -> Result<()> {
        let reason = reason(new.reason)?;
        let account = self.account_of_payment(new.payment).await?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let payment = read(&mut tx, account, new.payment).await?.ok_or(Error::NotFound)?;
        let minor = minor_of(&payment, new.amount)?;
        match before(&mut tx, account, new.id).await? {
            Some(Before { payment, minor: asked, .. }) if (payment, asked) == (new.payment, minor) => return Ok(()),
            Some(_) => return Err(Error::IdempotencyConflict),
            None if payment.provider == Provider::Bank => {}
            None => return Err(Error::invalid("payment", "it was paid through Stripe, which is to pay it back")),
        }
        expect_left(&mut tx, &payment, minor).await?;
        let book = books.of(account)?;
        let (now, before) = (book.now(), book.balance());
        let amount = new.amount.checked_neg().ok_or_else(money::too_large)?;
        money::expect_room(book, amount)?;
        let reference = payment.session.clone().unwrap_or_else(|| payment.id.to_string());
        insert_refund(&mut tx, account, &new, (&reference, minor, reason), (now, Some(now))).await?;
        let movement = NewMovement {
            payment: payment.id,
            kind: MovementKind::Refund,
            amount,
            minor: -minor,
            reference: &reference,
            decided_by: Some(new.actor),
            memo: format!("Bank transfer {reference} transferred back: {reason}"),
            actor: new.actor,
            at: now,
        };
        let posting = movement.post(&mut tx, book).await?;
        let after = json!({"balance": book.balance(), "amount": new.amount, "reason": reason, "refund": new.id, "posting": posting});
        // The balance is lower by it, and a saved card would be charged for that.
        auto::stop(&mut tx, account, WENT_BACK, now).await?;
        books.write(&mut tx).await?;
        notices::tell(&mut tx, account).await?;
        let name = audit::account_name(&mut tx, account).await?;
        let line = Line::new(Operation::PaymentRefund, new.payment, name, Some(json!({"balance": before})), Some(after));
        tx.commit(line.of(account)).await
    }
}

/// Posts a transfer, for whoever writes the books.
async fn draft(
    connection: &mut PgConnection,
    books: &mut Books,
    account: AccountId,
    reference: &str,
    money: &MoneyIn<'_>,
) -> Result<Posted> {
    if money.idempotency_key.is_empty() {
        return Err(Error::invalid("idempotency key", "send one"));
    }
    let reference = Error::one_line("reference", reference)?;
    if !(1..=REFERENCE_MAX).contains(&reference.chars().count()) {
        return Err(Error::invalid("reference", "write what the bank calls the transfer, in 1 to 100 letters"));
    }
    money::expect_reason(money)?;
    let currency = Currency::USD;
    let minor = currency.minor(money.amount).filter(|minor| *minor > 0);
    let minor = minor.ok_or_else(|| Error::invalid("amount", "write an amount above zero, in whole cents"))?;
    let book = books.of(account)?;
    let (id, now) = (id_of(account, money.idempotency_key), book.now());
    let movement = NewMovement {
        payment: id,
        kind: MovementKind::Credit,
        amount: money.amount,
        minor,
        reference,
        decided_by: Some(money.actor),
        memo: format!("Bank transfer {reference}: {}", Error::one_line("reason", money.memo)?),
        actor: money.actor,
        at: money.now,
    };
    if let Some(posted) = movement.posted_before(connection, book).await? {
        return Ok(posted);
    }
    if is_closed(connection, account).await? {
        return Err(Error::invalid("amount", "this account is closed: it takes no payments"));
    }
    let new = NewPayment { id, amount: money.amount, currency, actor: money.actor, now: money.now };
    if !insert(connection, account, &new, minor, Way::Bank { reference }).await? {
        return Err(Error::IdempotencyConflict);
    }
    // Banks print capitals, and blanks between groups, where people do not.
    let same: String = reference.to_lowercase().split_whitespace().collect();
    if !refer(connection, &format!("bank {same}"), account, id).await? {
        let problem =
            "a transfer of this reference was credited before: look under Payments, and add its date where the bank uses one again";
        return Err(Error::invalid("reference", problem));
    }
    let posting = movement.post(connection, book).await?;
    let payment = read(connection, account, id).await?.ok_or(Error::NotFound)?;
    set(connection, &payment, PaymentState::Credited, None, now).await?;
    Ok(Posted { posting, replayed: false })
}

/// The payment that is credited under an idempotency key: the same again is the same payment.
fn id_of(account: AccountId, key: &str) -> PaymentId {
    let mut of = Encoding::new(b"farebox bank transfer 1");
    of.id(account.uuid());
    of.text(key);
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = of.digest();
    PaymentId::from_uuid(uuid::Builder::from_custom_bytes(id).into_uuid())
}
