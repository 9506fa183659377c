//! Whose a spool is, and what a process finds that opens it.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::books::spool::{OpenError, folder};

fn refused(options: &Options) -> OpenError {
    Spool::open(options).expect_err("it is refused")
}

/// Everything in the spool, with its content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(content(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
    all
}

#[test]
fn one_process_at_a_time_has_it_open() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    record(&lane, 1, b"{}");
    assert!(matches!(refused(&scratch.options()), OpenError::Locked(_)));
    drop(spool);
    let (spool, _) = scratch.open();
    // What is left of the first writes nothing any more.
    assert!(lane.begin(call(2), 1, b"{}").is_err());
    post_all(&lane);
    lane.checkpoint(start()).expect("nothing to do");
    assert!(!scratch.file("lane-0/checkpoint").exists());
    spool.close(start()).expect("the disk works");
    drop(scratch.open());
}

#[test]
fn another_databases_or_proxys_spool_is_refused_and_both_are_named() {
    let scratch = Scratch::new();
    drop(scratch.open());
    let before = content(&scratch.spool());
    let identity = scratch.options().identity;
    for other in [Identity { database: Uuid::from_u128(9), ..identity }, Identity { proxy: Uuid::from_u128(9), ..identity }] {
        let error = refused(&Options { identity: other, ..scratch.options() });
        assert!(matches!(error, OpenError::Foreign { found, expected, .. } if (found, expected) == (identity, other)));
        let text = error.to_string();
        assert!(text.contains(&identity.to_string()) && text.contains(&other.to_string()), "{text}");
        let can_be_posted = text.contains(&format!("farebox spool post {}", scratch.spool().display()));
        assert_eq!(can_be_posted, other.database == identity.database, "{text}");
    }
    assert_eq!(content(&scratch.spool()), before);
}

#[test]
fn a_later_versions_spool_is_left_as_it_is() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    record(&lane, 1, b"{}");
    drop(spool);
    let manifest = scratch.file("spool.json");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, r#"{"format": 2, "shape": "unheard of"}"#).expect("it is ours");
    fs::remove_file(scratch.file("lock")).expect("it is ours");
    let before = content(&scratch.spool());
    let error = refused(&scratch.options());
    assert!(matches!(error, OpenError::Newer { .. }) && error.to_string().contains("later version"));
    assert_eq!(content(&scratch.spool()), before);
    fs::write(&manifest, "{").expect("it is ours");
    assert!(matches!(refused(&scratch.options()), OpenError::Corrupt { .. }));
    fs::write(&manifest, text).expect("it is ours");
    drop(scratch.open());
}

#[test]
fn segments_that_are_not_the_lanes_own_are_refused_before_anything_is_changed() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    record(&lane, 1, b"{}");
    drop(spool);
    fs::write(scratch.file("lane-0/00000009.new"), "being made").expect("a draft");
    let segment = scratch.file("lane-0/00000001.log");
    let original = fs::read(&segment).expect("a segment");
    let check = |place: usize, value: u8, is_refused: fn(&OpenError) -> bool| {
        let mut bytes = original.clone();
        bytes[place] = value;
        let crc = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        bytes[60..64].copy_from_slice(&crc);
        fs::write(&segment, &bytes).expect("it is ours");
        let before = content(&scratch.spool());
        let error = refused(&scratch.options());
        assert!(is_refused(&error), "{error}");
        assert_eq!(content(&scratch.spool()), before);
    };
    check(8, 3, |error| matches!(error, OpenError::Newer { .. }));
    check(10, 7, |error| matches!(error, OpenError::Corrupt { .. }));
    check(12, 7, |error| matches!(error, OpenError::Corrupt { .. }));
    check(20, 7, |error| matches!(error, OpenError::Foreign { .. }));
    check(51, 7, |error| matches!(error, OpenError::Foreign { .. }));
    fs::write(&segment, &original).expect("it is ours");
    drop(scratch.open());
    assert!(!scratch.names("lane-0").contains(&"00000009.new".to_owned()), "what was being made is removed");
}

#[test]
fn only_its_owner_may_open_it_or_look_into_it() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    record(&lane, 1, b"{}");
    lane.checkpoint(start()).expect("the disk works");
    drop(spool);
    let user = fs::metadata(scratch.spool()).expect("a folder").uid();
    folder::expect_owned_by(&scratch.spool(), user).expect("it is ours");
    let error = folder::expect_owned_by(&scratch.spool(), user + 1).expect_err("it is not theirs");
    assert!(error.to_string().contains(&format!("user {user}")) && error.to_string().contains(&format!("user {}", user + 1)), "{error}");
    for path in content(&scratch.spool()).into_keys() {
        assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o777, 0o600, "{}", path.display());
    }
    for folder in [scratch.spool(), scratch.file("lane-0")] {
        assert_eq!(fs::metadata(folder).expect("a folder").mode() & 0o777, 0o700);
    }
    // Only root can give a file away.
    if std::os::unix::fs::chown(scratch.file("lane-0/checkpoint"), Some(user + 1), None).is_ok() {
        assert!(matches!(refused(&scratch.options()), OpenError::Owner { owner, .. } if owner == user + 1));
    }
}

