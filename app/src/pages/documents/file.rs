//! Documents and statements as files: `/billing/documents/NUMBER.pdf`, `/billing/statements/MONTH.pdf` and `.csv`, and the same below a customer's pages.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use super::{PATH, STATEMENTS, api, pdf, table_file};
use crate::{
    error::ConsoleError,
    server::{Caller, Console, Visitor},
};

/// Every address of a file. They are told from pages by how they end, which no route can do.
pub(crate) const ADDRESSES: [&str; 6] = [
    "/billing/documents/{id}.pdf",
    "/billing/statements/{id}.pdf",
    "/billing/statements/{id}.csv",
    "/admin/customers/{account}/billing/documents/{id}.pdf",
    "/admin/customers/{account}/billing/statements/{id}.pdf",
    "/admin/customers/{account}/billing/statements/{id}.csv",
];

/// What an address asks for: whose, of what, in which form.
#[derive(Debug, PartialEq, Eq)]
struct Asked<'a> {
    /// The customer's, of whom an operator asks; empty for one's own.
    account: &'a str,
    is_statement: bool,
    /// The number or the month.
    id: &'a str,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Pdf,
}

impl Form {
    const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Pdf => "pdf",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Pdf => "application/pdf",
        }
    }
}

/// Reads an address; `None` of whatever is no such file.
fn asked(path: &str) -> Option<Asked<'_>> {
    let (account, path) = match path.strip_prefix("/admin/customers/") {
        Some(rest) => rest.split_at(rest.find('/')?),
        None => ("", path),
    };
    let of = |base: &str| path.strip_prefix(base)?.strip_prefix('/').filter(|name| !name.contains('/'));
    let (is_statement, name) = of(STATEMENTS).map(|name| (true, name)).or_else(|| of(PATH).map(|name| (false, name)))?;
    let (id, ending) = name.rsplit_once('.')?;
    let form = match (is_statement, ending) {
        (true, "csv") => Form::Csv,
        (_, "pdf") => Form::Pdf,
        _ => return None,
    };
    Some(Asked { account, is_statement, id, form })
}

/// Answers what asks for a file. Its name ends as the page's address does not, which routes cannot tell apart.
pub(crate) async fn files(State(console): State<Console>, request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path().to_owned();
    let (Some(asked), Some(visitor)) = (asked(&path).filter(|_| is_read), request.extensions().get::<Visitor>().cloned()) else {
        return next.run(request).await;
    };
    match file(&Caller { console, visitor }, &asked).await {
        Ok(bytes) => {
            let name = if asked.is_statement { format!("statement-{}", asked.id) } else { asked.id.to_owned() };
            // An id that was found is of letters, digits and hyphens.
            let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}.{}\"", asked.form.ending()));
            let disposition = disposition.unwrap_or_else(|_| HeaderValue::from_static("attachment"));
            let headers =
                [(header::CONTENT_TYPE, HeaderValue::from_static(asked.form.content_type())), (header::CONTENT_DISPOSITION, disposition)];
            (headers, bytes).into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn file(caller: &Caller, asked: &Asked<'_>) -> Result<Vec<u8>, ConsoleError> {
    let reader = caller.seen(asked.account).await?.reader;
    if !asked.is_statement {
        let page = api::document(&reader, asked.id).await?;
        return drawn(move || pdf::document(&page.document)).await;
    }
    let page = api::statement(caller, &reader, asked.id).await?;
    match asked.form {
        Form::Csv => Ok(table_file::statement(&page.statement).into_bytes()),
        Form::Pdf => {
            let now = caller.visitor.now;
            drawn(move || pdf::statement(&page, now)).await
        }
    }
}

/// How many are drawn at once: whoever asks for more waits, and leaves the rest of the machine to calls.
static DRAWING: Semaphore = Semaphore::const_new(2);

/// Drawing takes a while: not on a thread that serves others meanwhile.
async fn drawn(draw: impl FnOnce() -> Option<Vec<u8>> + Send + 'static) -> Result<Vec<u8>, ConsoleError> {
    let _place = DRAWING.acquire().await.map_err(|_| ConsoleError::Unavailable)?;
    match tokio::task::spawn_blocking(draw).await {
        Ok(Some(file)) => Ok(file),
        Ok(None) | Err(_) => {
            tracing::error!("a PDF could not be drawn");
            Err(ConsoleError::Unavailable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_a_file_only_by_its_ending() {
        assert!(ADDRESSES.iter().all(|address| asked(address).is_some()));
        let of = |account, is_statement, id, form| Some(Asked { account, is_statement, id, form });
        assert_eq!(asked("/billing/statements/2026-11.csv"), of("", true, "2026-11", Form::Csv));
        assert_eq!(asked("/admin/customers/7/billing/statements/2026-11.csv"), of("7", true, "2026-11", Form::Csv));
        assert_eq!(asked("/billing/documents/R-2026-000001.pdf"), of("", false, "R-2026-000001", Form::Pdf));
        for other in [
            "/billing/statements/2026-11",
            "/billing/statements/2026-11.txt",
            "/billing/documents/R-1.csv",
            "/billing/statements/a/b.csv",
            "/billing.csv",
            "/admin/customers/7.csv",
            "/",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
    }
}
