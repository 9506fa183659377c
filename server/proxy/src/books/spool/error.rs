//! Why a spool does not open, and why it does not take a record.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Begun, Identity};

/// Why a spool is not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refuses it.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What another user's process wrote could not be kept up by this one, or would be taken from the other.
    #[error("{} belongs to user {owner}, and this process is of user {user}: change its owner (chown -R), or run as that user", path.display())]
    Owner {
        /// What belongs to another.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who this process is.
        user: u32,
    },
    /// Only that version knows what is in it.
    #[error("{} was written by a later version of Farebox: run that version", path.display())]
    Newer {
        /// What was written so.
        path: PathBuf,
    },
    /// What is in it is of no use to this proxy's database.
    #[error("the spool {} is that of {found}, and not of {expected}: {}", folder.display(), way_out(folder, *found, *expected))]
    Foreign {
        /// The spool's.
        folder: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Whose it would have to be.
        expected: Identity,
    },
    /// Two processes would write over each other's records.
    #[error("another process has it open: the spool {}", .0.display())]
    Locked(PathBuf),
    /// A file contradicts itself or its name.
    #[error("{}: {problem}", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// In what way.
        problem: String,
    },
    /// With less, a lane that is full would have no room to go on even when everything is posted.
    #[error("the spool may take {bytes_max} bytes (--spool-max), and needs {needed} at least: two files for each core")]
    TooSmall {
        /// What it may take.
        bytes_max: u64,
        /// What it has to have.
        needed: u64,
    },
}

/// What to do about the spool of another.
fn way_out(folder: &Path, found: Identity, expected: Identity) -> String {
    if found.database == expected.database {
        format!(
            "`farebox spool post {}` hands over what is in it, once that proxy does not run any more; or choose another --spool-dir",
            folder.display()
        )
    } else {
        "what is in it is posted to that database alone; or choose another --spool-dir".to_owned()
    }
}

impl OpenError {
    /// Says of which file an error is.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), error }
    }
}

/// Why a record is not in the spool.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// There is no room for it, and what it will need, beside what others were promised. There may be later.
    #[error("the spool is full")]
    Full,
    /// Its body has no room, though one of so many bytes has.
    #[error("the record is too large for the spool: there is room for {room} bytes")]
    TooLarge { room: usize },
    /// The disk does not take it, or the lane takes nothing any more.
    #[error("the spool cannot be written: {0}")]
    Io(io::Error),
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        if lacks_room(&error) { Self::Full } else { Self::Io(error) }
    }
}

/// A settlement that is not in the spool: the call is still begun.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct NotSettled {
    /// To settle it by another time.
    pub(crate) begun: Begun,
    /// Why.
    pub(crate) error: AppendError,
}

/// Whether it is for want of room, which may come back.
pub(super) fn lacks_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
