//! The filters of the usage page and the call log: presets are links, the rest is a GET form, so that the address says what is shown.

use std::{borrow::Cow, collections::BTreeSet};

use domain::{call::Outcome, filter::CallFilter, period::Period, usage::FilterChoices};
use leptos::prelude::*;

use crate::parts::{
    form::{Field, Form, choice, hidden},
    tabs::{Tab, tabs},
};

/// The fields of a custom range.
pub(crate) const DAYS: [&str; 2] = ["from", "to"];

/// The fields that ask for some of a range's calls only.
pub(crate) const NARROWING: [&str; 10] = ["project", "key", "model", "status", "stream", "client", "user", "session", "tag", "value"];

/// The filters of one page.
pub(crate) struct FilterBar<'a> {
    /// Where the page is.
    pub(crate) path: String,
    /// What is shown: of what could not be understood, the part that could.
    pub(crate) filter: &'a CallFilter,
    /// What was asked for, where it could not be understood.
    pub(crate) form: &'a Form,
    /// What they can be set to.
    pub(crate) choices: &'a FilterChoices,
    /// Parameters of the page's own, which the forms keep.
    pub(crate) kept: Vec<(&'static str, String)>,
    /// The page with another filter.
    pub(crate) href: &'a dyn Fn(&CallFilter) -> String,
}

