use domain::{billing::GrantKind, id::AccountId, money::Amount};
use http::StatusCode;
use ledger::JournalSlice;

use super::{
    draft,
    fields::{ALL, LENT, REVIEW, SEEN},
    page::AccountSettings,
};
use crate::{
    error::ConsoleError,
    parts::form::Problem,
    server::{Caller, FormAnswer, page_status, parameter, sentence, typed_form},
};

/// How a customer's calls are paid, for operators.
pub(crate) async fn settings(caller: &Caller, id: &str, query: &str) -> Result<AccountSettings, ConsoleError> {
    let (operator, now) = (caller.operator().await?, caller.visitor.now);
    let account: AccountId = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let customer = operator.customer(account, now).await?;
    let balance = operator.customer_statement(account, JournalSlice::newest(1), now).await?.balance;
    let wallet = balance
        .grants
        .iter()
        .find(|grant| grant.kind == GrantKind::Wallet)
        .map_or(Amount::ZERO, |grant| Amount::from_nanos(grant.balance.get()));
    let (line, next_grace) = (operator.credit_line(account).await?, operator.next_grace(account, now).await?);
    let (mut form, mut review) = (caller.form(), None);
    if FormAnswer::here().is_none() {
        let typed = |field: &str| parameter(query, field);
        form.typed = typed_form(query, &ALL, REVIEW);
        form.typed.extend(typed(SEEN).map(|seen| (SEEN.to_owned(), seen)));
        if typed(REVIEW).is_some() {
            let read = draft::read(|field| typed(field).unwrap_or_default());
            let reviewed = match read {
                Ok(asked) => operator.review_credit_line(account, caller.actor()?, asked).await.map(|()| asked).map_err(problem),
                Err(problem) => Err(Ok(problem)),
            };
            match reviewed {
                Ok(asked) => review = Some(asked),
                Err(problem) => {
                    form.problem = Some(problem?);
                    page_status(StatusCode::UNPROCESSABLE_ENTITY);
                }
            }
        }
    }
    Ok(AccountSettings { customer, wallet, line, next_grace, now, form, review, done: parameter(query, "done").is_some() })
}

/// What is wrong with a form, or why it could not be looked at.
pub(super) fn problem(error: ledger::Error) -> Result<Problem, ConsoleError> {
    match error {
        // What stands in an address or an id has no blanks.
        ledger::Error::Invalid { field: "credit line", problem } => Ok(Problem::new(LENT, sentence(&problem))),
        ledger::Error::Invalid { field, problem } => Ok(Problem::new(field, sentence(&problem))),
        ledger::Error::Taken(_) => {
            Ok(Problem::new("", "Somebody else has changed these settings meanwhile. Look at what they are now, and review yours again."))
        }
        other => Err(other.into()),
    }
}
