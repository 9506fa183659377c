//! A spool that has no room left: new calls are refused, running ones settle.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::{sys::signal::Signal, unistd::geteuid};
use serde_json::{Value, json};

use super::{Callers, Locked, expect_exact, expect_rest, set_up};
use crate::{farebox::Place, http::ask, life::wait_until, upstream::Tally};

/// What a spool takes at once where there is one core.
const SPOOL_MIB: u32 = 32;
const CALLERS: u32 = 8;
/// Calls that are in their middle when there is no room any more.
const RUNNING: usize = 8;

/// As much as a client can say of a call: some 13 KB, in both of its records.
fn long_tags() -> Value {
    let tag = |number: usize| (format!("{number}{}", "🎫".repeat(63)), json!("🚌".repeat(256)));
    Value::Object((0..10).map(tag).collect())
}

/// A file system of its own in a folder, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// With so much on it, for whoever owns the data folder. `None` where that cannot be made.
    fn mount(place: &Place, mebibytes: u32) -> Option<Self> {
        let folder = place.folder().join("disk");
        fs::create_dir(&folder).expect("the folder is ours");
        let owner = fs::metadata(place.data()).expect("the data folder");
        let options = format!("size={mebibytes}m,mode=700,uid={},gid={}", owner.uid(), owner.gid());
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            failed => {
                println!("skipped: no file system can be mounted here: {failed:?}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status(); // what is left of it goes with the machine
    }
}

/// Fills the spool while nothing can be posted, and lets it be posted afterwards.
fn fill(place: &Place, (tally, key): &(Arc<Tally>, String), args: &[&str]) {
    let server = place.serve_logged(&[&["--only", "proxy"], args].concat());
    let (url, database) = (server.said("/proxy_url"), server.said("/database_url"));
    // The cap is far above what they come to: what is leased lasts longer than the room does.
    let more = [("metadata".to_owned(), long_tags()), ("max_tokens".to_owned(), json!(100_000))].into_iter().collect();
    let callers = Callers { more, ..Callers::default() };
    let readyz = || ask(url, "/readyz", "", None).map(|answer| (answer.status, answer.text())).unwrap_or_default();
    thread::scope(|scope| {
        let shut = tally.gate.shut();
        let running = callers.begin(scope, (url, key), RUNNING, tally);
        let wanted = callers.start(scope, (url, key), CALLERS, Duration::ZERO);
        callers.expect_service(100);
        let locked = Locked::all_accounts(database);
        let begun = Instant::now();
        wait_until(|| readyz().1.contains("the spool is full"));
        wait_until(|| callers.since(begun).iter().filter(|made| made.is_refused()).count() >= 10);
        println!("full after {} calls and {:?}", callers.len(), begun.elapsed());

        drop(shut);
        for call in running {
            let made = call.join().expect("no caller has panicked");
            assert!(made.is_seen(), "what is running settles: {made:?}");
        }
        let other = callers.since(begun).into_iter().find(|made| !made.is_seen() && !made.is_refused());
        assert!(other.is_none(), "{other:?}");
        drop(locked);
        wait_until(|| readyz().0 == 200);
        callers.expect_service(10);
        drop(wanted);
    });
    expect_rest(database);
    let sum = expect_exact(database, &callers, tally, &HashSet::new());
    println!("{sum:?}");
    assert!(sum.refused >= 10);
    assert_eq!((sum.interrupted, sum.absent, sum.exact + sum.refused), (0, 0, sum.made));
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
    let log = place.log();
    assert!(log.contains("the spool is full: calls are refused") && log.contains("the spool has room again"), "{log}");
    assert!(!log.contains("posted from memory"), "each settlement had its room: {log}");
}

#[test]
fn while_the_spool_has_all_that_it_may_take_new_calls_are_refused_and_running_ones_settle() {
    let mut place = Place::new();
    place.have_one_core();
    let set = set_up(&place);
    fill(&place, &set, &["--spool-max", &format!("{SPOOL_MIB}M")]);
}

#[test]
fn while_the_spools_disk_is_full_new_calls_are_refused_and_running_ones_settle() {
    if !geteuid().is_root() {
        return println!("skipped: only root can mount a small disk");
    }
    let mut place = Place::new();
    place.have_one_core();
    let set = set_up(&place);
    // Its two files, and hardly more.
    let Some(disk) = Disk::mount(&place, SPOOL_MIB + 1) else { return };
    let spool = disk.path().join("spool");
    fill(&place, &set, &["--spool-dir", &spool.display().to_string()]);
}
