//! Proxies that lease slices, write a spool and post from it, over a network that loses and repeats, on machines that die.
//!
//! What decides is the real thing: [`domain::lease`] on both sides. What stores, sends and dies is made here, so that every step between two writes can
//! be the last one of a process.

mod books;
mod machine;
mod op;
mod tally;
mod world;

use self::{tally::Tally, world::World};
use crate::walk::walk;

#[test]
fn a_random_walk_breaks_no_rule_of_leases() {
    let mut tally = Tally::default();
    let steps = walk(20_000, |world: World| tally.add(&world.into_tally()));
    println!("{tally}");
    tally.assert_nothing_is_missing(steps);
}
