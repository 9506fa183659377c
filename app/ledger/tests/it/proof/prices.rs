//! Prices that were not in force, or were rewritten.

use sqlx::PgPool;

use super::{busy_world, run};
use crate::world::World;

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_that_was_not_in_force_is_noticed_by_the_calls_it_priced(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    run(&world, "update price_versions set effective_from = effective_from + interval '10 years'".to_owned()).await;
    assert_eq!(of_calls(&world).await, 7, "it had not begun");
    run(&world, "update price_versions set effective_from = effective_from - interval '10 years'".to_owned()).await;
    world.assert_proven().await;
    let another = "insert into price_versions select gen_random_uuid(), model_id, kind, effective_from + interval '1 day', rates, effective_from, '', seal \
                   from price_versions where kind = 'sale'";
    run(&world, another.to_owned()).await;
    assert_eq!(of_calls(&world).await, 7, "another one had followed it");
    let withdraw =
        "update price_versions set withdrawn_at = effective_from - interval '1 day', withdrawn_by = 'somebody' where effective_from";
    run(&world, format!("{withdraw} = (select max(effective_from) from price_versions where kind = 'sale')")).await;
    assert_eq!(of_calls(&world).await, 0, "the other one was withdrawn");
    run(&world, format!("{withdraw} = (select min(effective_from) from price_versions where kind = 'sale')")).await;
    assert_eq!(of_calls(&world).await, 7, "no call is charged by one that was withdrawn");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_rewritten_price_is_noticed_by_the_calls_it_priced(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    run(&world, r#"update price_versions set rates = jsonb_set(rates, '{base,input}', '"0.0011"')"#.to_owned()).await;
    assert_eq!(of_calls(&world).await, 8, "six calls that are paid in money, and two settlements that came late");
    run(&world, "update price_versions set rates = '{}'".to_owned()).await;
    assert_eq!(of_calls(&world).await, 8, "one that cannot be read ends no proof");
}

/// The rows at fault that are calls or corrections of them. Of prices there is one.
async fn of_calls(world: &World) -> usize {
    let faults = world.proof().await.faults;
    let (of_calls, others): (Vec<_>, Vec<_>) = faults.iter().partition(|fault| fault.row.contains("call "));
    assert!(others.len() == 1 && others[0].row.starts_with("price "), "{others:?}");
    of_calls.len()
}
