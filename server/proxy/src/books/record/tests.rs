//! Spools of every encoding that there was, as they were written: `tests/fixtures/spool-1` by the last version that wrote JSON, `spool-2` by the first
//! that did not, `spool-3` by the first that knew of attempts,
//! `spool-4` by the first that knew of service tiers. What is in them never changes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::{Attribution, Tags},
    call::{Attempt, Failure, Outcome, UsageSource},
    credit::{Hold, PoolRef, Quantity, Split, Unit},
    id::{AccountId, CallId, EpochId, GrantId, KeyId, LimitId, PriceId, ProjectId, UserId},
    money::Amount,
    pricing::{Discount, Excess},
    service_tier::ServiceTier,
    tokens::{CallUsage, Flag, TokenCounts, Tokens},
};
use ledger::{Admitted, SettledCall};
use proptest::prelude::*;
use uuid::Uuid;

use super::{VERSION, WITHOUT_ATTEMPTS, WITHOUT_SERVICE_TIERS, read, read_intent, read_settlement, write};
use crate::books::spool::{Durability, Found, Identity, Kind, Options, Record, Spool, inspect};

fn start() -> DateTime<Utc> {
    "2026-11-26T12:00:00.123456Z".parse().unwrap()
}

/// A call that says as much as one can.
fn admitted() -> Admitted {
    let mut tags = Tags::default();
    tags.insert("team", "search").unwrap();
    tags.insert("größe", "1 \u{2264} 2").unwrap();
    let holds = Unit::ALL.into_iter().zip(1..).map(|(unit, number)| {
        let pool = if unit == Unit::Requests {
            PoolRef::Limit { id: LimitId::from_uuid(Uuid::from_u128(20)), from: start() }
        } else {
            PoolRef::Grant(GrantId::from_uuid(Uuid::from_u128(30 + number)))
        };
        Hold { pool, unit, quantity: Quantity::from_count(1_000_000_007) }
    });
    Admitted {
        account_id: AccountId::from_uuid(Uuid::from_u128(1)),
        call_id: CallId::new(start(), [1; 10]),
        key_id: KeyId::from_uuid(Uuid::from_u128(2)),
        project_id: ProjectId::from_uuid(Uuid::from_u128(3)),
        member: Some(UserId::from_uuid(Uuid::from_u128(4))),
        attribution: Attribution { end_user: "ada".parse().ok(), session: "run 7".parse().ok(), client: "curl 8".parse().ok(), tags },
        model: "small".to_owned(),
        provider: "upstream".to_owned(),
        price_id: PriceId::from_uuid(Uuid::from_u128(5)),
        discount: Discount::from_bps(250).unwrap(),
        stream: true,
        excess: Excess::Charged,
        input_estimate: Tokens::from_sum(1_200),
        held: Amount::from_nanos(384_000_000_000),
        tokens_held: Tokens::from_sum(70_000),
        epoch: Some(EpochId::from_uuid(Uuid::from_u128(6))),
        split: Split { payment: holds.clone().collect(), limits: holds.collect() },
        asked_tier: ServiceTier::Flex,
    }
}

pub(crate) fn settled() -> SettledCall {
    let count = |count| Some(Tokens::from_sum(count));
    let counts = TokenCounts {
        input: count(1),
        cache_read: count(2),
        cache_write_5m: count(3),
        cache_write_1h: count(4),
        audio_input: count(5),
        output: count(6),
        reasoning: count(0),
        audio_output: count(1_000_000_000),
    };
    SettledCall {
        admitted: admitted(),
        upstream_model: Some("small-2026".to_owned()),
        outcome: Outcome::Ok,
        source: UsageSource::Upstream,
        usage: CallUsage {
            prompt_tokens: count(15),
            completion_tokens: count(7),
            total_tokens: count(22),
            counts,
            flag: Some(Flag::Excessive),
        },
        amount: Amount::from_nanos(7),
        written_off: Amount::from_nanos(i64::MAX),
        http_status: Some(200),
        latency_ms: 812,
        first_byte_ms: Some(120),
        raw_usage: Some("{\"prompt_tokens\": 15,\n \"note\": \"\\u0000\"}".to_owned()),
        attempts: failures()
            .zip([None, None, None, Some(429), Some(503)])
            .map(|(failure, http_status)| Attempt { provider: "other".to_owned(), failure, http_status, took_ms: 120 })
            .collect(),
        served_tier: Some(ServiceTier::Priority),
    }
}

