//! Logs that were cut, flipped, overwritten: what is left is read, and nothing is read that was not written.

use std::{ops::Range, os::unix::fs::FileExt};

use super::*;
use crate::books::spool::segment::frame::{self, Kind};

const SEGMENT: &str = "lane-0/00000001.log";

/// A log of some calls, as its file was left, and where its records are.
struct Written {
    scratch: Scratch,
    bytes: Vec<u8>,
    records: Vec<(Kind, CallId, Range<usize>)>,
}

/// What is read of a log.
struct Read {
    settled: Vec<CallId>,
    unsettled: Vec<CallId>,
    damaged: usize,
    torn: usize,
}

fn body(number: u32) -> Vec<u8> {
    format!("{{\"number\":{number}}}").into_bytes()
}

/// Three calls, of which the third settles before the second.
fn written() -> Written {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let begun: Vec<_> = (0..3).map(|number| begin(&lane, number, &body(number))).collect();
    let mut positions: Vec<_> = begun.iter().enumerate().map(|(number, begun)| (Kind::Intent, number, begun.intent())).collect();
    let [first, second, third] = begun.try_into().expect("three");
    positions.push((Kind::Settlement, 0, settle(&lane, first, &body(0))));
    positions.push((Kind::Settlement, 2, settle(&lane, third, &body(2))));
    positions.push((Kind::Settlement, 1, settle(&lane, second, &body(1))));
    spool.close(start()).expect("the disk works");
    let bytes = fs::read(scratch.file(SEGMENT)).expect("a segment");
    let record = |(kind, number, position): (Kind, usize, Position)| {
        let number = u32::try_from(number).expect("small");
        let offset = usize::try_from(position.offset).expect("small");
        (kind, call(number), offset..offset + 28 + body(number).len())
    };
    Written { records: positions.into_iter().map(record).collect(), scratch, bytes }
}

impl Written {
    /// Opens a spool that has these bytes for its only segment, and reads all of it.
    fn read(&self, bytes: &[u8]) -> Read {
        for folder in ["lane-0", "damaged"] {
            let _ = fs::remove_dir_all(self.scratch.file(folder));
        }
        fs::create_dir(self.scratch.file("lane-0")).expect("a folder");
        fs::write(self.scratch.file(SEGMENT), bytes).expect("a segment");
        let (spool, unsettled) = open(&self.scratch.options());
        let lane = first(&spool);
        let entries = drain(&mut lane.reader());
        for entry in &entries {
            assert!((0..3).any(|number| entry.record.call == call(number) && entry.record.body == body(number)), "{entry:?}");
        }
        record(&lane, 9, b"{}");
        assert!(read(&lane).contains(&call(9)), "it goes on");
        let state = lane.state();
        let settled = entries.into_iter().map(|entry| entry.record.call).collect();
        let unsettled = unsettled.into_iter().map(|unsettled| unsettled.record.call).collect();
        Read { settled, unsettled, damaged: state.damaged, torn: state.torn }
    }

    fn settled_but(&self, lost: Option<usize>) -> Vec<CallId> {
        let records = self.records.iter().enumerate().filter(|(index, (kind, ..))| *kind == Kind::Settlement && Some(*index) != lost);
        records.map(|(_, (_, call, _))| *call).collect()
    }

    /// Of these records one cannot be read.
    fn expect(&self, read: &Read, lost: Option<usize>, case: &str) {
        assert_eq!(read.settled, self.settled_but(lost), "{case}");
        let unsettled: Vec<_> = lost
            .map(|lost| &self.records[lost])
            .filter(|(kind, ..)| *kind == Kind::Settlement)
            .map(|(_, call, _)| *call)
            .into_iter()
            .collect();
        assert_eq!(read.unsettled, unsettled, "{case}");
    }
}

#[test]
fn a_log_cut_anywhere_in_its_last_record_has_all_others() {
    let log = written();
    let last = log.records.len() - 1;
    let range = log.records[last].2.clone();
    for end in range.start..=log.bytes.len() {
        let read = log.read(&log.bytes[..end]);
        let is_whole = end >= range.end;
        log.expect(&read, (!is_whole).then_some(last), &format!("cut after {end} bytes"));
        let is_torn = end > range.start && !is_whole;
        assert_eq!((read.damaged, read.torn), (0, usize::from(is_torn)), "cut after {end} bytes");
    }
}

