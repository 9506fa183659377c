//! What whoever posts gets to read, and when.

use chrono::TimeDelta;

use super::*;
use crate::books::spool::LaneState;

#[test]
fn settlements_are_read_in_order_and_intents_are_not() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let (one, two) = (begin(&lane, 1, b"{1}"), begin(&lane, 2, b"{2}"));
    let second = lane.settle(two, 9, b"{22}", &settled(call(2))).expect("it was promised");
    let first = settle(&lane, one, b"{11}");
    let entries = drain(&mut lane.reader());
    assert_eq!(entries.iter().map(|entry| entry.position).collect::<Vec<_>>(), [second, first]);
    assert_eq!(entries[0].record.call, call(2));
    assert_eq!((entries[0].record.version, &entries[0].record.body[..]), (9, &b"{22}"[..]));
    assert_eq!((entries[1].record.version, &entries[1].record.body[..]), (1, &b"{11}"[..]));
}

#[test]
fn a_batch_is_bounded_and_nothing_is_left_out_between_batches() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    for number in 0..20 {
        record(&lane, number, &[b'x'; 100]);
    }
    let mut reader = lane.reader();
    let mut next = |records, bytes| {
        let entries = reader.next(records, bytes).expect("the disk works");
        entries.iter().map(|entry| entry.record.call).collect::<Vec<_>>()
    };
    assert_eq!(next(2, 10_000), [call(0), call(1)]);
    assert_eq!(next(100, 300), [call(2), call(3), call(4)]);
    assert_eq!(next(100, 399), [call(5), call(6), call(7)]);
    assert_eq!(next(100, 1), [call(8)], "one at least");
    assert!(next(0, 10_000).is_empty());
    assert_eq!(next(100, 10_000), (9..20).map(call).collect::<Vec<_>>());
    assert!(next(100, 10_000).is_empty(), "all is read");
}

#[test]
fn a_reader_goes_from_segment_to_segment_while_they_are_written() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let mut reader = lane.reader();
    for number in 0..200 {
        record(&lane, number, &[b'x'; 1_000]);
        let calls: Vec<_> = drain(&mut reader).into_iter().map(|entry| entry.record.call).collect();
        assert_eq!(calls, [call(number)]);
    }
    assert!(lane.state().segments > 10);
}

#[test]
fn a_segment_that_somebody_has_cut_does_not_keep_the_next_from_being_read() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    record(&lane, 1, b"{}");
    let cut = record(&lane, 2, b"{}");
    let file = fs::File::options().write(true).open(scratch.file("lane-0/00000001.log")).expect("a segment");
    file.set_len(cut.offset).expect("it is ours");
    let mut reader = lane.reader();
    assert_eq!(drain(&mut reader).len(), 1);
    while record(&lane, 3, &[b'x'; 1_000]).segment == cut.segment {}
    assert_eq!(drain(&mut reader).last().map(|entry| entry.position.segment), Some(cut.segment + 1));
}

#[tokio::test]
async fn more_waits_until_a_settlement_is_written() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let mut reader = lane.reader();
    let begun = begin(&lane, 1, b"{}");
    tokio::select! {
        biased;
        () = reader.more() => panic!("an intent is nothing to read"),
        () = tokio::task::yield_now() => {}
    }
    let (_, position) = tokio::join!(reader.more(), async { settle(&lane, begun, b"{}") });
    assert_eq!(drain(&mut reader)[0].position, position);
    tokio::select! {
        biased;
        () = reader.more() => panic!("all is read"),
        () = tokio::task::yield_now() => {}
    }
    record(&lane, 2, b"{}");
    reader.more().await;
}

#[test]
fn what_a_lost_batch_held_is_read_again_by_another_reader() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let positions: Vec<_> = (0..5).map(|number| record(&lane, number, b"{}")).collect();
    let mut reader = lane.reader();
    assert_eq!(reader.next(3, 1_000).expect("the disk works").len(), 3);
    drop(reader);
    lane.posted(positions[0]);
    lane.posted(positions[2]);
    let mut reader = lane.reader();
    for number in 1..4 {
        let entries = reader.next(1, 1_000).expect("the disk works");
        assert_eq!(entries[0].record.call, call(number), "the checkpoint is before what is not posted");
    }
    assert_eq!(lane.state().unposted, 4, "what is read twice is counted once");
}

#[test]
fn operators_see_what_waits_and_since_when() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    assert_eq!((lane.state().unposted, lane.state().oldest_unposted), (0, None));
    let _running = begin(&lane, 0, b"{}");
    for number in 1..4 {
        record(&lane, number, b"{}");
    }
    let began = |number: i64| Some(start() + TimeDelta::seconds(number));
    let LaneState { unsettled, unposted, oldest_unposted, .. } = lane.state();
    assert_eq!((unsettled, unposted, oldest_unposted), (1, 3, began(1)));
    let mut reader = lane.reader();
    let entries = reader.next(2, 1_000).expect("the disk works");
    assert_eq!((lane.state().unposted, lane.state().oldest_unposted), (3, began(1)));
    lane.posted(entries[0].position);
    assert_eq!((lane.state().unposted, lane.state().oldest_unposted), (2, began(2)));
    lane.posted(entries[1].position);
    assert_eq!(lane.state().unposted, 1);
    drop((reader, spool));
    let (spool, unsettled) = open(&scratch.options());
    assert_eq!(unsettled.len(), 1);
    let lane = first(&spool);
    assert_eq!((lane.state().unsettled, lane.state().unposted), (1, 3), "no checkpoint says that two are posted");
    post_all(&lane);
    assert_eq!((lane.state().unposted, lane.state().oldest_unposted), (0, None));
}
