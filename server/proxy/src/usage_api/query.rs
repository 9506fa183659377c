//! What a report is asked for. What is not understood is refused rather than left out: figures of more than was asked for would be wrong.

use std::{borrow::Cow, str::FromStr};

use chrono::{DateTime, Utc};
use domain::{
    id::{KeyId, ProjectId},
    period::{Range, Step},
    usage::Dimensions,
};

use crate::reply::{Refusal, shown};

/// Values of a filter at most.
const VALUES_MAX: usize = 100;
/// What a cursor begins with, as OpenAI's do.
const CURSOR: &str = "page_";

/// Which report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Tokens and requests.
    Usage,
    /// Money.
    Costs,
}

impl Kind {
    /// What the model is called among what results are told apart by.
    const fn model(self) -> &'static str {
        match self {
            Self::Usage => "model",
            Self::Costs => "line_item",
        }
    }

    /// Buckets of a page: unless it is said, and at most.
    const fn limits(self, step: Step) -> (usize, usize) {
        match (self, step) {
            (_, Step::Hour) => (24, 168),
            (Self::Usage, _) => (7, 31),
            (Self::Costs, _) => (7, 180),
        }
    }
}

/// A report that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// From the first bucket to the end of the last one.
    pub(super) range: Range,
    /// How long a bucket is.
    pub(super) step: Step,
    /// What results are told apart by.
    pub(super) by: Dimensions,
    /// Only what these keys used.
    pub(super) keys: Option<Vec<KeyId>>,
    /// Only what was used in these projects.
    pub(super) projects: Option<Vec<ProjectId>>,
    /// Only what was used of these models.
    pub(super) models: Option<Vec<String>>,
    /// Buckets of a page.
    limit: usize,
    /// The first bucket of this page.
    from: DateTime<Utc>,
}

impl Asked {
    /// Reads a query string.
    pub(super) fn read(kind: Kind, query: &str, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let given = Given::read(query)?;
        let step = match given.width.as_deref() {
            None | Some("1d") => Step::Day,
            Some("1h") => Step::Hour,
            Some("1m") => {
                return Err(Refusal::invalid(
                    "bucket_width",
                    "usage is kept by the hour and by the day, not by the minute: choose 1h or 1d",
                ));
            }
            Some(other) => return Err(Refusal::invalid("bucket_width", &format!("\"{}\" is not one of 1h, 1d", shown(other)))),
        };
        let start = given.start.ok_or_else(|| Refusal::invalid("start_time", "say from when, in Unix seconds: start_time=1730419200"))?;
        let start = instant("start_time", &start)?;
        let end = given.end.map_or(Ok(now), |end| instant("end_time", &end))?;
        if end <= start {
            return Err(Refusal::invalid("end_time", "the end is not after the start, which must be in the past"));
        }
        // Buckets are whole, and none is later than this one: what has not been is not used.
        let last = step.next(step.floor(now));
        let to = step.floor(end);
        let range = Range { from: step.floor(start), to: if to < end { step.next(to) } else { to }.min(last) };
        let from = given.page.map_or(Ok(range.from), |page| place(&page, range, step))?;
        Ok(Self {
            range,
            step,
            by: dimensions(kind, &given.group)?,
            keys: ids("api_key_ids", given.keys, "an API key")?,
            projects: ids("project_ids", given.projects, "a project")?,
            models: some("models", given.models)?,
            limit: limit(given.limit.as_deref(), kind.limits(step))?,
            from,
        })
    }

    /// What this page is of.
    pub(super) fn page(&self) -> Range {
        let mut starts = Range { from: self.from, ..self.range }.steps(self.step);
        Range { from: self.from, to: starts.nth(self.limit).unwrap_or(self.range.to).min(self.range.to) }
    }

    /// The page's buckets up to an instant.
    pub(super) fn buckets(&self, to: DateTime<Utc>) -> impl Iterator<Item = Range> {
        let step = self.step;
        Range { to, ..self.page() }.steps(step).map(move |from| Range { from, to: step.next(from) })
    }
}

/// Where the page begins that has not been read yet.
pub(super) fn cursor(next: DateTime<Utc>) -> String {
    format!("{CURSOR}{}", next.timestamp())
}

