//! What a person chose to see, and the query string that says so. Reload, share and Back depend on the two being the same thing.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    attribution::{Label, LabelError},
    call::Outcome,
    id::{CallId, KeyId, ProjectId},
    period::{Period, Range, Step},
};

/// Bars that a chart can still show; more is a request for a longer step.
pub const STEPS_MAX: usize = 200;

/// A query string that asks for something that does not exist. The message is for the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FilterError {
    /// The parameter at fault.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub problem: String,
}

/// Which tags: those of a name, with this value or with any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagFilter {
    /// The name.
    pub name: Label,
    /// The value.
    pub value: Option<Label>,
}

/// Which calls: shared by the usage page and the call log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFilter {
    /// When they were admitted.
    pub period: Period,
    /// By one key only.
    pub key: Option<KeyId>,
    /// Of one model only.
    pub model: Option<String>,
    /// Of one outcome only.
    pub outcome: Option<Outcome>,
    /// Only streaming, or only not.
    pub stream: Option<bool>,
    /// Of one project only: that of their keys when they were made.
    pub project: Option<ProjectId>,
    /// Only those that the client made for this person or system.
    pub end_user: Option<Label>,
    /// Only those of this run.
    pub session: Option<Label>,
    /// Only those made by this software.
    pub client: Option<Label>,
    /// Only those that bear this tag.
    pub tag: Option<TagFilter>,
}

impl Default for CallFilter {
    fn default() -> Self {
        Self {
            period: Period::Last30Days,
            key: None,
            model: None,
            outcome: None,
            stream: None,
            project: None,
            end_user: None,
            session: None,
            client: None,
            tag: None,
        }
    }
}

/// What the bars of the usage chart are split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// One part per model.
    #[default]
    Model,
    /// One part per key.
    Key,
    /// One part per project.
    Project,
    /// Not split.
    None,
}

impl GroupBy {
    /// Every grouping, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Model, Self::Key, Self::Project, Self::None];

    /// Its name in a query string.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Key => "key",
            Self::Project => "project",
            Self::None => "none",
        }
    }
}

/// The usage page's choice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageFilter {
    /// Which calls.
    pub calls: CallFilter,
    /// How long a bar is; `None` lets the range decide.
    pub step: Option<Step>,
    /// What bars are split by.
    pub group: GroupBy,
}

impl UsageFilter {
    /// The step to draw: the chosen one, else hours up to two days, days up to a quarter, months beyond.
    #[must_use]
    pub fn step_for(&self, range: Range) -> Step {
        self.step.unwrap_or(match (range.to - range.from).num_days() {
            ..=2 => Step::Hour,
            3..=93 => Step::Day,
            _ => Step::Month,
        })
    }

    /// Reads a query string. What it does not say has its default; unknown parameters are not ours and are left alone.
    ///
    /// # Errors
    /// [`FilterError`] for a value that means nothing, a range that ends before it begins, or more bars than a chart can show.
    pub fn from_query(query: &str) -> Result<Self, FilterError> {
        let mut filter = Self { calls: CallFilter::from_query(query)?, ..Self::default() };
        for (name, value) in pairs(query) {
            match name.as_ref() {
                "step" => filter.step = Some(one_of("step", &value, &Step::ALL, Step::name)?),
                "group" => filter.group = one_of("group", &value, &GroupBy::ALL, GroupBy::name)?,
                _ => {}
            }
        }
        // A calendar month more or less changes no verdict, so any instant serves to resolve the presets.
        let range = filter.calls.period.range(DateTime::<Utc>::UNIX_EPOCH + chrono::TimeDelta::days(365));
        if range.steps(filter.step_for(range)).nth(STEPS_MAX).is_some() {
            return Err(problem("step", "this range has too many bars: choose a longer step"));
        }
        Ok(filter)
    }

    /// The query string of this choice, without a `?`; defaults are left out, so that the plain page has a plain address.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(self.calls.to_query());
        if let Some(step) = self.step {
            query.append_pair("step", step.name());
        }
        if self.group != GroupBy::default() {
            query.append_pair("group", self.group.name());
        }
        query.finish()
    }
}

