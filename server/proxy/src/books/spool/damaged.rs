//! What could not be read, kept whole for whoever wants to find out why.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::{Durability, folder, position::Position};

const FOLDER: &str = "damaged";
/// What the name of a segment's end ends with.
const TORN: &str = ".torn";

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// No record, in front of others.
    Damaged,
    /// No record, behind all others.
    Torn,
    /// A record of a kind that this version does not know.
    Unknown,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "a record is damaged",
            Self::Torn => "the end of a segment is torn",
            Self::Unknown => "a record is of an unknown kind",
        })
    }
}

fn folder_of(lane_folder: &Path) -> PathBuf {
    lane_folder.with_file_name(FOLDER)
}

/// How much of a lane was set aside, by whatever process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Records.
    pub(super) damaged: usize,
    /// Ends of segments.
    pub(super) torn: usize,
}

impl Counts {
    /// Those of a lane, from what is there.
    pub(super) fn of(lane_folder: &Path, lane: u16) -> io::Result<Self> {
        let mut counts = Self::default();
        let entries = match fs::read_dir(folder_of(lane_folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(counts),
            entries => entries?,
        };
        let prefix = format!("{lane}-");
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&prefix) {
                counts.add(if name.ends_with(TORN) { What::Torn } else { What::Damaged });
            }
        }
        Ok(counts)
    }

    pub(super) fn add(&mut self, what: What) {
        let count = if what == What::Torn { &mut self.torn } else { &mut self.damaged };
        *count = count.saturating_add(1);
    }
}

/// Keeps these bytes of a lane. Returns whether it was the first time.
pub(super) fn set_aside(lane_folder: &Path, lane: u16, at: Position, bytes: &[u8], what: What, durability: Durability) -> io::Result<bool> {
    let damaged = folder_of(lane_folder);
    folder::make_private(&damaged)?;
    let suffix = if what == What::Torn { TORN } else { "" };
    let path = damaged.join(format!("{lane}-{:08}-{}{suffix}", at.segment, at.offset));
    let is_first = !fs::exists(&path)?;
    folder::replace(&path, bytes, durability)?;
    Ok(is_first)
}
