//! Credit that an operator gives, and what is left of credit when it ends.

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    billing::{GrantKind, JournalKind, PostingNumber},
    credit::{self, Pool, Quantity, Unit},
    id::{AccountId, GrantId},
};
use serde_json::json;
use sqlx::PgConnection;

use crate::{
    Error, Operator, Posted, Result, System,
    audit::{self, Line},
    books::{Book, Books, Lock, NewPosting, Request},
    catalog::{expect_known, named},
    encoding::Encoding,
    money, notices,
};

/// Accounts whose ended credit lapses in one transaction.
const TOGETHER_MAX: i64 = 500;

/// Credit beside the wallet that is to be given.
#[derive(Debug, Clone)]
pub struct NewGrant<'a> {
    /// Its id.
    pub id: GrantId,
    /// Promotional credit, the allowance of a plan, or a package; there is one wallet already.
    pub kind: GrantKind,
    /// Money, or tokens.
    pub unit: Unit,
    /// How much. Above zero.
    pub quantity: Quantity,
    /// The models it pays for; `None` for all.
    pub models: Option<Vec<String>>,
    /// From when it pays; `None` for at once.
    pub starts_at: Option<DateTime<Utc>>,
    /// When what is left of it lapses.
    pub expires_at: Option<DateTime<Utc>>,
    /// Of what expires together, the lower number pays first.
    pub priority: i32,
    /// The same key again is the same request, however often it arrives.
    pub idempotency_key: &'a str,
    /// Why, in words.
    pub memo: &'a str,
    /// Who asks.
    pub actor: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

impl Operator {
    /// Gives an account credit beside its wallet.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account; [`Error::Invalid`] for what cannot be: an amount that is not above zero, an end before the start or
    /// in the past, a model that does not exist, a missing reason; [`Error::IdempotencyConflict`].
    pub async fn add_grant(&self, account: AccountId, new: NewGrant<'_>) -> Result<Posted> {
        let new = &NewGrant { memo: Error::one_line("reason", new.memo)?, models: named(new.models.as_deref())?, ..new };
        expect_possible(new)?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let posted = give(&mut tx, books.of(account)?, new, None).await?;
        books.write(&mut tx).await?;
        if posted.replayed {
            return Ok(posted);
        }
        let given = json!({
            "kind": new.kind.name(), "unit": new.unit.name(), "amount": new.quantity.in_words(new.unit), "models": new.models, "priority": new.priority,
            "starts_at": new.starts_at, "expires_at": new.expires_at, "reason": new.memo, "posting": posted.posting
        });
        let name = audit::account_name(&mut tx, account).await?;
        tx.commit(Line::new(Operation::GrantAdd, new.id, name, None, Some(given)).of(account)).await?;
        Ok(posted)
    }

    /// Ends credit before it would have expired: what is left of it lapses now, and what running calls hold of it when they end. Ending it again changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a grant that is not the account's; [`Error::Invalid`] for a wallet, which is the customer's own money.
    pub async fn end_grant(&self, account: AccountId, grant: GrantId, actor: &str) -> Result<()> {
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let Some(left) = end(&mut tx, books.of(account)?, grant, actor).await? else { return Ok(()) };
        let now = books.of(account)?.now();
        books.write(&mut tx).await?;
        // What proxies have leased of it and hold for no call lapses within seconds.
        notices::tell(&mut tx, account).await?;
        let name = audit::account_name(&mut tx, account).await?;
        let was = json!({"left": left, "ended_at": null});
        let is = json!({"left": "0", "ended_at": now});
        tx.commit(Line::new(Operation::GrantEnd, grant, name, Some(was), Some(is)).of(account)).await
    }
}

/// Gives an account credit beside its wallet, with its books locked. `seals` is the seal of what it is given for, if that is a row of its own.
///
/// # Errors
/// As [`Operator::add_grant`].
pub(crate) async fn give(connection: &mut PgConnection, book: &mut Book, new: &NewGrant<'_>, seals: Option<Vec<u8>>) -> Result<Posted> {
    let kind = expect_possible(new)?;
    let digest = terms_digest(&Terms::of(new), new.memo, new.actor);
    if let Some((posting, posted)) = money::of_key(connection, book.account, new.idempotency_key).await? {
        return if posted == digest { Ok(Posted { posting, replayed: true }) } else { Err(Error::IdempotencyConflict) };
    }
    let starts_at = new.starts_at.unwrap_or(book.now());
    if new.expires_at.is_some_and(|expiry| expiry <= book.now().max(starts_at)) {
        return Err(Error::invalid("expires", "choose an instant that is still to come, and after the start"));
    }
    expect_known(connection, new.models.as_deref()).await?;
    let grant = empty(new, starts_at);
    insert(connection, book.account, &grant).await?;
    book.open_grant(grant);
    let posting = book.post(NewPosting {
        kind,
        memo: new.memo.to_owned(),
        actor: new.actor.to_owned(),
        request: Some(Request { idempotency_key: new.idempotency_key.to_owned(), digest }),
        event_at: new.now,
        posted_at: book.now(),
        calls: None,
        seals,
        grants: vec![(new.id, new.quantity.get())],
    });
    Ok(Posted { posting: posting.map_err(|_| money::too_large())?, replayed: false })
}

