//! What is to be sold: asked for in one form, shown whole, term by term, and written by another.

use domain::{
    credit::{Quantity, Unit},
    plan::{Plan, PlanTerms, Term},
};
use leptos::prelude::*;

use super::{
    address,
    fields::{
        self, ALLOWANCE, BEYOND, DAYS, DISCOUNT, ENDS, FEE, HIDDEN, KIND, MONEY, NAME, OFFERED, REQUESTS, REVIEW, SEEN, SHOWN, TOKENS, UNIT,
    },
    page::Review,
};
use crate::parts::{
    form::{Field, Form, Tone, choice, hidden, notice},
    layout::{foreign, section, stack},
    models, plan,
    table::{Column, Kind::Words, Row, table, text},
    tabs::{Tab, tabs},
};

/// What was asked for, if anything was, and the form. `before` is the newest version, which the form is filled from.
pub(super) fn plan_form(before: Option<&Plan>, review: Option<&Review>, models: &[String], form: &Form) -> AnyView {
    let asked = match review {
        Some(Review::Sell(after)) => Some(confirm(before, after, form)),
        Some(Review::Nothing) => Some(notice(Tone::Plain, "Nothing differs from what is sold already: there is nothing to write.")),
        None => None,
    };
    let title = match (review, before) {
        (Some(_), _) => "Or change it",
        (None, Some(_)) => "New version",
        (None, None) => "What it is",
    };
    stack(vec![asked.into_any(), section(title, ask(before, models, form))])
}

fn ask(before: Option<&Plan>, models: &[String], form: &Form) -> AnyView {
    let monthly = before.map_or_else(|| form.typed(KIND) != Some(fields::kind_of(false)), |plan| plan.terms.is_monthly());
    let (kinds, name) = match before {
        Some(plan) => (().into_any(), hidden(NAME, plan.name.clone())),
        None => (kinds(monthly), Field::new("text", NAME, "Name").hint("Customers read it.").required().view(form)),
    };
    let of_kind = if monthly { of_plans(before, form) } else { of_packages(before, form) };
    view! {
        {kinds}
        <form class="grid-form" method="get" action=address(before.map(|plan| plan.id))>
            {hidden(KIND, fields::kind_of(monthly))}
            {hidden(SEEN, seen(before, form))}
            {hidden(REVIEW, "yes")}
            {form.problem_view()}
            {name}
            {of_all(before.map(|plan| &plan.terms), monthly, models, form)}
            {of_kind}
            {shown(before, form)}
            <button>"Review"</button>
        </form>
    }
    .into_any()
}

/// The version over which it is written: of a form that comes back, the one that it was filled from.
fn seen(before: Option<&Plan>, form: &Form) -> String {
    let newest = before.map_or(0, |plan| plan.version).to_string();
    // Whoever was told that theirs is out of date writes over what they see now.
    if form.problem.is_some() { newest } else { form.typed(SEEN).map_or(newest, str::to_owned) }
}

/// A plan or a package: they have not the same terms.
fn kinds(monthly: bool) -> AnyView {
    let kinds = [true, false].map(|is_monthly| Tab {
        label: if is_monthly { "A plan, by the month" } else { "A package, once" }.to_owned(),
        href: format!("{}?{KIND}={}", address(None), fields::kind_of(is_monthly)),
        current: is_monthly == monthly,
    });
    tabs("Kind", kinds.into())
}

fn of_all(terms: Option<&PlanTerms>, monthly: bool, known: &[String], form: &Form) -> AnyView {
    let initial = |words: fn(&PlanTerms) -> String| terms.map(words).unwrap_or_default();
    let often = if monthly { "a month" } else { "once" };
    let units = [Unit::Money, Unit::Tokens].map(|unit| (unit.name().to_owned(), counted(unit).to_owned())).to_vec();
    view! {
        {Field::amount(FEE, format!("Fee in US dollars, {often}")).hint("0 is free.").initial(initial(|terms| terms.fee.to_string())).required().view(form)}
        {Field::amount(ALLOWANCE, format!("Allowance, {often}"))
            .hint("Used before the balance; what is left when it ends lapses.")
            .initial(initial(|terms| plan::typed(terms.allowance, terms.unit)))
            .required()
            .view(form)}
        {choice(form, UNIT, "Counted in", units, terms.map_or(Unit::Money, |terms| terms.unit).name())}
        {models::field("Models that it pays for", terms.and_then(|terms| terms.models.as_deref()), known).view(form)}
    }
    .into_any()
}

const fn counted(unit: Unit) -> &'static str {
    match unit {
        Unit::Money => "US dollars",
        Unit::Tokens => "Tokens, which pay for whole calls",
        Unit::Requests => "Requests",
    }
}

