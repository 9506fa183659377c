//! Limits in words, and how far each is used.

use chrono::{DateTime, Utc};
use domain::{
    credit::{Hardness, Limit, LimitSetter, LimitState, Pool, Quantity, Scope, Unit, Window},
    filter::CallFilter,
    money::Amount,
};
use leptos::prelude::*;

use crate::parts::{
    layout::foreign,
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        text, with_note,
    },
    tabs::address,
    time,
    whose::Whose,
};

/// What it allows: `$10.00 per month`, `1 request per minute`.
fn name(limit: &Limit) -> String {
    bound(&limit.pool, limit.window)
}

/// What there is in a window of time: `$10.00 per month`.
pub(crate) fn bound(pool: &Pool, window: Window) -> String {
    format!("{} {}", whole(pool), window.label().to_ascii_lowercase())
}

/// The same with whose it is: `$10.00 per month of the project “Research”`.
#[cfg(feature = "ssr")]
pub(crate) fn whole_name(state: &LimitState) -> String {
    let whose = whose(state).map(|(noun, whose)| format!(" of the {noun} “{whose}”")).unwrap_or_default();
    format!("{}{whose}", name(&state.limit))
}

/// The same, for a sentence.
#[cfg(feature = "ssr")]
pub(crate) fn whole_name_view(state: &LimitState) -> AnyView {
    let whose = whose(state).map(|(noun, whose)| view! { {format!(" of the {noun} ")}{crate::parts::layout::quoted(whose, "")} });
    view! { {name(&state.limit)}{whose} }.into_any()
}

/// Whose it is, below its name: the way to the calls that it counts, where the log can list them.
fn whose_view(state: &LimitState, account: &Whose) -> AnyView {
    let named = |(noun, whose): (&'static str, &str)| {
        let words = match calls_of(&state.limit.scope) {
            Some(calls) => view! { <a href=address(&account.at("/calls"), &calls.to_query())>{foreign(whose)}</a> }.into_any(),
            None => foreign(whose),
        };
        view! { <span class="by">{format!("of the {noun} ")}{words}</span> }
    };
    whose(state).map(named).into_any()
}

fn calls_of(scope: &Scope) -> Option<CallFilter> {
    match scope {
        Scope::Project(project) => Some(CallFilter { project: Some(*project), ..CallFilter::default() }),
        Scope::Run(run) => Some(CallFilter { session: Some(run.clone()), ..CallFilter::default() }),
        Scope::Account | Scope::Key(_) | Scope::Member(_) => None,
    }
}

/// Whose calls it counts: a noun and a name. Of all keys together or of one, where it stands says so.
fn whose(state: &LimitState) -> Option<(&'static str, &str)> {
    let noun = match state.limit.scope {
        Scope::Account | Scope::Key(_) => return None,
        Scope::Project(_) => "project",
        Scope::Member(_) => "member",
        Scope::Run(_) => "run",
    };
    Some((noun, state.whose.as_deref()?))
}

/// How far each is used, a line and a bar each; nothing where there is none.
pub(crate) fn lines(limits: &[&LimitState], account: &Whose) -> AnyView {
    let lines = limits
        .iter()
        .map(|state| view! { <li>{short(&state.limit)}{whose_view(state, account)}{bar(&state.limit.pool)}</li> })
        .collect_view();
    (!limits.is_empty()).then(|| view! { <ul class="limits">{lines}</ul> }).into_any()
}

/// What [`cells`] are.
pub(crate) const COLUMNS: [Column; 5] = [
    Column("Limit", Words),
    Column("Used", Figures),
    Column("Reserved now", Figures),
    Column("Left", Figures),
    Column("Begins anew", Words),
];

/// What a limit allows, and how its running window stands.
pub(crate) fn cells(state: &LimitState, now: DateTime<Utc>, account: &Whose) -> [AnyView; 5] {
    let limit = &state.limit;
    let by = match state.set_by {
        LimitSetter::Operator => "set by the operator",
        LimitSetter::Plan => "comes with the plan",
        LimitSetter::Account => "",
    };
    let figure = |quantity| figure_view(quantity, limit.pool.unit, money::total_view);
    let anew = limit.resets_at(now).map_or_else(|| text("never"), |at| time::time_view(at, format!("{} UTC", time::minute(at))));
    [
        with_note(view! { {name(limit)}{whose_view(state, account)}{bar(&limit.pool)} }.into_any(), by.to_owned()),
        figure(limit.pool.used),
        figure(limit.pool.leased),
        figure_view(limit.pool.room(), limit.pool.unit, money::left_view),
        anew,
    ]
}

