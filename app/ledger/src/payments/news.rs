//! What a provider says of a payment, and what that does to the books.

use chrono::{DateTime, Utc};
use domain::{
    billing::PostingNumber,
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{Payment, PaymentState, Sum},
};
use sqlx::PgConnection;

use super::{
    auto,
    movement::{MovementKind, NewMovement},
    read, refer, referred,
};
use crate::{
    Error, Result, System,
    account_state::is_closed,
    books::{Book, Books, Lock},
    notices,
};

/// Who the books say it was, where a provider moved money back.
const PROVIDER: &str = "Stripe";
/// Why an account is not topped up by itself any more, in words for its owner.
pub(super) const WENT_BACK: &str = "A payment went back to its payer.";

/// What a provider says of a payment.
#[derive(Debug, Clone)]
pub struct News<'a> {
    /// What told it; `None` of what it answered when it was asked.
    pub event: Option<Event<'a>>,
    /// Whose payment it is.
    pub account: AccountId,
    /// Which one.
    pub payment: PaymentId,
    /// What the provider calls the payment itself, as refunds and disputes name it.
    pub intent: Option<&'a str>,
    /// What it says.
    pub says: Says<'a>,
}

/// A message of the provider's.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its id. Each acts once.
    pub id: &'a str,
    /// Its kind, in the provider's words.
    pub kind: &'a str,
    /// What it is about, as the provider calls that.
    pub about: &'a str,
    /// Whether nothing follows on that: what is told later of it, out of order, was before.
    pub is_final: bool,
}

/// What is said.
#[derive(Debug, Clone)]
pub enum Says<'a> {
    /// Nothing is paid yet.
    Waiting,
    /// Nothing will be paid.
    Ended,
    /// Nobody was there to pay, and it was declined: nothing will be paid, and nothing is asked for any more until the account's owner says so.
    Declined {
        /// Why, in words.
        why: &'a str,
    },
    /// It is paid.
    Paid {
        /// What was paid by, as the provider calls it.
        session: &'a str,
        /// How much.
        sum: Sum,
        /// Whose payment it says that it is, in the words that it was given; `None` where it has none.
        names: Option<(AccountId, PaymentId)>,
    },
    /// So much of it was paid back, in all.
    Refunded {
        /// Of what, as the provider calls it.
        charge: &'a str,
        /// How much in all.
        in_all: Sum,
    },
    /// The payer disputes it.
    Disputed {
        /// The dispute, as the provider calls it.
        dispute: &'a str,
        /// How much of it.
        sum: Sum,
        /// Whether the money is gone.
        is_taken: bool,
    },
    /// Something that an operator must look at.
    Trouble(String),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The books have it from before.
    Before,
    /// It changes nothing.
    Nothing,
    /// There is no such payment.
    Unknown,
    /// It follows on a payment that is not known to be paid yet: nothing was written down. Ask for the payment first.
    TooEarly,
    /// Nothing will be paid.
    Ended,
    /// The account has the money.
    Credited(PostingNumber),
    /// Money went back, or came again.
    Moved(PostingNumber),
    /// An operator must look at it, for this reason.
    Held(String),
}

impl System {
    /// Takes what a provider says of a payment, in one transaction with all that follows from it. What was said before changes nothing. `largest` is the most
    /// that is credited without an operator.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: nothing is written down, it must be told again.
    pub async fn take_news(&self, news: &News<'_>, largest: Amount) -> Result<Taken> {
        match self.take(news, largest, None).await {
            // The balance would be beyond what can be written down.
            Err(Error::Invalid { problem, .. }) => self.take(news, largest, Some(&problem)).await,
            taken => taken,
        }
    }

