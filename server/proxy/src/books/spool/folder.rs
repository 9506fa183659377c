//! Files and folders that are whole or not there at all, and that nobody else can read.

use std::{
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use super::{Durability, error::OpenError};

const LOCK: &str = "lock";

/// Makes a folder that only its owner can look into. One that is there already stays as it is.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Opens a file that only its owner can read, made if it is not there.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Writes a file in place of any that is there. Readers see the old content or the new, and with [`Durability::Disk`] so does a machine that
/// loses power.
pub(super) fn replace(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let draft = path.with_added_extension("new");
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        if durability == Durability::Disk {
            file.sync_all()?;
        }
        fs::rename(&draft, path)
    })();
    written.inspect_err(|_| drop(fs::remove_file(&draft)))?;
    match path.parent() {
        Some(parent) if durability == Durability::Disk => sync(parent),
        _ => Ok(()),
    }
}

/// Sees to it that a machine that loses power still has the names in a folder.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Keeps other processes out of a spool for as long as the file is open.
pub(super) fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOCK);
    let file = open_private(&path).map_err(OpenError::at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::Io { path, error }),
    }
}

/// Sees to it that a spool's folder and all that is the spool's in it belongs to a user. What else is there, as at the root of a disk, is nobody's business.
pub(super) fn expect_owned_by(spool: &Path, user: u32) -> Result<(), OpenError> {
    let metadata = fs::metadata(spool).map_err(OpenError::at(spool))?;
    expect_owner(spool, &metadata, user)?;
    for entry in fs::read_dir(spool).map_err(OpenError::at(spool))? {
        let entry = entry.map_err(OpenError::at(spool))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == LOCK || name == "spool.json" || name == "damaged" || name.starts_with("lane-") {
            expect_owned(&entry.path(), user)?;
        }
    }
    Ok(())
}

fn expect_owned(path: &Path, user: u32) -> Result<(), OpenError> {
    let metadata = match fs::symlink_metadata(path) {
        // Another process has it open, and deletes what it needs no more.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(OpenError::at(path))?,
    };
    expect_owner(path, &metadata, user)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(OpenError::at(path))? {
            expect_owned(&entry.map_err(OpenError::at(path))?.path(), user)?;
        }
    }
    Ok(())
}

fn expect_owner(path: &Path, metadata: &Metadata, user: u32) -> Result<(), OpenError> {
    if metadata.uid() == user { Ok(()) } else { Err(OpenError::Owner { path: path.to_owned(), owner: metadata.uid(), user }) }
}
