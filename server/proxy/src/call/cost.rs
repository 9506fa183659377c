//! What a call cost, told in its answer to whoever asks for it: by `x-farebox-cost: include`, or by the setting of its key where the header does not say
//! `omit`.
//!
//! A document says so in its usage and in a header, a stream in the usage that it ends with, if it has one: asking for the cost is asking for that. Whoever
//! does not ask gets every byte as it was, as soon as it comes.

use bytes::Bytes;
use domain::money::Amount;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::client::Head;
use crate::{
    admit::attribution,
    dialect::Answers,
    reply::Refusal,
    wire::cost::{self, Form},
};

const COST: &str = "x-farebox-cost";
const INCLUDE: &str = "include";
const OMIT: &str = "omit";

/// Whether a request asks for it, or asks to be spared it; `None` where it says nothing.
///
/// # Errors
/// A [`Refusal`] of a header that says something else: whoever sends one means it.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> Result<Option<bool>, Refusal> {
    match attribution::text(headers, COST)? {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case(INCLUDE) => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case(OMIT) => Ok(Some(false)),
        Some(_) => Err(Refusal::invalid(COST, &format!("the header {COST} is \"{INCLUDE}\" or \"{OMIT}\""))),
    }
}

/// Puts the cost into the bytes that were held back, and into the head, if the client has not seen that: then all of the answer was held back.
pub(super) fn tell(
    amount: Amount,
    answers: &'static Answers,
    form: Option<Form>,
    held_back: Vec<Bytes>,
    head: Option<&mut Head>,
) -> Vec<Bytes> {
    let cost = amount.to_string();
    let held_back = match form {
        Some(form) => cost::put_in(held_back, form, &answers.grammar, &cost),
        None => held_back,
    };
    if let Some(head) = head {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(held_back.iter().map(Bytes::len).sum::<usize>()));
        if let Ok(cost) = HeaderValue::try_from(cost) {
            head.headers.insert(HeaderName::from_static(COST), cost);
        }
    }
    held_back
}
