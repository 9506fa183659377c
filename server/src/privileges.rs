//! Giving up root, before the runtime has threads and before a port is opened.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, lchown},
    path::Path,
};

use anyhow::{Context, bail, ensure};
use nix::unistd::{self, Uid, User};

use crate::{files, ready::ReadyFile};

/// Who to become when nobody is named: a user of its own where the machine has one.
const USERS: [&str; 2] = ["farebox", "nobody"];

/// Makes the data folder. Started as root, also hands it to an unprivileged user and becomes that user for good.
pub(crate) fn give_up_root(run_as: Option<&str>, data_dir: &Path, ready_file: Option<&ReadyFile>) -> anyhow::Result<()> {
    files::make_private_dir(data_dir).with_context(|| format!("cannot make the data folder {}", data_dir.display()))?;
    if unistd::geteuid().is_root() {
        let user = unprivileged_user(run_as)?;
        hand_over(data_dir, &user)?;
        if let Some(ready_file) = ready_file {
            ready_file.hand_over(&user)?;
        }
        become_user(&user)?;
    } else if let Some(name) = run_as {
        let current = User::from_uid(unistd::geteuid())?.map(|user| user.name);
        ensure!(current.as_deref() == Some(name), "--run-as {name}: only root can become another user");
    }
    // The folder that farebox was started in may be out of this user's reach, which the programs that it starts dislike.
    std::env::set_current_dir(data_dir).with_context(|| {
        let user = User::from_uid(unistd::geteuid()).ok().flatten().map_or_else(|| "this user".to_owned(), |user| user.name);
        format!("{user} cannot enter the data folder {}: choose another --data-dir, or another user with --run-as", data_dir.display())
    })
}

fn unprivileged_user(run_as: Option<&str>) -> anyhow::Result<User> {
    let user = match run_as {
        Some(name) => User::from_name(name)?.with_context(|| format!("--run-as {name}: there is no such user"))?,
        None => USERS
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .context("there is no user `nobody`: name one with --run-as")?,
    };
    ensure!(!user.uid.is_root(), "--run-as {}: farebox does not run as root", user.name);
    Ok(user)
}

/// Gives the data folder to the user. A folder that holds something else than farebox's data is left alone: a slip of the keyboard must
/// not hand `/home` to `nobody`.
fn hand_over(data_dir: &Path, user: &User) -> anyhow::Result<()> {
    if fs::metadata(data_dir)?.uid() == user.uid.as_raw() {
        return Ok(());
    }
    let is_empty = fs::read_dir(data_dir)?.next().is_none();
    let is_ours = ["secret.key", "serve.lock", "postgres"].iter().any(|name| data_dir.join(name).exists());
    if !is_empty && !is_ours {
        bail!("{} belongs to somebody else and is not a farebox data folder: choose another --data-dir", data_dir.display());
    }
    chown_all(data_dir, user).with_context(|| format!("cannot hand {} to {}", data_dir.display(), user.name))
}

fn chown_all(path: &Path, user: &User) -> io::Result<()> {
    lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            chown_all(&entry?.path(), user)?;
        }
    }
    Ok(())
}

fn become_user(user: &User) -> anyhow::Result<()> {
    // macOS keeps group lists in a directory service; there, nix leaves the list to the system.
    #[cfg(not(target_vendor = "apple"))]
    unistd::setgroups(&[user.gid]).context("cannot leave root's groups")?;
    unistd::setgid(user.gid).context("cannot leave root's group")?;
    unistd::setuid(user.uid).with_context(|| format!("cannot become {}", user.name))?;
    ensure!(unistd::setuid(Uid::from_raw(0)).is_err(), "root could be taken back");
    tracing::debug!(user = user.name, "gave up root");
    Ok(())
}
