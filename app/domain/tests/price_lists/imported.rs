//! What a list comes to for the models that are sold.

use domain::{
    catalog::{Model, PriceKind, PriceVersion},
    id::ModelId,
    money::Amount,
    price_list::{Export, Import, PriceList, Sides, Start, Verdict, Wish, import},
    rates::{BucketRates, Rates},
    service_tier::ServiceTier,
};

use crate::{
    fixture,
    planned::{day, model, plain, version},
};

const COST: Wish<'static> = Wish {
    provider: None,
    models: &[],
    sides: Sides::Cost,
    accepted: &[],
    against: None,
    start: Start { first: chrono::DateTime::UNIX_EPOCH, later: chrono::DateTime::UNIX_EPOCH },
};

/// The model that the provider calls so, and we `our …`.
fn sold(provider: &str, upstream_name: &str) -> Model {
    let number = upstream_name.bytes().fold(1, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte));
    Model { id: ModelId::new(day(0), [number; 10]), name: format!("our {upstream_name}"), ..model(provider, upstream_name) }
}

fn priced(model: &Model, kind: PriceKind, rates: Rates) -> PriceVersion {
    PriceVersion { model_id: model.id, ..version(kind, day(-9), rates) }
}

fn imported(list: &PriceList, sold: &[Model], written: &[PriceVersion], wish: Wish<'_>) -> Import {
    import(list, sold, written, &Wish { start: Start { first: day(0), later: day(1) }, ..wish })
}

/// A model of the result as `our small: changed cost 0.00015 sale 0.00018`, by the prompt's rate; of what is refused the reason.
fn lines(import: &Import) -> Vec<String> {
    let line = |model: &domain::price_list::Imported| {
        let verdict = match &model.verdict {
            Verdict::New => "new",
            Verdict::Changed => "changed",
            Verdict::Same => "same",
            Verdict::Refused { why, .. } => why,
        };
        let changes = model.sides.iter().flat_map(|side| &side.plan.changes);
        let changes: String = changes.map(|change| format!(" {} {}", change.kind.name(), change.rates.base.input)).collect();
        format!("{}: {verdict}{changes}", model.model)
    };
    import.models.iter().map(line).collect()
}

#[test]
fn each_service_tier_is_compared_with_its_own() {
    let list = r#"{ "small": {
        "litellm_provider": "acme", "input_cost_per_token": 2e-06, "output_cost_per_token": 2e-06, "input_cost_per_token_flex": 1e-06,
        "output_cost_per_token_flex": 1e-06, "input_cost_per_token_priority": 3e-06, "output_cost_per_token_priority": 3e-06
    } }"#;
    let list = PriceList::read(list, None).unwrap();
    let small = sold("acme", "small");
    let at = |service_tier, rates| PriceVersion { service_tier, ..priced(&small, PriceKind::Cost, rates) };
    let written = [at(ServiceTier::Default, plain(2_000_000)), at(ServiceTier::Flex, plain(1_200_000))];
    let wish = Wish { sides: Sides::SaleAndCost(0), ..COST };
    let import = imported(&list, std::slice::from_ref(&small), &written, wish);
    let changes = import.models[0].sides.iter().flat_map(|side| &side.plan.changes);
    let changes: Vec<_> = changes.map(|change| (change.kind, change.service_tier, change.was.clone(), change.rates.clone())).collect();
    let (cost, sale) = (PriceKind::Cost, PriceKind::Sale);
    assert_eq!(
        changes,
        [
            (cost, ServiceTier::Flex, Some(plain(1_200_000)), plain(1_000_000)),
            (cost, ServiceTier::Priority, None, plain(3_000_000)),
            (sale, ServiceTier::Default, None, plain(2_000_000)),
            (sale, ServiceTier::Flex, None, plain(1_000_000)),
            (sale, ServiceTier::Priority, None, plain(3_000_000)),
        ]
    );
    // An export holds them, and is what there is.
    let all: Vec<_> = changes
        .into_iter()
        .map(|(kind, service_tier, _, rates)| PriceVersion { kind, service_tier, ..priced(&small, kind, rates) })
        .collect();
    let export = serde_json::to_string(&Export::new([(&small, all.as_slice())], day(0))).unwrap();
    let again = imported(&PriceList::read(&export, None).unwrap(), std::slice::from_ref(&small), &all, wish);
    assert_eq!(again.models[0].verdict, Verdict::Same, "{export}");
    assert_eq!(again.models[0].sides.len(), 5);
}

