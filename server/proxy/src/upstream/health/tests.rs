#![expect(clippy::panic, reason = "a test fails by panicking")]
use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::instruments::meters::tests::rendered;

const SECOND: Duration = Duration::from_secs(1);

fn failing(health: &Health, times: u32) {
    for _ in 0..times {
        health.hear(Found::Failing);
    }
}

fn probe(health: &Arc<Health>) -> Probe {
    match health.turn() {
        Turn::Probe(probe) => probe,
        other => panic!("{other:?} is no probe"),
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_eject_and_four_do_not() {
    let health = Health::of("acme");
    for _ in 0..3 {
        failing(&health, FAILURES_MAX - 1);
        assert!(matches!(health.turn(), Turn::Open));
        health.hear(Found::Well);
    }
    failing(&health, FAILURES_MAX);
    assert!(matches!(health.turn(), Turn::Ejected));
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_over_one_call_alone_is_the_probe_and_its_success_brings_it_back() {
    let health = Health::of("acme");
    failing(&health, FAILURES_MAX);
    advance(FIRST_TERM - SECOND).await;
    assert!(matches!(health.turn(), Turn::Ejected));
    advance(SECOND).await;
    let probe = probe(&health);
    assert!(matches!(health.turn(), Turn::Ejected), "one at a time");
    probe.ends(Found::Well);
    assert!(matches!(health.turn(), Turn::Open));
    failing(&health, FAILURES_MAX - 1);
    assert!(matches!(health.turn(), Turn::Open), "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn each_probe_that_fails_doubles_the_time_up_to_five_minutes() {
    let health = Health::of("acme");
    failing(&health, FAILURES_MAX);
    for seconds in [10, 20, 40, 80, 160, 300, 300] {
        advance(SECOND * seconds - SECOND).await;
        assert!(matches!(health.turn(), Turn::Ejected), "{seconds}");
        // A call that went there for want of another.
        health.hear(Found::Failing);
        advance(SECOND).await;
        probe(&health).ends(Found::Failing);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_finds_nothing_out_leaves_it_to_the_next_call() {
    let health = Health::of("acme");
    failing(&health, FAILURES_MAX);
    advance(FIRST_TERM).await;
    drop(probe(&health));
    probe(&health).ends(Found::Well);
    assert!(matches!(health.turn(), Turn::Open));
}

#[test]
fn whoever_watches_sees_that_it_is_ejected_and_that_it_is_back() {
    let said = |found: &[Found]| {
        rendered(|| {
            let health = Health::of("acme");
            found.iter().for_each(|found| health.hear(*found));
        })
    };
    let out = [Found::Failing; FAILURES_MAX as usize];
    assert!(said(&out[1..]).contains("farebox_provider_ejected{provider=\"acme\"} 0\n"));
    assert!(said(&out).contains("farebox_provider_ejected{provider=\"acme\"} 1\n"));
    assert!(said(&[&out[..], &[Found::Well]].concat()).contains("farebox_provider_ejected{provider=\"acme\"} 0\n"));
}

/// What may happen to a record.
#[derive(Debug, Clone, Copy)]
enum Step {
    Waits(u64),
    Asks,
    Fails,
    Succeeds,
    ProbeFails,
    ProbeSucceeds,
    ProbeIsLost,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0_u64..200).prop_map(Step::Waits),
        4 => Just(Step::Asks),
        9 => Just(Step::Fails),
        1 => Just(Step::Succeeds),
        2 => Just(Step::ProbeFails),
        1 => Just(Step::ProbeSucceeds),
        1 => Just(Step::ProbeIsLost),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn whatever_happens_it_is_ejected_by_failures_alone_probed_once_and_never_for_long(steps in steps()) {
        let start = Instant::now();
        let (mut now, mut record, mut probes, mut in_a_row) = (start, Record::default(), 0_u32, 0);
        for step in steps {
            let was_ejected = record.ejection.is_some();
            match step {
                Step::Waits(seconds) => now += SECOND * u32::try_from(seconds).unwrap_or_default(),
                Step::Asks => {
                    let until = record.ejection.as_ref().map(|ejection| ejection.until);
                    match record.standing(now) {
                        Standing::Open => prop_assert!(!was_ejected),
                        Standing::Probe => {
                            prop_assert!(probes == 0 && until.is_some_and(|until| until <= now));
                            probes = 1;
                        }
                        Standing::Ejected => prop_assert!(was_ejected && (probes == 1 || until.is_some_and(|until| now < until))),
                    }
                }
                Step::Fails => {
                    let edge = record.fails(now, false);
                    in_a_row += 1;
                    prop_assert_eq!(edge.is_some(), !was_ejected && in_a_row == FAILURES_MAX);
                }
                Step::Succeeds => {
                    prop_assert_eq!(record.succeeds(), was_ejected.then_some(Edge::Returned));
                    (in_a_row, probes) = (0, 0);
                }
                Step::ProbeFails if probes == 1 => {
                    let edge = record.fails(now, true);
                    prop_assert!(matches!(edge, Some(Edge::Ejected(term)) if (FIRST_TERM..=LONGEST_TERM).contains(&term)));
                    probes = 0;
                }
                Step::ProbeSucceeds if probes == 1 => {
                    prop_assert_eq!(record.succeeds(), Some(Edge::Returned));
                    (in_a_row, probes) = (0, 0);
                }
                Step::ProbeIsLost if probes == 1 => {
                    record.is_left_unknown();
                    probes = 0;
                }
                Step::ProbeFails | Step::ProbeSucceeds | Step::ProbeIsLost => {}
            }
            prop_assert!(record.ejection.as_ref().is_none_or(|ejection| ejection.until <= now + LONGEST_TERM));
        }
    }
}
