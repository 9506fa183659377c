//! A part of an account's books.

use domain::billing::PostingNumber;

/// The postings after one, up to another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) after: PostingNumber,
    pub(crate) last: PostingNumber,
}

impl Span {
    /// All that there are and will be.
    pub(crate) const ALL: Self = Self { after: PostingNumber::NONE, last: PostingNumber::LAST };
}
