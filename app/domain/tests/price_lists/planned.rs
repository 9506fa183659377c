//! What a list comes to beside the prices that are written already.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::{Model, ModelBounds, OutputCapField, PriceKind, PriceVersion},
    id::{ModelId, PriceId, ProviderId},
    money::Amount,
    price_list::{Change, Conflict, Export, Found, Plan, PriceList, Start, Step, Timeline, plan},
    rates::{BucketRates, ContextTier, Rates},
    service_tier::ServiceTier,
    tokens::Tokens,
};
use proptest::prelude::*;

use crate::fixture;

pub(crate) fn day(day: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_796_000_000, 0).unwrap() + TimeDelta::days(day)
}

const START: fn() -> Start = || Start { first: day(0), later: day(0) + TimeDelta::minutes(1) };

pub(crate) fn plain(input: i64) -> Rates {
    Rates::plain(Amount::from_nanos(input), Amount::from_nanos(input))
}

pub(crate) fn model(provider: &str, upstream_name: &str) -> Model {
    Model {
        id: ModelId::new(day(0), [0; 10]),
        name: "ours".to_owned(),
        provider_id: ProviderId::new(day(0), [0; 10]),
        provider: provider.to_owned(),
        upstream_name: upstream_name.to_owned(),
        context_window: Tokens::from_sum(8_192),
        default_output_hold: Tokens::from_sum(1_024),
        output_cap_field: OutputCapField::MaxTokens,
        bounds: ModelBounds::default(),
        opened: Vec::new(),
    }
}

pub(crate) fn version(kind: PriceKind, from: DateTime<Utc>, rates: Rates) -> PriceVersion {
    PriceVersion {
        id: PriceId::new(from, [0; 10]),
        model_id: ModelId::new(day(0), [0; 10]),
        kind,
        effective_from: from,
        rates,
        created_at: from,
        created_by: "test".to_owned(),
        service_tier: ServiceTier::Default,
    }
}

/// Plans a cost with these steps, beside costs that are written: (day, input) each, in nanos.
fn planned(written: &[(i64, i64)], steps: &[(Option<i64>, i64)]) -> Result<Plan, Conflict> {
    let versions: Vec<_> = written.iter().map(|(from, input)| version(PriceKind::Cost, day(*from), plain(*input))).collect();
    let steps = steps.iter().map(|(from, input)| Step { from: from.map(day), rates: plain(*input) }).collect();
    plan(&versions.iter().collect::<Vec<_>>(), &Timeline { kind: PriceKind::Cost, service_tier: ServiceTier::Default, steps }, START())
}

fn change(from: DateTime<Utc>, was: Option<i64>, is: i64) -> Change {
    Change { kind: PriceKind::Cost, service_tier: ServiceTier::Default, from, was: was.map(plain), rates: plain(is) }
}

#[test]
fn what_is_written_already_is_not_written_again() {
    let changes = |written: &[(i64, i64)], steps: &[(Option<i64>, i64)]| planned(written, steps).unwrap().changes;
    let (first, later) = (START().first, START().later);
    assert_eq!(changes(&[], &[(None, 5)]), [change(first, None, 5)]);
    assert_eq!(changes(&[(-2, 4), (-1, 5)], &[(None, 5)]), []);
    assert_eq!(changes(&[(-2, 5), (-1, 4)], &[(None, 5)]), [change(later, Some(4), 5)]);
    // Dates of the list: what is over is over, and what is to come is scheduled.
    assert_eq!(changes(&[(-9, 5)], &[(None, 3), (Some(-1), 5), (Some(3), 7)]), [change(day(3), Some(5), 7)]);
    assert_eq!(changes(&[(-9, 5), (3, 7)], &[(None, 5), (Some(3), 7)]), []);
    assert_eq!(changes(&[], &[(Some(3), 7)]), [change(day(3), None, 7)]);
    assert_eq!(changes(&[(-9, 5)], &[(None, 6), (Some(3), 6)]), [change(later, Some(5), 6)]);
}

#[test]
fn a_price_that_is_scheduled_is_never_written_over() {
    assert_eq!(planned(&[(-9, 5), (3, 7)], &[(None, 5), (Some(3), 8)]), Err(Conflict(day(3))));
    let kept = planned(&[(-9, 5), (3, 7)], &[(None, 6)]).unwrap();
    assert_eq!((kept.changes.len(), kept.contrary), (1, vec![day(3)]), "it takes effect all the same, which is said");
    assert!(planned(&[(-9, 5), (3, 6)], &[(None, 6)]).unwrap().contrary.is_empty());
}

