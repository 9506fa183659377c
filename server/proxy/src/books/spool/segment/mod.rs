//! The files of a lane: numbered segments, each made with all its room, written from its beginning, and kept for a while once it is posted.

pub(super) mod frame;
mod frames;
mod header;
mod window;

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub(super) use self::{
    frames::{Frames, Step},
    header::{HEADER_BYTES, Header, NoHeader},
};
use super::{Durability, folder};

/// What a segment's name ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is being made, and holds nothing.
    Draft,
    /// It holds, or will hold, what may not be posted yet.
    Log,
    /// All that it holds is posted; the file's time says since when.
    Posted,
}

/// The segments of a lane.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) drafts: Vec<u64>,
    /// With their sizes.
    pub(super) logs: BTreeMap<u64, u64>,
    /// With their sizes, and since when they are posted.
    pub(super) posted: BTreeMap<u64, (u64, SystemTime)>,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Draft, Self::Log, Self::Posted];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Draft => ".new",
            Self::Log => ".log",
            Self::Posted => ".posted",
        }
    }
}

/// The file of a segment.
pub(super) fn path(lane_folder: &Path, number: u64, stage: Stage) -> PathBuf {
    lane_folder.join(format!("{number:08}{}", stage.suffix()))
}

fn parse(name: &str) -> Option<(u64, Stage)> {
    Stage::ALL.into_iter().find_map(|stage| Some((name.strip_suffix(stage.suffix())?.parse().ok()?, stage)))
}

/// What is in a lane's folder. Other files are nobody's business.
pub(super) fn list(lane_folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(lane_folder)? {
        let entry = entry?;
        let Some((number, stage)) = entry.file_name().to_str().and_then(parse) else { continue };
        let metadata = match entry.metadata() {
            // Whoever only looks on has it deleted or renamed under its eyes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        match stage {
            Stage::Draft => listing.drafts.push(number),
            Stage::Log => drop(listing.logs.insert(number, metadata.len())),
            Stage::Posted => drop(listing.posted.insert(number, (metadata.len(), metadata.modified()?))),
        }
    }
    Ok(listing)
}

/// Opens a segment to be read.
pub(super) fn open(lane_folder: &Path, number: u64) -> io::Result<File> {
    File::open(path(lane_folder, number, Stage::Log))
}

/// Opens a segment to be written, or to be cut.
pub(super) fn open_to_write(lane_folder: &Path, number: u64) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path(lane_folder, number, Stage::Log))
}

/// Makes a segment with room for so many bytes, its header among them. It gets its name when it is whole.
///
/// # Errors
/// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] when that room is not there.
pub(super) fn create(lane_folder: &Path, header: &Header, bytes: u64, durability: Durability) -> io::Result<File> {
    let draft = path(lane_folder, header.segment, Stage::Draft);
    let created = (|| {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        preallocate(&file, bytes)?;
        file.write_all(&header.encode())?;
        if durability == Durability::Disk {
            file.sync_all()?;
        }
        fs::rename(&draft, path(lane_folder, header.segment, Stage::Log))?;
        Ok(file)
    })();
    let file = created.inspect_err(|_: &io::Error| drop(fs::remove_file(&draft)))?;
    if durability == Durability::Disk {
        folder::sync(lane_folder)?;
    }
    Ok(file)
}

/// Takes a segment's room from the disk, so that it is there when it is written. Not every file system can promise that.
#[cfg(target_os = "linux")]
fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    use nix::{
        errno::Errno,
        fcntl::{FallocateFlags, fallocate},
    };

    let length = bytes.try_into().map_err(|_| io::ErrorKind::FileTooLarge)?;
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, length) {
            Err(Errno::EINTR) => {}
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return file.set_len(bytes),
            allocated => return allocated.map_err(io::Error::from),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}
