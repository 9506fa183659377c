//! The books of accounts, locked: the only way in which what an account has, holds or is charged changes.
//!
//! Whoever leases, posts or moves money locks the heads of the accounts it is about, works out what happens in memory, and writes it once. So within
//! an account everything happens one after the other, and its postings have numbers without gaps, dates that never run backwards, and digests that
//! each seal the one before.
//!
//! Calls are not posted one by one: they count at once in their grants, and get one posting an hour when the hour has ended ([`Book::close`]).
//! Whoever opens the books closes the hours that ended before, so that nothing is posted ahead of them.

pub(crate) mod hours;
mod locked;
mod posting;
pub(crate) mod roots;
mod write;

pub use self::roots::Root;
pub(crate) use self::{
    hours::OpenCalls,
    locked::{Book, Books, Change, Lock},
    posting::{EntryRecord, GRANT, NewPosting, PostingRecord, Request},
};