/// `$3.20 of $10.00 this month`.
fn short(limit: &Limit) -> String {
    let used = figure(limit.pool.used, limit.pool.unit);
    let soft = if limit.hardness == Hardness::Soft { " (soft)" } else { "" };
    format!("{used} of {} {}{soft}", whole(&limit.pool), running(limit.window))
}

/// What there is in each window, every digit of it: `$10.00`, `1,000 tokens`.
fn whole(pool: &Pool) -> String {
    let count = pool.capacity.get();
    let plural = if count == 1 { "" } else { "s" };
    match pool.unit {
        Unit::Money => money::exact(Amount::from_nanos(count)),
        Unit::Tokens => format!("{} token{plural}", money::grouped(count)),
        Unit::Requests => format!("{} request{plural}", money::grouped(count)),
    }
}

fn figure(quantity: Quantity, unit: Unit) -> String {
    match unit {
        Unit::Money => money::total(Amount::from_nanos(quantity.get())),
        Unit::Tokens | Unit::Requests => money::grouped(quantity.get()),
    }
}

/// A quantity in a column of its own: money as it is written there.
fn figure_view(quantity: Quantity, unit: Unit, money: fn(Amount) -> AnyView) -> AnyView {
    match unit {
        Unit::Money => money(Amount::from_nanos(quantity.get())),
        Unit::Tokens | Unit::Requests => text(figure(quantity, unit)),
    }
}

const fn running(window: Window) -> &'static str {
    match window {
        Window::Minute => "this minute",
        Window::Day => "today",
        Window::Week => "this week",
        Window::Month => "this month",
        Window::Ever => "in all",
    }
}

/// The part that is used, for the eye: the words beside it say how much.
fn bar(pool: &Pool) -> AnyView {
    let used = used_per_mille(pool);
    let width = format!("{}.{}%", used / 10, used % 10);
    view! { <svg class="bar" aria-hidden="true"><rect width=width height="100%"></rect></svg> }.into_any()
}

