//! Leases: how a proxy admits calls without asking the ledger about each, and nobody overspends.
//!
//! One epoch of a proxy leases *slices* of an account's pools. The ledger takes them out of what is available ([`Ask::answer`]); the proxy admits
//! calls against them in memory ([`Slices`]): a call holds the most that it can take, uses what it came to when it ends, and what it did not use is
//! the slice's again. Posting a call moves what it used from leased to used ([`spend`]). What is idle goes back with the next [`Change`].
//!
//! So of every pool, at any instant: available + all slices + used = capacity, whatever messages are lost and whoever dies. A slice falls by three
//! ways only: a change that gives some of it back, a posted call that used some of it, and the end of its epoch.
//!
//! Each change of a lease is numbered and applies once ([`LeaseRow::apply`]): whoever does not know whether it was applied says it again. Everything
//! here only computes. Who sends, stores and locks is elsewhere; time arrives as an argument.

mod ask;
mod row;
mod slices;
mod spend;

pub use ask::{Ask, Change};
pub use row::{Answer, Applied, LeaseRow, SliceRow};
pub use slices::{Slices, Told};
pub use spend::{Fate, Posted, Spent, fate, spend};

#[cfg(test)]
mod testing;
