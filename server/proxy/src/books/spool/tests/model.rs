//! Random lives of a spool, against a model that only remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::books::spool::AppendError;

/// What is done. Indices choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Begin {
        lane: usize,
        bytes: usize,
    },
    Settle {
        which: usize,
        bytes: usize,
    },
    /// Calls that begin and calls that end, in one moment.
    Together {
        lane: usize,
        begins: Vec<usize>,
        settles: Vec<usize>,
    },
    Read {
        lane: usize,
        records: usize,
    },
    /// From memory, what is there.
    TakeFresh {
        lane: usize,
        calls: usize,
    },
    Post {
        which: usize,
    },
    Checkpoint {
        lane: usize,
    },
    /// Another reader takes over.
    Reader {
        lane: usize,
    },
    Reopen {
        closes: bool,
        lanes: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_usize..4, 0_usize..2_500).prop_map(|(lane, bytes)| Step::Begin { lane, bytes }),
        10 => (any::<usize>(), 0_usize..5_000).prop_map(|(which, bytes)| Step::Settle { which, bytes }),
        6 => (0_usize..4, prop::collection::vec(0_usize..2_500, 0..4), prop::collection::vec(0_usize..2_500, 0..4))
            .prop_map(|(lane, begins, settles)| Step::Together { lane, begins, settles }),
        5 => (0_usize..6, 1_usize..6).prop_map(|(lane, records)| Step::Read { lane, records }),
        5 => (0_usize..6, 1_usize..6).prop_map(|(lane, calls)| Step::TakeFresh { lane, calls }),
        8 => any::<usize>().prop_map(|which| Step::Post { which }),
        4 => (0_usize..6).prop_map(|lane| Step::Checkpoint { lane }),
        1 => (0_usize..6).prop_map(|lane| Step::Reader { lane }),
        2 => (any::<bool>(), 1_u16..4).prop_map(|(closes, lanes)| Step::Reopen { closes, lanes }),
    ]
}

/// A call as the model remembers it.
struct Remembered {
    lane: u16,
    intent: Vec<u8>,
    settlement: Option<Vec<u8>>,
    is_posted: bool,
}

/// The spool, and what should be in it.
struct World {
    scratch: Scratch,
    options: Options,
    spool: Option<Spool>,
    readers: Vec<Reader>,
    /// The last settlement that each reader has given out.
    given: Vec<Option<Position>>,
    running: Vec<(CallId, Begun)>,
    /// By lane.
    settlements: BTreeMap<(u16, Position), CallId>,
    /// What was read in this life and is not posted.
    unposted: Vec<(CallId, u16, Position)>,
    calls: HashMap<CallId, Remembered>,
    count: u32,
}

fn body(letter: u8, number: u32, bytes: usize) -> Vec<u8> {
    let mut body = number.to_string().into_bytes();
    body.resize(body.len() + bytes, letter);
    body
}

impl World {
    fn new(bytes_max: Option<u64>, durability: Durability) -> Self {
        let scratch = Scratch::new();
        let options = Options { bytes_max, durability, lanes: 2, ..scratch.options() };
        let (readers, given, running, settlements, unposted, calls) = Default::default();
        let mut world = Self { scratch, options, spool: None, readers, given, running, settlements, unposted, calls, count: 0 };
        world.open();
        world
    }

    fn lanes(&self) -> Vec<Arc<Lane>> {
        self.spool.as_ref().expect("it is open").lanes().to_vec()
    }

    fn lane(&self, number: u16) -> Arc<Lane> {
        self.lanes().into_iter().find(|lane| lane.number() == number).expect("no lane is ever lost")
    }

    fn reader(&self, index: usize) -> usize {
        index % self.readers.len()
    }

    /// Opens it, and compares what is unsettled.
    fn open(&mut self) {
        let (spool, unsettled) = open(&self.options);
        self.readers = spool.lanes().iter().map(Lane::reader).collect();
        self.given = vec![None; self.readers.len()];
        self.spool = Some(spool);
        self.unposted.clear();
        self.running.clear();
        for Unsettled { lane, record, begun } in unsettled {
            let call = &self.calls[&record.call];
            assert_eq!((call.lane, &call.intent), (lane.number(), &record.body));
            assert_eq!(call.settlement, None, "a settled call is unsettled again");
            self.running.push((record.call, begun));
        }
        let unsettled = self.calls.values().filter(|call| call.settlement.is_none()).count();
        assert_eq!(self.running.len(), unsettled, "an intent was lost");
    }

