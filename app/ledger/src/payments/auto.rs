//! Accounts that are topped up by themselves: what their owners want, the card that was saved, and the payments that nobody is there for.
//!
//! Such a payment is a payment like any other: written down before the provider is asked for it, and credited by what that says.

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{AUTO, AutoTerms, AutoTopUp, Currency, Payment},
    period::Period,
};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{NewPayment, Way, insert, read};
use crate::{
    AccountOwner, AccountReader, Error, Result, System,
    account_state::expect_open,
    audit::{self, Line},
    books::{Books, Lock},
};

/// A payment that nobody is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoPayment {
    /// The payment.
    pub payment: Payment,
    /// Whom the provider is to charge, as it calls them.
    pub customer: String,
    /// By what, as it calls that.
    pub method: String,
}

impl AccountReader {
    /// How the account is topped up by itself; `None` if its owner never said.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn auto_top_up(&self, now: DateTime<Utc>) -> Result<Option<AutoTopUp>> {
        let row = sqlx::query!(
            r#"
            select
                is_on, threshold as "threshold: Amount", amount as "amount: Amount", monthly_cap as "monthly_cap: Amount", customer, method_name,
                stopped_at, stopped_by,
                (
                    select coalesce(sum(p.amount), 0)::bigint from payments p
                    where p.account_id = t.account_id and p.method is not null and p.state <> 'ended' and p.made_at >= $2
                ) as "this_month!: Amount",
                (
                    select p.amount from payments p where p.account_id = t.account_id and p.method is not null and p.state = 'pending'
                ) as "pending: Amount",
                exists (
                    select from payments p where p.account_id = t.account_id and p.method is not null and p.state = 'held'
                ) as "held!"
            from auto_top_ups t where account_id = $1
            "#,
            self.account.uuid(),
            Period::ThisMonth.range(now).from
        );
        let row = row.fetch_optional(&mut *self.database.read().await?).await?;
        Ok(row.map(|row| AutoTopUp {
            terms: AutoTerms { is_on: row.is_on, threshold: row.threshold, amount: row.amount, monthly_cap: row.monthly_cap },
            customer: row.customer,
            method: row.method_name,
            this_month: row.this_month,
            pending: row.pending,
            held: row.held,
            stopped: row.stopped_at.zip(row.stopped_by),
        }))
    }
}

impl AccountOwner {
    /// Says when the account is topped up by itself, and by how much. Turned on, it goes on also where it had stopped. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for terms that cannot be, or a closed account.
    pub async fn set_auto_top_up(&self, terms: AutoTerms, actor: &str) -> Result<()> {
        check(&terms)?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[self.account], Lock::Wait, self.database.dated).await?;
        let now = books.of(self.account)?.now();
        if terms.is_on {
            expect_open(&mut tx, self.account).await?;
        }
        let before = said(&mut tx, self.account).await?;
        sqlx::query!(
            r#"
            insert into auto_top_ups (account_id, is_on, threshold, amount, monthly_cap, set_by, set_at) values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (account_id) do update set
                (is_on, threshold, amount, monthly_cap, set_by, set_at) = ($2, $3, $4, $5, $6, $7), stopped_at = null, stopped_by = null
            "#,
            self.account.uuid(),
            terms.is_on,
            terms.threshold.nanos(),
            terms.amount.nanos(),
            terms.monthly_cap.nanos(),
            actor,
            now
        )
        .execute(&mut *tx)
        .await?;
        let after = said(&mut tx, self.account).await?;
        let name = audit::account_name(&mut tx, self.account).await?;
        tx.commit(Line::new(Operation::AutoTopUp, self.account, name, before, after).of(self.account)).await
    }

    /// Notes the provider's page on which a card is to be saved: what is saved on an earlier one counts no more.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nobody has said how the account is topped up.
    pub async fn note_setup(&self, setup: &str) -> Result<()> {
        let noted = sqlx::query!("update auto_top_ups set setup = $2 where account_id = $1", self.account.uuid(), setup);
        let mut tx = self.database.write().await?;
        let rows = noted.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        if rows == 1 { Ok(()) } else { Err(Error::NotFound) }
    }
}

fn check(terms: &AutoTerms) -> Result<()> {
    let AutoTerms { threshold, amount, monthly_cap, .. } = terms;
    if threshold.is_negative() {
        return Err(Error::invalid("threshold", "write an amount from 0 on"));
    }
    if Currency::USD.minor(*amount).is_none_or(|minor| minor <= 0) {
        return Err(Error::invalid("amount", "write an amount above zero, in whole cents"));
    }
    if monthly_cap < amount {
        return Err(Error::invalid("cap", "write no less than what is paid at once"));
    }
    Ok(())
}

/// As the audit log has it.
async fn said(connection: &mut PgConnection, account: AccountId) -> Result<Option<Value>> {
    let row = sqlx::query!(
        r#"
        select
            is_on, threshold as "threshold: Amount", amount as "amount: Amount", monthly_cap as "monthly_cap: Amount", stopped_by
        from auto_top_ups where account_id = $1
        "#,
        account.uuid()
    );
    Ok(row.fetch_optional(connection).await?.map(|row| {
        let (threshold, amount, cap) = (row.threshold, row.amount, row.monthly_cap);
        json!({"on": row.is_on, "threshold": threshold, "amount": amount, "monthly_cap": cap, "stopped_by": row.stopped_by})
    }))
}

