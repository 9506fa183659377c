//! The form of a new version: every rate that the books know, in one unit, filled from a version that is there.

use domain::{
    money::Amount,
    price_change::{SAMPLE_COMPLETION, SAMPLE_PROMPT, sample},
    rate_unit::RateUnit,
    rates::{BucketRates, Rates},
    tokens::Bucket,
};
use leptos::{prelude::*, wasm_bindgen::JsCast, web_sys};

use super::{
    fields,
    page::{Chosen, Stage},
    words,
};
use crate::parts::{
    form::{Field, Form, hidden},
    layout::stack,
    money,
    tabs::{Tab, tabs},
    time,
};

/// The form, with what it is filled from above it.
pub(super) fn view(chosen: &Chosen) -> AnyView {
    let Chosen { side, unit, history, base, form, .. } = chosen;
    let merged = match &chosen.stage {
        Stage::Moved(moved) => moved.merged.as_ref(),
        Stage::Form | Stage::Review(_) => None,
    };
    let rates = merged.or_else(|| chosen.base().map(|version| &version.rates));
    let model = chosen.of().0;
    let count = rates.map_or(0, |rates| rates.tiers.len()) + 1;
    // A form that comes back has the tiers that were typed into it.
    let count = form.typed(fields::TIERS).and_then(|count| count.parse().ok()).unwrap_or(count).min(fields::TIERS_MAX);
    let (live, listen) = live_sample(rates, form);
    view! {
        <form class="grid-form" method="post" action=fields::address(chosen.of(), *side, *unit) on:input=listen>
            {form.once_field()}
            {hidden(fields::MODEL, model.to_owned())}
            {hidden(fields::SERVICE_TIER, chosen.service_tier.name())}
            {hidden(fields::KIND, side.name())}
            {hidden(fields::PER, unit.name())}
            {hidden(fields::BASE, base.map(|id| id.to_string()).unwrap_or_default())}
            {hidden(fields::REVISION, history.revision(*side).to_string())}
            {hidden(fields::TIERS, count.to_string())}
            {form.problem_view()}
            {rate_fields(None, rates.map(|rates| &rates.base), *unit, form, is_plain)}
            {Field::new("datetime-local", fields::EFFECTIVE, "In force from, UTC").hint("At least a minute ahead; empty means in a minute.").view(form)}
            {further(rates, *unit, form)}
            {(1..=count).map(|tier| tier_fields(tier, count, rates, *unit, form)).collect_view()}
            <p class="hint wide" role="status">{move || live.get()}</p>
            <button class="primary" name=fields::STEP value=fields::REVIEW>{format!("Review {} for {}", words::side(*side), words::of(chosen.of()))}</button>
        </form>
    }
    .into_any()
}

/// Which version's figures the form holds.
pub(super) fn filled_from(chosen: &Chosen, now: chrono::DateTime<chrono::Utc>) -> AnyView {
    let side = words::side(chosen.side);
    let words = match chosen.base() {
        None => format!("There is no {side} yet."),
        Some(version) if chosen.history.withdrawal(version.id).is_some() => {
            format!("Filled with the {side} that was withdrawn before {}.", words::begins(version))
        }
        Some(version) if version.effective_from > now => {
            format!("Filled with the {side} that is scheduled for {}.", words::begins(version))
        }
        Some(version) if chosen.history.at(chosen.side, now).is_some_and(|current| current.id == version.id) => {
            format!("Filled with the {side} in force, since {} UTC.", time::minute(version.effective_from))
        }
        Some(version) => format!("Filled with the {side} that was in force from {} on.", words::begins(version)),
    };
    view! { <p class="hint">{words}</p> }.into_any()
}

/// The unit of every figure in the form: a link each, since the address says which.
pub(super) fn units(chosen: &Chosen) -> AnyView {
    let units = RateUnit::ALL.map(|unit| Tab {
        label: format!("per {} tokens", unit.name()),
        href: fields::address(chosen.of(), chosen.side, unit),
        current: unit == chosen.unit,
    });
    tabs("Unit", units.into())
}

pub(in crate::pages) const fn is_plain(bucket: Bucket) -> bool {
    matches!(bucket, Bucket::Input | Bucket::Output)
}

