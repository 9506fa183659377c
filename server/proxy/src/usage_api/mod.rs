//! `/v1/organization/usage/completions` and `/v1/organization/costs`: what an account used, by hours or days, in the shape of OpenAI's administration API.
//!
//! A report key reads all of its account's figures. An API key reads its own alone: one that leaks with a client tells of nothing else. Both are asked for
//! with connections of their own, so many requests a minute, so many buckets and results a page, so that no report slows a call down.

mod answer;
mod pace;
mod query;

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::id::{AccountId, KeyId};
use http::{HeaderMap, Response, StatusCode};
use ledger::{BucketQuery, BucketRow, Ledger, Meter};
use serde::Serialize;
use tokio::time::timeout;

pub(crate) use self::query::Kind;
use self::{
    answer::{Bucket, Page},
    pace::Pace,
    query::Asked,
};
use crate::{
    Shared,
    admit::{
        auth::unavailable,
        presented::{Presented, Reader},
    },
    gateway::AnswerBody,
    reply::{self, Refusal},
};

/// Connections for reports alone.
const CONNECTIONS: u32 = 2;
/// How long reading a page may take.
const READING_TIMEOUT: Duration = Duration::from_secs(10);
/// Results of a page at most: one whose next bucket would pass that ends before it.
const RESULTS_MAX: usize = 10_000;

/// What reports are made with.
pub(crate) struct Reports {
    ledger: Ledger,
    meter: Meter,
    pace: Pace,
}

/// Whose figures are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scope {
    account: AccountId,
    /// Of one key alone.
    key: Option<KeyId>,
}

impl Reports {
    pub(crate) fn new(ledger: &Ledger) -> Self {
        let ledger = ledger.apart(CONNECTIONS);
        Self { meter: ledger.meter(), ledger, pace: Pace::default() }
    }

    pub(crate) async fn close(&self) {
        self.ledger.close().await;
    }

    /// A page of the results that were asked for, and whether buckets were left for the next one.
    async fn read(&self, scope: Scope, asked: &Asked) -> Result<(Vec<BucketRow>, DateTime<Utc>), Refusal> {
        let keys = match scope.key {
            None => asked.keys.clone(),
            // What others used is nothing to it.
            Some(own) => Some(asked.keys.as_ref().is_none_or(|keys| keys.contains(&own)).then_some(own).into_iter().collect()),
        };
        let query = BucketQuery {
            account: scope.account,
            range: asked.page(),
            step: asked.step,
            by: asked.by,
            keys,
            projects: asked.projects.clone(),
            models: asked.models.clone(),
            rows_max: i64::try_from(RESULTS_MAX + 1).unwrap_or(i64::MAX),
        };
        let reading = timeout(READING_TIMEOUT, self.meter.buckets(&query)).await;
        let rows = reading.map_err(|_| Refusal::unavailable())?.map_err(|error| unavailable(&error))?;
        whole_buckets(rows, RESULTS_MAX, query.range.to)
    }
}

/// Buckets that are whole, and where those begin that are not read yet.
fn whole_buckets(mut rows: Vec<BucketRow>, results_max: usize, end: DateTime<Utc>) -> Result<(Vec<BucketRow>, DateTime<Utc>), Refusal> {
    let Some(left) = rows.get(results_max).map(|row| row.start) else { return Ok((rows, end)) };
    rows.retain(|row| row.start < left);
    if rows.is_empty() {
        return Err(Refusal::invalid(
            "group_by",
            "one bucket has too many results: group by less, or choose some keys, projects or models",
        ));
    }
    Ok((rows, left))
}

/// Answers `GET /v1/organization/…`.
pub(crate) async fn report(shared: &Shared, kind: Kind, query: &str, headers: &HeaderMap) -> Result<Response<AnswerBody>, Refusal> {
    let now = Utc::now();
    let reports = &shared.reports;
    let scope = match Reader::by(headers)? {
        Reader::Key(key) => of_key(shared, key, now).await?,
        Reader::Report(key) => {
            let account = timeout(READING_TIMEOUT, reports.meter.account_of_report_key(&key)).await.map_err(|_| Refusal::unavailable())?;
            let account = account.map_err(|error| unavailable(&error))?;
            Scope { account: account.ok_or_else(|| Refusal::no_key("The report key is unknown, or was revoked."))?, key: None }
        }
    };
    // What cannot be read counts as well: finding that out took as long.
    reports.pace.take(scope.account)?;
    let asked = Asked::read(kind, query, now)?;
    let (rows, next) = reports.read(scope, &asked).await?;
    let mut rows = rows.into_iter().peekable();
    let buckets = asked.buckets(next).map(|span| {
        let mut own = Vec::new();
        while let Some(row) = rows.next_if(|row| row.start == span.from) {
            own.push(row);
        }
        (span, own)
    });
    let next = (next < asked.range.to).then_some(next);
    Ok(match kind {
        Kind::Usage => page(buckets.map(|(span, rows)| Bucket::of(span, rows.into_iter().map(answer::usage).collect())).collect(), next),
        Kind::Costs => {
            let currency = shared.settings.currency.to_lowercase();
            let cost = |row| answer::cost(row, &currency);
            page(buckets.map(|(span, rows)| Bucket::of(span, rows.into_iter().map(cost).collect())).collect(), next)
        }
    })
}

/// What an API key opens: its own figures.
async fn of_key(shared: &Shared, key: Presented, now: DateTime<Utc>) -> Result<Scope, Refusal> {
    let key = shared.keys.authenticate(key, now).await?;
    Ok(Scope { account: key.account_id, key: Some(key.key_id) })
}

fn page<T: Serialize>(buckets: Vec<Bucket<T>>, next: Option<DateTime<Utc>>) -> Response<AnswerBody> {
    reply::json_answer(StatusCode::OK, &Page::of(buckets, next.map(query::cursor)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::usage::Totals;

    use super::*;

    fn row(hour: i64) -> BucketRow {
        let start = DateTime::from_timestamp(hour * 3_600, 0).unwrap();
        BucketRow { start, key: None, project: None, model: None, totals: Totals::default() }
    }

    #[test]
    fn a_page_with_too_many_results_ends_before_the_bucket_that_is_not_whole() {
        let end = row(9).start;
        let whole = |hours: &[i64]| whole_buckets(hours.iter().map(|hour| row(*hour)).collect(), 3, end);
        assert_eq!(whole(&[1, 1, 2]).unwrap(), (vec![row(1), row(1), row(2)], end));
        assert_eq!(whole(&[1, 2, 2, 2]).unwrap(), (vec![row(1)], row(2).start));
        assert_eq!(whole(&[1, 2, 3, 4]).unwrap(), (vec![row(1), row(2), row(3)], row(4).start));
        assert_eq!(whole(&[1, 1, 1, 1]).unwrap_err().param.as_deref(), Some("group_by"));
    }
}
