//! Records that calls write in the same moment.

use std::fs::File;

use futures_util::future::join_all;
use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};

use super::*;
use crate::books::{
    running::write_soon,
    spool::{AppendError, NotSettled},
};

/// A disk that has room up to there, and takes of a write all or nothing.
fn with_room_to(bytes: u64) -> File {
    let file = File::from(memfd_create(c"segment", MFdFlags::MFD_ALLOW_SEALING).expect("every Linux has it"));
    file.set_len(bytes).expect("it is in memory");
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).expect("it may be sealed");
    file
}

fn body(number: u32) -> Vec<u8> {
    format!("{{\"number\":{number}}}").into_bytes()
}

async fn begin_all(lane: &Arc<Lane>, numbers: std::ops::Range<u32>) -> Vec<Result<Begun, AppendError>> {
    let asked: Vec<_> = numbers.map(|number| lane.begin_soon(call(number), 1, body(number))).collect();
    join_all(asked).await.into_iter().map(|told| told.expect("each is told")).collect()
}

async fn settle_all(lane: &Arc<Lane>, begun: Vec<Begun>, bytes: usize) -> Vec<Result<Position, NotSettled>> {
    let asked: Vec<_> = begun
        .into_iter()
        .map(|begun| {
            let settled = settled(begun.call);
            lane.settle_soon(begun, 1, vec![b's'; bytes], &settled)
        })
        .collect();
    join_all(asked).await.into_iter().map(|told| told.expect("each is told")).collect()
}

#[tokio::test]
async fn what_is_asked_for_in_one_moment_is_there_in_its_order() {
    let scratch = Scratch::new();
    let (spool, unsettled) = open(&Options { fresh_max: 100, ..scratch.options() });
    assert!(unsettled.is_empty());
    let lane = first(&spool);
    let begun: Vec<_> = begin_all(&lane, 0..4).await.into_iter().map(Result::unwrap).collect();
    assert!(begun.windows(2).all(|two| two[0].intent() < two[1].intent()));
    // Some begin while others end.
    let (more, settled) = tokio::join!(begin_all(&lane, 4..6), settle_all(&lane, begun, 100));
    let positions: Vec<_> = settled.into_iter().map(Result::unwrap).collect();
    let fresh: Vec<_> = lane.reader().take_fresh(10).iter().map(|fresh| (fresh.position, fresh.call.call_id)).collect();
    assert_eq!(fresh, positions.iter().copied().zip((0..4).map(call)).collect::<Vec<_>>());
    let read: Vec<_> = drain(&mut lane.reader()).into_iter().map(|entry| (entry.position, entry.record.body)).collect();
    assert_eq!(read, positions.iter().map(|position| (*position, vec![b's'; 100])).collect::<Vec<_>>());
    assert_eq!(lane.state().unsettled, 2);
    // A killed process finds the others begun.
    drop((more, lane, spool));
    let (_spool, unsettled) = open(&scratch.options());
    let found: Vec<_> = unsettled.iter().map(|unsettled| (unsettled.record.call, unsettled.record.body.clone())).collect();
    assert_eq!(found, [(call(4), body(4)), (call(5), body(5))]);
}

#[tokio::test]
async fn it_is_one_write_and_what_the_disk_refuses_together_is_written_one_by_one() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let first_of_all = begin(&lane, 0, &body(0));
    // There is room for another of that size, and not for two.
    let bytes = first_of_all.intent().offset + 2 * (lane.end().offset - first_of_all.intent().offset);
    lane.replace_file(0, with_room_to(bytes));
    let begun: Vec<_> = begin_all(&lane, 1..3).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(begun.iter().map(|begun| begun.intent().segment).collect::<Vec<_>>(), [2, 2], "neither is where there was room for one");
    assert!(settle_all(&lane, begun, 10).await.iter().all(Result::is_ok));
    assert_eq!(lane.state().unsettled, 1);
    settle(&lane, first_of_all, b"{}");
    assert_eq!(read(&lane), [call(1), call(2), call(0)]);
}

#[tokio::test]
async fn each_hears_for_itself_that_there_is_no_room() {
    let scratch = Scratch::new();
    let (spool, _) = open(&Options { bytes_max: Some(2 * SEGMENT_BYTES), ..scratch.options() });
    let lane = first(&spool);
    let told = begin_all(&lane, 0..100).await;
    let room = told.iter().filter(|told| told.is_ok()).count();
    assert!(room > 3 && told[..room].iter().all(Result::is_ok), "the first of them have it");
    assert!(told[room..].iter().all(|told| matches!(told, Err(AppendError::Full))));
    assert!(lane.state().is_full);
    let begun = told.into_iter().flatten().collect();
    // More than was promised: whoever says less has room.
    let told = settle_all(&lane, begun, 4_000).await;
    let begun: Vec<_> = told.into_iter().filter_map(|told| told.err().map(|NotSettled { begun, .. }| begun)).collect();
    assert!(!begun.is_empty());
    assert!(settle_all(&lane, begun, 2_048).await.iter().all(Result::is_ok));
    assert_eq!(read(&lane).len(), room);
}

