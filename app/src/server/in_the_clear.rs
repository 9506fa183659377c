//! Whether somebody has opened without TLS what is meant to be opened over https. Their browser would not keep the session: its cookie is marked `Secure`
//! (<https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#secure>), and they would be signed in and out again without a word.

use axum::http::{HeaderMap, HeaderName, header};

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The address at which it was opened, if that is so.
///
/// Of a form its browser says it (`Origin`). Of a page a reverse proxy may (`X-Forwarded-Proto`), be it a trusted one or none: it only decides whether
/// its visitor reads a sentence. Where neither does, it is so of a visitor who names another host than the console's, and whose browser does not say where
/// they come from, as it would over TLS (<https://www.w3.org/TR/fetch-metadata/#framework>). A proxy in front may be silent and write another host, so that
/// neither is enough by itself.
pub(super) fn opened_at(headers: &HeaderMap, console_url: &str) -> Option<String> {
    let right = console_url.strip_prefix("https://")?;
    let said = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
    if let Some(origin) = said(header::ORIGIN) {
        return origin.starts_with("http://").then(|| origin.to_owned());
    }
    let host = said(header::HOST)?;
    let is_plain = match said(FORWARDED_PROTO) {
        Some(scheme) => scheme.eq_ignore_ascii_case("http"),
        None => said(SEC_FETCH_SITE).is_none() && !host.eq_ignore_ascii_case(right),
    };
    is_plain.then(|| format!("http://{host}"))
}

/// What is said of it.
pub(crate) fn sentence(opened_at: &str, console_url: &str) -> String {
    format!(
        "You have opened {opened_at}, where your browser would not keep you signed in: this console is meant to be opened at {console_url}. Open that \
         instead. If it leads nowhere, ask the operator of this gateway, who sets it with --console-url."
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn check(console_url: &str, said: &[(HeaderName, &str)], right: Option<&str>) {
        let headers = said.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        assert_eq!(opened_at(&headers, console_url).as_deref(), right, "{said:?} for {console_url}");
    }

    const CONSOLE: &str = "https://billing.test";
    const ELSEWHERE: (HeaderName, &str) = (header::HOST, "192.168.1.50:3000");
    const THERE: (HeaderName, &str) = (header::HOST, "billing.test");

    #[test]
    fn a_form_is_believed_where_its_browser_says_that_it_was_opened() {
        check(CONSOLE, &[ELSEWHERE, (header::ORIGIN, "http://192.168.1.50:3000")], Some("http://192.168.1.50:3000"));
        check(CONSOLE, &[THERE, (header::ORIGIN, "http://billing.test"), (FORWARDED_PROTO, "https")], Some("http://billing.test"));
        check(CONSOLE, &[ELSEWHERE, (header::ORIGIN, CONSOLE)], None);
        check(CONSOLE, &[ELSEWHERE, (header::ORIGIN, "null")], None);
    }

    #[test]
    fn a_page_is_opened_in_the_clear_where_a_proxy_says_so_or_nothing_speaks_against_it() {
        check(CONSOLE, &[THERE, (FORWARDED_PROTO, "http")], Some("http://billing.test"));
        check(CONSOLE, &[ELSEWHERE, (FORWARDED_PROTO, "https")], None);
        check(CONSOLE, &[ELSEWHERE], Some("http://192.168.1.50:3000"));
        check(CONSOLE, &[ELSEWHERE, (SEC_FETCH_SITE, "none")], None);
        check(CONSOLE, &[THERE], None);
        check(CONSOLE, &[], None);
    }

    #[test]
    fn a_console_without_https_may_be_opened_anywhere() {
        check("http://other.test:3000", &[ELSEWHERE, (header::ORIGIN, "http://192.168.1.50:3000")], None);
    }
}