fn of_plans(before: Option<&Plan>, form: &Form) -> AnyView {
    let overage = before.map(|plan| plan.terms.overage);
    let chosen = ENDS.into_iter().find(|(end, ..)| Some(*end) == overage).map_or(ENDS[0].1, |(_, name, _)| name);
    let ends = ENDS.map(|(_, name, label)| (name.to_owned(), label.to_owned())).to_vec();
    let discount = before.map(|before| plan::per_cent(before.terms.discount)).filter(|discount| discount != "0");
    let bounds = before.map(|before| before.terms.limits).unwrap_or_default();
    let typed = |capacity: Option<Quantity>, unit| capacity.map(|capacity| plan::typed(capacity, unit)).unwrap_or_default();
    let limits = [
        (
            REQUESTS,
            "Requests a minute, at most",
            "Of all the account's calls while the plan lasts; its own limits bind as well.",
            typed(bounds.requests_a_minute, Unit::Requests),
        ),
        (TOKENS, "Tokens a minute, at most", "Of prompt and completion together.", typed(bounds.tokens_a_minute, Unit::Tokens)),
        (
            MONEY,
            "US dollars a month, at most",
            "What calls that money pays for cost in a calendar month, UTC, also before the plan begins.",
            typed(bounds.money_a_month, Unit::Money),
        ),
    ];
    view! {
        {choice(form, BEYOND, "Calls beyond the allowance", ends, chosen)}
        {Field::amount(DISCOUNT, "Discount on every call, in per cent")
            .hint("For as long as the plan lasts, whatever pays for the call.")
            .initial(discount.unwrap_or_default())
            .view(form)}
        {limits.into_iter().map(|(field, label, hint, initial)| Field::amount(field, label).hint(hint).initial(initial).view(form)).collect_view()}
    }
    .into_any()
}

fn of_packages(before: Option<&Plan>, form: &Form) -> AnyView {
    let days = before.and_then(|plan| match plan.terms.term {
        Term::Monthly => None,
        Term::Once { days } => Some(days.to_string()),
    });
    let field = Field::new("number", DAYS, "Days that it lasts").min("1").initial(days.unwrap_or_default());
    field.hint("Of 24 hours, from the purchase on.").required().view(form)
}

fn shown(before: Option<&Plan>, form: &Form) -> AnyView {
    let options = [(OFFERED, "Yes: they may buy it"), (HIDDEN, "No: only operators sell it")];
    let options = options.map(|(value, label)| (value.to_owned(), label.to_owned())).to_vec();
    choice(form, SHOWN, "Shown to customers", options, if before.is_some_and(|plan| !plan.is_offered) { HIDDEN } else { OFFERED })
}

/// Everything that would be sold, beside what is, and the one button that does it.
fn confirm(before: Option<&Plan>, after: &Plan, form: &Form) -> AnyView {
    let (question, rule, button) = match before {
        None => (
            view! { "Sell the "{plan::noun(&after.terms).to_ascii_lowercase()}" “"{foreign(&after.name)}"”?" }.into_any(),
            "Nothing is written yet. Once it is, this version never changes; another one can be written beside it.".to_owned(),
            "Sell it".to_owned(),
        ),
        Some(before) => (
            view! { "Write version "{after.version}" of “"{foreign(&after.name)}"”?" }.into_any(),
            format!(
                "Nothing is written yet. Whoever has version {} or an older one keeps it, also when it renews; who buys from then on gets version {}.",
                before.version, after.version
            ),
            format!("Write version {}", after.version),
        ),
    };
    let path = address(before.map(|plan| plan.id));
    let back = path.clone();
    let fields: Vec<_> = fields::TERMS.into_iter().filter_map(|field| Some(hidden(field, form.typed(field)?.to_owned()))).collect();
    view! {
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=true>{question}</h2>
            {terms(before, after)}
            <p class="subtitle prose">{rule}</p>
            <form class="row-form" method="post" action=path>
                {form.once_field()}
                {fields}
                {hidden(SEEN, seen(before, form))}
                <button class="primary">{button}</button>
                <a href=back rel="external">"Do nothing"</a>
            </form>
        </section>
    }
    .into_any()
}

/// Each term as it would be, and as it is where it differs.
fn terms(before: Option<&Plan>, after: &Plan) -> AnyView {
    const COLUMNS: [Column; 3] = [Column("Term", Words), Column("Now", Words), Column("From now on", Words)];
    let rows = plan::TERMS.into_iter().map(|(name, words)| {
        let (was, will) = (before.map(words), words(after));
        let is_same = was.as_ref() == Some(&will);
        let changed = if is_same { text("Unchanged") } else { view! { <strong>{will}</strong> }.into_any() };
        Row { cells: vec![text(name), text(was.unwrap_or_else(|| "Not sold".to_owned())), changed], faded: is_same }
    });
    table("cards", &COLUMNS, rows.collect(), None)
}