    fn begin(&mut self, lane: usize, bytes: usize) {
        let number = self.count;
        self.count += 1;
        let lanes = usize::from(self.options.lanes);
        let lane = Arc::clone(&self.lanes()[lane % lanes]);
        let intent = body(b'i', number, bytes);
        match lane.begin(call(number), 1, &intent) {
            Ok(begun) => {
                self.running.push((call(number), begun));
                let remembered = Remembered { lane: lane.number(), intent, settlement: None, is_posted: false };
                self.calls.insert(call(number), remembered);
            }
            Err(AppendError::Full) => assert!(self.options.bytes_max.is_some(), "there is room on this disk"),
            Err(error) => panic!("{error}"),
        }
    }

    fn settle(&mut self, which: usize, bytes: usize) {
        if self.running.is_empty() {
            return;
        }
        let (id, begun) = self.running.swap_remove(which % self.running.len());
        let call = &self.calls[&id];
        let lane = self.lane(call.lane);
        let promised = call.intent.len() + 2_048;
        let mut settlement = body(b's', 0, bytes);
        let position = lane.settle(begun, 2, &settlement, &settled(id)).unwrap_or_else(|refused| {
            assert!(matches!(refused.error, AppendError::TooLarge { room } if room >= promised), "{refused}");
            assert!(settlement.len() > promised, "what was promised has no room");
            settlement.truncate(promised);
            lane.settle(refused.begun, 2, &settlement, &settled(id)).expect("what was promised has room")
        });
        self.settlements.insert((lane.number(), position), id);
        self.calls.get_mut(&id).expect("it was begun").settlement = Some(settlement);
    }

    fn together(&mut self, lane: usize, begins: &[usize], settles: &[usize]) {
        let lane = Arc::clone(&self.lanes()[lane % usize::from(self.options.lanes)]);
        let (mut own, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|(_, begun)| begun.lane() == lane.number());
        self.running = others;
        let ending = own.split_off(own.len().saturating_sub(settles.len()));
        self.running.extend(own);
        let mut beginning = Vec::new();
        for bytes in begins {
            let (id, intent) = (call(self.count), body(b'i', self.count, *bytes));
            self.count += 1;
            beginning.push((id, intent.clone(), lane.begin_soon(id, 1, intent)));
        }
        let ending: Vec<_> = ending
            .into_iter()
            .zip(settles)
            .map(|((id, begun), bytes)| {
                // Never more than was promised.
                let settlement = body(b's', 0, *bytes.min(&2_047));
                (id, settlement.clone(), lane.settle_soon(begun, 2, settlement, &settled(id)))
            })
            .collect();
        for (id, intent, asked) in beginning {
            match asked.now().expect("each is told") {
                Ok(begun) => {
                    self.running.push((id, begun));
                    self.calls.insert(id, Remembered { lane: lane.number(), intent, settlement: None, is_posted: false });
                }
                Err(AppendError::Full) => assert!(self.options.bytes_max.is_some(), "there is room on this disk"),
                Err(error) => panic!("{error}"),
            }
        }
        for (id, settlement, asked) in ending {
            let position = asked.now().expect("each is told").expect("what was promised has room");
            self.settlements.insert((lane.number(), position), id);
            self.calls.get_mut(&id).expect("it was begun").settlement = Some(settlement);
        }
    }

    fn read(&mut self, index: usize, records: usize) {
        let index = self.reader(index);
        let lane = self.lanes()[index].number();
        for entry in self.readers[index].next(records, 20_000).expect("the disk works") {
            let call = &self.calls[&entry.record.call];
            assert_eq!((call.lane, &call.settlement), (lane, &Some(entry.record.body)));
            self.found(index, entry.record.call, entry.position);
        }
    }

    fn take_fresh(&mut self, index: usize, calls: usize) {
        let index = self.reader(index);
        for fresh in self.readers[index].take_fresh(calls) {
            self.found(index, fresh.call.call_id, fresh.position);
        }
    }