#[test]
fn a_rate_that_falls_back_to_itself_is_no_change() {
    let spelled_out = BucketRates { cache_read: Some(Amount::from_nanos(5)), ..plain(5).base };
    let written = version(PriceKind::Cost, day(-1), Rates { base: spelled_out, ..plain(5) });
    let wanted = Timeline { kind: PriceKind::Cost, service_tier: ServiceTier::Default, steps: vec![Step { from: None, rates: plain(5) }] };
    assert_eq!(plan(&[&written], &wanted, START()), Ok(Plan::default()));
}

fn found(list: &PriceList, provider: &str, upstream_name: &str, named: Option<&str>) -> String {
    match list.find(&model(provider, upstream_name), named) {
        Found::Nothing => "nothing".to_owned(),
        Found::One(entry) => entry.name.clone(),
        Found::Several(entries) => entries.iter().map(|entry| entry.provider.as_str()).collect::<Vec<_>>().join(" or "),
    }
}

#[test]
fn a_model_is_found_by_what_its_provider_calls_it() {
    let litellm = fixture("litellm.json");
    assert_eq!(found(&litellm, "Acme", "long", None), "acme/long");
    assert_eq!(found(&litellm, "acme", "acme/long", None), "acme/long");
    assert_eq!(found(&litellm, "somebody", "small", None), "small");
    assert_eq!(found(&litellm, "local", "small", None), "nothing", "the list knows that provider, which does not have it");
    assert_eq!(found(&litellm, "local", "small", Some("acme")), "small");
    assert_eq!(found(&litellm, "acme", "lon", None), "nothing");
    let genai = fixture("genai_prices.json");
    assert_eq!(found(&genai, "acme", "small-2026-05-01", None), "small");
    assert_eq!(found(&genai, "acme", "a-LONG-one-v1", None), "long");
    assert_eq!(found(&genai, "acme", "falls-far", None), "nothing", "a regular expression is not read");
    assert_eq!(found(&genai, "acme", "falls", None), "falls");
}

#[test]
fn of_several_providers_it_matters_only_whether_they_agree() {
    let list = |other: &str| {
        let text = format!(
            r#"{{ "a": {{ "models": {{ "small": {{ "cost": {{ "input": 1, "output": 2 }} }} }} }},
                  "b": {{ "models": {{ "small": {{ "cost": {{ "input": {other}, "output": 2 }} }} }} }} }}"#
        );
        PriceList::read(&text, None).unwrap()
    };
    assert_eq!(found(&list("1.0"), "acme", "small", None), "small");
    assert_eq!(found(&list("1.5"), "acme", "small", None), "a or b");
    assert_eq!(found(&list("null"), "acme", "small", None), "a or b", "one of them may be ours");
    assert_eq!(found(&list("1.5"), "b", "small", None), "small");
}

prop_compose! {
    fn any_rates()(
        base in any_bucket_rates(), per_call in 0_i64..10_000, tiers in prop::collection::btree_map(1_i64..500_000, any_bucket_rates(), 0..3),
    ) -> Rates {
        let tier = |(from, rates)| ContextTier { from_prompt_tokens: Tokens::from_sum(from), rates };
        Rates { base, per_call: Amount::from_nanos(per_call), tiers: tiers.into_iter().map(tier).collect() }
    }
}

prop_compose! {
    fn any_bucket_rates()(plain in any::<[u32; 2]>(), own in prop::array::uniform6(prop::option::of(0_i64..1_000_000_000_000))) -> BucketRates {
        let [cache_read, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output] = own.map(|rate| rate.map(Amount::from_nanos));
        let [input, output] = plain.map(|rate| Amount::from_nanos(rate.into()));
        BucketRates { input, output, cache_read, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output }
    }
}

proptest! {
    /// What was exported and comes back changes nothing, whatever was in force and scheduled, at whatever time it comes back.
    #[test]
    fn an_export_that_comes_back_changes_nothing(
        written in prop::collection::btree_map((any::<bool>(), -500_i64..500), any_rates(), 1..8), back_after_hours in 0_i64..200,
    ) {
        let kind = |is_sale| if is_sale { PriceKind::Sale } else { PriceKind::Cost };
        let versions: Vec<_> = written
            .into_iter()
            .map(|((is_sale, hour), rates)| version(kind(is_sale), day(0) + TimeDelta::hours(hour), rates))
            .collect();
        let model = model("acme", "small");
        let exported = serde_json::to_string_pretty(&Export::new([(&model, versions.as_slice())], day(0))).unwrap();
        let list = PriceList::read(&exported, None).unwrap();
        let Found::One(entry) = list.find(&model, None) else { panic!("{exported}") };
        let back = day(0) + TimeDelta::hours(back_after_hours);
        for side in &entry.says.as_ref().unwrap().sides {
            let written: Vec<_> = versions.iter().filter(|version| version.kind == side.kind).collect();
            prop_assert_eq!(plan(&written, side, Start { first: back, later: back + TimeDelta::minutes(1) }), Ok(Plan::default()));
        }
    }
}