pub(in crate::pages) fn rate_fields(
    tier: Option<usize>,
    rates: Option<&BucketRates>,
    unit: RateUnit,
    form: &Form,
    which: fn(Bucket) -> bool,
) -> AnyView {
    let chosen = fields::RATES.into_iter().filter(|(bucket, ..)| which(*bucket));
    let views = chosen.map(|(bucket, name, label)| {
        let label = match tier {
            None => format!("{label}, per {}", unit.name()),
            Some(tier) => format!("Tier {tier}: {}, per {}", label.replacen(|_: char| true, &label[..1].to_lowercase(), 1), unit.name()),
        };
        let field = Field::amount(fields::rate_field(tier, name), label).initial(typed(rates.and_then(|rates| rates.own(bucket)), unit));
        // A tier that stays empty is none.
        if is_plain(bucket) && tier.is_none() { field.required() } else { field }.view(form)
    });
    stack(views.collect())
}

fn typed(rate: Option<Amount>, unit: RateUnit) -> String {
    rate.map(|rate| unit.amount(rate).to_string()).unwrap_or_default()
}

/// Whether a fold has something in it, or something wrong.
fn is_used(form: &Form, mut names: impl Iterator<Item = String>) -> bool {
    names.any(|name| form.problem_at(&name).is_some() || form.typed(&name).is_some_and(|typed| !typed.is_empty()))
}

pub(in crate::pages) fn further(rates: Option<&Rates>, unit: RateUnit, form: &Form) -> AnyView {
    let fee = rates.map(|rates| rates.per_call).filter(|fee| !fee.is_zero());
    let own = || fields::RATES.into_iter().filter(|(bucket, ..)| !is_plain(*bucket));
    let is_open = fee.is_some()
        || own().any(|(bucket, ..)| rates.is_some_and(|rates| rates.base.own(bucket).is_some()))
        || is_used(form, own().map(|(_, name, _)| name.to_owned()).chain([fields::PER_CALL.to_owned()]));
    view! {
        <details class="fold wide" open=is_open>
            <summary>"Rates of their own, and a fee per call"</summary>
            <div class="grid-form">
                {rate_fields(None, rates.map(|rates| &rates.base), unit, form, |bucket| !is_plain(bucket))}
                {Field::amount(fields::PER_CALL, "Fee per call").initial(typed(fee, RateUnit::Per1K)).view(form)}
            </div>
            <p class="hint">"An empty rate falls back to the plain prompt or completion price."</p>
        </details>
    }
    .into_any()
}

pub(in crate::pages) fn tier_fields(tier: usize, count: usize, rates: Option<&Rates>, unit: RateUnit, form: &Form) -> AnyView {
    let own = rates.and_then(|rates| rates.tiers.get(tier - 1));
    let from = own.map(|own| own.from_prompt_tokens.get().to_string()).unwrap_or_default();
    let summary = match own {
        Some(own) => format!("Context tier {tier}: from {} prompt tokens", money::grouped(own.from_prompt_tokens.get())),
        None if tier == count => "Another price for long prompts".to_owned(),
        None => format!("Context tier {tier}"),
    };
    let names = fields::RATES.into_iter().map(|(_, name, _)| fields::rate_field(Some(tier), name).into_owned());
    let is_open = own.is_some() || is_used(form, names.chain([fields::from_field(tier).into_owned()]));
    view! {
        <details class="fold wide" open=is_open>
            <summary>{summary}</summary>
            <div class="grid-form">
                {Field::new("text", fields::from_field(tier), format!("Tier {tier}: from how many prompt tokens")).initial(from).view(form)}
                {rate_fields(Some(tier), own.map(|own| &own.rates), unit, form, |_| true)}
            </div>
            <p class="hint">"These rates are for all tokens of a call whose prompt is at least so long. Without a number there is no such tier."</p>
        </details>
    }
    .into_any()
}

/// What the sample call costs at what is typed, as it is typed; and at first, which is all that there is without a script.
fn live_sample(rates: Option<&Rates>, form: &Form) -> (RwSignal<String>, impl Fn(web_sys::Event) + 'static) {
    let returned = fields::rates(&|name| form.typed(name).map(str::to_owned), rates).ok();
    let live = RwSignal::new(words_of(returned.as_ref().or(rates)));
    let listen = move |event: web_sys::Event| {
        let field = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlInputElement>().ok());
        let Some(form) = field.and_then(|field| field.form()) else { return };
        let Ok(data) = web_sys::FormData::new_with_form(&form) else { return };
        live.set(words_of(fields::rates(&|name| data.get(name).as_string(), None).ok().as_ref()));
    };
    (live, listen)
}

fn words_of(rates: Option<&Rates>) -> String {
    let cost = rates.and_then(sample).map_or_else(|| money::ABSENT.to_owned(), money::exact);
    format!("A call of {} prompt and {} completion tokens costs {cost}.", money::grouped(SAMPLE_PROMPT.get()), SAMPLE_COMPLETION)
}
