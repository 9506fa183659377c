//! Models that calls asked for and did not get. Whoever has a key can ask for any name: what is kept is bounded.

use domain::{catalog::PriceKind, service_tier::ServiceTier, wanted::WantedModel};

use crate::{Meter, Operator, Result};

/// The most names that are kept.
const NAMES_MAX: i64 = 500;
/// What nobody asked for so long is forgotten.
const KEPT_DAYS: i32 = 30;

impl Meter {
    /// Counts calls that were refused, each name with how many. Names that are new while there are too many are not kept.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`]: nothing was counted.
    pub async fn want(&self, calls: &[(String, i64)]) -> Result<()> {
        let (names, counts): (Vec<_>, Vec<_>) = calls.iter().cloned().unzip();
        let want = sqlx::query!(
            r#"
            with old as (
                delete from wanted_models where last_at < now() - make_interval(days => $4) and name <> all($1)
            )
            insert into wanted_models as w (name, calls, first_at, last_at)
            select n.name, n.calls, now(), now() from unnest($1::text[], $2::bigint[]) n (name, calls)
            where (select count(*) from wanted_models) < $3 or exists (select from wanted_models k where k.name = n.name)
            on conflict (name) do update set calls = w.calls + excluded.calls, last_at = excluded.last_at
            "#,
            &names,
            &counts,
            NAMES_MAX,
            KEPT_DAYS
        );
        self.database.execute(want).await.map(drop)
    }
}

impl Operator {
    /// What was asked for in the last 30 days and has no price yet, the most wanted first.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn wanted_models(&self) -> Result<Vec<WantedModel>> {
        let wanted = sqlx::query_as!(
            WantedModel,
            r#"
            select w.name, w.calls, w.first_at, w.last_at, m.model_id is not null as "is_known!"
            from wanted_models w left join models m using (name)
            where w.last_at >= now() - make_interval(days => $1) and not exists (
                select from price_versions v
                where v.model_id = m.model_id and v.kind = $2 and v.effective_from <= now() and v.withdrawn_at is null and v.account_id is null
                    and v.service_tier = $3
            )
            order by w.calls desc, w.name
            "#,
            KEPT_DAYS,
            PriceKind::Sale as PriceKind,
            ServiceTier::Default as ServiceTier
        );
        Ok(wanted.fetch_all(&mut *self.database.read().await?).await?)
    }
}
