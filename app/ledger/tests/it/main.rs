//! The ledger against a real Postgres, a fresh database per test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod books;
mod catalog;
mod corrections;
mod credit_lines;
mod customers;
mod database;
mod distribution;
mod epochs;
mod leases;
mod limits;
mod migrated;
mod money;
mod notices;
mod own_prices;
mod payments;
mod people;
mod plans;
mod pooler;
mod posting;
mod price_book;
mod prices;
mod projects;
mod proof;
mod reprice;
mod simulation;
mod spread;
mod strays;
mod subscriptions;
mod today;
mod tokens;
mod twin;
mod usage;
mod wanted;
mod world;