/// Calls that have, together, every outcome, source and flag, and whatever may be missing, missing.
fn calls() -> Vec<SettledCall> {
    let least = Admitted {
        member: None,
        attribution: Attribution::default(),
        discount: Discount::NONE,
        stream: false,
        excess: Excess::WrittenOff,
        epoch: None,
        split: Split::default(),
        asked_tier: ServiceTier::Default,
        ..admitted()
    };
    let sources = [UsageSource::Upstream, UsageSource::Estimated, UsageSource::Interrupted, UsageSource::None];
    let some = Outcome::ALL.into_iter().zip(sources).zip(2..).map(|((outcome, source), number)| SettledCall {
        admitted: Admitted { call_id: CallId::new(start() + TimeDelta::seconds(number), [2; 10]), ..least.clone() },
        upstream_model: None,
        outcome,
        source,
        usage: CallUsage { flag: Some(Flag::Contradictory).filter(|_| source == UsageSource::None), ..CallUsage::default() },
        amount: Amount::ZERO,
        written_off: Amount::ZERO,
        http_status: None,
        latency_ms: 0,
        first_byte_ms: None,
        raw_usage: None,
        attempts: Vec::new(),
        served_tier: None,
    });
    std::iter::once(settled()).chain(some).collect()
}

fn failures() -> impl Iterator<Item = Failure> {
    [Failure::Unreachable, Failure::ConnectTimeout, Failure::Untrusted, Failure::RateLimited, Failure::Overloaded].into_iter()
}

/// The same as a version can say it.
fn calls_of(version: u8) -> Vec<SettledCall> {
    let mut calls = calls();
    if version <= WITHOUT_ATTEMPTS {
        calls.iter_mut().for_each(|call| call.attempts.clear());
    }
    for call in &mut calls {
        call.admitted = as_said(version, call.admitted.clone());
        call.served_tier = call.served_tier.filter(|_| version > WITHOUT_SERVICE_TIERS);
    }
    calls
}

fn as_said(version: u8, admitted: Admitted) -> Admitted {
    let asked_tier = if version > WITHOUT_SERVICE_TIERS { admitted.asked_tier } else { ServiceTier::Default };
    Admitted { asked_tier, ..admitted }
}

/// The one that no end of is known.
fn unsettled() -> Admitted {
    Admitted { call_id: CallId::new(start() + TimeDelta::seconds(1), [1; 10]), ..admitted() }
}

fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        identity: Identity { database: Uuid::from_u128(1), proxy: Uuid::from_u128(2) },
        lanes: 1,
        segment_bytes: 0,
        bytes_max: None,
        free_min: 0,
        durability: Durability::Os,
        keep: std::time::Duration::from_secs(60),
        fresh_max: 10,
    }
}

/// Writes the calls to a spool, as this version does.
fn write_spool(folder: &Path) {
    let (spool, _) = Spool::open(&options(folder)).unwrap();
    let lane = &spool.lanes()[0];
    let mut begun = Vec::new();
    for call in calls() {
        begun.push(lane.begin(call.call_id, VERSION, &write(&call.admitted).unwrap()).unwrap());
    }
    let open = lane.begin(unsettled().call_id, VERSION, &write(&unsettled()).unwrap()).unwrap();
    for (call, begun) in calls().into_iter().zip(begun) {
        lane.settle(begun, VERSION, &write(&call).unwrap(), &Arc::new(call)).unwrap();
    }
    drop(open);
    spool.close(start()).unwrap();
}

/// A name that no other test has.
fn new_folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("farebox-record-{}-{name}", std::process::id()))
}

fn fixture(version: u8) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/spool-{version}"))
}

