//! The proxy from the outside: whole calls against a real database and an upstream on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod bounds;
mod browsers;
mod calls;
mod connections;
mod costs;
mod dialects;
mod fallbacks;
mod hang_ups;
mod keys;
mod limits;
mod operator;
mod overspend;
mod places;
mod refusals;
mod reports;
mod service_tiers;
mod spool;
mod unforced;
mod upstream;
mod world;
