use domain::filter::UsageFilter;

use super::page::{Measure, Usage};
use crate::{
    error::ConsoleError,
    server::{Caller, filter_or_default, parameter},
};

/// The usage of the caller's account.
pub(crate) async fn usage(caller: &Caller, query: &str) -> Result<Usage, ConsoleError> {
    let reader = caller.reader().await?;
    let (filter, form) = filter_or_default(UsageFilter::from_query(query), query);
    let measure = Measure::named(&parameter(query, "show").unwrap_or_default());
    let report = reader.usage(&filter, caller.visitor.now).await?;
    Ok(Usage { filter, measure, form, report })
}
