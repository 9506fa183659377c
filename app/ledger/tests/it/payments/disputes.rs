//! What payers dispute.

use domain::money::Amount;
use ledger::{Event, Says, Taken};
use sqlx::PgPool;

use super::{begun, dispute, is_moved, pay, tell_of, usd};
use crate::world::{World, amount};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_dispute_takes_once_and_gives_back_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    assert_eq!(dispute(&world, &payment, "created", (true, false)).await, Taken::TooEarly);
    pay(&world, &payment).await;
    assert_eq!(dispute(&world, &payment, "inquiry", (false, false)).await, Taken::Nothing, "nothing is taken yet");
    assert!(is_moved(&dispute(&world, &payment, "created", (true, false)).await));
    assert_eq!(dispute(&world, &payment, "funds withdrawn", (true, false)).await, Taken::Nothing);
    assert_eq!(world.balance(ada).await.balance, Amount::ZERO);
    world.assert_proven().await;
    assert!(is_moved(&dispute(&world, &payment, "won", (false, true)).await));
    assert_eq!(dispute(&world, &payment, "funds reinstated", (false, true)).await, Taken::Nothing);
    assert_eq!(dispute(&world, &payment, "updated, told late", (true, false)).await, Taken::Nothing);
    assert_eq!(world.balance(ada).await.balance, amount("25"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_dispute_whose_end_is_told_first_ends_the_same(pool: PgPool) {
    let mut world = World::new(pool).await;
    for (name, is_lost, left) in [("ada", true, "0"), ("bob", false, "25")] {
        let customer = world.customer(name, "0").await;
        let payment = begun(&world, customer, "25").await;
        pay(&world, &payment).await;
        let about = format!("du_{name}");
        for (id, is_taken, is_final) in [("closed", is_lost, true), ("created", true, false)] {
            let event = Event { id: &format!("{name} {id}"), kind: "test", about: &about, is_final };
            tell_of(&world, (payment.account, payment.id), event, Says::Disputed { dispute: &about, sum: usd(2_500), is_taken }).await;
        }
        assert_eq!(world.balance(customer).await.balance, amount(left), "{name}");
    }
    world.assert_proven().await;
}