#[test]
fn a_flipped_bit_costs_one_record_at_most() {
    let log = written();
    let last = log.records.len() - 1;
    for bit in 0..log.bytes.len() * 8 {
        let mut bytes = log.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // As the zeros of a segment that was not cut are behind it.
        bytes.resize(1_024, 0);
        let read = log.read(&bytes);
        let lost = log.records.iter().position(|(.., range)| range.contains(&(bit / 8)));
        log.expect(&read, lost, &format!("bit {bit}"));
        let is_torn = lost == Some(last);
        let is_damaged = lost.is_some_and(|lost| lost < last) || bit < 64 * 8;
        // A bit in the zeros behind the last record is no record.
        let is_behind = bit / 8 >= log.records[last].2.end;
        assert_eq!((read.damaged, read.torn), (usize::from(is_damaged), usize::from(is_torn)), "bit {bit}, behind: {is_behind}");
    }
}

#[test]
fn a_bit_in_the_zeros_behind_all_records_is_a_torn_end() {
    let log = written();
    for place in (log.bytes.len()..1_024).step_by(97) {
        let mut bytes = log.bytes.clone();
        bytes.resize(1_024, 0);
        bytes[place] = 4;
        let read = log.read(&bytes);
        log.expect(&read, None, &format!("byte {place}"));
        assert_eq!((read.damaged, read.torn), (0, 1), "byte {place}");
    }
}

#[test]
fn what_a_lost_page_held_is_set_aside_and_what_follows_is_read() {
    let log = written();
    let (.., range) = &log.records[3];
    let mut bytes = log.bytes.clone();
    bytes[range.clone()].fill(0);
    let read = log.read(&bytes);
    log.expect(&read, Some(3), "zeros");
    assert_eq!((read.damaged, read.torn), (1, 0));
}

#[test]
fn what_is_set_aside_is_whole_and_setting_it_aside_again_is_harmless() {
    let log = written();
    let (.., range) = &log.records[4];
    let mut bytes = log.bytes.clone();
    bytes[range.start + 30] ^= 1;
    assert_eq!(log.read(&bytes).damaged, 1);
    let name = format!("0-00000001-{}", range.start);
    let kept = fs::read(log.scratch.file("damaged").join(&name)).expect("it is kept");
    assert_eq!(kept, bytes[range.start..range.end.next_multiple_of(8)]);

    let (spool, lane) = {
        let (spool, _) = open(&log.scratch.options());
        let lane = first(&spool);
        (spool, lane)
    };
    assert_eq!(lane.state().damaged, 1, "it is still there");
    post_all(&lane);
    assert_eq!(lane.state().damaged, 1);
    assert_eq!(log.scratch.names("damaged"), [name]);
    drop(spool);
}

#[test]
fn a_record_of_an_unknown_kind_is_set_aside() {
    let log = written();
    let at_kind = |index: usize, place: usize, value: u8| {
        let mut bytes = log.bytes.clone();
        let range = log.records[index].2.clone();
        bytes[range.start + 8 + place] = value;
        let covered = [&bytes[range.start..range.start + 4], &bytes[range.start + 8..range.end]].concat();
        let crc = crc32c::crc32c(&covered).to_le_bytes();
        bytes[range.start + 4..range.start + 8].copy_from_slice(&crc);
        bytes
    };
    for index in [3, 5] {
        for (place, value) in [(0, 3), (0, 0), (2, 1), (3, 1)] {
            let read = log.read(&at_kind(index, place, value));
            log.expect(&read, Some(index), "another kind");
            assert_eq!((read.damaged, read.torn), (1, 0));
        }
    }
}

#[test]
fn a_version_is_its_callers_business() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let begun = lane.begin(call(1), 200, b"{}").expect("there is room");
    drop((spool, begun));
    let (_spool, unsettled) = open(&scratch.options());
    assert_eq!(unsettled[0].record.version, 200);
    for Unsettled { lane, begun, .. } in unsettled {
        lane.settle(begun, 255, b"{}", &settled(call(1))).expect("it was promised");
        assert_eq!(drain(&mut lane.reader())[0].record.version, 255);
    }
}

