//! For whom and for what a call was made: the project, which its key proves, and what its client said. Each leads to the calls that have it in common.

use domain::{
    attribution::Attribution,
    filter::{CallFilter, TagFilter},
    period::Period,
};
use leptos::prelude::*;

use super::page::OneCall;
use crate::parts::{
    layout::{foreign, pairs, section, stack},
    tabs::address,
    whose::Whose,
};

/// The project that its key was in. The key proves it, so that it stands beside the key.
pub(super) fn project(page: &OneCall, whose: &Whose) -> Option<(String, AnyView)> {
    let project = &page.call.project;
    let calls = CallFilter { project: Some(project.id), ..CallFilter::default() };
    page.has_projects.then(|| ("Project".to_owned(), way(page, whose, foreign(&project.name), calls)))
}

/// What its client said of it, if it said anything: each leads to the calls of which the same was said.
pub(super) fn said(page: &OneCall, whose: &Whose) -> AnyView {
    let Attribution { client, end_user, session, tags } = page.call.attribution.clone();
    let line = |name: &str, words: AnyView, calls: CallFilter| (name.to_owned(), way(page, whose, words, calls));
    let any = CallFilter::default();
    let client = client.map(|label| line("Client", foreign(label.as_str()), CallFilter { client: Some(label), ..any.clone() }));
    let end_user = end_user.map(|label| line("End user", foreign(label.as_str()), CallFilter { end_user: Some(label), ..any.clone() }));
    let session = session.map(|label| line("Session", foreign(label.as_str()), CallFilter { session: Some(label), ..any.clone() }));
    let tags = tags.iter().map(|(name, value)| {
        let words = view! { {foreign(name.as_str())}": "{foreign(value.as_str())} }.into_any();
        let tag = TagFilter { name: name.clone(), value: Some(value.clone()) };
        line("Tag", words, CallFilter { tag: Some(tag), ..any.clone() })
    });
    let lines: Vec<_> = client.into_iter().chain(end_user).chain(session).chain(tags).collect();
    if lines.is_empty() {
        return ().into_any();
    }
    let rule = view! { <p class="subtitle">"Whoever holds the key can say anything here: the gateway checks none of it."</p> };
    section("What the client said", stack(vec![rule.into_any(), pairs("pairs", lines)]))
}

/// The way to the calls of this filter around this one: to the latest if it is among them, else to those of its day.
fn way(page: &OneCall, whose: &Whose, words: AnyView, calls: CallFilter) -> AnyView {
    let started_at = page.call.row.started_at;
    let (latest, day) = (calls.period, started_at.date_naive());
    let period = if started_at >= latest.range(page.now).from { latest } else { Period::Custom { from: day, to: day } };
    let href = address(&whose.at("/calls"), &CallFilter { period, ..calls }.to_query());
    view! { <a href=href>{words}</a> }.into_any()
}
