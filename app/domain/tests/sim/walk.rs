//! A walk: steps that a seed decides, each followed by every check.

use std::{
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{random::Random, shrink::shrink};

pub(crate) type Checked<T = ()> = Result<T, String>;

/// That a rule holds, or else what a walk says of it.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use ensure;

/// What a walk leads through.
pub(crate) trait Walk: Default {
    /// A step. Each stands for itself, so that a list of steps still makes sense after some were dropped.
    type Step: Copy + Debug;

    /// Any step.
    fn any(random: &mut Random) -> Self::Step;

    /// Takes a step and checks everything.
    fn take(&mut self, step: Self::Step) -> Checked;

    /// What is checked when all steps were taken.
    fn finish(&mut self) -> Checked;
}

/// Where a walk went wrong.
#[derive(Debug, Clone)]
struct Failure {
    step: usize,
    message: String,
}

/// Takes so many steps under each seed, and says what has become of each world. Returns how many steps they were in all.
pub(crate) fn walk<W: Walk>(steps: u64, mut done: impl FnMut(W)) -> u64 {
    let (seeds, steps) = (setting("FAREBOX_SIM_SEEDS", 2), setting("FAREBOX_SIM_STEPS", steps));
    let first = setting("FAREBOX_SIM_FIRST", 1);
    for seed in first..first + seeds {
        let mut random = Random::new(seed);
        let list: Vec<_> = (0..steps).map(|_| W::any(&mut random)).collect();
        match take_all::<W>(&list) {
            Ok(world) => done(world),
            Err(failure) => report::<W>(seed, &list, &failure),
        }
    }
    seeds * steps
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn take_all<W: Walk>(list: &[W::Step]) -> Result<W, Failure> {
    let mut world = W::default();
    let mut guarded = |step: usize, taken: &mut dyn FnMut(&mut W) -> Checked| {
        let outcome = catch_unwind(AssertUnwindSafe(|| taken(&mut world)));
        outcome.unwrap_or_else(|_| Err("it panicked".to_owned())).map_err(|message| Failure { step, message })
    };
    for (step, it) in list.iter().enumerate() {
        guarded(step, &mut |world| world.take(*it))?;
    }
    guarded(list.len().saturating_sub(1), &mut W::finish)?;
    Ok(world)
}

fn report<W: Walk>(seed: u64, list: &[W::Step], failure: &Failure) -> ! {
    println!("seed {seed}, step {}: {}; looking for the shortest list of steps that fails", failure.step, failure.message);
    let shortest = shrink(&list[..=failure.step], |list| take_all::<W>(list).is_err());
    let last = take_all::<W>(&shortest).err();
    let message = last.as_ref().map_or(&failure.message, |last| &last.message);
    let lines: String = shortest.iter().map(|step| format!("    {step:?}\n")).collect();
    panic!("seed {seed}, step {}: {}\nThe shortest list of steps that fails:\n{lines}  with: {message}", failure.step, failure.message);
}