impl CallFilter {
    /// Reads a query string, see [`UsageFilter::from_query`].
    ///
    /// # Errors
    /// [`FilterError`] for a value that means nothing or a range that ends before it begins.
    pub fn from_query(query: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        let (mut from, mut to, mut preset, mut custom) = (None, None, false, false);
        let (mut tag, mut tag_value) = (None, None);
        for (name, value) in pairs(query) {
            match name.as_ref() {
                "range" if value == "custom" => custom = true,
                "range" => {
                    filter.period = one_of("range", &value, &Period::PRESETS, Period::name)?;
                    preset = true;
                }
                "from" => from = Some(date("from", &value)?),
                "to" => to = Some(date("to", &value)?),
                "key" => filter.key = Some(value.parse().map_err(|_| problem("key", "is not the id of a key"))?),
                "model" => filter.model = Some(value.into_owned()),
                "status" => filter.outcome = Some(one_of("status", &value, &Outcome::ALL, Outcome::name)?),
                "stream" => filter.stream = Some(yes_no("stream", &value)?),
                "project" => filter.project = Some(value.parse().map_err(|_| problem("project", "is not the id of a project"))?),
                "user" => filter.end_user = Some(label("user", &value)?),
                "session" => filter.session = Some(label("session", &value)?),
                "client" => filter.client = Some(label("client", &value)?),
                "tag" => tag = Some(label("tag", &value)?),
                "value" => tag_value = Some(label("value", &value)?),
                _ => {}
            }
        }
        // Days mean themselves, also where nobody wrote `range=custom` before them.
        if custom || (!preset && (from.is_some() || to.is_some())) {
            filter.period = custom_period(from, to)?;
        }
        filter.tag = match (tag, tag_value) {
            (None, Some(_)) => return Err(problem("tag", "name the tag whose value this is")),
            (name, value) => name.map(|name| TagFilter { name, value }),
        };
        Ok(filter)
    }

    /// The query string of this choice, see [`UsageFilter::to_query`].
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if self.period != Self::default().period {
            query.append_pair("range", self.period.name());
        }
        if let Period::Custom { from, to } = self.period {
            query.append_pair("from", &from.to_string()).append_pair("to", &to.to_string());
        }
        if let Some(key) = self.key {
            query.append_pair("key", &key.to_string());
        }
        if let Some(model) = &self.model {
            query.append_pair("model", model);
        }
        if let Some(outcome) = self.outcome {
            query.append_pair("status", outcome.name());
        }
        if let Some(stream) = self.stream {
            query.append_pair("stream", if stream { "yes" } else { "no" });
        }
        if let Some(project) = self.project {
            query.append_pair("project", &project.to_string());
        }
        for (name, label) in [("user", &self.end_user), ("session", &self.session), ("client", &self.client)] {
            if let Some(label) = label {
                query.append_pair(name, label.as_str());
            }
        }
        if let Some(TagFilter { name, value }) = &self.tag {
            query.append_pair("tag", name.as_str());
            if let Some(value) = value {
                query.append_pair("value", value.as_str());
            }
        }
        query.finish()
    }

    /// Whether it asks for a part of the period's calls only.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        *self != Self { period: self.period, ..Self::default() }
    }
}

/// Where a page of the call log begins: after this call, going back in time. In the query string it is `before=<id>`.
///
/// # Errors
/// [`FilterError`] when the id is none of ours.
pub fn cursor_from_query(query: &str) -> Result<Option<CallId>, FilterError> {
    pairs(query)
        .find(|(name, _)| name == "before")
        .map(|(_, value)| {
            // An id without a time in it is no call's, and would begin nowhere.
            let call = value.parse::<CallId>().ok().filter(|call| call.started_at().is_some());
            call.ok_or_else(|| problem("before", "is not the id of a call: start again from the first page"))
        })
        .transpose()
}

/// An empty value is what a form sends for "any".
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)> {
    form_urlencoded::parse(query.trim_start_matches('?').as_bytes()).filter(|(_, value)| !value.is_empty())
}

pub(crate) fn problem(field: &'static str, problem: &str) -> FilterError {
    FilterError { field, problem: problem.to_owned() }
}

pub(crate) fn one_of<T: Copy>(field: &'static str, value: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, FilterError> {
    all.iter().copied().find(|item| name(*item) == value).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|item| name(*item)).collect();
        problem(field, &format!("\"{value}\" is not one of {}", names.join(", ")))
    })
}

fn yes_no(field: &'static str, value: &str) -> Result<bool, FilterError> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(problem(field, "is yes or no")),
    }
}

fn label(field: &'static str, value: &str) -> Result<Label, FilterError> {
    value.parse().map_err(|error: LabelError| problem(field, &error.to_string()))
}

