//! Long random walks, checked after every step.
//!
//! `FAREBOX_SIM_STEPS` and `FAREBOX_SIM_SEEDS` make them longer; `make sim` does so. On a broken rule they print the seed and the step, and a list of
//! steps, as short as they find one, that still breaks a rule.

mod credit;
mod lease;
mod random;
mod shrink;
mod walk;
