//! Which PostgreSQL programs to run: the system's, else a download.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, anyhow};
use postgresql_embedded::{PostgreSQL, Settings, VersionReq};

/// The oldest version whose SQL the ledger speaks.
const MAJOR_MIN: u32 = 15;
/// What is downloaded where there is none.
const MAJOR_DOWNLOADED: u32 = 17;

/// Where systems keep versions that are not on the PATH; each has one folder per version.
const FOLDERS: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// A set of PostgreSQL's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    /// Its major version; a cluster is opened only by the one that made it.
    pub(super) major: u32,
    bin: PathBuf,
}

impl Installation {
    /// The newest installation, or the one of exactly this version; downloaded into the folder if the system has none.
    pub(super) fn find(folder: &Path, major: Option<u32>) -> anyhow::Result<Self> {
        let downloaded = bin_folders(&programs(folder), "");
        let found = candidates()
            .into_iter()
            .chain(downloaded)
            .filter_map(Self::at)
            .filter(|found| major.map_or(found.major >= MAJOR_MIN, |major| found.major == major));
        match found.max_by_key(|found| found.major) {
            Some(found) => Ok(found),
            None => download(folder, major.unwrap_or(MAJOR_DOWNLOADED)),
        }
    }

    /// The installation that this `bin` folder belongs to.
    fn at(bin: PathBuf) -> Option<Self> {
        let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
        let is_complete = ["initdb", "pg_ctl"].iter().all(|program| bin.join(program).exists());
        let major = parse_version(&String::from_utf8_lossy(&output.stdout))?;
        is_complete.then_some(Self { major, bin })
    }

    /// One of its programs, shielded from the environment: `PG…` variables and locales of whoever started farebox change what these programs do.
    pub(super) fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", env::var_os("PATH").unwrap_or_default()).current_dir(folder);
        command
    }
}

/// The version that made a cluster; `None` for a folder without one.
pub(super) fn major_of(data: &Path) -> anyhow::Result<Option<u32>> {
    let file = data.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => text.trim().parse().map(Some).with_context(|| format!("{}: {text}", file.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// `bin` folders that may hold PostgreSQL: those on the PATH, with links followed to where the sibling programs are, and the systems' own.
fn candidates() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter_map(|folder| Some(folder.join("postgres").canonicalize().ok()?.parent()?.to_owned()));
    let of_system = FOLDERS.iter().flat_map(|(folder, prefix)| bin_folders(Path::new(folder), prefix));
    let mut folders: Vec<PathBuf> = on_path.chain(of_system).filter(|bin| bin.join("postgres").exists()).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// The `bin` folders of a folder that has one folder for each version.
fn bin_folders(folder: &Path, prefix: &'static str) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix)).map(|entry| entry.path().join("bin"))
}

/// Where downloaded versions are.
fn programs(folder: &Path) -> PathBuf {
    folder.join("programs")
}

/// `postgres (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)` is 17.
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    version.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Downloads PostgreSQL's programs, once.
fn download(folder: &Path, major: u32) -> anyhow::Result<Installation> {
    tracing::info!(postgresql = major, "there is no PostgreSQL on this machine: downloading it");
    // `setup` would also initialise a cluster in `data_dir`, unless it believes that there is one.
    let nothing = folder.join("download");
    fs::create_dir_all(&nothing)?;
    fs::write(nothing.join("postgresql.conf"), "")?;
    let defaults = Settings::new();
    // It made these two for clusters that nobody asked for; where it could make none, the second is the working folder, which is not empty and stays.
    for litter in [Some(defaults.data_dir.as_path()), defaults.password_file.parent()].into_iter().flatten() {
        let _ = fs::remove_dir(litter);
    }
    let mut postgresql = PostgreSQL::new(Settings {
        version: VersionReq::parse(&format!("={major}"))?,
        installation_dir: programs(folder),
        password_file: nothing.join("password"),
        data_dir: nothing,
        // True, its default, deletes the data folder when the value is dropped.
        temporary: false,
        ..defaults
    });
    let no_luck = || {
        anyhow!(
            "PostgreSQL {major} is neither installed nor could it be downloaded: install it (apt install postgresql), or give farebox a --database-url"
        )
    };
    // On a thread of the blocking pool, where waiting for a future is allowed.
    tokio::runtime::Handle::current().block_on(postgresql.setup()).with_context(no_luck)?;
    Installation::at(postgresql.settings().binary_dir()).with_context(no_luck)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_vendors_write_them() {
        assert_eq!(parse_version("postgres (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)"), Some(17));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("something else"), None);
    }
}
