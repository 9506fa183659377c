//! Accounts, their credit and their limits, against a plain model.

mod book;
mod op;
mod tally;
mod world;

use self::{tally::Tally, world::World};
use crate::walk::walk;

#[test]
fn a_random_walk_breaks_no_rule_of_credit() {
    let mut tally = Tally::default();
    let steps = walk(2_000, |world: World| tally.add(&world.into_tally()));
    println!("{tally}");
    tally.assert_nothing_is_missing(steps);
}
