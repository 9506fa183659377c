//! What a list comes to for the models that are sold here. Nothing is written: whoever imports looks at it first.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    Change, Conflict, Entry, Format, Found, Glob, Offer, Plan, PriceList, Refusal, Start, Step, Suspicion, Timeline, marked_up, plan,
    suspect,
};
use crate::{
    catalog::{Model, PriceKind, PriceVersion},
    price_change::PriceChange,
    rates::Rates,
    service_tier::ServiceTier,
};

/// What is taken of a list.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The list's provider whose prices are taken, and nobody else's; where one of ours is called so, for its models alone.
    pub provider: Option<&'a str>,
    /// For models of these names, ours or their provider's; without any, for all.
    pub models: &'a [Glob],
    /// Which sides are written.
    pub sides: Sides,
    /// The names of models whose prices may look like a slip.
    pub accepted: &'a [String],
    /// A second list, which should say much the same.
    pub against: Option<&'a PriceList>,
    /// From when on.
    pub start: Start,
}

/// Which sides of a price are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// What the provider charges. The lists of others are of that.
    Cost,
    /// What the customer pays, too: our own list says it; that of others is marked up by so many basis points, see [`marked_up`].
    SaleAndCost(u32),
}

/// What a list comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    /// The models that are sold here and in the list, by name.
    pub models: Vec<Imported>,
    /// Those that are sold here and not in the list, by name.
    pub not_listed: Vec<String>,
    /// Service tiers with a price here of models that are in the list, which has none of that tier: what is written of them stays in force.
    pub tiers_not_listed: Vec<TierNotListed>,
    /// Those that are in the list and not sold here, in its order.
    pub not_sold: Vec<NotSold>,
}

/// A service tier of a model that has a price here and none in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierNotListed {
    /// What customers call the model.
    pub model: String,
    /// Which tier.
    pub service_tier: ServiceTier,
}

/// What the list comes to for one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// What customers call it.
    pub model: String,
    /// What the list calls it; several where they do not say the same.
    pub listed_as: Vec<ListedAs>,
    /// What becomes of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Each side, unless it is refused.
    pub sides: Vec<Side>,
    /// Prices of what has no bucket here; they are not imported.
    pub unmapped: Vec<String>,
    /// What looked like a slip and was accepted.
    pub accepted: Vec<String>,
}

/// A model of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedAs {
    /// Its provider.
    pub provider: String,
    /// Its name.
    pub name: String,
}

/// One side of it, at a service tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Which.
    pub kind: PriceKind,
    /// Which service tier.
    pub service_tier: ServiceTier,
    /// What is to be written.
    #[serde(flatten)]
    pub plan: Plan,
}

/// What becomes of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// A side that never had a price gets one.
    New,
    /// A side gets another price.
    Changed,
    /// Everything is as the list says.
    Same,
    /// Nothing of it is written.
    Refused {
        /// Because of this.
        why: String,
        /// Unless the model is among those whose price may look like a slip.
        unless_accepted: bool,
    },
}

/// A model of the list that is not sold here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotSold {
    /// Which.
    #[serde(flatten)]
    pub listed_as: ListedAs,
    /// Why it could not have been imported, if it could not.
    pub unusable: Option<String>,
}

/// Why nothing of a model is written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Obstacle {
    #[error("{} do not say the same of it: name one of these providers", .0.join(", "))]
    Ambiguous(Vec<String>),
    #[error(transparent)]
    Unreadable(#[from] Refusal),
    #[error("the list has no side of its price that is asked for")]
    NoSide,
    #[error("with the markup it is above 1,000,000 per 1,000 tokens")]
    TooHigh,
    #[error("{}: {conflict}", side_name(*.side))]
    Written { side: (PriceKind, ServiceTier), conflict: Conflict },
    #[error("{0}")]
    Suspicious(String),
}

