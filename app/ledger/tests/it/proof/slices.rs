//! What is leased, and was changed by hand.

use sqlx::PgPool;

use super::{busy_world, named, run};
use crate::world::World;

/// Whatever is leased must be somebody's: else it would never go back, or be given twice.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_slice_that_was_changed_by_hand_is_named(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    let other = "insert into leases select account_id, gen_random_uuid(), 1 from leases; \
                 insert into slices select s.account_id, l.epoch_id, s.grant_id, s.limit_id, s.starts_at, 1, 1, 1 \
                 from slices s join leases l on l.account_id = s.account_id and l.epoch_id <> s.epoch_id where s.{} is not null";
    for (pool, claim) in [
        ("grant_id", "what is leased of a grant is the sum of its slices"),
        ("limit_id", "what is leased of a limit is the sum of its slices"),
    ] {
        for change in [
            "update slices set amount = amount + 1 where {} is not null",
            "update slices set amount = amount - 1 where {} is not null and amount > 1",
            "delete from slices where {} is not null",
            other,
        ] {
            run(&world, "create table kept as select * from slices; create table kept_leases as select * from leases".to_owned()).await;
            let change = change.replace("{}", pool);
            run(&world, change.clone()).await;
            let faults = named(&world.proof().await);
            assert!(!faults.is_empty() && faults.iter().all(|(named, _)| named == claim), "{change}: {faults:?}");
            let back = "delete from leases; insert into leases select * from kept_leases; insert into slices select * from kept; \
                        drop table kept; drop table kept_leases";
            run(&world, back.to_owned()).await;
            world.assert_proven().await;
        }
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn more_that_is_leased_than_there_is_is_named(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.intent(ada, "0.4");
    world.lease(&call).await.unwrap();
    // All of it, and then more than all.
    for (more, faults) in [(600_000_000, 0), (1, 1)] {
        run(&world, format!("update slices set amount = amount + {more}; update grants set leased = leased + {more}")).await;
        let found = named(&world.proof().await);
        assert_eq!(found.len(), faults, "{found:?}");
        assert!(found.iter().all(|(claim, _)| claim.starts_with("no grant is below its floor")), "{found:?}");
    }
}