impl FilterBar<'_> {
    /// The bar.
    pub(crate) fn view(self) -> AnyView {
        let active = active(self.filter);
        let at = |fields: &[&str]| self.form.problem.as_ref().is_some_and(|problem| fields.contains(&problem.field.as_str()));
        let is_custom = matches!(self.filter.period, Period::Custom { .. }) || at(&DAYS);
        let is_filtered = active > 0 || at(&NARROWING);
        let summary = if active > 0 { format!("Filters ({active})") } else { "Filters".to_owned() };
        view! {
            <div class="filter-bar">
                {self.form.problem_view()}
                {self.presets()}
                <details class="fold" open=is_custom><summary>"Custom range"</summary>{self.custom()}</details>
                <details class="fold" open=is_filtered><summary>{summary}</summary>{self.filters(active > 0)}</details>
            </div>
        }
        .into_any()
    }

    fn kept(&self, is_kept: impl Fn(&str) -> bool) -> Vec<(Cow<'static, str>, String)> {
        self.kept.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (Cow::Borrowed(*name), value.clone())).collect()
    }

    /// What a form of these fields keeps of what could not be understood: what stands in the other one, be it wrong or right, is not lost.
    fn typed_but(&self, fields: &[&str]) -> Option<Vec<(Cow<'static, str>, String)>> {
        let Form { typed, problem, .. } = self.form;
        problem.as_ref()?;
        let others = typed.iter().filter(|(name, _)| !fields.contains(&name.as_str()));
        Some(others.map(|(name, value)| (Cow::Owned(name.clone()), value.clone())).collect())
    }

    fn presets(&self) -> AnyView {
        let is_bad = self.form.problem.is_some();
        let preset = |period: Period| Tab {
            label: period.label().to_owned(),
            href: (self.href)(&CallFilter { period, ..self.filter.clone() }),
            current: !is_bad && period == self.filter.period,
        };
        tabs("Range", Period::PRESETS.into_iter().map(preset).collect())
    }

    fn custom(&self) -> AnyView {
        let (from, to) = match self.filter.period {
            Period::Custom { from, to } => (from.to_string(), to.to_string()),
            _ => (String::new(), String::new()),
        };
        // A step that fits the range in force can be too short for the one that is typed, which then finds its own.
        let mut kept = self.typed_but(&["range", "from", "to", "step"]).unwrap_or_else(|| {
            let mut kept = self.kept(|name| name != "step");
            kept.extend(pairs(&CallFilter { period: CallFilter::default().period, ..self.filter.clone() }));
            kept
        });
        kept.push(("range".into(), "custom".to_owned()));
        view! {
            <form class="row-form" method="get" action=self.path.clone()>
                {hiddens(kept)}
                {Field::new("date", "from", "First day").initial(from).required().view(self.form)}
                {Field::new("date", "to", "Last day").initial(to).required().view(self.form)}
                <button>"Show range"</button>
            </form>
        }
        .into_any()
    }

    fn filters(&self, can_clear: bool) -> AnyView {
        let all = CallFilter { period: self.filter.period, ..CallFilter::default() };
        let kept = self.typed_but(&NARROWING).unwrap_or_else(|| {
            let mut kept = self.kept(|_| true);
            kept.extend(pairs(&all));
            kept
        });
        let clear = (self.href)(&all);
        view! {
            <form class="row-form" method="get" action=self.path.clone()>
                {hiddens(kept)}
                {self.known()}
                {self.said()}
                <button>"Apply"</button>
                {can_clear.then(|| view! { <a href=clear>"Clear"</a> })}
            </form>
        }
        .into_any()
    }

    /// By what the gateway knows of a call.
    fn known(&self) -> Vec<AnyView> {
        let FilterChoices { projects, keys, models, .. } = self.choices;
        // One project alone is nothing to choose from.
        let has_projects = projects.len() > 1 || self.is_asked("project");
        let projects = projects.iter().map(|project| (project.id.to_string(), project.name.clone())).collect();
        let keys = keys.iter().map(|(id, name)| (id.to_string(), name.clone())).collect();
        let mut models: Vec<_> = models.iter().map(|model| (model.clone(), model.clone())).collect();
        models.sort_unstable();
        let outcomes = Outcome::ALL.map(|outcome| (outcome.name().to_owned(), outcome.label().to_owned()));
        let streams = [("yes", "Streaming"), ("no", "Not streaming")].map(|(value, label)| (value.to_owned(), label.to_owned()));
        vec![
            has_projects.then(|| self.choice("project", "Project", "Every project", projects)).into_any(),
            self.choice("key", "Key", "Every key", keys),
            self.choice("model", "Model", "Every model", models),
            self.choice("status", "Status", "Every status", outcomes.into()),
            self.choice("stream", "Streaming", "Both", streams.into()),
        ]
    }

    /// By what its client says of it.
    fn said(&self) -> Vec<AnyView> {
        let FilterChoices { clients, end_users, tags, .. } = self.choices;
        let has_clients = !clients.is_empty() || self.is_asked("client");
        let clients = clients.iter().map(|client| (client.to_string(), client.to_string())).collect();
        let values: BTreeSet<_> = tags.iter().flat_map(|(_, values)| values).collect();
        vec![
            has_clients.then(|| self.choice("client", "Client", "Every client", clients)).into_any(),
            self.text("user", "End user", end_users.iter().map(ToString::to_string).collect()),
            // A conversation's is found on a receipt, but people name runs themselves.
            self.text("session", "Session", vec![]),
            self.text("tag", "Tag", tags.iter().map(|(name, _)| name.to_string()).collect()),
            self.text("value", "Tag value", values.into_iter().map(ToString::to_string).collect()),
        ]
    }

    fn choice(&self, name: &'static str, label: &'static str, any: &str, options: Vec<(String, String)>) -> AnyView {
        let options = std::iter::once((String::new(), any.to_owned())).chain(options).collect();
        choice(self.form, name, label, options, &self.in_force(name))
    }

    fn text(&self, name: &'static str, label: &'static str, known: Vec<String>) -> AnyView {
        Field::filter(name, label, known).initial(self.in_force(name)).view(self.form)
    }

    /// Whether the address says something of this.
    fn is_asked(&self, name: &str) -> bool {
        !self.form.typed(name).unwrap_or(&self.in_force(name)).is_empty()
    }

    /// What the filter says of this; nothing if any will do.
    fn in_force(&self, name: &str) -> String {
        pairs(self.filter).into_iter().find(|(own, _)| own == name).map(|(_, value)| value).unwrap_or_default()
    }
}

/// How many filters are in force.
fn active(filter: &CallFilter) -> usize {
    let CallFilter { period: _, project, key, model, outcome, stream, client, end_user, session, tag } = filter;
    let are_set = [
        project.is_some(),
        key.is_some(),
        model.is_some(),
        outcome.is_some(),
        stream.is_some(),
        client.is_some(),
        end_user.is_some(),
        session.is_some(),
        tag.is_some(),
    ];
    are_set.into_iter().filter(|is_set| *is_set).count()
}