#[test]
fn damage_in_the_segment_that_is_written_keeps_nothing_that_follows_from_being_read() {
    let scratch = Scratch::new();
    let (_spool, lane) = scratch.open();
    let mut reader = lane.reader();
    record(&lane, 1, b"{}");
    let damaged = record(&lane, 2, b"{}");
    let file = fs::File::options().write(true).open(scratch.file(SEGMENT)).expect("a segment");
    file.write_all_at(b"??", damaged.offset + 28).expect("it is ours");
    assert_eq!(drain(&mut reader).len(), 1);
    record(&lane, 3, b"{}");
    assert_eq!(drain(&mut reader)[0].record.call, call(3));
    assert_eq!((lane.state().damaged, lane.state().torn), (0, 1));
}

#[test]
fn a_body_of_json_that_holds_a_frame_is_not_read_as_one() {
    let mut frame = Vec::new();
    frame::encode(&mut frame, Kind::Settlement, 1, call(77), b"{}").expect("it is small");
    let forged = String::from_utf8_lossy(&frame).into_owned();
    let body = serde_json::to_vec(&[&forged, &forged]).expect("any text");
    assert!(!body.contains(&0));
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    let begun = begin(&lane, 1, b"{}");
    let position = settle(&lane, begun, &body);
    record(&lane, 2, b"{}");
    drop(spool);
    let file = fs::File::options().write(true).open(scratch.file(SEGMENT)).expect("a segment");
    file.write_all_at(&[0xff], position.offset + 1).expect("it is ours");
    let (spool, _) = open(&scratch.options());
    assert_eq!(read(&first(&spool)), [call(2)]);
}

#[test]
fn a_settlement_that_is_damaged_before_it_is_posted_leaves_its_intent() {
    let scratch = Scratch::new();
    let (spool, lane) = scratch.open();
    record(&lane, 0, b"{}");
    post_all(&lane);
    let position = record(&lane, 1, b"{}");
    // It is with whoever posts it, and the checkpoint is written.
    assert_eq!(lane.reader().next(7, 1_000).expect("the disk works").len(), 1);
    lane.checkpoint(start()).expect("the disk works");
    drop((spool, lane));
    let path = scratch.file(SEGMENT);
    let mut bytes = fs::read(&path).expect("a segment");
    bytes[usize::try_from(position.offset).expect("small") + 12] ^= 1;
    fs::write(&path, bytes).expect("the segment can be written");
    let (spool, unsettled) = open(&scratch.options());
    assert_eq!(unsettled.iter().map(|unsettled| unsettled.record.call).collect::<Vec<_>>(), [call(1)]);
    assert_eq!(read(&first(&spool)), [], "what was posted is not read again");
}

mod fuzz {
    use super::*;
    use crate::{books::spool::segment::HEADER_BYTES, fuzzed::Change};

    /// However a segment was changed behind its header, the spool opens, what is read of it was written, and it goes on. That is what [`Written::read`] expects.
    #[test]
    fn any_damage_leaves_what_was_written_or_nothing() {
        let written = std::panic::AssertUnwindSafe(written());
        let header = usize::try_from(HEADER_BYTES).expect("small");
        let used = written.bytes.len();
        bolero::check!().with_type::<Vec<Change>>().with_iterations(150).for_each(|changes| {
            let mut bytes = written.bytes.clone();
            for (place, kind, which) in changes {
                let place = header + usize::from(*place) % (used - header);
                match kind % 4 {
                    0 => bytes[place] ^= 1 << (which % 8),
                    1 => bytes[place] = *which,
                    2 => bytes[place..used].fill(0),
                    // A record, or a part of one, where another was.
                    _ => {
                        let length = usize::from(*which).min(used - place);
                        bytes.copy_within(header..header + length.min(used - header), place / 8 * 8);
                    }
                }
            }
            let read = written.read(&bytes);
            assert!(read.settled.len() + read.unsettled.len() <= (used - header) / 28, "{changes:?}");
        });
    }
}