/// Compares a list with what is sold here. `written` is every price that was ever written, oldest first.
#[must_use]
pub fn import(list: &PriceList, sold: &[Model], written: &[PriceVersion], wish: &Wish<'_>) -> Import {
    let mut versions: BTreeMap<_, Vec<&PriceVersion>> = BTreeMap::new();
    for version in written {
        versions.entry(version.model_id.uuid()).or_default().push(version);
    }
    let mut import = Import { models: Vec::new(), not_listed: Vec::new(), tiers_not_listed: Vec::new(), not_sold: Vec::new() };
    let is_of_ours = |name: &str| sold.iter().any(|model| model.provider.eq_ignore_ascii_case(name));
    let only = wish.provider.filter(|name| is_of_ours(name));
    let mut used: HashSet<*const Entry> = HashSet::new();
    for model in sold {
        let found = list.find(model, wish.provider);
        let entries = match &found {
            Found::Nothing => &[][..],
            Found::One(entry) => std::slice::from_ref(entry),
            Found::Several(entries) => entries,
        };
        used.extend(entries.iter().map(|entry| std::ptr::from_ref(*entry)));
        if only.is_some_and(|name| !model.provider.eq_ignore_ascii_case(name)) || !wish.names(model) {
            continue;
        }
        if entries.is_empty() {
            import.not_listed.push(model.name.clone());
        } else {
            let versions = versions.get(&model.id.uuid()).map_or(&[][..], Vec::as_slice);
            let tiers = wish.tiers_not_listed(entries, versions);
            import.tiers_not_listed.extend(tiers.map(|service_tier| TierNotListed { model: model.name.clone(), service_tier }));
            import.models.push(wish.imported(list, model, entries, versions));
        }
    }
    let rest = list.entries.iter().filter(|entry| !used.contains(&std::ptr::from_ref(*entry)));
    let rest = rest.filter(|entry| wish.provider.is_none_or(|name| entry.provider.eq_ignore_ascii_case(name)));
    import.not_sold = rest.map(not_sold).collect();
    import
}

fn not_sold(entry: &Entry) -> NotSold {
    NotSold { listed_as: ListedAs::from(entry), unusable: entry.says.as_ref().err().map(ToString::to_string) }
}

impl From<&Entry> for ListedAs {
    fn from(entry: &Entry) -> Self {
        Self { provider: entry.provider.clone(), name: entry.name.clone() }
    }
}

impl Wish<'_> {
    fn names(&self, model: &Model) -> bool {
        self.models.is_empty() || self.models.iter().any(|glob| glob.matches(&model.name) || glob.matches(&model.upstream_name))
    }

    /// The other service tiers than the default that have a price here, of a side that is asked for, and none in a list that can be read.
    fn tiers_not_listed(&self, entries: &[&Entry], written: &[&PriceVersion]) -> impl Iterator<Item = ServiceTier> {
        let offer = if let [entry] = entries { entry.says.as_ref().ok() } else { None };
        let is_written = |tier: ServiceTier| {
            let asked = |version: &&PriceVersion| version.kind == PriceKind::Cost || self.sides != Sides::Cost;
            written.iter().copied().filter(asked).any(|version| version.service_tier == tier)
        };
        let left = |offer: &Offer| {
            let is_listed = |tier: ServiceTier| offer.sides.iter().any(|side| side.service_tier == tier);
            ServiceTier::OTHERS.into_iter().filter(|tier| is_written(*tier) && !is_listed(*tier)).collect()
        };
        offer.map_or_else(Vec::new, left).into_iter()
    }

    fn imported(&self, list: &PriceList, model: &Model, entries: &[&Entry], written: &[&PriceVersion]) -> Imported {
        let named = |sides: &[Side]| {
            let is_first = |side: &Side| !side.plan.changes.is_empty() && of(written, (side.kind, side.service_tier)).next().is_none();
            match sides {
                sides if sides.iter().any(is_first) => Verdict::New,
                sides if sides.iter().any(|side| !side.plan.changes.is_empty()) => Verdict::Changed,
                _ => Verdict::Same,
            }
        };
        let (verdict, sides, accepted) = match self.sides(list, model, entries, written) {
            Ok((sides, doubts)) => (named(&sides), sides, doubts),
            Err(obstacle) => {
                let unless_accepted = matches!(obstacle, Obstacle::Suspicious(_));
                (Verdict::Refused { why: obstacle.to_string(), unless_accepted }, Vec::new(), Vec::new())
            }
        };
        let offer = entries.first().and_then(|entry| entry.says.as_ref().ok());
        Imported {
            model: model.name.clone(),
            listed_as: entries.iter().map(|entry| ListedAs::from(*entry)).collect(),
            verdict,
            sides,
            unmapped: offer.map_or_else(Vec::new, |offer| offer.unmapped.clone()),
            accepted,
        }
    }

    /// What is to be written of a model, and what looked like a slip and was accepted.
    fn sides(
        &self,
        list: &PriceList,
        model: &Model,
        entries: &[&Entry],
        written: &[&PriceVersion],
    ) -> Result<(Vec<Side>, Vec<String>), Obstacle> {
        let [entry] = entries else {
            return Err(Obstacle::Ambiguous(entries.iter().map(|entry| entry.provider.clone()).collect()));
        };
        let offer = entry.says.as_ref().map_err(|refusal| Obstacle::Unreadable(refusal.clone()))?;
        let other = self.against.and_then(|other| match other.find(model, None) {
            Found::One(entry) => self.timelines(other.format, entry.says.as_ref().ok()?).ok(),
            _ => None,
        });
        let (mut sides, mut doubts) = (Vec::new(), Vec::new());
        let timelines = self.timelines(list.format, offer)?;
        for timeline in &timelines {
            let (kind, service_tier) = (timeline.kind, timeline.service_tier);
            let own: Vec<_> = of(written, (kind, service_tier)).collect();
            let plan = plan(&own, timeline, self.start).map_err(|conflict| Obstacle::Written { side: (kind, service_tier), conflict })?;
            let side = |kind| move |side: &&Timeline| (side.kind, side.service_tier) == (kind, service_tier);
            let other = other.iter().flatten().find(side(kind));
            for change in &plan.changes {
                let listed = timelines.iter().find(side(kind.other())).and_then(|side| side.at(change.from));
                let in_force = in_force(written, (kind.other(), service_tier), change.from).or_else(|| {
                    // A service tier without a cost of its own costs what the default does.
                    if kind == PriceKind::Sale { in_force(written, (PriceKind::Cost, ServiceTier::Default), change.from) } else { None }
                });
                doubts.extend(self::doubts(change, in_force, listed.or(in_force), other.and_then(|side| side.at(change.from))));
            }
            sides.push(Side { kind, service_tier, plan });
        }
        match doubts.first() {
            Some(doubt) if !self.accepted.contains(&model.name) => Err(Obstacle::Suspicious(doubt.clone())),
            _ => Ok((sides, doubts)),
        }
    }

    /// The sides that are asked for, as they would be here.
    fn timelines(&self, format: Format, offer: &Offer) -> Result<Vec<Timeline>, Obstacle> {
        let of = |kind| offer.sides.iter().filter(move |side| side.kind == kind);
        let costs = of(PriceKind::Cost).cloned();
        let sales: Vec<_> = match self.sides {
            Sides::Cost => Vec::new(),
            Sides::SaleAndCost(_) if format == Format::Farebox => of(PriceKind::Sale).cloned().collect(),
            Sides::SaleAndCost(markup) => of(PriceKind::Cost).map(|cost| marked(cost, markup)).collect::<Result<_, _>>()?,
        };
        let sides: Vec<_> = costs.chain(sales).collect();
        if sides.is_empty() { Err(Obstacle::NoSide) } else { Ok(sides) }
    }
}

