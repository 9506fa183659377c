//! Proxies, as operators see them.

use domain::{
    id::EpochId,
    money::Amount,
    proxies::{ProxyState, Report, Standing},
    tokens::Tokens,
};

use crate::{Operator, Result};

impl Operator {
    /// Every proxy that has leased something, or may have, the oldest first.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn proxies(&self) -> Result<Vec<ProxyState>> {
        let mut tx = self.database.snapshot().await?;
        let epochs = sqlx::query!(
            r#"
            select
                epoch_id as "epoch: EpochId", proxy, begun_at, renewed_at, running, unposted, unposted_since, over_at is not null as "is_over!",
                expires_at < clock_timestamp() as "is_silent!"
            from epochs order by begun_at
            "#
        );
        let epochs = epochs.fetch_all(&mut *tx).await?;
        let leased = sqlx::query!(
            r#"
            select
                s.epoch_id as "epoch!: EpochId", count(distinct s.account_id) as "accounts!",
                coalesce(sum(s.amount) filter (where g.unit = 'money'), 0)::bigint as "money!: Amount",
                coalesce(sum(s.amount) filter (where g.unit = 'tokens'), 0)::bigint as "tokens!: Tokens"
            from slices s left join grants g on g.account_id = s.account_id and g.grant_id = s.grant_id
            group by s.epoch_id
            "#
        );
        let leased = leased.fetch_all(&mut *tx).await?;
        let count = |stored: i64| u64::try_from(stored).unwrap_or_default();
        let states = epochs.into_iter().map(|row| {
            let leased = leased.iter().find(|leased| leased.epoch == row.epoch);
            ProxyState {
                proxy: row.proxy,
                epoch: row.epoch,
                begun_at: row.begun_at,
                heard_at: row.renewed_at,
                standing: match (row.is_over, row.is_silent) {
                    (true, _) => Standing::Ends,
                    (false, true) => Standing::Silent,
                    (false, false) => Standing::Serves,
                },
                report: Report { running: count(row.running), unposted: count(row.unposted), unposted_since: row.unposted_since },
                accounts: leased.map_or(0, |leased| count(leased.accounts)),
                money: leased.map_or(Amount::ZERO, |leased| leased.money),
                tokens: leased.map_or(Tokens::ZERO, |leased| leased.tokens),
            }
        });
        Ok(states.collect())
    }
}
