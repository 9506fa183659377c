//! `spool.json`: whose a spool is, and in which format.

use std::{fmt, fs, io, path::Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Durability, error::OpenError, folder};

const FILE: &str = "spool.json";
/// That of everything in the folder.
const FORMAT: u64 = 1;

/// Whose a spool is: its records make sense to one database only, and are one proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The database whose accounts the calls are of.
    pub database: Uuid,
    /// The proxy that admitted them.
    pub proxy: Uuid,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} and proxy {}", self.database, self.proxy)
    }
}

/// What `spool.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u64,
    database: Uuid,
    proxy: Uuid,
    /// When the spool was made.
    pub(super) created_at: DateTime<Utc>,
}

/// As much of it as every version understands.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl Manifest {
    /// Whose the spool is.
    pub(super) const fn identity(&self) -> Identity {
        Identity { database: self.database, proxy: self.proxy }
    }

    /// Reads that of a spool; `None` if there is none yet.
    pub(super) fn read(spool: &Path) -> Result<Option<Self>, OpenError> {
        let path = spool.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(OpenError::at(&path))?,
        };
        let corrupt = |error: serde_json::Error| OpenError::Corrupt { path: path.clone(), problem: error.to_string() };
        let Format { format } = serde_json::from_slice(&text).map_err(corrupt)?;
        if format > FORMAT {
            return Err(OpenError::Newer { path });
        }
        serde_json::from_slice(&text).map(Some).map_err(corrupt)
    }

    /// That a spool is this proxy's; `None` if it is nobody's yet.
    pub(super) fn expect(spool: &Path, identity: Identity) -> Result<Option<Self>, OpenError> {
        match Self::read(spool)? {
            Some(found) if found.identity() == identity => Ok(Some(found)),
            Some(found) => Err(OpenError::Foreign { folder: spool.to_owned(), found: found.identity(), expected: identity }),
            None => Ok(None),
        }
    }

    /// Makes a spool this proxy's, and says when. Whoever does that holds its lock.
    pub(super) fn write(spool: &Path, identity: Identity) -> Result<DateTime<Utc>, OpenError> {
        let path = spool.join(FILE);
        let Identity { database, proxy } = identity;
        let manifest = Self { format: FORMAT, database, proxy, created_at: Utc::now() };
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from).map_err(OpenError::at(&path))?;
        folder::replace(&path, &text, Durability::Disk).map_err(OpenError::at(&path))?;
        Ok(manifest.created_at)
    }
}