/// The versions of a side at a service tier.
fn of<'a>(written: &[&'a PriceVersion], side: (PriceKind, ServiceTier)) -> impl DoubleEndedIterator<Item = &'a PriceVersion> {
    written.iter().copied().filter(move |version| (version.kind, version.service_tier) == side)
}

/// What a side is called: `cost`, `cost at flex`.
#[must_use]
pub fn side_name((kind, service_tier): (PriceKind, ServiceTier)) -> String {
    match service_tier.other() {
        None => kind.name().to_owned(),
        Some(tier) => format!("{} at {}", kind.name(), tier.name()),
    }
}

/// The rates of a side at an instant; of a time before there was a price the first ones.
fn in_force<'a>(written: &[&'a PriceVersion], which: (PriceKind, ServiceTier), at: DateTime<Utc>) -> Option<&'a Rates> {
    let side = || of(written, which);
    let version = side().rev().find(|version| version.effective_from <= at).or_else(|| side().next());
    version.map(|version| &version.rates)
}

fn marked(cost: &Timeline, markup: u32) -> Result<Timeline, Obstacle> {
    let step = |step: &Step| {
        let rates: Rates = marked_up(&step.rates, markup).ok_or(Obstacle::TooHigh)?;
        Ok(Step { from: step.from, rates })
    };
    Ok(Timeline {
        kind: PriceKind::Sale,
        service_tier: cost.service_tier,
        steps: cost.steps.iter().map(step).collect::<Result<_, Obstacle>>()?,
    })
}

/// What of a change must be consented to: what [`PriceChange`] asks about, beside the other side as it will be; and what looks like a slip beside the other
/// side as it is, where there was no price before, or beside another list.
fn doubts(change: &Change, in_force: Option<&Rates>, other_side: Option<&Rates>, other_list: Option<&Rates>) -> Vec<String> {
    let kind = side_name((change.kind, change.service_tier));
    let said = |doubt: Suspicion, than| match doubt {
        Suspicion::Slip(_) => format!("{kind}, against {than}: {doubt}"),
        Suspicion::Free => format!("{kind}: {doubt}"),
    };
    let first = if change.was.is_none() { suspect(in_force, &change.rates) } else { None };
    let asked = PriceChange::of(change.kind, change.was.as_ref(), &change.rates, other_side);
    let asked = asked.alarms().map(|(rate, alarm)| format!("{kind}: {}", rate.told(alarm)));
    let beside_other = other_list.and_then(|other| suspect(Some(other), &change.rates));
    let slips = [(first, "the other side"), (beside_other, "the other list")];
    slips.into_iter().filter_map(|(doubt, than)| doubt.map(|doubt| said(doubt, than))).chain(asked).collect()
}