#[tokio::test]
async fn what_an_upstream_said_is_left_out_of_a_settlement_that_has_no_room_for_it() {
    let scratch = Scratch::new();
    let (spool, _) = open(&Options { bytes_max: Some(2 * SEGMENT_BYTES), ..scratch.options() });
    let lane = first(&spool);
    let begun: Vec<_> = begin_all(&lane, 0..100).await.into_iter().flatten().collect();
    let ended = begun.into_iter().map(async |begun| {
        let settled = SettledCall { raw_usage: Some("1".repeat(4_000)), ..SettledCall::clone(&settled(begun.call)) };
        let mut settled = Arc::new(settled);
        assert!(write_soon(&lane, begun, &mut settled).await.is_some_and(|written| written.is_ok()));
        settled.raw_usage.is_some()
    });
    let kept = join_all(ended).await;
    assert!(kept.contains(&false) && !kept.is_empty());
    assert_eq!((read(&lane).len(), lane.state().unsettled), (kept.len(), 0));
}

#[tokio::test]
async fn whoever_had_begun_is_settled_in_spite_of_the_disk_and_nobody_begins_in_a_lane_that_is_given_up() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let begun: Vec<_> = begin_all(&lane, 0..3).await.into_iter().map(Result::unwrap).collect();
    lane.replace_file(0, with_room_to(0));
    lane.give_up("it is of no use");
    let (told, refused) = tokio::join!(settle_all(&lane, begun, 10), begin_all(&lane, 3..5));
    let segments: Vec<_> = told.into_iter().map(|told| told.map(|position| position.segment).ok()).collect();
    assert_eq!(segments, [Some(2); 3]);
    assert!(matches!(refused[..], [Err(AppendError::Io(_)), Err(AppendError::Io(_))]));
    assert_eq!(read(&lane), [call(0), call(1), call(2)]);
}

#[tokio::test]
async fn who_is_to_write_and_leaves_writes_first() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let leaving = lane.begin_soon(call(1), 1, body(1));
    let staying = lane.begin_soon(call(2), 1, body(2));
    drop(leaving);
    let told = tokio::time::timeout(Duration::from_secs(60), staying).await.expect("nobody waits for whoever has left");
    let begun = told.expect("it is told").expect("there is room");
    let hurried = lane.settle_soon(begun, 1, body(2), &settled(call(2))).now();
    assert!(hurried.is_some_and(|told| told.is_ok()));
    let late = lane.begin_soon(call(3), 1, body(3));
    spool.close(start()).expect("the disk works");
    assert!(matches!(late.await, Some(Err(AppendError::Io(_)))), "nothing is written once it is closed");
    let (_spool, unsettled) = open(&scratch.options());
    assert_eq!(unsettled.iter().map(|unsettled| unsettled.record.call).collect::<Vec<_>>(), [call(1)], "its intent is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_of_several_cores_can_write_to_one_lane_and_who_cannot_wait_hears_at_once() {
    const CALLS: u32 = 20_000;
    let scratch = Scratch::new();
    let (spool, _) = open(&Options { segment_bytes: 1 << 20, ..scratch.options() });
    let (lane, mut calls) = (first(&spool), tokio::task::JoinSet::new());
    for number in 0..CALLS {
        let lane = Arc::clone(&lane);
        calls.spawn(async move {
            let asked = lane.begin_soon(call(number), 1, body(number));
            // Others write it meanwhile, or are about to.
            std::thread::yield_now();
            let told = if number % 3 == 0 { asked.now() } else { asked.await };
            let begun = told.expect("it is told").expect("there is room");
            let settled = settled(call(number));
            let asked = lane.settle_soon(begun, 1, body(number), &settled);
            std::thread::yield_now();
            let told = if number % 5 == 0 { asked.now() } else { asked.await };
            told.expect("it is told").expect("it was promised");
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.expect("each was told");
    }
    let mut found = read(&lane);
    found.sort_unstable();
    assert_eq!(found, (0..CALLS).map(call).collect::<Vec<_>>());
    assert_eq!(lane.state().unsettled, 0);
}
