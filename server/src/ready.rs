//! The file that tells other programs when everything answers, and where.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::Context;
use nix::unistd::User;
use serde::Serialize;

use crate::files;

/// A ready file that is to be written.
#[derive(Debug)]
pub(crate) struct ReadyFile {
    path: PathBuf,
    /// Opened by root in a folder where the user that it became may write nothing.
    opened: OnceLock<File>,
}

/// What the ready file says.
#[derive(Debug, Serialize)]
pub(crate) struct Ready {
    /// Where people find the console, unless only the proxy runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) console_url: Option<String>,
    /// Where clients find the proxy, without `/v1`, unless only the console runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy_url: Option<String>,
    /// The database, as the role that owns the schema.
    pub(crate) database_url: String,
    /// Who can sign in and call, in demo mode.
    #[serde(flatten)]
    pub(crate) demo: Option<crate::demo::SignIns>,
}

impl ReadyFile {
    /// Takes the path, and removes what an earlier run left there: it would say that this one is ready.
    pub(crate) fn claim(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
            _ => Ok(Self { path, opened: OnceLock::new() }),
        }
    }

    /// As root: sees to it that this user can write the file.
    ///
    /// In a folder that is closed to the user the file is made now, empty, and filled later by one write. Whoever waits for it should wait for
    /// its content.
    pub(crate) fn hand_over(&self, user: &User) -> anyhow::Result<()> {
        let folder = fs::metadata(self.path.parent().unwrap_or(Path::new("/"))).with_context(|| self.path.display().to_string())?;
        let mode = folder.mode();
        let is_open = (folder.uid() == user.uid.as_raw() && mode & 0o300 == 0o300)
            || (folder.gid() == user.gid.as_raw() && mode & 0o030 == 0o030)
            || mode & 0o003 == 0o003;
        if !is_open {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&self.path)
                .with_context(|| self.path.display().to_string())?;
            fchown(&file, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            let _ = self.opened.set(file);
        }
        Ok(())
    }

    /// Says that everything answers. Only the owner may read it: it holds passwords.
    pub(crate) fn write(&self, ready: &Ready) -> anyhow::Result<()> {
        let json = serde_json::to_vec_pretty(ready)?;
        match self.opened.get() {
            Some(mut file) => file.write_all(&json),
            None => files::replace(&self.path, &json),
        }
        .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Says that nothing answers any more.
    pub(crate) fn remove(&self) {
        if fs::remove_file(&self.path).is_err() {
            // In a folder that is closed to this user.
            if let Some(file) = self.opened.get() {
                let _ = file.set_len(0);
            }
        }
    }
}