/// Ends credit of an account whose books are locked. Returns what was left of it, in words; `None` of what has ended already, of which nothing is done.
///
/// # Errors
/// As [`Operator::end_grant`].
pub(crate) async fn end(connection: &mut PgConnection, book: &mut Book, grant: GrantId, actor: &str) -> Result<Option<String>> {
    let Some(found) = book.grants().iter().find(|one| one.id == grant) else {
        // Whoever locks the books leaves out what has ended and is empty.
        let ended = sqlx::query!("select from grants where account_id = $1 and grant_id = $2", book.account.uuid(), grant.uuid());
        return ended.fetch_optional(connection).await?.map(|_| None).ok_or(Error::NotFound);
    };
    if found.kind == GrantKind::Wallet {
        return Err(Error::invalid("grant", "the prepaid balance does not end: take back what is too much of it"));
    }
    let now = book.now();
    if found.expires_at.is_some_and(|expiry| expiry <= now) {
        return Ok(None);
    }
    let (left, unit) = (found.pool.available().or_zero(), found.pool.unit);
    sqlx::query!("update grants set ended_at = $3 where account_id = $1 and grant_id = $2", book.account.uuid(), grant.uuid(), now)
        .execute(connection)
        .await?;
    lapse(book, (grant, left), now, actor)?;
    Ok(Some(left.in_words(unit)))
}

impl System {
    /// Posts as lapsed what is left of credit that has expired. Returns how many grants there were.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn lapse_grants(&self) -> Result<usize> {
        let (mut lapsed, mut after) = (0, None);
        loop {
            let accounts = with_ended_credit(&mut *self.database.read().await?, self.database.dated, after).await?;
            after = accounts.last().copied();
            lapsed += match self.lapse_together(&accounts).await {
                Err(error) if error.is_of_the_data() => self.lapse_apart(&accounts).await?,
                lapsed => lapsed?,
            };
            if (accounts.len() as i64) < TOGETHER_MAX {
                return Ok(lapsed);
            }
        }
    }

    async fn lapse_together(&self, accounts: &[AccountId]) -> Result<usize> {
        let mut tx = self.database.write().await?;
        let mut books = Books::lock(&mut tx, accounts, Lock::Defer, self.database.dated).await?;
        let mut lapsed = 0;
        for account in accounts {
            // Whoever is locked right now is found the next time.
            let Ok(book) = books.of(*account) else { continue };
            let now = book.now();
            let ended: Vec<_> = book.grants().iter().filter_map(|grant| Some((grant.id, grant.lapsed(now), grant.expiry()?))).collect();
            for (grant, left, expiry) in ended.into_iter().filter(|(_, left, _)| !left.is_zero()) {
                lapse(book, (grant, left), expiry, "")?;
                lapsed += 1;
            }
        }
        books.write(&mut tx).await?;
        tx.commit().await?;
        Ok(lapsed)
    }

    /// One whose books cannot be read or written keeps no other's credit from lapsing.
    async fn lapse_apart(&self, accounts: &[AccountId]) -> Result<usize> {
        let mut lapsed = 0;
        for account in accounts {
            match self.lapse_together(&[*account]).await {
                Err(error) if error.is_of_the_data() => {
                    tracing::error!(%account, %error, "credit of an account cannot lapse: prove its books")
                }
                done => lapsed += done?,
            }
        }
        Ok(lapsed)
    }
}

fn lapse(book: &mut Book, (grant, left): (GrantId, Quantity), ended_at: DateTime<Utc>, actor: &str) -> Result<PostingNumber> {
    let taken = left.get().checked_neg().ok_or_else(|| Error::Corrupt("what is left of a grant overflows".to_owned()))?;
    book.post(NewPosting {
        kind: JournalKind::Expiry,
        memo: String::new(),
        actor: actor.to_owned(),
        request: None,
        event_at: ended_at,
        posted_at: book.now(),
        calls: None,
        seals: None,
        grants: vec![(grant, taken)],
    })
}

