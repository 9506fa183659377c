//! The checkpoint, and what becomes of segments that are posted.

use std::time::SystemTime;

use chrono::TimeDelta;

use super::*;

fn posted_names(scratch: &Scratch) -> Vec<String> {
    scratch.names("lane-0").into_iter().filter(|name| name.ends_with(".posted")).collect()
}

/// Writes and posts some segments.
fn post_some(lane: &Arc<Lane>) {
    for number in 0..60 {
        record(lane, number, &[b'x'; 1_000]);
    }
    post_all(lane);
}

#[test]
fn the_checkpoint_stays_before_what_is_not_settled_and_what_is_not_posted() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    record(&lane, 1, b"{}");
    let running = begin(&lane, 2, b"{}");
    record(&lane, 3, b"{}");
    post_all(&lane);
    lane.checkpoint(start()).expect("the disk works");
    drop((spool, running));

    let (spool, unsettled) = open(&scratch.options());
    let lane = first(&spool);
    assert_eq!(unsettled.iter().map(|unsettled| unsettled.record.call).collect::<Vec<_>>(), [call(2)]);
    assert_eq!(lane.state().unposted, 1, "what is before the checkpoint does not count");
    assert_eq!(read(&lane), [call(3)], "only what is before the running call is not read again");
    for unsettled in unsettled {
        settle(&unsettled.lane, unsettled.begun, b"{}");
    }
    lane.checkpoint(start()).expect("the disk works");
    drop(spool);

    let (spool, unsettled) = open(&scratch.options());
    assert!(unsettled.is_empty());
    let lane = first(&spool);
    assert_eq!(read(&lane), [call(3), call(2)]);
    post_all(&lane);
    lane.checkpoint(start()).expect("the disk works");
    drop(spool);
    let (_spool, lane) = scratch.open();
    assert!(read(&lane).is_empty());
}

#[test]
fn what_is_posted_is_kept_for_a_day() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    post_some(&lane);
    lane.checkpoint(start()).expect("the disk works");
    let posted = posted_names(&scratch);
    assert!(posted.len() > 2, "{posted:?}");
    let time = fs::metadata(scratch.file("lane-0").join(&posted[0])).and_then(|metadata| metadata.modified()).expect("a time");
    assert_eq!(time, SystemTime::from(start()));

    let day = TimeDelta::from_std(KEEP).expect("a day");
    lane.checkpoint(start() + day).expect("the disk works");
    assert_eq!(posted_names(&scratch), posted);
    drop(spool);
    let (_spool, lane) = scratch.open();
    lane.checkpoint(start() + day).expect("the disk works");
    assert_eq!(posted_names(&scratch), posted, "another process knows since when");
    lane.checkpoint(start() + day + TimeDelta::milliseconds(1)).expect("the disk works");
    assert!(posted_names(&scratch).is_empty());
}

#[test]
fn what_is_posted_is_not_kept_where_others_need_the_disk() {
    for (free_min, is_kept) in [(0, true), (u64::MAX, false)] {
        let scratch = Scratch::new();
        let (spool, _) = open(&Options { free_min, ..scratch.options() });
        let lane = first(&spool);
        post_some(&lane);
        lane.checkpoint(start()).expect("the disk works");
        assert_eq!(posted_names(&scratch).is_empty(), !is_kept);
    }
}

#[test]
fn what_is_posted_is_deleted_before_its_time_where_room_is_lacking() {
    let scratch = Scratch::new();
    let options = Options { bytes_max: Some(4 * SEGMENT_BYTES), ..scratch.options() };
    let (spool, _) = open(&options);
    let lane = first(&spool);
    for number in 0..200 {
        record(&lane, number, &[b'x'; 1_000]);
        post_all(&lane);
        lane.checkpoint(start() + TimeDelta::seconds(number.into())).expect("the disk works");
        assert!(sizes(&options.folder).values().sum::<u64>() <= 4 * SEGMENT_BYTES);
    }
    let posted = posted_names(&scratch);
    assert!(!posted.is_empty(), "no more than has to be");
    assert!(*posted[0] > *"00000005", "the first go first: {posted:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_nothing_that_is_posted_from_making_room() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    // The system's own full disk.
    let fill = || std::os::unix::fs::symlink("/dev/full", scratch.file("lane-0/checkpoint.new")).expect("it is ours");
    let checkpoint = scratch.file("lane-0/checkpoint");
    record(&lane, 100, b"{}");
    fill();
    lane.checkpoint(start()).expect_err("there is no room, and nothing is posted");
    assert!(!checkpoint.exists());
    post_some(&lane);
    fill();
    lane.checkpoint(start()).expect("what is posted makes room");
    assert!(checkpoint.exists());
    let posted = posted_names(&scratch);
    assert!(!posted.is_empty() && !posted.contains(&"00000001.posted".to_owned()), "{posted:?}");
}

#[test]
fn a_checkpoint_that_cannot_be_read_costs_reading_everything_again() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    for number in 0..3 {
        record(&lane, number, b"{}");
    }
    post_all(&lane);
    lane.checkpoint(start()).expect("the disk works");
    drop(spool);
    fs::write(scratch.file("lane-0/checkpoint"), "1 99").expect("it is ours");
    let (spool, lane) = scratch.open();
    assert_eq!(read(&lane), [call(0), call(1), call(2)]);
    assert_eq!(lane.state().unposted, 3);
    drop(spool);
    fs::remove_file(scratch.file("lane-0/checkpoint")).expect("it is ours");
    let (_spool, lane) = scratch.open();
    assert_eq!(read(&lane).len(), 3);
}

#[test]
fn a_checkpoint_whose_segment_is_gone_stays_before_what_is_written_next() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    record(&lane, 0, b"{}");
    post_all(&lane);
    lane.checkpoint(start()).expect("the disk works");
    drop(spool);
    sizes(&scratch.spool()).keys().for_each(|segment| fs::remove_file(segment).expect("it is ours"));
    let (spool, lane) = scratch.open();
    record(&lane, 1, b"{}");
    drop(spool);
    let (_spool, lane) = scratch.open();
    assert_eq!(read(&lane), [call(1)]);
}

#[test]
fn a_posted_segment_that_was_not_renamed_in_time_is_renamed_by_the_next_process() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    post_some(&lane);
    lane.checkpoint(start()).expect("the disk works");
    let posted = posted_names(&scratch);
    drop(spool);
    let lane_folder = scratch.file("lane-0");
    for name in &posted {
        fs::rename(lane_folder.join(name), lane_folder.join(name.replace(".posted", ".log"))).expect("it is ours");
    }
    let (_spool, lane) = scratch.open();
    assert!(read(&lane).is_empty());
    lane.checkpoint(start()).expect("the disk works");
    assert!(posted_names(&scratch).starts_with(&posted));
}