#[test]
fn a_service_tier_that_has_a_price_here_and_none_in_the_list_is_named() {
    let list = r#"{ "small": { "litellm_provider": "acme", "input_cost_per_token": 2e-06, "output_cost_per_token": 2e-06,
        "input_cost_per_token_flex": 1e-06, "output_cost_per_token_flex": 1e-06 } }"#;
    let list = PriceList::read(list, None).unwrap();
    let (small, gone) = (sold("acme", "small"), sold("acme", "gone"));
    let at = |model, kind, service_tier| PriceVersion { service_tier, ..priced(model, kind, plain(1_000_000)) };
    let written = [
        at(&small, PriceKind::Cost, ServiceTier::Default),
        at(&small, PriceKind::Cost, ServiceTier::Flex),
        at(&small, PriceKind::Cost, ServiceTier::Priority),
        at(&small, PriceKind::Sale, ServiceTier::Priority),
        at(&small, PriceKind::Sale, ServiceTier::Batch),
        at(&gone, PriceKind::Cost, ServiceTier::Flex),
    ];
    let models = [small, gone];
    let left = |list: &PriceList, written: &[PriceVersion], wish| {
        let import = imported(list, &models, written, wish);
        assert_eq!(import.not_listed, ["our gone"], "of which no tier is named beside");
        import.tiers_not_listed.into_iter().map(|left| (left.model, left.service_tier)).collect::<Vec<_>>()
    };
    let of_small = |tiers: &[ServiceTier]| tiers.iter().map(|tier| ("our small".to_owned(), *tier)).collect::<Vec<_>>();
    assert_eq!(left(&list, &written, COST), of_small(&[ServiceTier::Priority]), "what it is sold for is not asked for");
    let both = Wish { sides: Sides::SaleAndCost(0), ..COST };
    assert_eq!(left(&list, &written, both), of_small(&[ServiceTier::Priority, ServiceTier::Batch]));
    assert_eq!(left(&list, &written[..2], both), []);
    // What cannot be read is refused, and nobody knows what is in it.
    let unreadable = PriceList::read(r#"{ "small": { "litellm_provider": "acme", "input_cost_per_token": "x" } }"#, None).unwrap();
    assert_eq!(left(&unreadable, &written, both), []);
}

#[test]
fn what_is_sold_is_compared_and_what_is_not_is_named() {
    let (small, long, gone) = (sold("acme", "small"), sold("acme", "long"), sold("acme", "gone"));
    // Less than three times what it was, or a third of it.
    let before = BucketRates { cache_read: Some(Amount::from_nanos(200_000)), ..plain(8_000_000).base };
    let written = [priced(&long, PriceKind::Cost, Rates { base: before, ..plain(8_000_000) })];
    let models = [small, long, gone, sold("acme", "noisy"), sold("elsewhere", "embeds")];
    let import = imported(&fixture("litellm.json"), &models, &written, COST);
    let noisy = "our noisy: input_cost_per_token is 2.9999900000000002e-06, which does not fit nine decimals per 1,000 tokens";
    assert_eq!(lines(&import), ["our small: new cost 0.00015", "our long: changed cost 0.003", noisy, "our embeds: new cost 0.00002"]);
    assert_eq!(import.not_listed, ["our gone"]);
    let free = import.not_sold.iter().find(|model| model.listed_as.name == "free").unwrap();
    let absent = import.not_sold.iter().find(|model| model.listed_as.name == "absent").unwrap();
    assert_eq!((&free.unusable, absent.unusable.is_some(), import.not_sold.len()), (&None, true, 14));
    assert!(import.models[1].unmapped.contains(&"search_context_cost_per_query".to_owned()));
}

