//! What is said where hyper has read no request: of a head that it cannot read its own answer is a status and nothing else; ours says why, as all refusals do.

use bytes::Bytes;
use chrono::Utc;
use domain::id::CallId;
use futures_util::FutureExt;
use http::StatusCode;
use http_body_util::BodyExt;

use super::{HEAD_BYTES_MAX, HEADERS_MAX, framing};
use crate::{dialect::ErrorShape, reply::Refusal};

/// What goes out instead of hyper's answer, which is passed whole. What is none of its answers goes out as it is.
pub(super) fn instead_of(hypers: &[u8]) -> Bytes {
    said(hypers).unwrap_or_else(|| Bytes::copy_from_slice(hypers))
}

fn said(hypers: &[u8]) -> Option<Bytes> {
    let (status, lines) = std::str::from_utf8(hypers).ok()?.strip_suffix("\r\n\r\n")?.split_once("\r\n")?;
    let refusal = refusal(status.split(' ').nth(1)?.parse().ok()?);
    // That the connection is closed, and the date.
    whole(status, lines.split("\r\n").filter(|line| !line.starts_with("content-length:")), refusal)
}

/// A refusal as it stands on a connection, under this status line and with these lines in its head.
pub(super) fn whole<'a>(status: &str, lines: impl Iterator<Item = &'a str>, refusal: Refusal) -> Option<Bytes> {
    let response = refusal.into_response(ErrorShape::default(), CallId::new(Utc::now(), rand::random()));
    let (head, body) = response.into_parts();
    let body = body.collect().now_or_never()?.ok()?.to_bytes();
    let mut answer = format!("{status}\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for line in lines {
        answer.extend([line.as_bytes(), b"\r\n"].concat());
    }
    for (name, value) in &head.headers {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    answer.extend([b"\r\n", &body[..]].concat());
    Some(answer.into())
}

/// By the status that hyper has found for it.
fn refusal(status: StatusCode) -> Refusal {
    let (code, problem) = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            let problem = format!("its head is larger than {HEAD_BYTES_MAX} bytes, or has more than {HEADERS_MAX} headers");
            return framing::refused(status, "head_too_large", &problem);
        }
        StatusCode::URI_TOO_LONG => ("uri_too_long", "its address is too long"),
        _ => ("bad_framing", "its first line or one of its headers is not what HTTP allows"),
    };
    framing::refused(status, code, problem)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn hypers_answer_gets_a_body_and_what_is_none_stays_as_it_is() {
        let hypers = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: today\r\n\r\n";
        let answer = String::from_utf8(instead_of(hypers).to_vec()).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 431 ") && head.contains("\r\nconnection: close\r\ndate: today\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())) && head.matches("content-length").count() == 1, "{head}");
        assert!(head.contains("x-request-id: ") && head.contains("content-type: application/json"), "{head}");
        let error: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(error["error"]["code"], "head_too_large");
        for other in [&b"HTTP/1.1 431 Request"[..], b"data: {}\r\n\r\n", b"\xff\r\n\r\n"] {
            assert_eq!(instead_of(other), other);
        }
    }
}
