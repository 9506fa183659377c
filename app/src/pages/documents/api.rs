use domain::{account::Role, billing::PostingNumber, month::CalendarMonth};
use ledger::AccountReader;

use super::page::{Details, Documents, OneDocument, OneStatement};
use crate::{
    error::ConsoleError,
    server::{Caller, Seen, journal_cursor, parameter},
};

/// Documents on a page.
const PAGE: i64 = 25;

/// The documents of an account, and the months of which there are statements.
pub(crate) async fn documents(caller: &Caller, seen: &Seen, query: &str) -> Result<Documents, ConsoleError> {
    let (reader, before) = (&seen.reader, journal_cursor(query)?);
    let months = if before.is_some() { Vec::new() } else { reader.months(caller.visitor.now).await? };
    Ok(Documents {
        page: reader.documents(before, PAGE).await?,
        has_newer: before.is_some(),
        months,
        has_seller: reader.has_seller().await?,
        buyer: reader.buyer().await?,
        can_change: seen.role == Some(Role::Owner),
        is_changed: parameter(query, "details").is_some(),
    })
}

/// A document, by its number or by that of its posting.
pub(crate) async fn document(reader: &AccountReader, id: &str) -> Result<OneDocument, ConsoleError> {
    let number = match id.parse::<i64>() {
        Ok(posting) => {
            let found = reader.document_numbers(&[PostingNumber::from_count(posting)]).await?.pop();
            found.map(|(_, number)| number).ok_or(ConsoleError::NotFound)?
        }
        Err(_) => id.to_owned(),
    };
    Ok(OneDocument { document: reader.document(&number).await? })
}

/// The statement of a month.
pub(crate) async fn statement(caller: &Caller, reader: &AccountReader, month: &str) -> Result<OneStatement, ConsoleError> {
    let month: CalendarMonth = month.parse().map_err(|_| ConsoleError::NotFound)?;
    let statement = reader.monthly(month, caller.visitor.now).await?;
    let postings: Vec<_> = statement.movements.iter().map(|movement| movement.number).collect();
    Ok(OneStatement {
        statement,
        seller: reader.seller_at(month.range().to).await?,
        buyer: reader.buyer().await?,
        numbers: reader.document_numbers(&postings).await?,
    })
}

/// Who buys.
pub(crate) async fn details(caller: &Caller) -> Result<Details, ConsoleError> {
    let seen = caller.seen("").await?;
    Ok(Details {
        said: seen.reader.billing_details().await?,
        buyer: seen.reader.buyer().await?,
        can_change: seen.role == Some(Role::Owner),
        form: caller.form(),
    })
}
