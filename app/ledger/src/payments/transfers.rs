//! Bank transfers: payments past every provider. An operator who finds one on the bank's statement credits it, by what the bank calls it, and notes what was
//! transferred back of it. Both are movements of a payment, as a provider's are, and get the same documents.

use domain::{
    audit::Operation,
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{Currency, PaymentState, Provider},
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    NewPayment, Way, auto, insert,
    movement::{MovementKind, NewMovement},
    news::{WENT_BACK, set},
    queue::{left, reason},
    read, refer, referred,
    refunds::{NewRefund, before, expect_left, insert_refund, minor_of},
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

    /// Notes what went back of a bank transfer, and takes it out of the balance: a credit note is issued of it. What the bank calls the same is the same
    /// return, however often it arrives.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] at `payment` for one that is no bank transfer, at `amount` for more than is left of it, at `reference` for none,
    /// or that of another return, and at `reason` for none; [`Error::InsufficientCredit`] where an operator sent it back and it is spent, or held by running
    /// calls.
    pub async fn return_transfer(&self, new: NewReturn<'_>) -> Result<Returned> {
        let reason = reason(new.reason)?;
        let (reference, same) = bank_reference(new.reference)?;
        let account = self.account_of_payment(new.payment).await?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let payment = read(&mut tx, account, new.payment).await?.ok_or(Error::NotFound)?;
        if payment.provider != Provider::Bank {
            return Err(Error::invalid("payment", "it was paid through Stripe, which is to pay it back"));
        }
        let minor = match new.amount {
            Some(amount) => Some(minor_of(&payment, amount)?),
            None => None,
        };
        let id = return_of(account, &same);
        if let Some(before) = before(&mut tx, account, id).await? {
            if before.payment != new.payment || minor.is_some_and(|minor| minor != before.minor) {
                return Err(noted_before());
            }
            return Ok(Returned { amount: payment.currency.amount(before.minor).unwrap_or_default(), is_new: false });
        }
        if !refer(&mut tx, &format!("bank back {same}"), account, new.payment).await? {
            return Err(noted_before());
        }
        let minor = match minor {
            Some(minor) => minor,
            None => left(&mut tx, &payment).await?,
        };
        expect_left(&mut tx, &payment, minor).await?;
        let amount = payment.currency.amount(minor).filter(|amount| *amount > Amount::ZERO);
        let amount = amount.ok_or_else(|| Error::invalid("amount", "nothing is left of this payment"))?;
        let book = books.of(account)?;
        let (now, before) = (book.now(), book.balance());
        let taken = amount.checked_neg().ok_or_else(money::too_large)?;
        let (kind, words) = match new.by {
            SentBack::ByUs => (MovementKind::Refund, "transferred back"),
            SentBack::ByTheBank => (MovementKind::Dispute, "taken back by the bank"),
        };
        if new.by == SentBack::ByUs {
            money::expect_room(book, taken)?;
        }
        let came = payment.session.clone().unwrap_or_else(|| payment.id.to_string());
        let refund = NewRefund { id, payment: new.payment, amount, reason, actor: new.actor };
        insert_refund(&mut tx, account, &refund, (&came, minor, reason), (now, Some(now))).await?;
        let movement = NewMovement {
            payment: payment.id,
            kind,
            amount: taken,
            minor: -minor,
            reference,
            decided_by: Some(new.actor),
            memo: format!("Bank transfer {came} {words}, {reference}: {reason}"),
            actor: new.actor,
            at: now,
        };
        let posting = movement.post(&mut tx, book).await?;
        let after = json!({
            "balance": book.balance(), "amount": amount, "reason": reason, "refund": id, "reference": reference, "by": new.by.name(), "posting": posting
        });
        // The balance is lower by it, and a saved card would be charged for that.
        auto::stop(&mut tx, account, WENT_BACK, now).await?;
        books.write(&mut tx).await?;
        notices::tell(&mut tx, account).await?;
        let name = audit::account_name(&mut tx, account).await?;
        let line = Line::new(Operation::PaymentRefund, new.payment, name, Some(json!({"balance": before})), Some(after));
        tx.commit(line.of(account)).await?;
        Ok(Returned { amount, is_new: true })
    }

    /// The payment of a bank transfer that the bank calls so.
    ///
    /// # Errors
    /// [`Error::NotFound`] if none was credited; [`Error::Invalid`] for no reference.
    pub async fn transfer_called(&self, reference: &str) -> Result<PaymentId> {
        let (_, same) = bank_reference(reference)?;
        let found = referred(&mut *self.database.read().await?, &format!("bank {same}")).await?;
        found.map(|(_, payment)| payment).ok_or(Error::NotFound)
    }
}

/// What went back of a bank transfer.
#[derive(Debug, Clone, Copy)]
pub struct NewReturn<'a> {
    /// What had come in.
    pub payment: PaymentId,
    /// What the bank calls what went back: once under this name.
    pub reference: &'a str,
    /// How much; `None` for all that is left of the payment.
    pub amount: Option<Amount>,
    /// Who sent it back.
    pub by: SentBack,
    /// Why, in words.
    pub reason: &'a str,
    /// Who notes it.
    pub actor: &'a str,
}

/// Who sent money back to its payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SentBack {
    /// An operator, who gives nobody back what is spent.
    #[default]
    ByUs,
    /// The bank, as where its payer has recalled it. It is gone, be it spent or not: the balance may be below zero then.
    ByTheBank,
}

impl SentBack {
    /// Each.
    pub const ALL: [Self; 2] = [Self::ByUs, Self::ByTheBank];

    /// Its name in forms and in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByUs => "us",
            Self::ByTheBank => "bank",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What is noted of a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// How much went back.
    pub amount: Amount,
    /// Whether it was not noted before.
    pub is_new: bool,
}

fn noted_before() -> Error {
    Error::invalid("reference", "another return of this reference was noted before: add its date where the bank uses one again")
}

/// What a bank calls something, as it was typed, and as it is compared: banks print capitals, and blanks between groups, where people do not.
fn bank_reference(typed: &str) -> Result<(&str, String)> {
    let reference = Error::one_line("reference", typed)?;
    if !(1..=REFERENCE_MAX).contains(&reference.chars().count()) {
        return Err(Error::invalid("reference", "write what the bank calls the transfer, in 1 to 100 letters"));
    }
    Ok((reference, reference.to_lowercase().split_whitespace().collect()))
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
    let (reference, same) = bank_reference(reference)?;
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

/// The return that the bank calls so.
fn return_of(account: AccountId, same: &str) -> Uuid {
    let mut of = Encoding::new(b"farebox bank return 1");
    of.id(account.uuid());
    of.text(same);
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = of.digest();
    uuid::Builder::from_custom_bytes(id).into_uuid()
}
