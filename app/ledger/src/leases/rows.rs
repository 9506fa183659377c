//! What is stored of leases: a row for each account and epoch, and one for each slice.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    credit::{Hold, PoolRef, Quantity, Unit},
    id::{AccountId, EpochId, GrantId, LimitId},
    lease::{LeaseRow, SliceRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Error, Result};

/// The leases of some accounts, whose books are locked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows(BTreeMap<(AccountId, EpochId), LeaseRow>);

/// A slice, and whose it is.
type Slice = (AccountId, EpochId, SliceRow);

impl Rows {
    /// All leases of these accounts.
    pub(crate) async fn read(connection: &mut PgConnection, accounts: &[AccountId]) -> Result<Self> {
        let rows = sqlx::query!(
            r#"
            select
                l.account_id as "account!: AccountId", l.epoch_id as "epoch!: EpochId", l.number as "number!", s.grant_id as "grant: GrantId",
                s.limit_id as "limit: LimitId", s.starts_at, coalesce(i.unit, g.unit) as "unit: Unit", s.amount as "amount?: Quantity",
                s.given as "given?: Quantity", s.number as "given_by?"
            from leases l
            left join slices s on s.account_id = l.account_id and s.epoch_id = l.epoch_id
            left join limits i on i.account_id = s.account_id and i.limit_id = s.limit_id
            left join grants g on g.account_id = s.account_id and g.grant_id = s.grant_id
            where l.account_id = any($1)
            "#,
            &accounts.iter().map(|account| account.uuid()).collect::<Vec<_>>()
        )
        .fetch_all(connection)
        .await?;
        let mut leases: BTreeMap<_, LeaseRow> = BTreeMap::new();
        for row in rows {
            let lease = leases.entry((row.account, row.epoch)).or_default();
            lease.number = row.number;
            let (Some(unit), Some(quantity), Some(given), Some(by)) = (row.unit, row.amount, row.given, row.given_by) else { continue };
            let pool = match (row.grant, row.limit, row.starts_at) {
                (Some(grant), None, None) => PoolRef::Grant(grant),
                (None, Some(id), Some(from)) => PoolRef::Limit { id, from },
                _ => return Err(Error::Corrupt(format!("a slice of account {} is of no pool", row.account))),
            };
            lease.slices.push(SliceRow { hold: Hold { pool, unit, quantity }, given: (by, given) });
        }
        Ok(Self(leases))
    }

    /// What an epoch has leased of an account.
    pub(crate) fn of(&mut self, account: AccountId, epoch: EpochId) -> &mut LeaseRow {
        self.0.entry((account, epoch)).or_default()
    }

    /// The same, if it ever leased anything of it.
    pub(crate) fn find(&mut self, account: AccountId, epoch: EpochId) -> Option<&mut LeaseRow> {
        self.0.get_mut(&(account, epoch))
    }

    /// Whether any other epoch has leased something of an account.
    pub(crate) fn has_others(&self, account: AccountId, epoch: EpochId) -> bool {
        self.0.iter().any(|((of, other), lease)| *of == account && *other != epoch && !lease.slices.is_empty())
    }

    /// Writes what differs from what was read. What books say of windows must be written before.
    pub(crate) async fn write(&self, before: &Self, connection: &mut PgConnection) -> Result<()> {
        let numbered = self.0.iter().filter(|(key, lease)| before.0.get(key).is_none_or(|before| before.number != lease.number));
        write_numbers(connection, &numbered.map(|((account, epoch), lease)| (*account, *epoch, lease.number)).collect::<Vec<_>>()).await?;
        let is_there = |slices: &Self, (account, epoch, slice): &Slice| {
            slices.0.get(&(*account, *epoch)).is_some_and(|lease| lease.slices.iter().any(|other| other.hold.pool == slice.hold.pool))
        };
        let gone: Vec<_> = before.slices().filter(|slice| !is_there(self, slice)).collect();
        delete(connection, &gone).await?;
        let is_same = |(account, epoch, slice): &Slice| before.0.get(&(*account, *epoch)).is_some_and(|lease| lease.slices.contains(slice));
        upsert(connection, &self.slices().filter(|slice| !is_same(slice)).collect::<Vec<_>>()).await
    }

