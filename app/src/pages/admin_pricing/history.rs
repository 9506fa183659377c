//! Every version of a model's price: which is in force, which can still be withdrawn, and which can be had again.

use chrono::{DateTime, Utc};
use domain::{
    catalog::PriceVersion,
    price_history::{PriceHistory, Withdrawal},
    rate_unit::RateUnit,
};
use leptos::prelude::*;

use super::{fields, page::Chosen, words};
use crate::parts::{
    form::hidden,
    layout::empty,
    money, rates,
    table::{
        Column,
        Kind::{Action, Figures, Words},
        Row, link, table, text, with_note,
    },
    time,
};

/// The history, newest first.
pub(super) fn view(chosen: &Chosen, now: DateTime<Utc>) -> AnyView {
    const COLUMNS: [Column; 8] = [
        Column("In force from", Words),
        Column("Side", Words),
        Column("State", Words),
        Column("Prompt, per 1K", Figures),
        Column("Completion, per 1K", Figures),
        Column("Other rates", Words),
        Column("Written", Words),
        Column("Change", Action),
    ];
    if chosen.history.versions.is_empty() {
        return empty("It never had a price.", ());
    }
    let rows = chosen.history.versions.iter().map(|version| row(chosen, version, now)).collect();
    table("cards wide", &COLUMNS, rows, None)
}

fn row(chosen: &Chosen, version: &PriceVersion, now: DateTime<Utc>) -> Row {
    let withdrawal = chosen.history.withdrawal(version.id);
    let is_in_force = chosen.history.at(version.kind, now).is_some_and(|current| current.id == version.id);
    let state = match withdrawal {
        Some(Withdrawal { at, by, .. }) => with_note(text("withdrawn"), format!("{} by {by}", time::minute(*at))),
        None if is_in_force => text("in force"),
        None if version.effective_from > now => text("scheduled"),
        None => text("past"),
    };
    let action = match withdrawal {
        None if !PriceHistory::is_settled(version, now) => withdraw(chosen, version),
        None if is_in_force || version.effective_from > now => ().into_any(),
        _ => restore(chosen, version),
    };
    let cells = vec![
        time::time_view(version.effective_from, time::minute(version.effective_from)),
        text(words::side(version.kind)),
        state,
        text(money::exact(version.rates.base.input)),
        text(money::exact(version.rates.base.output)),
        rates::others_view(&version.rates),
        with_note(time::time_view(version.created_at, time::minute(version.created_at)), format!("by {}", version.created_by)),
        action,
    ];
    Row { cells, faded: withdrawal.is_some() }
}

/// Asks once and names the version. Unfolds without a script.
fn withdraw(chosen: &Chosen, version: &PriceVersion) -> AnyView {
    let (model, side, at) = (chosen.of().0, words::side(version.kind), words::begins(version));
    let then = format!("The {side} of {} then does not change at {at}. It stays in this list as withdrawn.", words::of(chosen.of()));
    view! {
        <details class="confirm">
            <summary aria-label=format!("Withdraw the {side} from {at} on")>"Withdraw"</summary>
            <form method="post" action=fields::address(chosen.of(), version.kind, chosen.unit)>
                {hidden(fields::MODEL, model.to_owned())}
                {hidden(fields::SERVICE_TIER, chosen.service_tier.name())}
                {hidden(fields::KIND, version.kind.name())}
                {hidden(fields::PER, chosen.unit.name())}
                {hidden(fields::WITHDRAW, version.id.to_string())}
                <p>{then}</p>
                <button class="danger">{format!("Withdraw the {side} from {at} on")}</button>
            </form>
        </details>
    }
    .into_any()
}

/// Fills the form with it; nothing is published yet.
fn restore(chosen: &Chosen, version: &PriceVersion) -> AnyView {
    let to = fields::address(chosen.of(), version.kind, RateUnit::default());
    link(format!("{to}&from={}", version.id), "Restore this version")
}
