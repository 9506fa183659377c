//! A piece of a file in memory, moved along as it is read.

use std::{fs::File, io, os::unix::fs::FileExt};

/// What is read at once, where no single record is larger.
const CHUNK_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Window {
    file: File,
    /// Nothing is read from here on.
    limit: u64,
    /// Where in the file the bytes are from.
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn new(file: File, limit: u64) -> Self {
        Self { file, limit, start: 0, bytes: Vec::new() }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// The bytes from here on: as many as asked for, fewer only where the file or what may be read of it ends.
    pub(super) fn get(&mut self, at: u64, bytes: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.limit.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = bytes.min(left);
        let inside = at.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let skip = match inside.filter(|skip| self.bytes.len().checked_sub(*skip).is_some_and(|rest| rest >= wanted)) {
            Some(skip) => skip,
            None => {
                self.fill(at, wanted.max(CHUNK_BYTES).min(left))?;
                0
            }
        };
        let rest = self.bytes.get(skip..).unwrap_or_default();
        Ok(rest.get(..wanted).unwrap_or(rest))
    }

    fn fill(&mut self, at: u64, bytes: usize) -> io::Result<()> {
        // Should reading fail, nothing is there rather than something else.
        self.bytes.clear();
        self.start = at;
        let mut read = vec![0; bytes];
        let mut filled = 0;
        while filled < bytes {
            let offset = u64::try_from(filled).ok().and_then(|filled| at.checked_add(filled)).ok_or(io::ErrorKind::InvalidInput)?;
            match self.file.read_at(&mut read[filled..], offset) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        read.truncate(filled);
        self.bytes = read;
        Ok(())
    }
}