fn place(page: &str, range: Range, step: Step) -> Result<DateTime<Utc>, Refusal> {
    let at = page.strip_prefix(CURSOR).and_then(|seconds| DateTime::from_timestamp(seconds.parse().ok()?, 0));
    at.filter(|at| step.floor(*at) == *at && range.from <= *at && *at < range.to).ok_or_else(|| {
        Refusal::invalid("page", "is no next_page of this report: send it with the parameters of the page before, or begin without it")
    })
}

/// What is written in a query string. OpenAI's clients write a list as `models=a&models=b`, others as `models[]=a&models[]=b`.
#[derive(Debug, Default)]
struct Given {
    start: Option<String>,
    end: Option<String>,
    width: Option<String>,
    limit: Option<String>,
    page: Option<String>,
    group: Vec<String>,
    keys: Vec<String>,
    projects: Vec<String>,
    models: Vec<String>,
}

impl Given {
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut given = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.strip_suffix("[]").unwrap_or(&name) {
                "start_time" => once("start_time", &mut given.start, value)?,
                "end_time" => once("end_time", &mut given.end, value)?,
                "bucket_width" => once("bucket_width", &mut given.width, value)?,
                "limit" => once("limit", &mut given.limit, value)?,
                "page" => once("page", &mut given.page, value)?,
                "group_by" => given.group.push(value),
                "api_key_ids" => given.keys.push(value),
                "project_ids" => given.projects.push(value),
                "models" => given.models.push(value),
                _ => return Err(unknown(&name)),
            }
        }
        Ok(given)
    }
}

fn once(name: &'static str, place: &mut Option<String>, value: String) -> Result<(), Refusal> {
    if place.replace(value).is_some() {
        return Err(Refusal::invalid(name, "is given twice"));
    }
    Ok(())
}

fn unknown(name: &str) -> Refusal {
    let known = "start_time, end_time, bucket_width, group_by, api_key_ids, project_ids, models, limit, page";
    let problem = format!("\"{}\" is not known here, and usage is not kept by it. There are {known}", shown(name));
    Refusal { param: Some(Cow::Owned(shown(name).to_owned())), ..Refusal::invalid("", &problem) }
}

fn instant(name: &'static str, text: &str) -> Result<DateTime<Utc>, Refusal> {
    /// The first instant after the year 9999, which Postgres and the pages can still show.
    const AFTER: i64 = 253_402_300_800;
    let seconds = text.parse().ok().filter(|seconds| (0..AFTER).contains(seconds));
    seconds
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or_else(|| Refusal::invalid(name, &format!("\"{}\" is no time in whole Unix seconds, such as 1730419200", shown(text))))
}

fn limit(text: Option<&str>, (usual, most): (usize, usize)) -> Result<usize, Refusal> {
    let Some(text) = text else { return Ok(usual) };
    let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| Refusal::invalid("limit", &format!("\"{}\" is not from 1 to {most}, the buckets of a page", shown(text))))
}

fn dimensions(kind: Kind, names: &[String]) -> Result<Dimensions, Refusal> {
    let mut by = Dimensions::default();
    for name in names {
        match name.as_str() {
            "api_key_id" => by.key = true,
            "project_id" => by.project = true,
            name if name == kind.model() => by.model = true,
            other => {
                let problem = format!("\"{}\" is not one of api_key_id, project_id, {}", shown(other), kind.model());
                return Err(Refusal::invalid("group_by", &problem));
            }
        }
    }
    Ok(by)
}

fn some(name: &'static str, values: Vec<String>) -> Result<Option<Vec<String>>, Refusal> {
    if values.len() > VALUES_MAX {
        return Err(Refusal::invalid(name, &format!("has more than {VALUES_MAX} values")));
    }
    // PostgreSQL takes no NUL in a text, and nothing that is kept has any of the others in its name.
    if values.iter().any(|value| value.contains(char::is_control)) {
        return Err(Refusal::invalid(name, "has a control character, which no id and no model's name has"));
    }
    Ok((!values.is_empty()).then_some(values))
}

