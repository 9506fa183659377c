//! Announced calls: those that run for long. Should their proxy be lost with its spool, they are settled from this.

use std::collections::HashMap;

use domain::{
    attribution::{Attribution, Label, Tags},
    credit::Split,
    id::{AccountId, CallId, EpochId, KeyId, PriceId, ProjectId, UserId},
    money::Amount,
    pricing::{Discount, Excess},
    service_tier::ServiceTier,
    tokens::Tokens,
};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::epochs;
use crate::{Admitted, Error, Meter, Result, database::Database};

impl Meter {
    /// Announces calls of an epoch that run for long. Announcing one again changes nothing.
    ///
    /// # Errors
    /// [`Error::EpochOver`], [`Error::Unavailable`]: nothing is announced then.
    pub async fn announce(&self, epoch: EpochId, calls: &[Admitted]) -> Result<()> {
        let mut tx = self.database.write().await?;
        epochs::expect_on(&mut tx, epoch).await?;
        for call in calls {
            insert(&mut tx, epoch, call).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn insert(connection: &mut PgConnection, epoch: EpochId, call: &Admitted) -> Result<()> {
    let attribution = &call.attribution;
    sqlx::query!(
        r#"
        insert into intents (
            account_id, call_id, key_id, project_id, end_user, session, client, tags, model, provider, price_id, discount_bps, stream,
            is_lenient, input_estimate, held, tokens_held, epoch_id, split, service_tier
        )
        select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $21
        where not exists (select from calls where account_id = $1 and started_at = $20 and call_id = $2)
        on conflict (account_id, call_id) do nothing
        "#,
        call.account_id.uuid(),
        call.call_id.uuid(),
        call.key_id.uuid(),
        call.project_id.uuid(),
        attribution.end_user.as_ref().map(Label::as_str),
        attribution.session.as_ref().map(Label::as_str),
        attribution.client.as_ref().map(Label::as_str),
        Some(&attribution.tags).filter(|tags| !tags.is_empty()).map(Json) as _,
        call.model,
        call.provider,
        call.price_id.uuid(),
        call.discount.bps(),
        call.stream,
        call.excess.is_charged(),
        call.input_estimate.get(),
        call.held.nanos(),
        call.tokens_held.get(),
        epoch.uuid(),
        Json(&call.split) as _,
        call.started_at()?,
        call.asked_tier.other() as Option<ServiceTier>
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Those of an epoch that are not settled. What is in quarantine was, and is posted one day; what is posted was announced at that very moment.
pub(super) async fn of_epoch(database: &Database, epoch: EpochId) -> Result<Vec<Admitted>> {
    let rows = sqlx::query_as!(
        AnnouncedRow,
        r#"
        select
            i.account_id as "account_id: AccountId", i.call_id as "call_id: CallId", i.key_id as "key_id: KeyId",
            i.project_id as "project_id: ProjectId", k.user_id as "member: UserId", i.end_user as "end_user: Label",
            i.session as "session: Label", i.client as "client: Label", i.tags as "tags: Json<Tags>", i.model, i.provider,
            i.price_id as "price_id: PriceId", i.discount_bps, i.stream, i.is_lenient, i.input_estimate as "input_estimate: Tokens",
            i.held as "held: Amount", i.tokens_held as "tokens_held: Tokens", i.epoch_id as "epoch: EpochId", i.split as "split: Json<Split>",
            i.service_tier as "service_tier: ServiceTier"
        from intents i
        join api_keys k using (account_id, key_id)
        where i.epoch_id = $1
            and not exists (select from quarantine q where q.account_id = i.account_id and q.call_id = i.call_id)
            and not exists (select from calls c where c.account_id = i.account_id and c.started_at = uuid_v7_time(i.call_id) and c.call_id = i.call_id)
        order by i.call_id
        "#,
        epoch.uuid()
    );
    let rows = rows.fetch_all(&mut *database.read().await?).await?;
    rows.into_iter().map(Admitted::try_from).collect()
}

/// What these calls hold that their settlements do not say: they were admitted by a version that held in the database for each call.
pub(crate) async fn announced_splits(
    connection: &mut PgConnection,
    accounts: &[AccountId],
    calls: &[CallId],
) -> Result<HashMap<CallId, (EpochId, Split)>> {
    let rows = sqlx::query!(
        r#"
        select i.call_id as "call: CallId", i.epoch_id as "epoch: EpochId", i.split as "split: Json<Split>"
        from intents i join unnest($1::uuid[], $2::uuid[]) c (account_id, call_id) using (account_id, call_id)
        "#,
        &uuids(accounts),
        &calls.iter().map(|call| call.uuid()).collect::<Vec<_>>()
    );
    Ok(rows.fetch_all(connection).await?.into_iter().map(|row| (row.call, (row.epoch, row.split.0))).collect())
}

/// Forgets announced calls (the n-th is of the n-th account): they are posted.
pub(crate) async fn delete_announced(connection: &mut PgConnection, accounts: &[AccountId], calls: &[CallId]) -> Result<()> {
    sqlx::query!(
        r#"
        delete from intents i
        using unnest($1::uuid[], $2::uuid[]) c (account_id, call_id)
        where i.account_id = c.account_id and i.call_id = c.call_id
        "#,
        &uuids(accounts),
        &calls.iter().map(|call| call.uuid()).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets those of an epoch whose calls are posted: they were announced at that very moment.
pub(super) async fn forget(database: &Database, epoch: EpochId) -> Result<()> {
    let posted = sqlx::query!(
        r#"
        delete from intents i where epoch_id = $1
            and exists (select from calls c where c.account_id = i.account_id and c.started_at = uuid_v7_time(i.call_id) and c.call_id = i.call_id)
        "#,
        epoch.uuid()
    );
    database.execute(posted).await.map(drop)
}

fn uuids(accounts: &[AccountId]) -> Vec<Uuid> {
    accounts.iter().map(|account| account.uuid()).collect()
}

/// An announced call as it is stored.
struct AnnouncedRow {
    account_id: AccountId,
    call_id: CallId,
    key_id: KeyId,
    project_id: ProjectId,
    member: Option<UserId>,
    end_user: Option<Label>,
    session: Option<Label>,
    client: Option<Label>,
    tags: Option<Json<Tags>>,
    model: String,
    provider: String,
    price_id: PriceId,
    discount_bps: i32,
    stream: bool,
    is_lenient: bool,
    input_estimate: Tokens,
    held: Amount,
    tokens_held: Tokens,
    epoch: EpochId,
    split: Json<Split>,
    /// None of the default.
    service_tier: Option<ServiceTier>,
}

impl TryFrom<AnnouncedRow> for Admitted {
    type Error = Error;

    fn try_from(row: AnnouncedRow) -> Result<Self> {
        Ok(Self {
            account_id: row.account_id,
            call_id: row.call_id,
            key_id: row.key_id,
            project_id: row.project_id,
            member: row.member,
            attribution: Attribution {
                end_user: row.end_user,
                session: row.session,
                client: row.client,
                tags: row.tags.map(|Json(tags)| tags).unwrap_or_default(),
            },
            model: row.model,
            provider: row.provider,
            price_id: row.price_id,
            discount: Discount::from_bps(row.discount_bps).map_err(|error| Error::Corrupt(error.to_string()))?,
            stream: row.stream,
            excess: Excess::of(row.is_lenient),
            input_estimate: row.input_estimate,
            held: row.held,
            tokens_held: row.tokens_held,
            epoch: Some(row.epoch),
            split: row.split.0,
            asked_tier: row.service_tier.unwrap_or_default(),
        })
    }
}
