//! Limits that come with an account's plan: set when it begins, changed with it, gone at its end, and nobody's to change beside it.

use domain::{
    credit::{Hardness, LimitSetter, Scope, Unit, Window},
    id::{AccountId, LimitId},
    plan::{PlanLimit, PlanLimits},
};
use sqlx::PgConnection;

use super::{NewLimit, change, insert, mark, of_kind, open};
use crate::{Result, books::Books, encoding::Encoding};

/// Has these be the limits of an account's plan, whose books are locked. Whoever writes the books tells the proxies.
pub(crate) async fn follow(connection: &mut PgConnection, books: &mut Books, account: AccountId, limits: PlanLimits) -> Result<()> {
    let now = books.of(account)?.now();
    let kept: Vec<_> = limits.each().map(|PlanLimit { unit, window, .. }| (unit.name(), window.name())).collect();
    let removed = sqlx::query!(
        r#"
        update limits l set removed_at = $2
        where l.account_id = $1 and l.set_by = 'plan' and l.removed_at is null
            and not exists (select from unnest($3::text[], $4::text[]) k (unit, per) where k.unit = l.unit and k.per = l.per)
        "#,
        account.uuid(),
        now,
        &kept.iter().map(|(unit, _)| (*unit).to_owned()).collect::<Vec<_>>(),
        &kept.iter().map(|(_, per)| (*per).to_owned()).collect::<Vec<_>>()
    );
    let removed = removed.execute(&mut *connection).await?.rows_affected();
    for PlanLimit { unit, window, capacity } in limits.each() {
        let id = id_of(account, now.timestamp_micros(), unit, window);
        let new = NewLimit { id: LimitId::new(now, id), scope: Scope::Account, window, unit, hardness: Hardness::Hard, capacity };
        if let Some((id, _)) = of_kind(connection, account, LimitSetter::Plan, &new).await? {
            change(connection, account, id, capacity).await?;
        } else {
            insert(connection, account, LimitSetter::Plan, &new, now).await?;
            open(connection, account, &new, now).await?;
        }
    }
    if removed > 0 || !kept.is_empty() {
        mark(connection, account).await?;
        // What is posted from now on is later than the limits.
        books.touch(now);
    }
    Ok(())
}

/// What no other limit of the account has in its id.
fn id_of(account: AccountId, at: i64, unit: Unit, window: Window) -> [u8; 10] {
    let mut of = Encoding::new(b"farebox plan limit 1");
    of.id(account.uuid());
    of.number(at);
    of.text(unit.name());
    of.text(window.name());
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = of.digest();
    id
}
