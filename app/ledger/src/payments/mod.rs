//! Payments, through a provider or by bank transfer ([`crate::Operator::credit_transfer`]). What is to be paid through a provider is written down before the provider is asked for it ([`AccountOwner::begin_payment`]); what the provider
//! says of it then, in whatever order and however often, is taken by [`System::take_news`] alone; what could not be credited waits for an operator.

mod auto;
mod movement;
mod news;
mod queue;
mod refunds;
mod strays;
mod transfers;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{Currency, Payment, PaymentState, Provider},
};
use sqlx::PgConnection;

pub(crate) use self::movement::{Moved, MovementKind, PostedMovement, of_account};
pub use self::{
    auto::AutoPayment,
    news::{Event, News, Says, Taken},
    queue::PaymentCredit,
    refunds::{AskedRefund, NewRefund},
    transfers::{NewReturn, Returned, SentBack},
};
use crate::{
    AccountOwner, AccountReader, Error, Result, System,
    account_state::is_closed,
    books::{Books, Lock},
    encoding::{self, Encoding, Seal},
};

/// Stripe forgets an idempotency key after a day at the earliest (<https://docs.stripe.com/api/idempotent_requests>): what was asked for longer ago is looked
/// up, and never asked for again.
pub const ASKED_AGAIN_FOR: TimeDelta = TimeDelta::hours(20);
/// Payments that are looked at in one round.
const TOGETHER_MAX: i64 = 100;

/// A payment that a customer wants to make.
#[derive(Debug, Clone, Copy)]
pub struct NewPayment<'a> {
    /// Its id: the same again is the same payment.
    pub id: PaymentId,
    /// How much.
    pub amount: Amount,
    /// In which currency: the one that balances are in.
    pub currency: Currency,
    /// Who pays.
    pub actor: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

impl AccountOwner {
    /// Writes down what is to be paid. The same payment again is the one that was begun.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an amount that is not above zero or no whole number of the currency's smallest unit, or a closed account;
    /// [`Error::IdempotencyConflict`] when this id was begun with another amount.
    pub async fn begin_payment(&self, new: NewPayment<'_>) -> Result<Payment> {
        let minor = new.currency.minor(new.amount).filter(|minor| *minor > 0);
        let minor = minor.ok_or_else(|| Error::invalid("amount", "write an amount above zero, in whole cents"))?;
        let mut tx = self.database.write().await?;
        if is_closed(&mut tx, self.account).await? {
            return Err(Error::invalid("amount", "this account is closed: it takes no payments"));
        }
        insert(&mut tx, self.account, &new, minor, Way::Page).await?;
        let payment = read(&mut tx, self.account, new.id).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        if (payment.minor, payment.currency) != (minor, new.currency) {
            return Err(Error::IdempotencyConflict);
        }
        Ok(payment)
    }
}

impl AccountReader {
    /// One of the account's payments.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for another account's.
    pub async fn payment(&self, id: PaymentId) -> Result<Payment> {
        read(&mut *self.database.read().await?, self.account, id).await?.ok_or(Error::NotFound)
    }
}

impl System {
    /// Notes how the provider calls a payment that is pending. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::IdempotencyConflict`] when it calls it otherwise already, calls another one so, or the payment is not pending any more.
    pub async fn note_session(&self, account: AccountId, payment: PaymentId, session: &str) -> Result<()> {
        let mut tx = self.database.write().await?;
        // Whoever changes an account's payments waits for who came first.
        Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let noted = sqlx::query!(
            r#"
            update payments set session = $3
            where account_id = $1 and payment_id = $2 and (session = $3 or (session is null and state = 'pending'))
            "#,
            account.uuid(),
            payment.uuid(),
            session
        );
        if noted.execute(&mut *tx).await?.rows_affected() == 0 || !refer(&mut tx, session, account, payment).await? {
            return Err(Error::IdempotencyConflict);
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whose a provider's session or intent is, if that was ever noted.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn payment_of(&self, reference: &str) -> Result<Option<(AccountId, PaymentId)>> {
        referred(&mut *self.database.read().await?, reference).await
    }

    /// Payments that have been pending for so long and were not looked at for as long, oldest first. From then on they count as looked at.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn payments_to_look_at(&self, pending_for: TimeDelta) -> Result<Vec<Payment>> {
        let mut tx = self.database.write().await?;
        let due = self.database.dated.unwrap_or(crate::clock(&mut tx).await?) - pending_for;
        let rows = sqlx::query_as!(
            PaymentRow,
            r#"
            select
                account_id as "account: AccountId", payment_id as "id: PaymentId", provider as "provider: Provider", amount as "amount: Amount", minor,
                currency, made_by, made_at, session, state as "state: PaymentState", problem
            from payments
            where state = 'pending' and made_at <= $1 and (looked_at is null or looked_at <= $1)
            order by made_at, payment_id limit $2
            "#,
            due,
            TOGETHER_MAX
        );
        let payments: Vec<Payment> = rows.fetch_all(&mut *tx).await?.into_iter().map(PaymentRow::into_payment).collect::<Result<_>>()?;
        for payment in &payments {
            let looked_at = sqlx::query!(
                "update payments set looked_at = $3 where account_id = $1 and payment_id = $2",
                payment.account.uuid(),
                payment.id.uuid(),
                due + pending_for
            );
            looked_at.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(payments)
    }
}

/// How a payment comes in.
#[derive(Debug, Clone, Copy)]
enum Way<'a> {
    /// On the provider's page.
    Page,
    /// Of somebody who is not there: a customer of the provider's, and what they pay by.
    Card { customer: &'a str, method: &'a str },
    /// By a transfer, which the bank calls so.
    Bank { reference: &'a str },
}

impl<'a> Way<'a> {
    const fn provider(self) -> Provider {
        match self {
            Self::Page | Self::Card { .. } => Provider::Stripe,
            Self::Bank { .. } => Provider::Bank,
        }
    }