    async fn take(&self, news: &News<'_>, largest: Amount, refused: Option<&str>) -> Result<Taken> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, &[news.account], Lock::Wait, self.database.dated).await?;
        let payment = if books.contains(news.account) { read(&mut tx, news.account, news.payment).await? } else { None };
        let now = match books.of(news.account) {
            Ok(book) => book.now(),
            Err(_) => crate::clock(&mut tx).await?,
        };
        if let Some(event) = &news.event
            && !event.insert(&mut tx, payment.as_ref(), now).await?
        {
            return Ok(Taken::Before);
        }
        let Some(payment) = payment else {
            tx.commit().await?;
            return Ok(Taken::Unknown);
        };
        if let Some(intent) = news.intent {
            refer(&mut tx, intent, payment.account, payment.id).await?;
        }
        let taking = Taking { payment: &payment, largest, refused, now };
        let taken = taking.take(&mut tx, books.of(payment.account)?, news).await?;
        if taken == Taken::TooEarly {
            return Ok(taken);
        }
        books.write(&mut tx).await?;
        if matches!(taken, Taken::Moved(_)) {
            // What proxies have leased and hold for no call is wanted back: there may be nothing of it left.
            notices::tell(&mut tx, payment.account).await?;
        }
        tx.commit().await?;
        Ok(taken)
    }
}

/// A payment of which something is said, with its account's books locked.
struct Taking<'a> {
    payment: &'a Payment,
    largest: Amount,
    /// Why the books did not take it.
    refused: Option<&'a str>,
    now: DateTime<Utc>,
}

