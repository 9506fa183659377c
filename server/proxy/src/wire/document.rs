//! What a [`Scanner`](super::scan::Scanner) makes of a document.

use std::ops::Range;

#[cfg(doc)]
use super::grammar::Mark;
use super::report::Report;

/// What one document said.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// Its reports of usage, in their order.
    pub(crate) reports: Vec<Report>,
    /// A member that would report usage is `null`: where it lies in the document, a comma before it included.
    pub(crate) usage_null: Option<Range<usize>>,
    /// See [`Mark::Model`]; not empty.
    pub(crate) model: Option<String>,
    /// See [`Mark::Tier`].
    pub(crate) tier: Option<String>,
    /// See [`Mark::Kind`].
    pub(crate) kind: Option<String>,
    /// See [`Mark::Finish`].
    pub(crate) finish: Option<String>,
    /// See [`Mark::Failure`].
    pub(crate) failed: bool,
    /// See [`Mark::Answer`].
    pub(crate) is_answer: bool,
    /// See [`Mark::Said`]; text and media are said, too.
    pub(crate) says_something: bool,
    /// See [`Mark::Opening`].
    pub(crate) opens: bool,
    /// See [`Mark::Media`].
    pub(crate) has_media: bool,
    /// An object or a list of objects, whatever is in it.
    pub(crate) is_structured: bool,
    /// It was read to its end.
    pub(crate) is_whole: bool,
    /// An object that is called `usage` stands where no report is looked for.
    pub(crate) has_stray_usage: bool,
}