/// The kind of the posting that gives it.
fn expect_possible(new: &NewGrant<'_>) -> Result<JournalKind> {
    let kind = match new.kind {
        GrantKind::Wallet => return Err(Error::invalid("kind", "write promo, plan or package: the prepaid balance is topped up")),
        GrantKind::Promo => JournalKind::Promo,
        GrantKind::Plan => JournalKind::Allowance,
        GrantKind::Package => JournalKind::Package,
    };
    if new.unit == Unit::Requests {
        return Err(Error::invalid("unit", "write money or tokens: requests are bounded by limits, see `farebox limit set`"));
    }
    if new.quantity <= Quantity::ZERO {
        return Err(Error::invalid("amount", "write an amount above zero"));
    }
    if new.memo.is_empty() {
        return Err(Error::invalid("reason", "say why: the customer reads it in the journal"));
    }
    if new.idempotency_key.is_empty() {
        return Err(Error::invalid("idempotency key", "send one"));
    }
    Ok(kind)
}

async fn insert(connection: &mut PgConnection, account: AccountId, grant: &credit::Grant) -> Result<()> {
    let insert = sqlx::query!(
        r#"
        insert into grants (account_id, grant_id, kind, unit, models, priority, starts_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing
        "#,
        account.uuid(),
        grant.id.uuid(),
        grant.kind as GrantKind,
        grant.pool.unit as Unit,
        grant.models.as_deref(),
        grant.priority,
        grant.starts_at,
        grant.expires_at
    );
    if insert.execute(connection).await?.rows_affected() == 0 { Err(Error::Taken("this grant")) } else { Ok(()) }
}

fn empty(new: &NewGrant<'_>, starts_at: DateTime<Utc>) -> credit::Grant {
    credit::Grant {
        id: new.id,
        kind: new.kind,
        pool: Pool::new(new.unit, Quantity::ZERO),
        models: new.models.clone(),
        floor: Quantity::ZERO,
        starts_at,
        expires_at: new.expires_at,
        priority: new.priority,
    }
}

/// Accounts after one, by their ids, that have credit left which has ended by now.
async fn with_ended_credit(
    connection: &mut PgConnection,
    dated: Option<DateTime<Utc>>,
    after: Option<AccountId>,
) -> Result<Vec<AccountId>> {
    let now = dated.unwrap_or(crate::clock(connection).await?);
    let accounts = sqlx::query_scalar!(
        r#"
        select distinct account_id as "account_id: AccountId" from grants
        where least(expires_at, ended_at) <= $1 and granted - used - leased > 0 and ($2::uuid is null or account_id > $2)
        order by 1 limit $3
        "#,
        now,
        after.map(AccountId::uuid),
        TOGETHER_MAX
    );
    Ok(accounts.fetch_all(connection).await?)
}

/// What a grant is, as it was asked for: none of it changes.
pub(crate) struct Terms<'a> {
    pub(crate) kind: GrantKind,
    pub(crate) unit: Unit,
    pub(crate) quantity: Quantity,
    pub(crate) models: Option<&'a [String]>,
    pub(crate) priority: i32,
    /// `None` if it was to begin at once.
    pub(crate) starts_at: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl<'a> Terms<'a> {
    fn of(new: &'a NewGrant<'_>) -> Self {
        Self {
            kind: new.kind,
            unit: new.unit,
            quantity: new.quantity,
            models: new.models.as_deref(),
            priority: new.priority,
            starts_at: new.starts_at,
            expires_at: new.expires_at,
        }
    }
}

/// The digest of what was asked for, which keeps a repeated request from acting twice and proves the grant's row.
pub(crate) fn terms_digest(terms: &Terms<'_>, memo: &str, actor: &str) -> [u8; 32] {
    let mut asked = Encoding::new(b"farebox grant 1");
    asked.text(terms.kind.name());
    asked.text(terms.unit.name());
    asked.number(terms.quantity.get());
    asked.maybe(terms.models, |asked, models| {
        asked.number(models.len() as i64);
        models.iter().for_each(|model| asked.text(model));
    });
    asked.number(i64::from(terms.priority));
    asked.maybe(terms.starts_at, Encoding::instant);
    asked.maybe(terms.expires_at, Encoding::instant);
    asked.text(memo);
    asked.text(actor);
    asked.digest()
}
