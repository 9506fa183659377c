//! What is seen of a spool from outside.

use super::*;
use crate::books::spool::{Inspection, Kind, OpenError, inspect};

#[test]
fn a_spool_is_looked_into_while_it_is_written_and_nothing_is_changed() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    for number in 0..20 {
        record(&lane, number, &[b'x'; 1_000]);
    }
    post_all(&lane);
    lane.checkpoint(start()).expect("the disk works");
    let _running = begin(&lane, 100, b"{}");
    record(&lane, 101, b"{}");
    let before = sizes(&scratch.spool());

    let inspection: Inspection = inspect(&scratch.spool()).expect("it is readable");
    assert_eq!(inspection.identity, scratch.options().identity);
    assert!(inspection.created_at > start());
    let [seen] = &inspection.lanes[..] else { panic!("one lane") };
    assert_eq!((seen.lane, seen.unsettled, seen.unposted), (0, 1, 1));
    assert!(seen.checkpoint.is_some());
    assert_eq!(seen.segments.iter().map(|segment| segment.bytes).sum::<u64>(), before.values().sum::<u64>());
    assert!(lane.state().segments >= 2 && seen.segments[0].posted_since == Some(start()));
    assert_eq!(seen.segments.last().map(|segment| (segment.intents, segment.posted_since)), Some((0, None)), "one is ahead");
    assert_eq!(seen.segments.iter().map(|segment| segment.intents).sum::<u64>(), 22);
    assert_eq!(seen.segments.iter().map(|segment| segment.settlements).sum::<u64>(), 21);
    assert!(seen.segments.iter().all(|segment| segment.damaged == 0 && segment.unknown == 0 && !segment.is_torn));

    let records: Vec<_> = inspection.records().map(|record| record.expect("the disk works")).collect();
    assert_eq!(records.len(), 43);
    assert_eq!((records[0].kind, records[0].record.call, records[0].lane), (Kind::Intent, call(0), 0));
    assert_eq!((records[42].kind, records[42].record.call), (Kind::Settlement, call(101)));
    assert!(records.is_sorted_by_key(|record| record.position));
    assert_eq!(sizes(&scratch.spool()), before);
}

#[test]
fn damage_is_seen_and_what_is_intact_is_listed() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let damaged = record(&lane, 1, b"{}");
    record(&lane, 2, b"{}");
    let torn = record(&lane, 3, b"{}");
    spool.close(start()).expect("the disk works");
    let segment = scratch.file("lane-0/00000001.log");
    let mut bytes = fs::read(&segment).expect("a segment");
    for position in [damaged, torn] {
        bytes[usize::try_from(position.offset).expect("small") + 10] ^= 1;
    }
    bytes[0] ^= 1;
    fs::write(&segment, &bytes).expect("it is ours");
    let inspection = inspect(&scratch.spool()).expect("it is readable");
    let [seen] = &inspection.lanes[0].segments[..] else { panic!("one segment") };
    assert_eq!((seen.intents, seen.settlements, seen.damaged, seen.is_torn), (3, 1, 2, true));
    assert_eq!((inspection.lanes[0].unsettled, inspection.lanes[0].unposted), (2, 1));
    assert_eq!(inspection.records().count(), 4);
    assert!(scratch.names("damaged").is_empty());
}

#[test]
fn where_there_is_no_spool_or_a_later_versions_it_says_so() {
    let scratch = Scratch::new();
    assert!(matches!(inspect(&scratch.spool()), Err(OpenError::Io { .. })));
    assert!(!scratch.spool().exists());
    drop(scratch.open());
    fs::write(scratch.file("spool.json"), r#"{"format": 2}"#).expect("it is ours");
    assert!(matches!(inspect(&scratch.spool()), Err(OpenError::Newer { .. })));
}