impl Taking<'_> {
    async fn take(&self, connection: &mut PgConnection, book: &mut Book, news: &News<'_>) -> Result<Taken> {
        match &news.says {
            Says::Waiting => Ok(Taken::Nothing),
            Says::Ended if self.payment.state == PaymentState::Pending => {
                self.set(connection, PaymentState::Ended, None).await?;
                Ok(Taken::Ended)
            }
            Says::Declined { why } if self.payment.state == PaymentState::Pending => {
                self.set(connection, PaymentState::Ended, None).await?;
                auto::stop(connection, self.payment.account, why, self.now).await?;
                Ok(Taken::Ended)
            }
            Says::Ended | Says::Declined { .. } => Ok(Taken::Nothing),
            Says::Paid { session, sum, names } => self.paid(connection, book, (session, sum, *names)).await,
            Says::Refunded { .. } | Says::Disputed { .. } if self.payment.state < PaymentState::Held => Ok(Taken::TooEarly),
            Says::Refunded { charge, in_all } => self.refunded(connection, book, charge, in_all).await,
            Says::Disputed { dispute, sum, is_taken } => {
                let is_over = news.event.is_some_and(|event| !event.is_final) && is_final(connection, dispute).await?;
                if is_over { Ok(Taken::Nothing) } else { self.disputed(connection, book, (dispute, sum, *is_taken)).await }
            }
            Says::Trouble(problem) => self.hold(connection, problem).await,
        }
    }

    async fn paid(
        &self,
        connection: &mut PgConnection,
        book: &mut Book,
        (session, sum, names): (&str, &Sum, Option<(AccountId, PaymentId)>),
    ) -> Result<Taken> {
        let payment = self.payment;
        let is_another = payment.session.as_deref().is_some_and(|known| known != session)
            || referred(connection, session).await?.is_some_and(|of| of != (payment.account, payment.id));
        if is_another {
            return self.hold(connection, &format!("{sum} was paid by {session}, which this payment was not begun with")).await;
        }
        match (payment.state, &payment.problem) {
            (PaymentState::Credited | PaymentState::Dismissed, _) => return Ok(Taken::Nothing),
            (PaymentState::Held, Some(known)) if known.contains(session) => return Ok(Taken::Nothing),
            (PaymentState::Held, _) => return self.hold(connection, &format!("{sum} was paid by {session} as well")).await,
            (PaymentState::Pending | PaymentState::Ended, _) => {}
        }
        refer(connection, session, payment.account, payment.id).await?;
        if let Some(problem) = self.objection(connection, sum, names).await? {
            return self.hold(connection, &format!("{problem} ({session})")).await;
        }
        let movement = NewMovement {
            payment: payment.id,
            kind: MovementKind::Credit,
            amount: payment.amount,
            minor: payment.minor,
            reference: session,
            decided_by: None,
            memo: "Stripe payment".to_owned(),
            actor: &payment.made_by,
            at: self.now,
        };
        let posting = movement.post(connection, book).await?;
        self.set(connection, PaymentState::Credited, None).await?;
        Ok(Taken::Credited(posting))
    }

    /// Why what was paid cannot be credited, if it cannot.
    async fn objection(&self, connection: &mut PgConnection, sum: &Sum, names: Option<(AccountId, PaymentId)>) -> Result<Option<String>> {
        let payment = self.payment;
        let expected = Sum { minor: payment.minor, currency: payment.currency.code().to_owned() };
        Ok(match self.refused {
            Some(problem) => Some(format!("{sum} was paid, and {problem}")),
            None if names != Some((payment.account, payment.id)) => {
                Some(format!("{sum} was paid for another account or payment: {names:?}"))
            }
            None if *sum != expected => Some(format!("{sum} was paid where {expected} was to be")),
            None if payment.amount > self.largest => Some(format!("{sum} is above the largest top-up, {}", self.largest)),
            None if is_closed(connection, payment.account).await? => Some(format!("{sum} was paid, and the account is closed")),
            None => None,
        })
    }

    async fn refunded(&self, connection: &mut PgConnection, book: &mut Book, charge: &str, in_all: &Sum) -> Result<Taken> {
        let payment = self.payment;
        let before = minor_refunded(connection, payment).await?;
        let Some(more) = in_all.minor.checked_sub(before).filter(|more| *more > 0) else { return Ok(Taken::Nothing) };
        if let Some(problem) = self.obstacle("was refunded", in_all) {
            return self.hold(connection, &problem).await;
        }
        let memo = "Refund of a Stripe payment".to_owned();
        self.give_back(connection, book, (MovementKind::Refund, charge, -more, memo)).await
    }

    async fn disputed(
        &self,
        connection: &mut PgConnection,
        book: &mut Book,
        (dispute, sum, is_taken): (&str, &Sum, bool),
    ) -> Result<Taken> {
        let was_taken = moved(connection, self.payment, MovementKind::Dispute, dispute).await?;
        let was_returned = moved(connection, self.payment, MovementKind::Reversal, dispute).await?;
        match (is_taken, was_taken, was_returned) {
            (true, None, _) => {
                if let Some(problem) = self.obstacle("is disputed", sum) {
                    return self.hold(connection, &problem).await;
                }
                let memo = format!("Disputed Stripe payment: {dispute}");
                self.give_back(connection, book, (MovementKind::Dispute, dispute, -sum.minor, memo)).await
            }
            (false, Some(taken), None) => {
                let memo = format!("Dispute {dispute} ended without a loss");
                self.give_back(connection, book, (MovementKind::Reversal, dispute, -taken, memo)).await
            }
            _ => Ok(Taken::Nothing),
        }
    }

    /// Why what went back cannot be posted: it is in another currency, or of a payment that the account never had.
    fn obstacle(&self, what: &str, sum: &Sum) -> Option<String> {
        match (self.refused, self.payment.state) {
            (Some(problem), _) => Some(format!("{sum} {what}, and {problem}")),
            (None, PaymentState::Credited) if sum.currency == self.payment.currency.code() => None,
            (None, PaymentState::Credited) => Some(format!("{sum} {what}, which is another currency")),
            (None, _) => Some(format!("{sum} {what}, and nothing was credited")),
        }
    }

    async fn give_back(
        &self,
        connection: &mut PgConnection,
        book: &mut Book,
        (kind, reference, minor, memo): (MovementKind, &str, i64, String),
    ) -> Result<Taken> {
        let amount = self.payment.currency.amount(minor).ok_or_else(crate::money::too_large)?;
        let (payment, at) = (self.payment.id, self.now);
        let movement = NewMovement { payment, kind, amount, minor, reference, decided_by: None, memo, actor: PROVIDER, at };
        let posting = movement.post(connection, book).await?;
        if amount.is_negative() {
            // The balance is lower by it, and the same card would be charged again at once.
            auto::stop(connection, self.payment.account, WENT_BACK, at).await?;
        }
        Ok(Taken::Moved(posting))
    }

    async fn hold(&self, connection: &mut PgConnection, problem: &str) -> Result<Taken> {
        hold(connection, self.payment, problem, self.now).await
    }

    async fn set(&self, connection: &mut PgConnection, state: PaymentState, problem: Option<&str>) -> Result<()> {
        set(connection, self.payment, state, problem, self.now).await
    }
}

