//! The filters of the usage page and the call log: presets are links, the rest is a GET form, so that the address says what is shown.

use std::borrow::Cow;

use domain::{call::Outcome, filter::CallFilter, id::KeyId, period::Period};
use leptos::prelude::*;

use crate::parts::{
    form::{Field, Form, choice, hidden},
    tabs::{Tab, tabs},
};

/// The filters of one page.
pub(crate) struct FilterBar<'a> {
    /// Where the page is.
    pub(crate) path: &'static str,
    /// What is shown.
    pub(crate) filter: &'a CallFilter,
    /// What was asked for and could not be understood.
    pub(crate) form: &'a Form,
    /// The account's keys.
    pub(crate) keys: &'a [(KeyId, String)],
    /// The models it called.
    pub(crate) models: &'a [String],
    /// Parameters of the page's own, which the forms keep.
    pub(crate) kept: Vec<(&'static str, String)>,
    /// The page with another filter.
    pub(crate) href: &'a dyn Fn(&CallFilter) -> String,
}

impl FilterBar<'_> {
    /// The bar.
    pub(crate) fn view(self) -> AnyView {
        let active = [self.filter.key.is_some(), self.filter.model.is_some(), self.filter.outcome.is_some(), self.filter.stream.is_some()];
        let active = active.into_iter().filter(|active| *active).count();
        let at = |fields: &[&str]| self.form.problem.as_ref().is_some_and(|problem| fields.contains(&problem.field.as_str()));
        let is_custom = matches!(self.filter.period, Period::Custom { .. }) || at(&["from", "to"]);
        let is_filtered = active > 0 || at(&["key", "model", "status", "stream"]);
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
        let mut kept = self.kept(|name| name != "step");
        kept.push(("range".into(), "custom".to_owned()));
        kept.extend(pairs(&CallFilter { period: CallFilter::default().period, ..self.filter.clone() }));
        view! {
            <form class="row-form" method="get" action=self.path>
                {hiddens(kept)}
                {Field::new("date", "from", "First day").initial(from).required().view(self.form)}
                {Field::new("date", "to", "Last day").initial(to).required().view(self.form)}
                <button>"Show range"</button>
            </form>
        }
        .into_any()
    }

    fn filters(&self, can_clear: bool) -> AnyView {
        let filter = self.filter;
        let any = |label: &str| (String::new(), label.to_owned());
        let keys = self.keys.iter().map(|(id, name)| (id.to_string(), name.clone()));
        let models = self.models.iter().map(|model| (model.clone(), model.clone()));
        let outcomes = Outcome::ALL.into_iter().map(|outcome| (outcome.name().to_owned(), outcome.label().to_owned()));
        let streams = [("yes", "Streaming"), ("no", "Not streaming")].map(|(value, label)| (value.to_owned(), label.to_owned()));
        let key = filter.key.map(|key| key.to_string()).unwrap_or_default();
        let stream = filter.stream.map_or("", |stream| if stream { "yes" } else { "no" });
        let mut kept = self.kept(|_| true);
        kept.extend(pairs(&CallFilter { period: filter.period, ..CallFilter::default() }));
        let clear = (self.href)(&CallFilter { period: filter.period, ..CallFilter::default() });
        view! {
            <form class="row-form" method="get" action=self.path>
                {hiddens(kept)}
                {choice(self.form, "key", "Key", std::iter::once(any("Every key")).chain(keys).collect(), &key)}
                {choice(self.form, "model", "Model", std::iter::once(any("Every model")).chain(models).collect(), filter.model.as_deref().unwrap_or_default())}
                {choice(self.form, "status", "Status", std::iter::once(any("Every status")).chain(outcomes).collect(), filter.outcome.map_or("", Outcome::name))}
                {choice(self.form, "stream", "Streaming", std::iter::once(any("Both")).chain(streams).collect(), stream)}
                <button>"Apply"</button>
                {can_clear.then(|| view! { <a href=clear>"Clear"</a> })}
            </form>
        }
        .into_any()
    }
}

fn hiddens(pairs: Vec<(Cow<'static, str>, String)>) -> AnyView {
    pairs.into_iter().map(|(name, value)| hidden(name, value)).collect_view().into_any()
}

/// The parameters that say what this filter says.
fn pairs(filter: &CallFilter) -> Vec<(Cow<'static, str>, String)> {
    form_urlencoded::parse(filter.to_query().as_bytes()).map(|(name, value)| (name.into_owned().into(), value.into_owned())).collect()
}
