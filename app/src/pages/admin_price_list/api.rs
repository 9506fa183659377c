use super::page::ListPage;
use crate::{
    error::ConsoleError,
    server::{Caller, FormAnswer, parameter},
};

/// The form that takes a list, and what a list that was just sent comes to, for operators.
pub(crate) async fn page(caller: &Caller, query: &str) -> Result<ListPage, ConsoleError> {
    caller.operator().await?;
    let review = FormAnswer::here().and_then(|answer| answer.list_review);
    let published = parameter(query, "published").and_then(|count| count.parse().ok());
    Ok(ListPage { form: caller.form(), review, published })
}
