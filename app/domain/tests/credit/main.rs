//! A long random walk over accounts, checked after every step against a plain model.
//!
//! `FAREBOX_SIM_STEPS` and `FAREBOX_SIM_SEEDS` make it longer; `make sim` does so. On a broken rule it prints the seed and the step, and a
//! list of steps, as short as it finds one, that still breaks a rule.

mod book;
mod op;
mod shrink;
mod tally;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use op::{Op, Random};
use tally::Tally;
use world::World;

/// Where a walk went wrong.
#[derive(Debug, Clone)]
struct Failure {
    step: usize,
    message: String,
}

#[test]
fn a_random_walk_breaks_no_rule() {
    let (seeds, steps) = (setting("FAREBOX_SIM_SEEDS", 2), setting("FAREBOX_SIM_STEPS", 2_000));
    let mut tally = Tally::default();
    for seed in 1..=seeds {
        let mut random = Random::new(seed);
        let ops: Vec<Op> = (0..steps).map(|_| Op::any(&mut random)).collect();
        match walk(&ops) {
            Ok(happened) => tally.add(&happened),
            Err(failure) => report(seed, &ops, &failure),
        }
    }
    println!("{tally}");
    tally.assert_nothing_is_missing(seeds * steps);
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Takes every step, each followed by every check.
fn walk(ops: &[Op]) -> Result<Tally, Failure> {
    let mut world = World::new();
    for (step, op) in ops.iter().enumerate() {
        let outcome = catch_unwind(AssertUnwindSafe(|| world.take(*op)));
        outcome.unwrap_or_else(|_| Err("it panicked".to_owned())).map_err(|message| Failure { step, message })?;
    }
    Ok(world.into_tally())
}

fn report(seed: u64, ops: &[Op], failure: &Failure) -> ! {
    println!("seed {seed}, step {}: {}; looking for the shortest list of steps that fails", failure.step, failure.message);
    let shortest = shrink::shrink(&ops[..=failure.step], |ops| walk(ops).is_err());
    let last = walk(&shortest).err();
    let message = last.as_ref().map_or(&failure.message, |last| &last.message);
    let list: String = shortest.iter().map(|op| format!("    {op:?}\n")).collect();
    panic!("seed {seed}, step {}: {}\nThe shortest list of steps that fails:\n{list}  with: {message}", failure.step, failure.message);
}
