//! What has room, and what is done without any.

use std::fs::File;

use super::*;
use crate::books::spool::{AppendError, LaneState};

/// One lane that may take so many of the smallest segments.
fn bounded(scratch: &Scratch, segments: u64) -> Options {
    Options { bytes_max: Some(segments * SEGMENT_BYTES), ..scratch.options() }
}

/// Begins calls until there is no more room.
fn fill(lane: &Lane, from: u32) -> Vec<Begun> {
    let mut begun = Vec::new();
    for number in from.. {
        match lane.begin(call(number), 1, &[b'i'; 100]) {
            Ok(another) => begun.push(another),
            Err(AppendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
    }
    begun
}

#[test]
fn a_full_spool_refuses_calls_settles_what_has_begun_and_goes_on_when_it_is_posted() {
    let scratch = Scratch::new();
    let options = bounded(&scratch, 3);
    let (spool, _) = open(&options);
    let lane = first(&spool);
    let mut last = 0;
    for round in 0..5 {
        let begun = fill(&lane, round * 1_000);
        assert!(begun.len() > 3 && lane.state().is_full);
        let count = begun.len();
        for begun in begun {
            last = settle(&lane, begun, &[b's'; 100 + 2_048]).segment;
        }
        assert!(sizes(&options.folder).values().sum::<u64>() <= 3 * SEGMENT_BYTES);
        assert_eq!(drain(&mut lane.reader()).len(), count);
        assert!(matches!(lane.begin(call(9_999), 1, &[b'i'; 6_000]), Err(AppendError::Full)), "nothing is posted yet");
        post_all(&lane);
        assert!(lane.state().is_full);
        lane.checkpoint(start()).expect("the disk works");
        assert!(!lane.state().is_full, "who waits for room need not call to see it");
        assert!(lane.begin(call(9_999), 1, b"{}").map(|begun| settle(&lane, begun, b"{}")).is_ok());
        post_all(&lane);
    }
    assert!(last > 5);
}

#[test]
fn what_is_refused_for_want_of_room_is_not_written() {
    let scratch = Scratch::new();
    let (spool, _) = open(&bounded(&scratch, 2));
    let lane = first(&spool);
    let begun = fill(&lane, 0).len();
    assert!(matches!(lane.begin(call(9_999), 1, b"{}"), Err(AppendError::Full)));
    assert!(matches!(lane.begin(call(9_999), 1, &[b'i'; 16 * 1024]), Err(AppendError::TooLarge { .. })));
    assert!(lane.state().is_full, "that another is too large says nothing of room");
    drop(spool);
    let (_spool, unsettled) = open(&bounded(&scratch, 2));
    assert_eq!(unsettled.len(), begun);
}

#[test]
fn calls_of_a_process_that_was_killed_when_the_spool_was_full_are_settled() {
    let scratch = Scratch::new();
    let options = bounded(&scratch, 2);
    for _ in 0..3 {
        let (spool, unsettled) = open(&options);
        drop(fill(&first(&spool), 0));
        drop((spool, unsettled));
    }
    let (_spool, unsettled) = open(&options);
    assert!(unsettled.len() > 5);
    for Unsettled { lane, begun, record } in unsettled {
        settle(&lane, begun, &vec![b's'; record.body.len() + 2_048]);
    }
}

#[test]
fn an_intent_that_never_has_room_is_too_large() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let Err(AppendError::TooLarge { room }) = lane.begin(call(1), 1, &[b'i'; 16 * 1024]) else { panic!("it is too large") };
    assert!(matches!(lane.begin(call(1), 1, &vec![b'i'; room + 1]), Err(AppendError::TooLarge { .. })));
    let begun = begin(&lane, 1, &vec![b'i'; room]);
    settle(&lane, begun, &vec![b's'; room + 2_048]);
    assert_eq!(read(&lane), [call(1)]);

    let scratch = Scratch::new();
    let (spool, _) = open(&Options { segment_bytes: 16 << 20, ..scratch.options() });
    let lane = first(&spool);
    let Err(AppendError::TooLarge { room }) = lane.begin(call(1), 1, &vec![b'i'; 1 << 20]) else { panic!("it is too large") };
    let begun = begin(&lane, 1, &vec![b'i'; room]);
    let refused = lane.settle(begun, 1, &vec![b's'; 1 << 20], &settled(call(1))).expect_err("it is too large");
    assert!(matches!(refused.error, AppendError::TooLarge { room: most } if most == room + 2_048));
    settle(&lane, refused.begun, &vec![b's'; room + 2_048]);
}

#[test]
fn a_settlement_larger_than_was_promised_takes_what_is_free_and_leaves_the_others_theirs() {
    let scratch = Scratch::new();
    let (spool, _) = open(&bounded(&scratch, 2));
    let lane = first(&spool);
    let large = begin(&lane, 0, b"{}");
    settle(&lane, large, &[b's'; 8_000]);
    let mut begun = fill(&lane, 1);
    let large = begun.pop().expect("some");
    let refused = lane.settle(large, 1, &[b's'; 8_000], &settled(call(1))).expect_err("there is no room beside what is promised");
    let AppendError::TooLarge { room } = refused.error else { panic!("{refused}") };
    assert!((100 + 2_048..100 + 2_048 + 8).contains(&room));
    settle(&lane, refused.begun, &vec![b's'; room]);
    for begun in begun {
        settle(&lane, begun, &[b's'; 100 + 2_048]);
    }
}

#[test]
fn a_settlement_may_take_what_was_promised_to_it_and_more() {
    let scratch = Scratch::new();
    let (spool, _) = open(&bounded(&scratch, 2));
    let lane = first(&spool);
    record(&lane, 1, &[b's'; 8_000]);
    record(&lane, 2, &[b's'; 8_000]);
    // Only the other segment has room for it, and then none for a promise.
    let begun = begin(&lane, 3, b"{}");
    settle(&lane, begun, &[b's'; 14_400]);
    assert_eq!(read(&lane), [call(1), call(2), call(3)]);
}

#[test]
fn large_calls_of_a_process_that_had_larger_segments_are_settled_and_others_wait_for_that() {
    let scratch = Scratch::new();
    let (spool, _) = open(&Options { segment_bytes: 8 * SEGMENT_BYTES, ..scratch.options() });
    drop((begin(&first(&spool), 1, &[b'i'; 20_000]), spool));
    let (spool, mut unsettled) = open(&scratch.options());
    let lane = first(&spool);
    assert!(matches!(lane.begin(call(2), 1, &[b'i'; 4_000]), Err(AppendError::Full)), "no other segment makes room for it");
    settle(&lane, unsettled.remove(0).begun, &[b's'; 22_000]);
    assert_eq!(read(&lane), [call(1)]);
    record(&lane, 2, &[b's'; 4_000]);
}

#[test]
fn a_crowd_has_as_many_segments_as_it_needs_and_no_more_afterwards() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let begun: Vec<_> = (0..50).map(|number| begin(&lane, number, &[b'i'; 100])).collect();
    let segments = lane.state().segments;
    assert!(segments > 6, "{segments}");
    for begun in begun {
        settle(&lane, begun, b"{}");
    }
    lane.checkpoint(start()).expect("the disk works");
    assert_eq!(lane.state().segments, 2, "what is written and one ahead");
    assert_eq!(lane.counted_bytes(), sizes(&scratch.spool()).values().sum::<u64>());
    let position = record(&lane, 100, b"{}");
    drop(spool);
    let (_spool, lane) = scratch.open();
    assert!(record(&lane, 101, b"{}") > position);
}