fn found(folder: &Path) -> Vec<Found> {
    inspect(folder).unwrap().records().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_spool_of_each_version_is_read_as_it_was_written() {
    for version in 1..=VERSION {
        let (mut intents, mut settlements) = (Vec::new(), Vec::new());
        for found in found(&fixture(version)) {
            assert_eq!(found.record.version, version);
            match found.kind {
                Kind::Intent => intents.push(read_intent(&found.record).unwrap()),
                Kind::Settlement => settlements.push(read_settlement(&found.record).unwrap()),
            }
        }
        let begun = calls().into_iter().map(|call| call.admitted).chain([unsettled()]);
        let begun: Vec<_> = begun.map(|admitted| as_said(version, admitted)).collect();
        assert_eq!(intents, begun, "{version}");
        assert_eq!(settlements, calls_of(version), "{version}");
    }
}

/// A proxy that is upgraded settles what the version before was interrupted in, and posts what it had not.
#[test]
fn a_spool_of_each_version_opens_and_is_written_on() {
    for version in 1..=VERSION {
        let folder = new_folder(&version.to_string());
        fs::create_dir_all(folder.join("lane-0")).unwrap();
        for file in ["spool.json", "lane-0/00000001.log"] {
            fs::copy(fixture(version).join(file), folder.join(file)).unwrap();
        }
        let (spool, mut left) = Spool::open(&options(&folder)).unwrap();
        let left = left.remove(0);
        assert_eq!(read_intent(&left.record).unwrap(), as_said(version, unsettled()));
        let last = Arc::new(SettledCall { admitted: unsettled(), ..settled() });
        left.lane.settle(left.begun, VERSION, &write(&*last).unwrap(), &last).unwrap();
        let read = spool.lanes()[0].reader().next(10, 1_000_000).unwrap();
        let read: Vec<_> = read.iter().map(|entry| read_settlement(&entry.record).unwrap()).collect();
        assert_eq!(read, calls_of(version).into_iter().chain([SettledCall::clone(&last)]).collect::<Vec<_>>());
        drop(spool);
        fs::remove_dir_all(folder).unwrap();
    }
}

/// What is stored outlives its writer: another field, order or kind is another version, with a fixture of its own, and the former types are kept to read
/// the former one with.
#[test]
fn the_newest_encoding_never_changes() {
    let folder = new_folder("newest");
    write_spool(&folder);
    assert_eq!(found(&folder), found(&fixture(VERSION)));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_body_has_no_zero_byte_so_that_no_client_can_forge_a_frame_in_it() {
    let mut call = settled();
    call.admitted.model = "\0\0\0\0\u{1}\0".repeat(200);
    let body = write(&call).unwrap();
    assert!(!body.contains(&0));
    assert!(body.len() < 2_000, "{}", body.len());
}

#[test]
fn each_record_is_shown_in_json() {
    for version in 1..=VERSION {
        let shown: Vec<serde_json::Value> =
            found(&fixture(version)).iter().map(|found| serde_json::from_str(found.to_json().unwrap().get()).unwrap()).collect();
        assert_eq!(shown.last().unwrap()["admitted"]["call_id"], calls().last().unwrap().call_id.to_string(), "{version}");
        assert_eq!(shown.iter().filter(|record| record.get("outcome").is_none()).count(), calls().len() + 1, "intents");
    }
}

#[test]
fn what_a_later_version_wrote_or_nobody_did_is_unreadable() {
    let mut record = found(&fixture(VERSION)).remove(0).record;
    record.body.truncate(record.body.len() / 2);
    assert!(read_intent(&record).is_err(), "half a record");
    record.version = VERSION + 1;
    assert_eq!(read_intent(&record).unwrap_err().to_string(), "it was written by a later version of Farebox, in encoding 5");
}

proptest! {
    /// Texts of any length between the zeros, also of those that are a run exactly.
    #[test]
    fn a_body_has_no_zero_and_says_what_was_written(lengths in prop::collection::vec(prop_oneof![0_usize..40, 252_usize..257, 505_usize..512], 0..8)) {
        let plain: Vec<u8> = lengths.iter().flat_map(|length| std::iter::repeat_n(7, *length).chain([0])).collect();
        for plain in [&plain[..], plain.get(..plain.len().saturating_sub(1)).unwrap_or_default()] {
            let body = write(&plain.to_vec()).unwrap();
            prop_assert!(!body.contains(&0));
            let record = Record { call: CallId::new(start(), [1; 10]), version: VERSION, body };
            prop_assert_eq!(read::<Vec<u8>>(&record).unwrap(), plain);
        }
    }
}