#[test]
fn a_bound_below_two_segments_a_lane_is_refused() {
    let scratch = Scratch::new();
    let options = Options { lanes: 3, bytes_max: Some(6 * SEGMENT_BYTES - 1), ..scratch.options() };
    let error = refused(&options);
    assert!(matches!(error, OpenError::TooSmall { needed, .. } if needed == 6 * SEGMENT_BYTES), "{error}");
    drop(open(&Options { bytes_max: Some(6 * SEGMENT_BYTES), ..options }));
}

#[test]
fn a_machine_with_fewer_cores_settles_and_reads_what_the_other_lanes_have() {
    let scratch = Scratch::new();
    let (spool, _) = open(&Options { lanes: 3, ..scratch.options() });
    let mut running = Vec::new();
    for (lane, number) in spool.lanes().iter().zip(0..) {
        record(lane, number, b"{}");
        running.push(begin(lane, 10 + number, b"{}"));
    }
    drop((spool, running));
    let (spool, unsettled) = open(&scratch.options());
    assert_eq!(spool.lanes().iter().map(|lane| lane.number()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(unsettled.iter().map(|unsettled| unsettled.lane.number()).collect::<Vec<_>>(), [0, 1, 2]);
    for Unsettled { lane, begun, .. } in unsettled {
        settle(&lane, begun, b"{}");
    }
    for (lane, number) in spool.lanes().iter().zip(0..) {
        assert_eq!(read(lane), [call(number), call(10 + number)]);
        post_all(lane);
        lane.checkpoint(start()).expect("the disk works");
    }
    spool.close(start()).expect("the disk works");
    let (spool, unsettled) = open(&scratch.options());
    assert!(unsettled.is_empty());
    assert_eq!(spool.lanes()[1].state().bytes, spool.lanes()[2].state().bytes);
    assert!(spool.lanes()[1].state().bytes < 300, "a lane that takes no calls takes no room for them");
    drop(spool);
    let (spool, _) = open(&Options { lanes: 4, ..scratch.options() });
    assert_eq!(spool.lanes().len(), 4);
}

#[test]
fn nothing_is_written_behind_what_an_earlier_process_left() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let left = record(&lane, 1, b"{}");
    drop(spool);
    let (_spool, lane) = scratch.open();
    assert!(record(&lane, 2, b"{}").segment > left.segment);
}

#[test]
fn processes_that_die_as_soon_as_they_start_do_not_fill_the_disk() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    record(&lane, 1, b"{}");
    drop(spool);
    drop(scratch.open());
    let before = sizes(&scratch.spool());
    for _ in 0..5 {
        drop(scratch.open());
    }
    assert_eq!(sizes(&scratch.spool()), before);
    drop(open(&Options { segment_bytes: 2 * SEGMENT_BYTES, ..scratch.options() }));
    let after = sizes(&scratch.spool());
    assert_eq!(after.len(), before.len(), "those of another size are replaced: {after:?}");
}

#[test]
fn an_empty_segment_of_an_earlier_version_is_not_written_to_since_that_would_read_it() {
    let scratch = Scratch::new();
    drop(scratch.open());
    let segment = scratch.file("lane-0/00000001.log");
    let mut bytes = fs::read(&segment).expect("a segment");
    bytes[8] = 1;
    let crc = crc32c::crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..64].copy_from_slice(&crc);
    fs::write(&segment, bytes).expect("it is ours");
    let (_spool, lane) = scratch.open();
    assert!(record(&lane, 1, b"{}").segment > 1);
    assert_eq!(read(&lane), [call(1)]);
}

#[test]
fn what_a_killed_process_has_not_written_is_free_again() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let position = record(&lane, 1, b"{}");
    drop(spool);
    assert_eq!(sizes(&scratch.spool()).into_values().collect::<Vec<_>>(), [SEGMENT_BYTES, SEGMENT_BYTES]);
    let (_spool, lane) = scratch.open();
    assert_eq!(sizes(&scratch.spool()).into_values().collect::<Vec<_>>(), [position.offset + 32, SEGMENT_BYTES, SEGMENT_BYTES]);
    assert_eq!(read(&lane), [call(1)]);
}

#[test]
fn a_closed_spool_takes_no_more_than_was_written() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let position = record(&lane, 1, b"{}");
    spool.close(start()).expect("the disk works");
    let sizes: Vec<_> = sizes(&scratch.spool()).into_values().collect();
    assert_eq!(sizes, [position.offset + 32]);
    let (_spool, lane) = scratch.open();
    assert_eq!(read(&lane), [call(1)]);
}