    /// A reader has given out a settlement: the next of its lane, or for a new reader one before which everything is posted.
    fn found(&mut self, index: usize, call: CallId, position: Position) {
        let lane = self.lanes()[index].number();
        let before = (lane, Position { segment: 0, offset: 0 })..(lane, position);
        match self.given[index].replace(position) {
            Some(last) => {
                assert!(last < position, "a settlement is read twice");
                assert_eq!(
                    self.settlements.range(before).next_back().map(|((_, before), _)| *before),
                    Some(last),
                    "a settlement was left out"
                );
            }
            None => assert!(self.settlements.range(before).all(|(_, call)| self.calls[call].is_posted), "a settlement was left out"),
        }
        assert_eq!(self.settlements[&(lane, position)], call);
        self.unposted.push((call, lane, position));
    }

    fn post(&mut self, which: usize) {
        if self.unposted.is_empty() {
            return;
        }
        let (id, lane, position) = self.unposted.swap_remove(which % self.unposted.len());
        self.lane(lane).posted(position);
        self.calls.get_mut(&id).expect("it was begun").is_posted = true;
    }

    fn checkpoint(&self, index: usize) {
        self.lanes()[self.reader(index)].checkpoint(start()).expect("the disk works");
    }

    /// Another reader reads what is not posted, and perhaps more of what is.
    fn replace_reader(&mut self, index: usize) {
        let index = self.reader(index);
        let lane = Arc::clone(&self.lanes()[index]);
        self.unposted.retain(|(_, of, _)| *of != lane.number());
        self.readers[index] = lane.reader();
        self.given[index] = None;
    }

    fn reopen(&mut self, closes: bool, lanes: u16) {
        let spool = self.spool.take().expect("it is open");
        if closes {
            spool.close(start()).expect("the disk works");
        } else {
            drop(spool);
        }
        self.options.lanes = lanes;
        self.open();
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Begin { lane, bytes } => self.begin(lane, bytes),
            Step::Settle { which, bytes } => self.settle(which, bytes),
            Step::Together { lane, begins, settles } => self.together(lane, &begins, &settles),
            Step::Read { lane, records } => self.read(lane, records),
            Step::TakeFresh { lane, calls } => self.take_fresh(lane, calls),
            Step::Post { which } => self.post(which),
            Step::Checkpoint { lane } => self.checkpoint(lane),
            Step::Reader { lane } => self.replace_reader(lane),
            Step::Reopen { closes, lanes } => self.reopen(closes, lanes),
        }
        self.check();
    }

    /// What is counted is what is there.
    fn check(&self) {
        let sizes: u64 = sizes(&self.options.folder).values().sum();
        assert_eq!(self.lanes()[0].counted_bytes(), sizes);
        let unsettled: usize = self.lanes().iter().map(|lane| lane.state().unsettled).sum();
        assert_eq!(unsettled, self.running.len());
        let unposted: u64 = self.lanes().iter().map(|lane| lane.state().unposted).sum();
        let settled = self.calls.values().filter(|call| call.settlement.is_some() && !call.is_posted).count();
        assert!(unposted >= u64::try_from(settled).expect("few"), "{unposted} of {settled} are known");
    }

    /// Reads everything that is left, and finds all that is not posted.
    fn end(mut self) {
        self.reopen(false, self.options.lanes);
        let mut found = BTreeSet::new();
        for index in 0..self.readers.len() {
            for entry in drain(&mut self.readers[index]) {
                assert_eq!(self.calls[&entry.record.call].settlement, Some(entry.record.body));
                assert!(found.insert(entry.record.call), "a settlement is read twice");
                self.lanes()[index].posted(entry.position);
            }
        }
        for (id, call) in &self.calls {
            assert!(call.settlement.is_none() || call.is_posted || found.contains(id), "a settlement was lost");
        }
        while !self.running.is_empty() {
            self.settle(0, 10);
        }
        for index in 0..self.readers.len() {
            drain(&mut self.readers[index]).iter().for_each(|entry| self.lanes()[index].posted(entry.position));
            self.checkpoint(index);
        }
        self.reopen(true, self.options.lanes);
        assert!(self.readers.iter_mut().all(|reader| drain(reader).is_empty()), "everything is posted");
        drop(self.scratch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_made_up_in_any_life(
        steps in prop::collection::vec(step(), 1..150),
        bytes_max in prop::option::of(Just(8 * SEGMENT_BYTES)),
        is_synced in prop::bool::weighted(0.1),
    ) {
        let mut world = World::new(bytes_max, if is_synced { Durability::Disk } else { Durability::Os });
        for step in steps {
            world.take(step);
        }
        world.end();
    }
}
