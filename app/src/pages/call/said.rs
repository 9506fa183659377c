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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;
    use domain::call::CallDetail;

    use super::{
        super::testing::{call, draw, html, usage},
        *,
    };

    /// A call of which its client said everything that it can.
    fn attributed() -> CallDetail {
        let mut attribution = Attribution {
            end_user: "user & 17".parse().ok(),
            session: "s-1".parse().ok(),
            client: "curl 8".parse().ok(),
            ..Attribution::default()
        };
        attribution.tags.insert("team", "search").unwrap();
        attribution.tags.insert("env", "<b>").unwrap();
        CallDetail { attribution, ..call(usage(12, 34, 46), 0) }
    }

    #[test]
    fn what_its_client_said_leads_to_the_calls_of_which_it_said_the_same() {
        let html = html(&attributed());
        for (words, query) in [
            ("<bdi>curl 8</bdi>", "client=curl+8"),
            ("<bdi>user &amp; 17</bdi>", "user=user+%26+17"),
            ("<bdi>s-1</bdi>", "session=s-1"),
            ("<bdi>team</bdi>: <bdi>search</bdi>", "tag=team&amp;value=search"),
            ("<bdi>env</bdi>: <bdi>&lt;b&gt;</bdi>", "tag=env&amp;value=%3Cb%3E"),
        ] {
            let link = html.split("<a ").find(|link| link.contains(&format!(r#"href="/calls?{query}""#)));
            let seen = link.unwrap_or_else(|| panic!("{query} is missing: {html}")).replace("<!>", "");
            assert!(seen.contains(words), "{words} is missing: {html}");
        }
        assert!(html.contains("What the client said") && html.contains("the gateway checks none of it"), "{html}");
    }

    #[test]
    fn where_nothing_was_said_nothing_is_said_of_it() {
        let html = html(&call(usage(12, 34, 46), 0));
        assert!(!html.contains("What the client said") && !html.contains("/calls?"), "{html}");
    }

    #[test]
    fn an_old_call_leads_to_those_of_its_day() {
        let call = attributed();
        let after = |days| {
            let now = call.row.started_at + TimeDelta::days(days);
            draw(&OneCall { call: call.clone(), has_projects: true, now })
        };
        assert!(!after(29).contains("range="), "{}", after(29));
        let old = after(30);
        assert_eq!(old.matches("/calls?range=custom&amp;from=2026-11-23&amp;to=2026-11-23&amp;").count(), 6, "{old}");
    }
}
