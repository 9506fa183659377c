//! From the spool into the books.
//!
//! What a call may come to is in the spool before it is forwarded, what it came to before its client sees the end (`running`). From there it is taken
//! (`feed`) and posted, many calls at a time (`poster`): memory holds a few thousand calls, however long the database is away, and the rest is read back.
//! What an earlier run of this proxy left unsettled is settled first (`recovery`).

pub(crate) mod announcing;
pub(crate) mod earlier;
pub(crate) mod feed;
pub(crate) mod hand_over;
pub(crate) mod interrupted;
pub(crate) mod poster;
mod record;
pub(crate) mod recovery;
pub(crate) mod running;
pub mod spool;
pub(crate) mod upkeep;

#[cfg(test)]
pub(crate) use self::record::tests::settled;
