//! What the place arguments mean, with secrets read from their files.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use ledger::secrets::{KEY_BYTES, SecretKey};

use crate::{
    cli::{PlaceArgs, SecretText},
    files,
};

/// Where this process keeps and finds things.
#[derive(Debug)]
pub(crate) struct Config {
    /// Absolute. Made, and owned by whoever this process becomes, before anything is written to it.
    pub(crate) data_dir: PathBuf,
    /// Somebody else's database; `None` for the embedded one.
    pub(crate) database_url: Option<SecretText>,
    /// How the application logs in there, where an administrator made its role.
    pub(crate) app_database_url: Option<SecretText>,
    secret_key: Option<SecretKey>,
}

impl Config {
    /// Reads the secrets and makes the data folder's path absolute. Files that only root can read are read here, before root is given up.
    pub(crate) fn load(args: &PlaceArgs, is_demo: bool) -> anyhow::Result<Self> {
        let secret_key = secret(args.secret_key.as_ref(), args.secret_key_file.as_deref())?;
        Ok(Self {
            data_dir: std::path::absolute(args.data_dir.clone().unwrap_or_else(|| default_data_dir(is_demo)))?,
            database_url: secret(args.database_url.as_ref(), args.database_url_file.as_deref())?,
            app_database_url: secret(args.app_database_url.as_ref(), args.app_database_url_file.as_deref())?,
            secret_key: secret_key.map(|text| SecretKey::from_hex(text.expose())).transpose()?,
        })
    }

    /// The folder of the proxy's spool: the one that was named, else the data folder's own.
    pub(crate) fn spool_dir(&self, named: Option<&Path>) -> PathBuf {
        named.map_or_else(|| self.data_dir.join("spool"), Path::to_owned)
    }

    /// The key that encrypts credentials: the one that was given, else the data folder's own, which is made once.
    pub(crate) fn secret_key(&self) -> anyhow::Result<SecretKey> {
        if let Some(key) = &self.secret_key {
            return Ok(key.clone());
        }
        let path = self.data_dir.join("secret.key");
        let text =
            files::read_or_write_once(&path, || hex(&rand::random::<[u8; KEY_BYTES]>())).with_context(|| path.display().to_string())?;
        SecretKey::from_hex(&text).with_context(|| path.display().to_string())
    }
}

/// The folder that is used when none is named. A demonstration has one of its own, so that looking around is never in the way of the real thing.
pub(crate) fn default_data_dir(is_demo: bool) -> PathBuf {
    let parent = if nix::unistd::geteuid().is_root() {
        PathBuf::from("/var/lib")
    } else {
        std::env::home_dir().unwrap_or_default().join(".local/share")
    };
    parent.join(if is_demo { "farebox-demo" } else { "farebox" })
}

/// A secret that is given itself or in a file. An empty variable is none.
fn secret(text: Option<&SecretText>, file: Option<&Path>) -> anyhow::Result<Option<SecretText>> {
    let secret = match (text, file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(file)) => Some(SecretText::new(&fs::read_to_string(file).with_context(|| file.display().to_string())?)),
        (None, None) => None,
    };
    Ok(secret.filter(|secret| !secret.expose().is_empty()))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
