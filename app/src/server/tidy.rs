//! Short addresses: a GET form sends every field, also those left empty. They say nothing, so they are taken out.

use axum::{
    extract::Request,
    http::Method,
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

use super::is_local;

/// Leads from an address with empty parameters to the one without.
pub(super) async fn tidy(request: Request, next: Next) -> Response {
    let uri = request.uri();
    match uri.query().and_then(without_empty) {
        Some(query) if request.method() == Method::GET && is_local(uri.path()) => {
            let separator = if query.is_empty() { "" } else { "?" };
            Redirect::to(&format!("{}{separator}{query}", uri.path())).into_response()
        }
        _ => next.run(request).await,
    }
}

/// The query without its empty parameters; `None` when there are none to take out.
fn without_empty(query: &str) -> Option<String> {
    let is_empty = |pair: &&str| pair.split_once('=').is_none_or(|(_, value)| value.is_empty());
    query.split('&').any(|pair| is_empty(&pair)).then(|| query.split('&').filter(|pair| !is_empty(pair)).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_empty_goes() {
        assert_eq!(without_empty("range=7d&key=&model=a%3Db&stream="), Some("range=7d&model=a%3Db".to_owned()));
        assert_eq!(without_empty("id="), Some(String::new()));
        assert_eq!(without_empty("range=7d"), None);
    }
}
