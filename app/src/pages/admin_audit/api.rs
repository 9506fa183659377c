use domain::audit::{AuditFilter, AuditPlace};

use super::{changes::changes, page::Audit};
use crate::{
    error::ConsoleError,
    server::{Caller, filter_of},
};

/// Lines on a page.
const PAGE: i64 = 50;

/// A page of the audit log, for operators.
pub(crate) async fn audit(caller: &Caller, query: &str) -> Result<Audit, ConsoleError> {
    let operator = caller.operator().await?;
    let asked = |query: &str| AuditFilter::from_query(query).and_then(|filter| Ok((filter, AuditPlace::from_query(query)?)));
    let ((filter, before), form) = filter_of(query, asked);
    let page = operator.audit(&filter, before, PAGE).await?;
    let lines = page.lines.into_iter().map(|line| (changes(&line), line)).map(|(changes, line)| (line, changes)).collect();
    Ok(Audit { filter, form, lines, next: page.next, has_newer: before.is_some() })
}
