//! What survives a machine that loses power, and what is said when nobody knows.

use std::fs::File;

use super::*;

fn on_disk(scratch: &Scratch) -> Options {
    Options { durability: Durability::Disk, ..scratch.options() }
}

/// A file that takes everything, and syncs nothing.
fn never_synced() -> File {
    File::options().write(true).open("/dev/null").expect("every system has it")
}

#[tokio::test]
async fn a_record_is_durable_after_a_sync_that_covers_all_who_wait() {
    let scratch = Scratch::new();
    let (spool, _) = open(&on_disk(&scratch));
    let lane = first(&spool);
    // Beyond the end of a segment, so that two files are synced.
    let positions: Vec<_> = (0..40).map(|number| record(&lane, number, &[b'x'; 500])).collect();
    let mut waiting = tokio::task::JoinSet::new();
    for position in positions {
        let lane = Arc::clone(&lane);
        waiting.spawn(async move { lane.durable(position).await });
    }
    while let Some(durable) = waiting.join_next().await {
        durable.expect("nothing panics").expect("the disk works");
    }
    let begun = begin(&lane, 100, b"{}");
    lane.durable(begun.intent()).await.expect("the disk works");
    settle(&lane, begun, b"{}");
    spool.close(start()).expect("the disk works");
}

#[tokio::test]
async fn what_was_written_is_durable_when_the_spool_is_closed_and_nothing_else_ever_is() {
    let scratch = Scratch::new();
    let (spool, _) = open(&on_disk(&scratch));
    let lane = first(&spool);
    let position = record(&lane, 1, b"{}");
    spool.close(start()).expect("the disk works");
    lane.durable(position).await.expect("it was synced at last");
    let never = Position { offset: position.offset + 1_000, ..position };
    assert!(lane.durable(never).await.is_err(), "nobody waits for ever");
}

#[tokio::test]
async fn a_disk_that_cannot_sync_gets_no_more_calls() {
    let scratch = Scratch::new();
    let (spool, _) = open(&on_disk(&scratch));
    let lane = first(&spool);
    let synced = record(&lane, 1, b"{}");
    lane.durable(synced).await.expect("the disk works");
    let running = begin(&lane, 2, b"{}");
    lane.replace_file(0, never_synced());
    assert!(lane.durable(running.intent()).await.is_err());
    assert!(lane.durable(running.intent()).await.is_err(), "also when it is asked again");
    lane.durable(synced).await.expect("it was before");
    assert!(lane.state().broken.is_some());
    assert!(lane.begin(call(3), 1, b"{}").is_err());
    settle(&lane, running, b"{}");
}

#[tokio::test]
async fn a_segment_that_is_written_no_more_is_synced_as_well() {
    let scratch = Scratch::new();
    let (spool, _) = open(&on_disk(&scratch));
    let lane = first(&spool);
    lane.replace_file(0, never_synced());
    for number in 0..19 {
        record(&lane, number, &[b'x'; 1_000]);
    }
    let last = record(&lane, 19, &[b'x'; 1_000]);
    assert_eq!(last.segment, 2);
    assert!(lane.durable(last).await.is_err());
}

#[tokio::test]
async fn what_need_not_be_on_disk_is_not_waited_for() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let position = record(&lane, 1, b"{}");
    lane.durable(position).await.expect("it is written");
}
