//! The proxy from the outside: recorded answers in, usage out, and whole calls against a real database and an upstream on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod answers;
mod bounds;
mod calls;
mod limits;
mod overspend;
mod refusals;
mod spool;
mod upstream;
mod world;
