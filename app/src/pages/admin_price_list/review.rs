//! What an import comes to, in words for its page; and the prices that its form carries on to be published.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{
    catalog::PriceKind,
    id::{ModelId, PriceId},
    price_list::{
        Change, Import, Imported, NotSold, Of, PriceList, Side, Start, TierNotListed, Verdict, differing, side_name, spelled_out,
    },
    rates::Rates,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::PriceBook;
use serde::{Deserialize, Serialize};

use super::page::{Changes, ListReview, ReviewedRate};
use crate::{
    parts::{money, time},
    server::sentence,
};

/// Models that are not sold are named up to so many.
const NAMED_MAX: usize = 20;

/// A price that was looked at and is to be published.
#[derive(Serialize, Deserialize)]
pub(super) struct PostedPrice {
    /// Its id: however often the form is sent, it is written once.
    pub(super) id: PriceId,
    pub(super) model: String,
    pub(super) kind: PriceKind,
    /// The default of a form of an earlier version.
    #[serde(default)]
    pub(super) service_tier: ServiceTier,
    /// `None`: as soon as it can be.
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) rates: Rates,
}

/// Puts it in words.
pub(super) fn review(
    list: &PriceList,
    import: &Import,
    book: &PriceBook,
    models: &HashSet<ModelId>,
    start: Start,
    mut id: impl FnMut() -> PriceId,
) -> ListReview {
    let changes: Vec<(&Imported, &Change)> = import
        .models
        .iter()
        .flat_map(|model| model.sides.iter().flat_map(|side| &side.plan.changes).map(move |change| (model, change)))
        .collect();
    let posted = changes.iter().map(|(model, change)| PostedPrice {
        id: id(),
        model: model.model.clone(),
        kind: change.kind,
        service_tier: change.service_tier,
        from: dated(change, start),
        rates: change.rates.clone(),
    });
    let posted: Vec<_> = posted.collect();
    let refused = import.models.iter().filter_map(|model| match &model.verdict {
        Verdict::Refused { why, unless_accepted } => {
            let hint = if *unless_accepted { ". If it is right, name the model below and compare again" } else { "" };
            Some((model.model.clone(), sentence(&format!("{why}{hint}"))))
        }
        _ => None,
    });
    ListReview {
        summary: summary(list, import),
        rates: changes.iter().flat_map(|(model, change)| rates(model, change, start)).collect(),
        refused: refused.collect(),
        notes: import.models.iter().flat_map(notes).collect(),
        others: others(import),
        changes: Changes {
            count: u32::try_from(posted.len()).unwrap_or(u32::MAX),
            json: serde_json::to_string(&posted).unwrap_or_default(),
            seen: book.stamp(models),
        },
    }
}

/// When a change begins, unless that is as soon as it can be.
fn dated(change: &Change, start: Start) -> Option<DateTime<Utc>> {
    (change.from != start.first && change.from != start.later).then_some(change.from)
}

fn summary(list: &PriceList, import: &Import) -> String {
    let count = |is: fn(&Verdict) -> bool| import.models.iter().filter(|model| is(&model.verdict)).count();
    format!(
        "{} models in the list, in the format {}. Of those that are sold here {} are new, {} changed, {} the same and {} refused. Nothing is written yet.",
        list.entries.len(),
        list.format.name(),
        count(|verdict| matches!(verdict, Verdict::New)),
        count(|verdict| matches!(verdict, Verdict::Changed)),
        count(|verdict| matches!(verdict, Verdict::Same)),
        count(|verdict| matches!(verdict, Verdict::Refused { .. })),
    )
}

fn rates(model: &Imported, change: &Change, start: Start) -> Vec<ReviewedRate> {
    let from = match dated(change, start) {
        Some(at) => format!("{} UTC", time::minute(at)),
        None if change.from == start.first => "at once".to_owned(),
        None => "in a minute".to_owned(),
    };
    let row = |of: String, was: String, is: String| ReviewedRate {
        model: model.model.clone(),
        side: side_name((change.kind, change.service_tier)),
        of,
        was,
        is,
        from: from.clone(),
    };
    match &change.was {
        None => {
            let rates = spelled_out(&change.rates).into_iter();
            rates.map(|(from, of, rate)| row(label(from, of), money::ABSENT.to_owned(), money::exact(rate))).collect()
        }
        Some(was) => {
            let rates = differing(was, &change.rates).into_iter();
            rates.map(|rate| row(label(rate.from_prompt_tokens, rate.of), money::exact(rate.was), money::exact(rate.is))).collect()
        }
    }
}

fn label(from: Tokens, of: Of) -> String {
    let unit = if of == Of::Call { "" } else { ", per 1K" };
    if from > Tokens::ZERO { format!("{of}{unit}, from {} prompt tokens on", money::grouped(from.get())) } else { format!("{of}{unit}") }
}

fn notes(model: &Imported) -> Vec<(String, String)> {
    let contrary = |side: &Side| {
        let kind = side_name((side.kind, side.service_tier));
        let note = |at: &DateTime<Utc>| {
            format!("Another {kind} price is scheduled from {} UTC on, and takes effect all the same.", time::minute(*at))
        };
        side.plan.contrary.iter().map(note).collect::<Vec<_>>()
    };
    let accepted = model.accepted.iter().map(|doubt| format!("Accepted: {doubt}."));
    let unmapped =
        (!model.unmapped.is_empty()).then(|| format!("Not imported, since nothing here is priced so: {}.", model.unmapped.join(", ")));
    let notes = accepted.chain(model.sides.iter().flat_map(contrary)).chain(unmapped);
    notes.map(|note| (model.model.clone(), note)).collect()
}

fn others(import: &Import) -> Vec<String> {
    let same = import.models.iter().filter(|model| model.verdict == Verdict::Same).map(|model| model.model.as_str());
    let not_sold = import.not_sold.iter().map(|model| model.listed_as.name.as_str());
    let tiers = import.tiers_not_listed.iter().map(|TierNotListed { model, service_tier }| format!("{model} at {}", service_tier.name()));
    let tiers: Vec<_> = tiers.collect();
    let unusable =
        |model: &NotSold| Some(format!("In the list, not sold here and unusable: {}: {}.", model.listed_as.name, model.unusable.as_ref()?));
    [
        named("The same here and in the list", same.collect()),
        named("Sold here, and not in the list", import.not_listed.iter().map(String::as_str).collect()),
        named("With a price here, which stays in force, and not in the list", tiers.iter().map(String::as_str).collect()),
        named("In the list, and not sold here", not_sold.collect()),
    ]
    .into_iter()
    .flatten()
    .chain(import.not_sold.iter().filter_map(unusable).take(NAMED_MAX))
    .collect()
}

fn named(what: &str, names: Vec<&str>) -> Option<String> {
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!names.is_empty()).then(|| format!("{what}: {shown}{more}."))
}
