//! Settlements that are posted from memory.

use super::*;

/// The calls that are next in memory, at most so many.
fn fresh(reader: &mut Reader, calls_max: usize) -> Vec<CallId> {
    reader.take_fresh(calls_max).into_iter().map(|fresh| fresh.call.call_id).collect()
}

/// The calls that are next in the segments.
fn written(reader: &mut Reader) -> Vec<CallId> {
    drain(reader).into_iter().map(|entry| entry.record.call).collect()
}

#[test]
fn what_was_settled_a_moment_ago_is_in_memory_in_order() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let mut reader = lane.reader();
    let positions: Vec<_> = (0..3).map(|number| record(&lane, number, b"{}")).collect();
    let first = reader.take_fresh(2);
    assert_eq!(
        first.iter().map(|fresh| (fresh.position, fresh.call.call_id)).collect::<Vec<_>>(),
        [(positions[0], call(0)), (positions[1], call(1))]
    );
    record(&lane, 3, b"{}");
    assert_eq!(fresh(&mut reader, 9), [call(2), call(3)]);
    assert!(fresh(&mut reader, 9).is_empty() && written(&mut reader).is_empty(), "nothing is given out twice");
    assert_eq!(lane.state().unposted, 4, "until it is posted");
}

#[test]
fn memory_holds_no_more_than_it_may_and_the_rest_is_read_back() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let mut reader = lane.reader();
    for number in 0..6 {
        record(&lane, number, b"{}");
    }
    assert_eq!(fresh(&mut reader, 9), [call(0), call(1), call(2)], "three in these tests");
    record(&lane, 6, b"{}");
    assert!(fresh(&mut reader, 9).is_empty(), "others come first");
    assert_eq!(written(&mut reader), [call(3), call(4), call(5), call(6)]);
    record(&lane, 7, b"{}");
    assert_eq!(fresh(&mut reader, 9), [call(7)], "once they were read");
}

#[test]
fn a_few_large_ones_fill_the_memory_as_well() {
    let scratch = Scratch::new();
    let (spool, _) = open(&Options { segment_bytes: 32 << 20, fresh_max: 100, ..scratch.options() });
    let lane = first(&spool);
    for number in 0..20 {
        record(&lane, number, &vec![b'x'; 900_000]);
    }
    assert_eq!(fresh(&mut lane.reader(), 99).len(), 18, "16 MiB in all");
}

#[test]
fn what_another_reader_must_read_again_comes_before_what_is_in_memory() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    record(&lane, 0, b"{}");
    let mut lost = lane.reader();
    assert_eq!(fresh(&mut lost, 9), [call(0)]);
    record(&lane, 1, b"{}");
    let mut reader = lane.reader();
    assert!(fresh(&mut reader, 9).is_empty());
    assert_eq!(written(&mut reader), [call(0), call(1)]);
    assert!(fresh(&mut lost, 9).is_empty(), "the other has it");
}

#[test]
fn a_checkpoint_waits_for_what_was_given_out_from_memory() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let positions: Vec<_> = (0..2).map(|number| record(&lane, number, b"{}")).collect();
    assert_eq!(fresh(&mut lane.reader(), 9).len(), 2);
    lane.posted(positions[1]);
    lane.checkpoint(start()).expect("the disk works");
    drop(spool);
    let (_spool, lane) = scratch.open();
    let mut reader = lane.reader();
    assert!(fresh(&mut reader, 9).is_empty(), "another process has nothing in memory");
    assert_eq!(written(&mut reader), [call(0), call(1)]);
}

/// What is damaged of it counts as unread to nobody, and is set aside only by whoever reads it.
#[test]
fn what_an_earlier_process_has_left_is_read_before_anything_is_next_in_memory() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let damaged = record(&lane, 0, b"{\"damaged\":1}");
    drop(spool);
    let path = scratch.file("lane-0/00000001.log");
    let mut bytes = fs::read(&path).expect("a segment");
    bytes[usize::try_from(damaged.offset).expect("small") + 30] ^= 1;
    fs::write(&path, bytes).expect("the disk works");
    let (spool, _unsettled) = open(&scratch.options());
    let lane = first(&spool);
    record(&lane, 1, b"{}");
    let mut reader = lane.reader();
    assert!(fresh(&mut reader, 9).is_empty());
    assert_eq!(written(&mut reader), [call(1)]);
    assert!(scratch.file("damaged").exists(), "it was looked at");
    record(&lane, 2, b"{}");
    assert_eq!(fresh(&mut reader, 9), [call(2)]);
}
