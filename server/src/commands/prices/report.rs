//! What an import came to, for people and for programs.

use chrono::{DateTime, Utc};
use domain::{
    money::Amount,
    price_list::{
        CURRENCY, Change, Format, Import, Imported, NotSold, Of, PriceList, Side, TierNotListed, Verdict, differing, side_name, spelled_out,
    },
    tokens::Tokens,
};
use serde::Serialize;

use crate::commands::table;

/// Models that are not sold are named to people up to so many; programs get all.
const NAMED_MAX: usize = 20;

/// What an import came to.
#[derive(Serialize)]
pub(super) struct Report {
    format: Format,
    currency: &'static str,
    unit: &'static str,
    /// How many models the list has.
    listed: usize,
    new: usize,
    changed: usize,
    same: usize,
    refused: usize,
    /// How many versions were written; `None` where nothing was to be.
    pub(super) written: Option<usize>,
    #[serde(flatten)]
    pub(super) import: Import,
}

impl Report {
    pub(super) fn new(list: &PriceList, import: Import) -> Self {
        let count = |is: fn(&Verdict) -> bool| import.models.iter().filter(|model| is(&model.verdict)).count();
        Self {
            format: list.format,
            currency: CURRENCY,
            unit: "per 1,000 tokens",
            listed: list.entries.len(),
            new: count(|verdict| matches!(verdict, Verdict::New)),
            changed: count(|verdict| matches!(verdict, Verdict::Changed)),
            same: count(|verdict| matches!(verdict, Verdict::Same)),
            refused: count(|verdict| matches!(verdict, Verdict::Refused { .. })),
            written: None,
            import,
        }
    }

    /// Model by model.
    pub(super) fn difference(&self) -> String {
        let Self { currency, unit, listed, import, .. } = self;
        let head = format!("{listed} models in the list, in the format {}. Amounts are {currency} {unit}.", self.format.name());
        let models = import.models.iter().map(model);
        let not_listed =
            (!import.not_listed.is_empty()).then(|| format!("Sold here, and not in the list: {}.", import.not_listed.join(", ")));
        let tiers =
            import.tiers_not_listed.iter().map(|TierNotListed { model, service_tier }| format!("{model} at {}", service_tier.name()));
        let tiers = (!import.tiers_not_listed.is_empty())
            .then(|| format!("With a price here, and not in the list: {}. It stays in force.", tiers.collect::<Vec<_>>().join(", ")));
        let not_sold = (!import.not_sold.is_empty()).then(|| not_sold(&import.not_sold));
        std::iter::once(head).chain(models).chain(not_listed).chain(tiers).chain(not_sold).collect::<Vec<_>>().join("\n\n")
    }

    /// The sums, and what was done.
    pub(super) fn outcome(&self) -> String {
        let Self { new, changed, same, refused, .. } = self;
        let sums = format!("{new} new, {changed} changed, {same} the same, {refused} refused.");
        let is_doubtful = |model: &Imported| matches!(model.verdict, Verdict::Refused { unless_accepted: true, .. });
        let accept = if self.import.models.iter().any(is_doubtful) {
            " A price that leaps, is below cost or looks like a slip is written with --accept MODEL."
        } else {
            ""
        };
        match self.written {
            Some(0) => format!("{sums} There was nothing to write.{accept}"),
            Some(versions) => format!("{sums} Written: {versions} prices.{accept}"),
            None if new + changed == 0 => format!("{sums} There is nothing to write.{accept}"),
            None => format!("{sums} Nothing was written: that takes --yes.{accept}"),
        }
    }
}

fn model(imported: &Imported) -> String {
    let listed_as: Vec<String> = imported.listed_as.iter().map(|listed| format!("{} {}", listed.provider, listed.name)).collect();
    let (verdict, why) = match &imported.verdict {
        Verdict::New => ("new", String::new()),
        Verdict::Changed => ("changed", String::new()),
        Verdict::Same => ("same", String::new()),
        Verdict::Refused { why, .. } => ("refused", format!(": {why}")),
    };
    let head = format!("{verdict:<8} {} (in the list: {}){why}", imported.model, listed_as.join(", "));
    let accepted = imported.accepted.iter().map(|doubt| format!("accepted: {doubt}"));
    let sides = imported.sides.iter().flat_map(side);
    let unmapped =
        (!imported.unmapped.is_empty()).then(|| format!("not imported, since nothing here is priced so: {}", imported.unmapped.join(", ")));
    let lines =
        accepted.chain(sides).chain(unmapped).flat_map(|part| part.lines().map(|line| format!("\n         {line}")).collect::<Vec<_>>());
    std::iter::once(head).chain(lines).collect()
}

fn side(side: &Side) -> impl Iterator<Item = String> + '_ {
    let contrary = side.plan.contrary.iter().map(|at| {
        format!(
            "{}: another price is scheduled from {} on, and takes effect all the same",
            side_name((side.kind, side.service_tier)),
            instant(*at)
        )
    });
    side.plan.changes.iter().map(change).chain(contrary)
}

fn change(change: &Change) -> String {
    let title = format!("{} from {}", side_name((change.kind, change.service_tier)), instant(change.from));
    let Some(was) = &change.was else {
        return table([title.as_str(), "IS"], amounts(spelled_out(&change.rates)).map(|(of, amount)| [of, amount]));
    };
    let rows = differing(was, &change.rates)
        .into_iter()
        .map(|rate| [label(rate.from_prompt_tokens, rate.of), rate.was.to_string(), rate.is.to_string()]);
    table([title.as_str(), "WAS", "IS"], rows)
}

fn not_sold(models: &[NotSold]) -> String {
    let name = |model: &NotSold| model.listed_as.name.clone();
    let names = some(models.iter().map(name), models.len(), ", ");
    let unusable: Vec<_> = models.iter().filter_map(|model| Some(format!("\n  {}: {}", name(model), model.unusable.as_ref()?))).collect();
    let many = unusable.len();
    let unusable =
        if many == 0 { String::new() } else { format!("\nOf these could not have been imported:{}", some(unusable.into_iter(), many, "")) };
    format!("In the list, and not sold here: {names}.{unusable}")
}

/// The first of many, and how many more there are.
fn some(names: impl Iterator<Item = String>, many: usize, between: &str) -> String {
    let shown = names.take(NAMED_MAX).collect::<Vec<_>>().join(between);
    let more = if between.is_empty() { "\n  and" } else { " and" };
    if many > NAMED_MAX { format!("{shown}{more} {} more, which --json names", many - NAMED_MAX) } else { shown }
}

/// What each amount is for, and the amount.
pub(super) fn amounts(rates: Vec<(Tokens, Of, Amount)>) -> impl Iterator<Item = (String, String)> {
    rates.into_iter().map(|(from, of, amount)| (label(from, of), amount.to_string()))
}

fn label(from: Tokens, of: Of) -> String {
    if from > Tokens::ZERO { format!("{of}, from {from} prompt tokens on") } else { of.to_string() }
}

pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
