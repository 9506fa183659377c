//! What a new version would change, before it does; and what has changed meanwhile.

use domain::{
    catalog::PriceKind,
    money::Amount,
    price_change::{Alarm, PriceChange, RateChange, SAMPLE_COMPLETION, SAMPLE_PROMPT, sample},
    rate_unit::RateUnit,
    rates::Rates,
};
use leptos::prelude::*;

use super::{
    fields,
    page::{Chosen, Moved, Review},
    replay, words,
};
use crate::parts::{
    form::{Field, ONCE, Tone, hidden, notice},
    layout::stack,
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, table, text, with_note,
    },
    time,
};

/// The review, and the button that publishes.
pub(super) fn view(chosen: &Chosen, review: &Review) -> AnyView {
    let other = chosen.side.other();
    let old = chosen.history.at(chosen.side, review.effective_from);
    let other_side = chosen.history.beside(chosen.side, review.effective_from).map(|version| &version.rates);
    let change = PriceChange::of(chosen.side, old.map(|version| &version.rates), &review.rates, other_side);
    let side = words::side(chosen.side);
    let follows = chosen.history.after(chosen.side, review.effective_from).map(|next| {
        let words = format!(
            "It holds until {}: then the {side} that is already scheduled takes its place ({}).",
            words::begins(next),
            words::figures(&next.rates)
        );
        notice(Tone::Plain, words)
    });
    let without = other_side.is_none().then(|| {
        let missing = format!("There is no {} in force then, so that no margin can be worked out.", words::side(other));
        view! { <p class="hint">{missing}</p> }
    });
    let when = if review.is_typed { format!("From {} UTC on.", time::second(review.effective_from)) } else { soonest(old.is_some()) };
    let replayed = match &review.replay {
        Some(of_calls) => replay::view(of_calls, chosen.side, chosen.of()),
        None => view! { <p class="hint">"What past calls would have come to cannot be said now."</p> }.into_any(),
    };
    stack(vec![
        view! { <p>{when}</p> }.into_any(),
        changes(&change, &review.rates, [old.map(|version| &version.rates), other_side], (chosen.unit, chosen.side)),
        without.into_any(),
        follows.into_any(),
        replayed,
        publish(chosen, &change),
    ])
}

fn soonest(has_price: bool) -> String {
    if has_price { "From a minute after it is published on." } else { "From the moment on at which it is published." }.to_owned()
}

fn columns(unit: RateUnit, side: PriceKind) -> [Column; 6] {
    let rate = match unit {
        RateUnit::Per1K => "Rate, per 1K tokens",
        RateUnit::Per1M => "Rate, per 1M tokens",
    };
    let other = match side {
        PriceKind::Sale => "Cost",
        PriceKind::Cost => "Price",
    };
    [
        Column(rate, Words),
        Column("Before", Figures),
        Column("New", Figures),
        Column("Change", Figures),
        Column(other, Figures),
        Column("Margin", Figures),
    ]
}

/// Each rate of a side as it is and as it would be, beside the other side's, and what the sample call costs by all of them.
pub(in crate::pages) fn changes(
    change: &PriceChange,
    new: &Rates,
    [old, other]: [Option<&Rates>; 2],
    (unit, side): (RateUnit, PriceKind),
) -> AnyView {
    let rows = change.rates.iter().map(|rate| {
        // A fee is per call in either unit.
        let unit = if rate.part == domain::price_change::Part::Call { RateUnit::Per1K } else { unit };
        let alarms: Vec<_> = rate.alarms().collect();
        cells(words::part(rate), rate, &alarms, |amount| words::rate(amount, unit))
    });
    let sampled = sample(new).map(|cost| RateChange {
        kind: side,
        from_prompt_tokens: domain::tokens::Tokens::ZERO,
        part: domain::price_change::Part::Call,
        old: old.and_then(sample),
        new: cost,
        other: other.and_then(sample),
    });
    let name = format!("A call of {} prompt and {} completion tokens", money::grouped(SAMPLE_PROMPT.get()), SAMPLE_COMPLETION);
    let rows = rows.chain(sampled.map(|sampled| cells(name, &sampled, &[], money::exact)));
    table("cards", &columns(unit, side), rows.collect(), None)
}