/// Leaves a payment to an operator. What is in the books stays there. The account's books are locked.
pub(super) async fn hold(connection: &mut PgConnection, of: &Payment, problem: &str, now: DateTime<Utc>) -> Result<Taken> {
    let all = match &of.problem {
        Some(known) if known.contains(problem) => return Ok(Taken::Nothing),
        Some(known) => format!("{known}; {problem}"),
        None => problem.to_owned(),
    };
    set(connection, of, of.state.max(PaymentState::Held), Some(&all), now).await?;
    Ok(Taken::Held(problem.to_owned()))
}

/// Never back: an earlier state is left as it is. The account's books are locked, so nobody else changes it.
pub(super) async fn set(
    connection: &mut PgConnection,
    of: &Payment,
    state: PaymentState,
    problem: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    if state < of.state {
        return Err(Error::Corrupt(format!("payment {} would go back from {} to {}", of.id, of.state.name(), state.name())));
    }
    sqlx::query!(
        "update payments set state = $3, problem = $4, changed_at = $5 where account_id = $1 and payment_id = $2",
        of.account.uuid(),
        of.id.uuid(),
        state as PaymentState,
        problem,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Event<'_> {
    /// Writes down that it came. `false` when it came before.
    async fn insert(&self, connection: &mut PgConnection, payment: Option<&Payment>, now: DateTime<Utc>) -> Result<bool> {
        let inserted = sqlx::query!(
            r#"
            insert into payment_events (event_id, kind, about, is_final, account_id, payment_id, received_at)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict do nothing
            "#,
            self.id,
            self.kind,
            self.about,
            self.is_final,
            payment.map(|payment| payment.account.uuid()),
            payment.map(|payment| payment.id.uuid()),
            now
        );
        Ok(inserted.execute(connection).await?.rows_affected() == 1)
    }
}

/// Whether an event was taken that nothing follows on.
async fn is_final(connection: &mut PgConnection, about: &str) -> Result<bool> {
    let found = sqlx::query_scalar!(r#"select exists (select from payment_events where about = $1 and is_final) as "found!""#, about);
    Ok(found.fetch_one(connection).await?)
}

/// What was paid back of it before, in the currency's smallest unit.
async fn minor_refunded(connection: &mut PgConnection, of: &Payment) -> Result<i64> {
    let sum = sqlx::query_scalar!(
        r#"
        select coalesce(-sum(minor), 0)::bigint as "sum!" from payment_movements
        where account_id = $1 and payment_id = $2 and kind = 'refund'
        "#,
        of.account.uuid(),
        of.id.uuid()
    );
    Ok(sum.fetch_one(connection).await?)
}

/// What was moved of it for a reason, in the currency's smallest unit.
async fn moved(connection: &mut PgConnection, of: &Payment, kind: MovementKind, reference: &str) -> Result<Option<i64>> {
    let minor = sqlx::query_scalar!(
        "select minor from payment_movements where account_id = $1 and payment_id = $2 and kind = $3 and reference = $4",
        of.account.uuid(),
        of.id.uuid(),
        kind as MovementKind,
        reference
    );
    Ok(minor.fetch_optional(connection).await?)
}
