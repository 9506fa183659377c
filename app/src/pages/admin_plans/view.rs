use domain::plan::{Plan, PlanHolder, PlanVersion};
use leptos::prelude::*;

use super::{
    address,
    form::plan_form,
    page::{OnePlan, Plans},
};
use crate::parts::{
    form::{Tone, notice},
    layout::{empty, foreign, head, section, stack},
    money, plan,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, name_link, table, text, with_note,
    },
    time,
};

/// What is sold.
pub(crate) fn list(page: &Plans) -> AnyView {
    const COLUMNS: [Column; 7] = [
        Column("Name", Words),
        Column("Lasts", Words),
        Column("Fee", Figures),
        Column("Allowance", Figures),
        Column("Beyond the allowance", Words),
        Column("Discount on calls", Figures),
        Column("Accounts", Figures),
    ];
    let about = "What customers can buy. A version never changes: whoever has bought one keeps it.";
    let new = view! { <a class="button" href=address(None)>"New plan or package"</a> };
    let body = if page.plans.is_empty() {
        empty(
            "Nothing is sold yet: customers pay for each call from their balance.",
            link(address(None), "Write the first plan or package"),
        )
    } else {
        table("cards wide", &COLUMNS, page.plans.iter().map(|(plan, accounts)| sold(plan, *accounts)).collect(), None)
    };
    stack(vec![head("Plans", about, new), body])
}

fn sold(plan: &Plan, accounts: u64) -> Row {
    let Plan { id, name, version, is_offered, terms } = plan;
    let shown = if *is_offered { "" } else { ", not shown to customers" };
    let accounts = match i64::try_from(accounts) {
        Ok(0) => text("0"),
        accounts => link(format!("{}#holders", address(Some(*id))), money::grouped(accounts.unwrap_or(i64::MAX))),
    };
    let scope = terms.models.as_ref().map(|models| format!("for {}", models.join(", "))).unwrap_or_default();
    vec![
        with_note(name_link(address(Some(*id)), name), format!("{}, version {version}{shown}", plan::noun(terms))),
        text(plan::lasts(terms)),
        text(money::exact(terms.fee)),
        with_note(text(plan::quantity(terms.allowance, terms.unit)), scope),
        text(plan::beyond(terms)),
        text(plan::discount(terms.discount)),
        accounts,
    ]
    .into()
}

/// One plan or package, or the form for a new one.
pub(crate) fn one(page: &OnePlan) -> AnyView {
    let OnePlan { versions, holders, more, models, form, review, done } = page;
    let all = link("/admin/plans".to_owned(), "All plans");
    let asks = plan_form(versions.first().map(|newest| &newest.plan), review.as_ref(), models, form);
    let Some(newest) = versions.first() else {
        return stack(vec![head("New plan or package", all, ()), asks]);
    };
    let written = done.filter(|done| *done == newest.plan.version).map(|version| {
        let words =
            if version == 1 { "It is sold from now on." } else { "It is sold from now on; older versions stay with those who have them." };
        notice(Tone::Good, format!("Version {version} is written. {words}"))
    });
    let about = stack(vec![text(format!("{}, version {}. Times are UTC. ", plan::noun(&newest.plan.terms), newest.plan.version)), all]);
    stack(vec![
        head(foreign(&newest.plan.name), about, ()),
        written.into_any(),
        asks,
        section("Versions", history(versions)),
        view! { <section id="holders"><h2>"Who has it"</h2>{who(holders, *more)}</section> }.into_any(),
    ])
}

fn history(versions: &[PlanVersion]) -> AnyView {
    const COLUMNS: [Column; 7] = [
        Column("Version", Words),
        Column("Lasts", Words),
        Column("Fee", Figures),
        Column("Allowance", Figures),
        Column("Beyond the allowance", Words),
        Column("Discount on calls", Figures),
        Column("Written", Words),
    ];
    let rows = versions.iter().enumerate().map(|(place, PlanVersion { plan, set_at, set_by })| {
        let shown = if plan.is_offered { "" } else { "not shown to customers" };
        let scope = plan.terms.models.as_ref().map(|models| format!("for {}", models.join(", "))).unwrap_or_default();
        let written = time::time_view(*set_at, time::minute(*set_at));
        let cells = vec![
            with_note(text(plan.version.to_string()), shown.to_owned()),
            text(plan::lasts(&plan.terms)),
            text(money::exact(plan.terms.fee)),
            with_note(text(plan::quantity(plan.terms.allowance, plan.terms.unit)), scope),
            with_note(text(plan::beyond(&plan.terms)), plan::at_most(plan.terms.limits).unwrap_or_default()),
            text(plan::discount(plan.terms.discount)),
            view! { <span>{written}</span><span class="by">"by "{foreign(set_by)}</span> }.into_any(),
        ];
        Row { cells, faded: place > 0 }
    });
    table("cards wide", &COLUMNS, rows.collect(), None)
}

fn who(holders: &[PlanHolder], more: bool) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Customer", Words), Column("Version", Figures), Column("Paid for until", Words), Column("What follows", Words)];
    if holders.is_empty() {
        return empty("No account has it now.", ());
    }
    let cut = more.then(|| notice(Tone::Plain, format!("The first {} by name.", holders.len())));
    let rows = holders.iter().map(|holder| {
        vec![
            name_link(format!("/admin/customers/{}", holder.account), &holder.name),
            text(holder.version.to_string()),
            time::time_view(holder.until, time::minute(holder.until)),
            with_note(follows(holder), unpaid(holder)),
        ]
        .into()
    });
    stack(vec![cut.into_any(), table("cards", &COLUMNS, rows.collect(), None)])
}

fn follows(holder: &PlanHolder) -> AnyView {
    match (&holder.next, holder.ends) {
        (Some(next), _) => foreign(next),
        (None, true) => text("Nothing: it ends"),
        (None, false) => text("The same, for another month"),
    }
}

fn unpaid(holder: &PlanHolder) -> String {
    holder.unpaid_since.map_or_else(String::new, |since| format!("the balance does not cover the fee since {} UTC", time::minute(since)))
}