/// A file that cannot be written.
fn unwritable(scratch: &Scratch) -> File {
    File::open(scratch.file("spool.json")).expect("it is there")
}

#[test]
fn a_place_that_cannot_be_written_is_left_for_the_next_segment() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let before = record(&lane, 1, b"{}");
    let running = begin(&lane, 2, b"{}");
    lane.replace_file(0, unwritable(&scratch));
    let position = settle(&lane, running, b"{}");
    assert!(position.segment > before.segment);
    record(&lane, 3, b"{}");
    assert_eq!(read(&lane), [call(1), call(2), call(3)]);
    assert_eq!(lane.state().broken, None);
    drop(spool);
    let (_spool, lane) = scratch.open();
    assert_eq!(read(&lane), [call(1), call(2), call(3)]);
    assert_eq!((lane.state().damaged, lane.state().torn), (0, 0));
}

#[test]
fn a_lane_whose_disk_takes_nothing_gives_the_record_back_and_takes_no_more_calls() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let running = begin(&lane, 1, b"{}");
    lane.replace_file(0, unwritable(&scratch));
    lane.replace_file(1, unwritable(&scratch));
    let refused = lane.settle(running, 1, b"{}", &settled(call(1))).expect_err("nothing can be written");
    assert!(matches!(refused.error, AppendError::Io(_)));
    assert!(lane.state().broken.is_some());
    assert!(matches!(lane.begin(call(2), 1, b"{}"), Err(AppendError::Io(_))));
    settle(&lane, refused.begun, b"{}");
    assert_eq!(read(&lane), [call(1)], "the disk takes it after all");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_in_spite_of_what_it_promised_breaks_nothing() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let running = begin(&lane, 1, b"{}");
    let full = || File::options().write(true).open("/dev/full").expect("every system has it");
    lane.replace_file(0, full());
    lane.replace_file(1, full());
    assert!(matches!(lane.begin(call(2), 1, b"{}"), Err(AppendError::Full)));
    let LaneState { is_full, broken, .. } = lane.state();
    assert_eq!((is_full, broken), (true, None));
    settle(&lane, running, b"{}");
    record(&lane, 2, b"{}");
    assert_eq!(read(&lane), [call(1), call(2)]);
}

#[test]
fn a_call_is_settled_where_it_was_begun() {
    let scratch = Scratch::new();
    let (spool, _) = open(&Options { lanes: 2, ..scratch.options() });
    let begun = begin(&spool.lanes()[0], 1, b"{}");
    let refused = spool.lanes()[1].settle(begun, 1, b"{}", &settled(call(1))).expect_err("it is the other's");
    settle(&spool.lanes()[0], refused.begun, b"{}");
}
