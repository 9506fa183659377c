//! Reads a segment frame by frame, and finds its way past what is damaged.

use std::{fs::File, io, ops::Range};

use super::{
    frame::{self, ALIGNMENT, Frame, PREFIX_BYTES},
    header::{HEADER_BYTES, Header, NoHeader},
    window::Window,
};

/// What is searched at once for anything that is not zero.
const SEARCH_BYTES: usize = 64 * 1024;

/// The frames of a segment, or of as much of it as may be read.
#[derive(Debug)]
pub(in crate::books::spool) struct Frames {
    window: Window,
    at: u64,
}

/// What is next in a segment.
#[derive(Debug)]
pub(in crate::books::spool) enum Step<'a> {
    /// A record, and where it is.
    Frame(Range<u64>, Frame<'a>),
    /// No record, though one follows.
    Damaged(Range<u64>),
    /// No record, and none follows: the log of this segment ends before it. What it takes, without the zeros behind.
    Torn(Range<u64>),
    /// Nothing was written behind what was read.
    End,
}

impl Frames {
    /// Those from `at` on, of which nothing at or behind `limit` is read.
    pub(in crate::books::spool) fn new(file: File, at: u64, limit: u64) -> Self {
        Self { window: Window::new(file, limit), at }
    }

    /// Where the next is expected.
    pub(in crate::books::spool) fn at(&self) -> u64 {
        self.at
    }

    /// Nothing at or behind this is read.
    pub(in crate::books::spool) fn limit(&self) -> u64 {
        self.window.limit()
    }

    /// Goes on from another place, up to another limit.
    pub(in crate::books::spool) fn seek(&mut self, at: u64, limit: u64) {
        self.at = at;
        self.window.set_limit(limit);
    }

    /// Reads the segment's header.
    pub(in crate::books::spool) fn header(&mut self) -> io::Result<Result<Header, NoHeader>> {
        let bytes = usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX);
        self.window.get(0, bytes).map(Header::decode)
    }

    /// What is there, as it is.
    pub(in crate::books::spool) fn bytes(&mut self, range: &Range<u64>) -> io::Result<&[u8]> {
        self.window.get(range.start, usize::try_from(range.end - range.start).unwrap_or(usize::MAX))
    }

    /// Reads on. At what is torn or the end it stays.
    pub(in crate::books::spool) fn step(&mut self) -> io::Result<Step<'_>> {
        let start = self.at;
        if let Some(unpadded) = self.intact_at(start)? {
            self.at = end_of(start, unpadded);
            return match frame::parse(self.window.get(start, unpadded)?) {
                Some(frame) => Ok(Step::Frame(start..self.at, frame)),
                // An intact frame is long enough for all its parts.
                None => Ok(Step::Damaged(start..self.at)),
            };
        }
        let Some(written) = self.last_written(start)? else { return Ok(Step::End) };
        Ok(match self.next_intact(start)? {
            Some(next) => {
                self.at = next;
                Step::Damaged(start..next)
            }
            None => Step::Torn(start..written),
        })
    }

    /// The bytes of the frame here, if there is one, without the zeros at its end.
    fn intact_at(&mut self, at: u64) -> io::Result<Option<usize>> {
        let Some(unpadded) = frame::unpadded_bytes(self.window.get(at, PREFIX_BYTES)?) else { return Ok(None) };
        let bytes = self.window.get(at, unpadded)?;
        Ok((bytes.len() == unpadded && frame::is_intact(bytes)).then_some(unpadded))
    }

    /// Where the next frame is behind a place that has none. All places are tried: a length that is damaged itself would lead past good frames.
    fn next_intact(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from.saturating_add(ALIGNMENT);
        while at < self.limit() {
            if self.intact_at(at)?.is_some() {
                return Ok(Some(at));
            }
            if self.window.get(at, 1)?.is_empty() {
                break;
            }
            at = at.saturating_add(ALIGNMENT);
        }
        Ok(None)
    }

    /// Behind the last byte that is not zero, from a place on; `None` if all are.
    fn last_written(&mut self, from: u64) -> io::Result<Option<u64>> {
        let (mut at, mut written) = (from, None);
        loop {
            let bytes = self.window.get(at, SEARCH_BYTES)?;
            if bytes.is_empty() {
                return Ok(written);
            }
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                written = u64::try_from(last + 1).ok().and_then(|bytes| at.checked_add(bytes));
            }
            at = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
    }
}

/// Where the frame that follows begins.
fn end_of(start: u64, unpadded: usize) -> u64 {
    let bytes = u64::try_from(unpadded).unwrap_or(u64::MAX).checked_next_multiple_of(ALIGNMENT);
    start.saturating_add(bytes.unwrap_or(u64::MAX))
}