fn ids<T: FromStr>(name: &'static str, values: Vec<String>, of: &str) -> Result<Option<Vec<T>>, Refusal> {
    let id = |text: &String| text.parse().map_err(|_| Refusal::invalid(name, &format!("\"{}\" is not the id of {of}", shown(text))));
    some(name, values)?.map(|values| values.iter().map(id).collect()).transpose()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-03-01T13:45:00Z".parse().unwrap()
    }

    fn read(query: &str) -> Result<Asked, Refusal> {
        Asked::read(Kind::Usage, query, now())
    }

    #[test]
    fn buckets_are_whole_and_end_with_the_one_that_runs() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let from = at("2026-02-28T23:10:00Z").timestamp();
        let asked = read(&format!("start_time={from}&bucket_width=1h&group_by[]=model&group_by=api_key_id")).unwrap();
        assert_eq!((asked.range.from, asked.range.to), (at("2026-02-28T23:00:00Z"), at("2026-03-01T14:00:00Z")));
        assert_eq!(asked.by, Dimensions { key: true, model: true, project: false });
        let asked = read(&format!("start_time={from}&end_time=253402300799")).unwrap();
        assert_eq!(
            (asked.range.from, asked.range.to),
            (at("2026-02-28T00:00:00Z"), at("2026-03-02T00:00:00Z")),
            "and none that is to come"
        );
        let asked = read(&format!("start_time={from}&end_time={}", at("2026-03-01T00:00:00Z").timestamp())).unwrap();
        assert_eq!(asked.range.to, at("2026-03-01T00:00:00Z"), "an end at the end of a bucket is its end");
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let day = now().timestamp() - 86_400;
        let ids: String = (0..101).map(|number| format!("&models={number}")).collect();
        for (rest, param) in [
            ("&bucket_width=1m", "bucket_width"),
            ("&bucket_width=1w", "bucket_width"),
            ("&end_time=1", "end_time"),
            ("&end_time=tomorrow", "end_time"),
            ("&limit=0", "limit"),
            ("&limit=32", "limit"),
            ("&limit=seven", "limit"),
            ("&group_by=user_id", "group_by"),
            ("&group_by=line_item", "group_by"),
            ("&api_key_ids=mine", "api_key_ids"),
            ("&project_ids[]=", "project_ids"),
            ("&user_ids=a", "user_ids"),
            ("&batch=true", "batch"),
            ("&page=page_1", "page"),
            ("&page=2", "page"),
            ("&limit=1&limit=2", "limit"),
            (&ids, "models"),
            ("&models[]=gpt%00", "models"),
            ("&models=one&models=t%1Bwo", "models"),
            ("&models=%C2%85", "models"),
            ("&project_ids[]=%00", "project_ids"),
            ("&api_key_ids=%0A", "api_key_ids"),
        ] {
            let refused = read(&format!("start_time={day}{rest}")).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(param), "{rest}: {}", refused.message);
        }
        for (query, param) in [
            ("", "start_time"),
            ("start_time=1e9", "start_time"),
            ("start_time=-1", "start_time"),
            ("start_time=253402300800", "start_time"),
        ] {
            assert_eq!(read(query).unwrap_err().param.as_deref(), Some(param), "{query}");
        }
        assert_eq!(read("start_time=1900000000").unwrap_err().param.as_deref(), Some("end_time"), "what is to come");
        assert!(Asked::read(Kind::Costs, &format!("start_time={day}&limit=180&group_by=line_item"), now()).is_ok());
        assert!(read(&format!("start_time={day}&models=M%C3%BCller%20%2F%20%E6%9D%B1%E4%BA%AC")).is_ok(), "letters of any script");
    }

    proptest! {
        /// However many buckets a page has, following the cursors meets each bucket of the range once, in order.
        #[test]
        fn pages_meet_every_bucket_once(hours in 1..400_i64, limit in 1..32_usize, width in prop::sample::select(vec!["1h", "1d"])) {
            let (start, step) = (now().timestamp() - hours * 3_600, if width == "1h" { Step::Hour } else { Step::Day });
            let (mut met, mut page) = (Vec::new(), String::new());
            loop {
                let asked = read(&format!("start_time={start}&bucket_width={width}&limit={limit}{page}")).unwrap();
                let to = asked.page().to;
                met.extend(asked.buckets(to).map(|bucket| bucket.from));
                prop_assert!(asked.buckets(to).count() <= limit);
                page = format!("&page={}", cursor(to));
                if to == asked.range.to {
                    let every: Vec<_> = asked.range.steps(step).collect();
                    prop_assert_eq!(met, every);
                    break;
                }
            }
        }
    }
}