/// At most all of it; of nothing, all of it.
fn used_per_mille(pool: &Pool) -> i128 {
    let (used, capacity) = (i128::from(pool.used.get()), i128::from(pool.capacity.get()));
    if capacity <= 0 || used >= capacity { 1_000 } else { (used * 1_000 / capacity).max(0) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::DateTime;
    use domain::id::{KeyId, LimitId, ProjectId, UserId};

    use super::*;

    fn limit(window: Window, unit: Unit, capacity: i64, used: i64) -> Limit {
        Limit {
            id: LimitId::new(DateTime::UNIX_EPOCH, [1; 10]),
            scope: Scope::Account,
            window,
            hardness: Hardness::Hard,
            pool: Pool { used: Quantity::from_count(used), ..Pool::new(unit, Quantity::from_count(capacity)) },
        }
    }

    #[test]
    fn a_limit_is_named_by_what_it_allows() {
        for (window, unit, capacity, words) in [
            (Window::Month, Unit::Money, 10_000_000_000, "$10.00 per month"),
            (Window::Ever, Unit::Money, 2_500_000, "$0.0025 in all"),
            (Window::Week, Unit::Tokens, 1_000_000, "1,000,000 tokens per week"),
            (Window::Day, Unit::Tokens, 1, "1 token per day"),
            (Window::Minute, Unit::Requests, 1, "1 request per minute"),
            (Window::Minute, Unit::Requests, 0, "0 requests per minute"),
        ] {
            assert_eq!(name(&limit(window, unit, capacity, 0)), words);
        }
    }

    #[test]
    fn a_line_says_how_much_of_the_running_window_is_used() {
        assert_eq!(short(&limit(Window::Month, Unit::Money, 10_000_000_000, 3_199_999_999)), "$3.20 of $10.00 this month");
        assert_eq!(short(&limit(Window::Day, Unit::Tokens, 5_000, 1_200)), "1,200 of 5,000 tokens today");
        let soft = Limit { hardness: Hardness::Soft, ..limit(Window::Ever, Unit::Requests, 1, 3) };
        assert_eq!(short(&soft), "3 of 1 request in all (soft)");
    }

    #[test]
    fn no_more_is_left_than_the_limit_allows() {
        let state = |used| LimitState {
            limit: limit(Window::Ever, Unit::Money, 999_999_999_999_999_999, used),
            whose: None,
            set_by: LimitSetter::Account,
        };
        let left = |used| {
            Owner::new().with(|| {
                let [_, _, _, left, _] = cells(&state(used), DateTime::UNIX_EPOCH, &Whose::Own);
                left.to_html()
            })
        };
        assert!(left(0).contains(">$999,999,999.99<"), "{}", left(0));
        assert!(left(999_999_999_999_999_998).contains("$0.01<"), "{}", left(999_999_999_999_999_998));
        assert!(left(999_999_999_999_999_999).contains(">$0.00<"), "{}", left(999_999_999_999_999_999));
    }

    #[test]
    fn a_bar_is_as_long_as_the_part_that_is_used_and_never_longer_than_its_place() {
        let bar = |capacity, used| used_per_mille(&limit(Window::Day, Unit::Tokens, capacity, used).pool);
        assert_eq!([bar(1_000, 0), bar(1_000, 320), bar(3, 1), bar(3, 3), bar(3, 7)], [0, 320, 333, 1_000, 1_000]);
        assert_eq!([bar(0, 0), bar(0, -1), bar(5, -1), bar(i64::MAX, i64::MAX - 1)], [1_000, 1_000, 0, 999]);
    }

    #[test]
    fn where_there_is_no_limit_there_is_no_list() {
        let html = |limits: &[&LimitState]| Owner::new().with(|| lines(limits, &Whose::Own).to_html());
        assert!(!html(&[]).contains("<ul"));
        let limit = limit(Window::Minute, Unit::Requests, 8, 2);
        let html = html(&[&LimitState { limit, whose: None, set_by: LimitSetter::Account }]);
        assert!(html.contains("2 of 8 requests this minute") && html.contains(r#"width="25.0%""#), "{html}");
    }

    #[test]
    fn a_part_of_the_account_is_named_and_a_key_is_not() {
        let name = |scope, whose: &str| {
            let limit = Limit { scope, ..limit(Window::Day, Unit::Requests, 8, 2) };
            whole_name(&LimitState { limit, whose: Some(whose.to_owned()), set_by: LimitSetter::Account })
        };
        let (at, bits) = (DateTime::UNIX_EPOCH, [1; 10]);
        assert_eq!(name(Scope::Project(ProjectId::new(at, bits)), "Research"), "8 requests per day of the project “Research”");
        assert_eq!(name(Scope::Member(UserId::new(at, bits)), "a@b.example"), "8 requests per day of the member “a@b.example”");
        assert_eq!(name(Scope::Run("nightly".parse().unwrap()), "nightly"), "8 requests per day of the run “nightly”");
        assert_eq!(name(Scope::Key(KeyId::new(at, bits)), "laptop"), "8 requests per day");
    }

    #[test]
    fn the_name_of_a_project_or_a_run_leads_to_its_calls() {
        let html = |scope, whose: &str| {
            let limit = Limit { scope, ..limit(Window::Day, Unit::Requests, 8, 2) };
            let state = LimitState { limit, whose: Some(whose.to_owned()), set_by: LimitSetter::Account };
            Owner::new().with(|| whose_view(&state, &Whose::Own).to_html()).replace("<!>", "")
        };
        let project = ProjectId::new(DateTime::UNIX_EPOCH, [1; 10]);
        let of_project = html(Scope::Project(project), "Research");
        assert!(
            of_project.contains(&format!(r#"of the project <a href="/calls?project={project}"><bdi>Research</bdi></a>"#)),
            "{of_project}"
        );
        let of_run = html(Scope::Run("run & 7".parse().unwrap()), "run & 7");
        assert!(of_run.contains(r#"of the run <a href="/calls?session=run+%26+7"><bdi>run &amp; 7</bdi></a>"#), "{of_run}");
        let of_member = html(Scope::Member(UserId::new(DateTime::UNIX_EPOCH, [1; 10])), "a@b.example");
        assert!(of_member.contains("of the member <bdi>a@b.example</bdi>") && !of_member.contains("<a "), "{of_member}");
    }
}