pub(crate) fn date(field: &'static str, value: &str) -> Result<NaiveDate, FilterError> {
    // Years of four digits: what a date field sends, and what Postgres and the pages can show.
    let date = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok().filter(|_| value.len() == 10);
    date.ok_or_else(|| problem(field, &format!("\"{value}\" is not a date: write it like 2026-01-31")))
}

fn custom_period(from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<Period, FilterError> {
    let from = from.ok_or_else(|| problem("from", "choose the first day"))?;
    let to = to.ok_or_else(|| problem("to", "choose the last day"))?;
    if to < from {
        return Err(problem("to", "the last day is before the first"));
    }
    Ok(Period::Custom { from, to })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn any_period() -> impl Strategy<Value = Period> {
        let custom = (0_i32..10_000, 0_i32..60).prop_map(|(start, days)| {
            let from = NaiveDate::from_num_days_from_ce_opt(735_000 + start).unwrap();
            Period::Custom { from, to: from + chrono::Days::new(u64::try_from(days).unwrap()) }
        });
        prop_oneof![prop::sample::select(Period::PRESETS.to_vec()), custom]
    }

    fn any_label() -> impl Strategy<Value = Label> {
        "(?s).{1,40}".prop_filter_map("what cannot be a label", |text| Label::clipped(&text))
    }

    fn any_filter() -> impl Strategy<Value = UsageFilter> {
        let calls = (
            any_period(),
            prop::option::of(any::<u128>().prop_map(|bits| KeyId::from_uuid(uuid::Uuid::from_u128(bits)))),
            prop::option::of(".{1,40}"),
            prop::option::of(prop::sample::select(Outcome::ALL.to_vec())),
            prop::option::of(any::<bool>()),
            prop::option::of(any::<u128>().prop_map(|bits| ProjectId::from_uuid(uuid::Uuid::from_u128(bits)))),
            prop::array::uniform3(prop::option::of(any_label())),
            prop::option::of((any_label(), prop::option::of(any_label())).prop_map(|(name, value)| TagFilter { name, value })),
        )
            .prop_map(|(period, key, model, outcome, stream, project, [end_user, session, client], tag)| CallFilter {
                period,
                key,
                model,
                outcome,
                stream,
                project,
                end_user,
                session,
                client,
                tag,
            });
        let step = prop::option::of(prop::sample::select(vec![Step::Day, Step::Month]));
        (calls, step, prop::sample::select(GroupBy::ALL.to_vec())).prop_map(|(calls, step, group)| UsageFilter { calls, step, group })
    }

    proptest! {
        #[test]
        fn a_filter_survives_its_own_query(filter in any_filter()) {
            prop_assert_eq!(UsageFilter::from_query(&filter.to_query()), Ok(filter));
        }
    }

    #[test]
    fn the_default_has_an_empty_query() {
        assert_eq!(UsageFilter::default().to_query(), "");
        assert_eq!(UsageFilter::from_query("?model=&status=&utm_source=mail"), Ok(UsageFilter::default()));
    }

    #[test]
    fn what_means_nothing_is_named() {
        for (query, field) in [
            ("range=yesterday", "range"),
            ("range=custom&from=2026-02-30&to=2026-03-01", "from"),
            ("range=custom&from=2026-03-02&to=2026-03-01", "to"),
            ("from=2026-03-02&to=2026-03-01", "to"),
            ("range=custom&to=2026-03-01", "from"),
            ("range=custom&from=2020-01-01&to=2026-01-01&step=hour", "step"),
            ("key=mine", "key"),
            ("status=fine", "status"),
            ("stream=maybe", "stream"),
            ("group=colour", "group"),
            ("project=mine", "project"),
            ("user=a%0Ab", "user"),
            ("value=red", "tag"),
        ] {
            assert_eq!(UsageFilter::from_query(query).unwrap_err().field, field, "{query}");
        }
    }
    #[test]
    fn a_page_begins_only_at_an_id_that_a_call_can_have() {
        for query in ["before=yesterday", "before=5a2b9a4e-6a0c-4f7e-9a53-1f0c3a5f2d11"] {
            assert_eq!(cursor_from_query(query).map_err(|error| error.field), Err("before"), "{query}");
        }
        assert!(cursor_from_query("before=0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f").is_ok_and(|before| before.is_some()));
    }
}