impl System {
    /// Keeps a card that was saved on the page that the account was led to last, and lets it go on where it had stopped. `false` for any other page, of which
    /// nothing is kept.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn keep_method(&self, account: AccountId, setup: &str, (customer, method, name): (&str, &str, &str)) -> Result<bool> {
        let mut tx = self.database.write().await?;
        let kept = sqlx::query!(
            r#"
            update auto_top_ups set customer = $3, method = $4, method_name = $5, stopped_at = null, stopped_by = null
            where account_id = $1 and setup = $2 and method is distinct from $4
            "#,
            account.uuid(),
            setup,
            customer,
            method,
            name
        );
        let rows = kept.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(rows == 1)
    }

    /// Accounts whose balance is lower than their owners want it to become, and for which another payment may be begun.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn accounts_to_top_up(&self) -> Result<Vec<AccountId>> {
        let mut connection = self.database.read().await?;
        let now = self.database.dated.unwrap_or(crate::clock(&mut connection).await?);
        Ok(due(&mut connection, None, now).await?.into_iter().map(|due| due.account).collect())
    }

    /// Whether an account's owner still wants what was written down to be asked for: it is on, has not stopped, and the account is active.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn auto_stands(&self, account: AccountId) -> Result<bool> {
        let stands = sqlx::query_scalar!(
            r#"
            select exists (
                select from auto_top_ups t join accounts a on a.account_id = t.account_id and a.status = 'active'
                where t.account_id = $1 and t.is_on and t.stopped_at is null
            ) as "stands!"
            "#,
            account.uuid()
        );
        Ok(stands.fetch_one(&mut *self.database.read().await?).await?)
    }

    /// Begins a payment for an account whose balance is too low, if it still is under the lock of its books and no other one is under way. So however many
    /// find it low at once, there is one. `largest` is the most that is credited without an operator: one above it is not begun, and it stops.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn begin_auto_payment(&self, account: AccountId, id: PaymentId, largest: Amount) -> Result<Option<AutoPayment>> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let now = books.of(account)?.now();
        let Some(Due { amount, customer, method, .. }) = due(&mut tx, Some(account), now).await?.pop() else { return Ok(None) };
        if amount > largest {
            // It would be charged, and then held.
            let why = format!("Each payment is {amount}, and the largest top-up is {largest} now: choose a smaller one.");
            stop(&mut tx, account, &why, now).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let minor =
            Currency::USD.minor(amount).ok_or_else(|| Error::Corrupt(format!("account {account} tops itself up by parts of a cent")))?;
        let new = NewPayment { id, amount, currency: Currency::USD, actor: AUTO, now };
        if !insert(&mut tx, account, &new, minor, Way::Card { customer: &customer, method: &method }).await? {
            return Ok(None);
        }
        let payment = read(&mut tx, account, id).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        Ok(Some(AutoPayment { payment, customer, method }))
    }

    /// Of whom a payment is asked that nobody is there for; `None` of one that somebody makes on the provider's page.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn auto_payment(&self, payment: &Payment) -> Result<Option<AutoPayment>> {
        let row = sqlx::query!(
            "select customer, method from payments where account_id = $1 and payment_id = $2",
            payment.account.uuid(),
            payment.id.uuid()
        );
        let row = row.fetch_optional(&mut *self.database.read().await?).await?.ok_or(Error::NotFound)?;
        Ok(row.customer.zip(row.method).map(|(customer, method)| AutoPayment { payment: payment.clone(), customer, method }))
    }
}

/// An account whose balance is too low.
struct Due {
    account: AccountId,
    amount: Amount,
    customer: String,
    method: String,
}

/// The accounts for which a payment may be begun now, or one of them if it is among these: topped up by themselves by a card that was saved, active, with a
/// balance (of all its money, as pages say it) below the threshold, with room for it in the month, and no such payment under way.
async fn due(connection: &mut PgConnection, account: Option<AccountId>, now: DateTime<Utc>) -> Result<Vec<Due>> {
    let due = sqlx::query_as!(
        Due,
        r#"
        select t.account_id as "account: AccountId", t.amount as "amount: Amount", t.customer as "customer!", t.method as "method!"
        from auto_top_ups t
        join accounts a on a.account_id = t.account_id and a.status = 'active'
        where t.is_on and t.stopped_at is null and t.method is not null and ($1::uuid is null or t.account_id = $1)
            and t.threshold > (
                select coalesce(sum(g.granted - g.used), 0) from grants g
                where g.account_id = t.account_id and g.unit = 'money' and g.starts_at <= $2
                    and $2 < least(coalesce(g.expires_at, 'infinity'), coalesce(g.ended_at, 'infinity'))
            )
            and t.amount + (
                select coalesce(sum(p.amount), 0) from payments p
                where p.account_id = t.account_id and p.method is not null and p.state <> 'ended' and p.made_at >= $3
            ) <= t.monthly_cap
            and not exists (
                select from payments p where p.account_id = t.account_id and p.method is not null and p.state in ('pending', 'held')
            )
        "#,
        account.map(AccountId::uuid),
        now,
        Period::ThisMonth.range(now).from
    );
    Ok(due.fetch_all(connection).await?)
}

/// Asks for nothing more until the account's owner says so.
pub(super) async fn stop(connection: &mut PgConnection, account: AccountId, why: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update auto_top_ups set stopped_at = $2, stopped_by = $3 where account_id = $1 and stopped_at is null",
        account.uuid(),
        now,
        why
    )
    .execute(connection)
    .await?;
    Ok(())
}