fn hiddens(pairs: Vec<(Cow<'static, str>, String)>) -> AnyView {
    pairs.into_iter().map(|(name, value)| hidden(name, value)).collect_view().into_any()
}

/// The parameters that say what this filter says.
fn pairs(filter: &CallFilter) -> Vec<(Cow<'static, str>, String)> {
    form_urlencoded::parse(filter.to_query().as_bytes()).map(|(name, value)| (name.into_owned().into(), value.into_owned())).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{account::Project, attribution::Label, id::ProjectId};

    use super::*;
    use crate::parts::form::Problem;

    fn label(text: &str) -> Label {
        text.parse().unwrap()
    }

    fn project(name: &str, number: u8) -> Project {
        let created_at = "2026-11-23T10:04:05Z".parse().unwrap();
        Project { id: ProjectId::new(created_at, [number; 10]), name: name.to_owned(), created_at }
    }

    fn some() -> FilterChoices {
        FilterChoices {
            projects: vec![project("Default", 1), project("Research", 2)],
            clients: vec![label("curl 8")],
            end_users: vec![label("user-17")],
            tags: vec![(label("env"), vec![label("blue"), label("green")]), (label("team"), vec![label("blue")])],
            ..FilterChoices::default()
        }
    }

    fn draw(query: &str, form: &Form, choices: &FilterChoices) -> String {
        let filter = CallFilter::from_query(query).unwrap();
        let href = |filter: &CallFilter| filter.to_query();
        let bar = FilterBar { path: "/calls".to_owned(), filter: &filter, form, choices, kept: vec![], href: &href };
        Owner::new().with(|| bar.view().to_html())
    }

    fn html(query: &str, choices: &FilterChoices) -> String {
        draw(query, &Form::default(), choices)
    }

    #[test]
    fn what_there_is_nothing_to_choose_from_is_no_field() {
        let plain = html("", &FilterChoices { projects: vec![project("Default", 1)], ..FilterChoices::default() });
        for name in ["project", "client"] {
            assert!(!plain.contains(&format!(r#"name="{name}""#)), "{name}: {plain}");
        }
        for name in ["user", "session", "tag", "value"] {
            assert!(plain.contains(&format!(r#"name="{name}""#)), "{name}: {plain}");
        }
        assert!(!plain.contains("<datalist"), "{plain}");
        let some = html("", &some());
        assert!(some.contains("Every project") && some.contains("Research") && some.contains(r#"<option value="curl 8""#), "{some}");
        assert_eq!(some.matches(r#"value="blue""#).count(), 1, "one value of two tags: {some}");
    }

    #[test]
    fn what_is_asked_for_is_a_field_whether_or_not_it_is_offered() {
        let id = project("", 7).id;
        let html = html(&format!("project={id}&client=gone&session=s-1&user=a&tag=t&value=v"), &FilterChoices::default());
        assert!(html.contains(&format!(r#"<option value="{id}" selected"#)) && html.contains(r#"<option value="gone" selected"#), "{html}");
        for (name, value) in [("session", "s-1"), ("user", "a"), ("tag", "t"), ("value", "v")] {
            let field = html.split("<input").find(|input| input.contains(&format!(r#"id="field-{name}""#))).unwrap();
            assert!(field.split('>').next().unwrap().contains(&format!(r#"value="{value}""#)), "{name}: {html}");
        }
        assert!(html.contains("Filters (5)"), "a tag and its value are one: {html}");
    }

    #[test]
    fn every_filter_has_a_field_and_counts() {
        let id = project("", 7).id;
        let query = format!("key={id}&model=m&status=ok&stream=yes&project={id}&user=u&session=s&client=c&tag=t&value=v");
        let html = html(&query, &some());
        for name in NARROWING {
            assert!(html.contains(&format!(r#"id="field-{name}""#)), "{name}: {html}");
        }
        assert!(html.contains("Filters (9)"), "{html}");
    }

    #[test]
    fn what_is_wrong_unfolds_the_filters_and_stands_at_its_field() {
        for name in NARROWING {
            let problem = Problem { field: name.to_owned(), message: "Is not so.".to_owned() };
            let form = Form { typed: [(name.to_owned(), "x".to_owned())].into(), problem: Some(problem), ..Form::default() };
            let html = draw("", &form, &FilterChoices::default());
            let (_, filters) = html.split_once("Custom range").unwrap();
            assert!(filters.contains("<details open"), "{name}: {html}");
            assert!(filters.contains(&format!(r#"id="field-{name}-problem""#)), "{name}: {html}");
        }
    }

    #[test]
    fn no_two_fields_share_an_id() {
        let html = html("session=s", &some());
        let ids: Vec<_> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    }
}