#[test]
fn a_sale_price_is_the_cost_with_a_markup_rounded_half_up() {
    let models = [sold("acme", "small")];
    let list = fixture("litellm.json");
    let with = |sides| lines(&imported(&list, &models, &[], Wish { sides, ..COST }));
    assert_eq!(with(Sides::SaleAndCost(0)), ["our small: new cost 0.00015 sale 0.00015"]);
    // 150,000 nanos and 3.33 % are 154,995.
    assert_eq!(with(Sides::SaleAndCost(333)), ["our small: new cost 0.00015 sale 0.000154995"]);
    let dear = PriceList::read(r#"{"small": {"litellm_provider": "acme", "input_cost_per_token": 999, "output_cost_per_token": 1}}"#, None)
        .unwrap();
    let refused = lines(&imported(&dear, &models, &[], Wish { sides: Sides::SaleAndCost(11), ..COST }));
    assert_eq!(refused, ["our small: with the markup it is above 1,000,000 per 1,000 tokens"]);
}

#[test]
fn a_leap_is_refused_as_a_whole_unless_it_is_accepted() {
    let small = sold("acme", "small");
    // Both sides of a price are there, and the cost is near what the list has: with the sale, it is refused too.
    let per_million = [priced(&small, PriceKind::Sale, plain(150_000_000)), priced(&small, PriceKind::Cost, plain(200_000))];
    let wish = Wish { sides: Sides::SaleAndCost(0), ..COST };
    let models = [small];
    let list = fixture("litellm.json");
    let import = imported(&list, &models, &per_million, wish);
    let why = "our small: sale: Prompt tokens, per 1K: 0.15 becomes 0.00015, less than 1/3 what it was";
    assert_eq!((lines(&import), import.models[0].sides.len()), (vec![why.to_owned()], 0));
    assert!(matches!(import.models[0].verdict, Verdict::Refused { unless_accepted: true, .. }));
    let accepted = ["our small".to_owned()];
    let import = imported(&list, &models, &per_million, Wish { accepted: &accepted, ..wish });
    assert_eq!((lines(&import), import.models[0].accepted.len()), (vec!["our small: changed cost 0.00015 sale 0.00015".to_owned()], 3));
    let other = ["our other".to_owned()];
    assert_eq!(lines(&imported(&list, &models, &per_million, Wish { accepted: &other, ..wish })), [why]);
}

#[test]
fn a_cost_above_what_customers_pay_is_refused_unless_it_is_accepted_or_their_price_rises_with_it() {
    let models = [sold("acme", "small")];
    let sale = [priced(&models[0], PriceKind::Sale, plain(149_999)), priced(&models[0], PriceKind::Cost, plain(200_000))];
    let list = fixture("litellm.json");
    let loss = "our small: cost: Prompt tokens, per 1K: costs 0.00015, and is sold for 0.000149999";
    assert_eq!(lines(&imported(&list, &models, &sale, COST)), [loss]);
    let sides = Sides::SaleAndCost(1);
    let near = [priced(&models[0], PriceKind::Sale, plain(210_000)), priced(&models[0], PriceKind::Cost, plain(200_000))];
    let both = lines(&imported(&list, &models, &near, Wish { sides, ..COST }));
    assert_eq!(both, ["our small: changed cost 0.00015 sale 0.000150015"]);
}

#[test]
fn a_first_price_is_compared_with_the_other_side_and_may_not_be_nothing() {
    let (small, free) = (sold("acme", "small"), sold("local", "free"));
    let sale = [priced(&small, PriceKind::Sale, plain(150_000_000))];
    let models = [small, free];
    let lines = lines(&imported(&fixture("litellm.json"), &models, &sale, COST));
    assert!(
        lines[0].starts_with("our small: cost, against the other side: Prompt tokens per 1,000: 0.00015 here, and 0.15 there"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "our free: cost: calls would be free");
    // Of a time before there was any price, too.
    let start = Start { first: day(-99), later: day(1) };
    let earlier = import(&fixture("litellm.json"), &models, &sale, &Wish { start, ..COST });
    assert!(matches!(earlier.models[0].verdict, Verdict::Refused { unless_accepted: true, .. }));
}

#[test]
fn a_second_list_that_says_something_else_by_a_unit_is_heard() {
    let models = [sold("acme", "small"), sold("acme", "talks")];
    let list = fixture("litellm.json");
    let against = |text: &str| {
        let other = PriceList::read(text, None).unwrap();
        lines(&imported(&list, &models, &[], Wish { against: Some(&other), ..COST }))
    };
    let twice = r#"{ "acme": { "models": { "small": { "cost": { "input": 0.3, "output": 0.6 } } } } }"#;
    assert_eq!(against(twice), ["our small: new cost 0.00015", "our talks: new cost 0.0025"]);
    let per_thousand = r#"{ "acme": { "models": { "small": { "cost": { "input": 0.00015, "output": 0.0006 } } } } }"#;
    assert!(against(per_thousand)[0].starts_with("our small: cost, against the other list: Prompt tokens per 1,000: 0.00015 here, and"));
    let same = fixture("models_dev.json");
    assert_eq!(lines(&imported(&list, &models, &[], Wish { against: Some(&same), ..COST })).len(), 2);
}

#[test]
fn only_what_is_asked_for_is_compared() {
    let models = [sold("acme", "small"), sold("acme", "talks"), sold("local", "free"), sold("local", "small")];
    let list = fixture("litellm.json");
    let globs = |pattern: &str| [pattern.parse().unwrap()];
    assert_eq!(lines(&imported(&list, &models, &[], Wish { models: &globs("our t*"), ..COST })), ["our talks: new cost 0.0025"]);
    assert_eq!(lines(&imported(&list, &models, &[], Wish { models: &globs("t?lks"), ..COST })), ["our talks: new cost 0.0025"]);
    let acme = imported(&list, &models, &[], Wish { provider: Some("acme"), ..COST });
    assert_eq!(lines(&acme), ["our small: new cost 0.00015", "our talks: new cost 0.0025"], "of ours that is called so, and nobody else");
    assert!(acme.not_sold.iter().all(|model| model.listed_as.provider == "acme"));
}

#[test]
fn an_export_says_both_sides_itself() {
    let text = r#"{ "farebox_prices": 1, "currency": "USD", "unit": "per 1,000 tokens", "models": [{
        "model": "our small", "provider": "acme", "upstream_name": "whatever",
        "sale": [{ "from": "2026-11-01T00:00:00Z", "rates": { "base": { "input": "0.0003", "output": "0.0003" } } }],
        "cost": [{ "from": "2026-11-01T00:00:00Z", "rates": { "base": { "input": "0.0002", "output": "0.0002" } } }]
    }] }"#;
    let list = PriceList::read(text, None).unwrap();
    let small = sold("acme", "small");
    let written = [priced(&small, PriceKind::Cost, plain(200_000))];
    let models = [small];
    let with = |sides| lines(&imported(&list, &models, &written, Wish { sides, ..COST }));
    assert_eq!(with(Sides::SaleAndCost(0)), ["our small: new sale 0.0003"]);
    assert_eq!(with(Sides::Cost), ["our small: same"]);
}