fn cells(name: String, rate: &RateChange, alarms: &[Alarm], write: impl Fn(Amount) -> String) -> Row {
    let amount = |amount: Option<Amount>| text(amount.map_or_else(|| money::ABSENT.to_owned(), &write));
    let leap: Vec<_> = alarms.iter().filter(|alarm| **alarm != Alarm::BelowCost).map(|alarm| words::alarm(*alarm)).collect();
    let loss = alarms.contains(&Alarm::BelowCost).then(|| words::alarm(Alarm::BelowCost));
    let margin = rate.margin();
    let share = margin.zip(rate.sides(rate.new)).map(|(margin, [sale, _])| money::share(margin.nanos(), sale.nanos()));
    let cells = vec![
        text(name),
        amount(rate.old),
        amount(Some(rate.new)),
        alarmed(text(words::factor(rate.old, rate.new)), leap.first().cloned()),
        amount(rate.other),
        alarmed(with_note(amount(margin), share.unwrap_or_default()), loss),
    ];
    Row { cells, faded: !rate.is_changed() && alarms.is_empty() }
}

/// With what is to be asked about below it, in words.
fn alarmed(cell: AnyView, alarm: Option<String>) -> AnyView {
    match alarm {
        None => cell,
        Some(words) => view! { <span class="alarm">{cell}<strong>{words}</strong></span> }.into_any(),
    }
}

fn publish(chosen: &Chosen, change: &PriceChange) -> AnyView {
    let (form, (model, _), side) = (&chosen.form, chosen.of(), words::side(chosen.side));
    let carried = form.typed.iter().filter(|(name, _)| !matches!(name.as_str(), ONCE | fields::STEP | fields::NAMED));
    let carried = carried.map(|(name, text)| hidden(name.clone(), text.clone())).collect_view();
    let named = if change.is_extreme() {
        let label = format!("To publish this, write the model's name: {model}");
        Field::new("text", fields::NAMED, label).required().view(form)
    } else {
        hidden(fields::NAMED, "")
    };
    let is_extreme = change.is_extreme();
    view! {
        <form class="column-form review" method="post" action=fields::address(chosen.of(), chosen.side, chosen.unit)>
            {form.once_field()}
            {carried}
            {form.problem_view()}
            {is_extreme.then(|| notice(Tone::Bad, "Look at what is marked above: it leaps, or is below cost."))}
            {named}
            <p class="row-form">
                <button class="primary" name=fields::STEP value=fields::PUBLISH>{format!("Publish {side} for {}", words::of(chosen.of()))}</button>
                <button name=fields::STEP value=fields::EDIT formnovalidate>"Change it"</button>
            </p>
        </form>
    }
    .into_any()
}

/// What the form was filled from, what holds now, and what it asks for.
pub(super) fn moved(chosen: &Chosen, moved: &Moved) -> AnyView {
    let columns = match chosen.unit {
        RateUnit::Per1K => "Rate, per 1K tokens",
        RateUnit::Per1M => "Rate, per 1M tokens",
    };
    let columns =
        [Column(columns, Words), Column("You saw", Figures), Column("It is now", Figures), Column("You want", Figures), Column("", Words)];
    let newest = chosen.history.newest(chosen.side);
    let now = newest.map(|version| &version.rates);
    let lines = |of: Option<&Rates>| of.map(|of| PriceChange::of(chosen.side, moved.seen.as_ref(), of, now).rates).unwrap_or_default();
    let rows = lines(moved.wanted.as_ref().or(now)).into_iter().map(|rate| {
        let unit = if rate.part == domain::price_change::Part::Call { RateUnit::Per1K } else { chosen.unit };
        let amount = |amount: Option<Amount>| text(amount.map_or_else(|| money::ABSENT.to_owned(), |amount| words::rate(amount, unit)));
        let (by_them, by_you) = (rate.other != rate.old, rate.is_changed());
        let words = match (by_them, by_you) {
            (true, true) if rate.other != Some(rate.new) => "changed by both",
            (true, _) => "changed meanwhile",
            (false, true) => "changed by you",
            (false, false) => "",
        };
        Row {
            cells: vec![text(words::part(&rate)), amount(rate.old), amount(rate.other), amount(Some(rate.new)), text(words)],
            faded: words.is_empty(),
        }
    });
    let who = newest.map(|version| {
        format!(" The version that was written last is by {}, in force from {} on.", version.created_by, words::begins(version))
    });
    let message = chosen.form.problem_at(fields::REVISION).unwrap_or_default();
    let go_on = "The form below holds what is now, with your changes on top. Review it from there.";
    stack(vec![
        notice(Tone::Bad, format!("{message}{}", who.unwrap_or_default())),
        table("cards", &columns, rows.collect(), None),
        view! { <p>{go_on}</p> }.into_any(),
    ])
}