    fn slices(&self) -> impl Iterator<Item = Slice> {
        self.0.iter().flat_map(|((account, epoch), lease)| lease.slices.iter().map(|slice| (*account, *epoch, *slice)))
    }
}

/// Forgets what an epoch has leased of an account, and returns what that was.
pub(super) async fn take_all(connection: &mut PgConnection, account: AccountId, epoch: EpochId) -> Result<LeaseRow> {
    let lease = Rows::read(&mut *connection, &[account]).await?.0.remove(&(account, epoch)).unwrap_or_default();
    sqlx::query!("delete from leases where account_id = $1 and epoch_id = $2", account.uuid(), epoch.uuid()).execute(connection).await?;
    Ok(lease)
}

async fn write_numbers(connection: &mut PgConnection, numbers: &[(AccountId, EpochId, i64)]) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        insert into leases as l (account_id, epoch_id, number) select * from unnest($1::uuid[], $2::uuid[], $3::bigint[])
        on conflict (account_id, epoch_id) do update set number = excluded.number
        "#,
        &numbers.iter().map(|(account, ..)| account.uuid()).collect::<Vec<_>>(),
        &numbers.iter().map(|(_, epoch, _)| epoch.uuid()).collect::<Vec<_>>(),
        &numbers.iter().map(|(.., number)| *number).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete(connection: &mut PgConnection, slices: &[Slice]) -> Result<()> {
    if slices.is_empty() {
        return Ok(());
    }
    let Columns { accounts, epochs, grants, limits, starts } = columns(slices);
    sqlx::query!(
        r#"
        delete from slices s
        using unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[]) d (account_id, epoch_id, grant_id, limit_id, starts_at)
        where s.account_id = d.account_id and s.epoch_id = d.epoch_id and s.grant_id is not distinct from d.grant_id
            and s.limit_id is not distinct from d.limit_id and s.starts_at is not distinct from d.starts_at
        "#,
        &accounts,
        &epochs,
        &grants as _,
        &limits as _,
        &starts as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn upsert(connection: &mut PgConnection, slices: &[Slice]) -> Result<()> {
    if slices.is_empty() {
        return Ok(());
    }
    let Columns { accounts, epochs, grants, limits, starts } = columns(slices);
    sqlx::query!(
        r#"
        insert into slices as s (account_id, epoch_id, grant_id, limit_id, starts_at, amount, given, number)
        select * from unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bigint[]
        )
        on conflict (account_id, epoch_id, grant_id, limit_id, starts_at)
            do update set amount = excluded.amount, given = excluded.given, number = excluded.number
        "#,
        &accounts,
        &epochs,
        &grants as _,
        &limits as _,
        &starts as _,
        &slices.iter().map(|(.., slice)| slice.hold.quantity.get()).collect::<Vec<_>>(),
        &slices.iter().map(|(.., slice)| slice.given.1.get()).collect::<Vec<_>>(),
        &slices.iter().map(|(.., slice)| slice.given.0).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What says which slices they are, an array for each column.
struct Columns {
    accounts: Vec<Uuid>,
    epochs: Vec<Uuid>,
    grants: Vec<Option<Uuid>>,
    limits: Vec<Option<Uuid>>,
    starts: Vec<Option<DateTime<Utc>>>,
}

fn columns(slices: &[Slice]) -> Columns {
    let grant = |pool: PoolRef| if let PoolRef::Grant(id) = pool { Some(id.uuid()) } else { None };
    let window = |pool: PoolRef| if let PoolRef::Limit { id, from } = pool { Some((id.uuid(), from)) } else { None };
    Columns {
        accounts: slices.iter().map(|(account, ..)| account.uuid()).collect(),
        epochs: slices.iter().map(|(_, epoch, _)| epoch.uuid()).collect(),
        grants: slices.iter().map(|(.., slice)| grant(slice.hold.pool)).collect(),
        limits: slices.iter().map(|(.., slice)| window(slice.hold.pool).map(|(limit, _)| limit)).collect(),
        starts: slices.iter().map(|(.., slice)| window(slice.hold.pool).map(|(_, from)| from)).collect(),
    }
}