    const fn session(self) -> Option<&'a str> {
        if let Self::Bank { reference } = self { Some(reference) } else { None }
    }

    fn card(self) -> (Option<&'a str>, Option<&'a str>) {
        if let Self::Card { customer, method } = self { (Some(customer), Some(method)) } else { (None, None) }
    }
}

/// Writes down a payment. `false` where it was written before, or another one of a card is under way.
async fn insert(connection: &mut PgConnection, account: AccountId, new: &NewPayment<'_>, minor: i64, way: Way<'_>) -> Result<bool> {
    let (provider, (customer, method)) = (way.provider(), way.card());
    let intent =
        Intent { account, id: new.id, provider, amount: new.amount, minor, currency: new.currency.code(), by: new.actor, at: new.now };
    let seal = intent.seal();
    let insert = sqlx::query!(
        r#"
        insert into payments (
            account_id, payment_id, provider, amount, minor, currency, made_by, made_at, seal, changed_at, customer, method, session
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8, $10, $11, $12)
        on conflict do nothing
        "#,
        account.uuid(),
        new.id.uuid(),
        provider as Provider,
        new.amount.nanos(),
        minor,
        new.currency.code(),
        new.actor,
        new.now,
        &seal[..],
        customer,
        method,
        way.session()
    );
    Ok(insert.execute(connection).await?.rows_affected() == 1)
}

async fn read(connection: &mut PgConnection, account: AccountId, id: PaymentId) -> Result<Option<Payment>> {
    let row = sqlx::query_as!(
        PaymentRow,
        r#"
        select
            account_id as "account: AccountId", payment_id as "id: PaymentId", provider as "provider: Provider", amount as "amount: Amount", minor,
            currency, made_by, made_at, session, state as "state: PaymentState", problem
        from payments where account_id = $1 and payment_id = $2
        "#,
        account.uuid(),
        id.uuid()
    );
    row.fetch_optional(connection).await?.map(PaymentRow::into_payment).transpose()
}

/// Notes whose a provider's session or intent is. `false` when it is another payment's.
async fn refer(connection: &mut PgConnection, reference: &str, account: AccountId, payment: PaymentId) -> Result<bool> {
    sqlx::query!(
        "insert into payment_references (reference, account_id, payment_id) values ($1, $2, $3) on conflict do nothing",
        reference,
        account.uuid(),
        payment.uuid()
    )
    .execute(&mut *connection)
    .await?;
    Ok(referred(connection, reference).await? == Some((account, payment)))
}

async fn referred(connection: &mut PgConnection, reference: &str) -> Result<Option<(AccountId, PaymentId)>> {
    let row = sqlx::query!(
        r#"select account_id as "account: AccountId", payment_id as "payment: PaymentId" from payment_references where reference = $1"#,
        reference
    );
    Ok(row.fetch_optional(connection).await?.map(|row| (row.account, row.payment)))
}

/// What a row of `payments` shows.
struct PaymentRow {
    account: AccountId,
    id: PaymentId,
    provider: Provider,
    amount: Amount,
    minor: i64,
    currency: String,
    made_by: String,
    made_at: DateTime<Utc>,
    session: Option<String>,
    state: PaymentState,
    problem: Option<String>,
}

impl PaymentRow {
    fn into_payment(self) -> Result<Payment> {
        let Self { account, id, provider, amount, minor, currency, made_by, made_at, session, state, problem } = self;
        let currency = Currency::parse(&currency).ok_or_else(|| Error::Corrupt(format!("payment {id} is in a currency {currency}")))?;
        Ok(Payment { account, id, provider, amount, minor, currency, made_by, made_at, session, state, problem })
    }
}

/// The newest encoding, by which payments are sealed.
const VERSION: u8 = 1;

/// What of a row of `payments` never changes.
pub(crate) struct Intent<'a> {
    pub(crate) account: AccountId,
    pub(crate) id: PaymentId,
    pub(crate) provider: Provider,
    pub(crate) amount: Amount,
    pub(crate) minor: i64,
    pub(crate) currency: &'a str,
    pub(crate) by: &'a str,
    pub(crate) at: DateTime<Utc>,
}

impl Intent<'_> {
    fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_1())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        encoding::fits(seal, |version| (version == VERSION).then(|| self.digest_1()))
    }

    fn digest_1(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox payment 1");
        row.id(self.account.uuid());
        row.id(self.id.uuid());
        row.text(self.provider.name());
        row.number(self.amount.nanos());
        row.number(self.minor);
        row.text(self.currency);
        row.text(self.by);
        row.instant(self.at);
        row.digest()
    }
}
