//! What a client says of its call: in headers of ours, which never go upstream, or in members of the request that mean the same to its provider.

use std::{borrow::Cow, collections::BTreeMap};

use domain::attribution::{Attribution, Label, LabelError, Tags, client_of_user_agent};
use http::{HeaderMap, header};
use serde_json::Value;

use crate::{
    reply::Refusal,
    wire::json::{Member, Members, text_of},
};

const END_USER: &str = "x-farebox-end-user";
const SESSION: &str = "x-farebox-session";
const TAGS: &str = "x-farebox-tags";

/// All that is said of a call; what its headers say goes before what its body says.
///
/// # Errors
/// A [`Refusal`] of a header of ours that cannot be read: whoever sends one means it.
pub(crate) fn of_call(headers: &HeaderMap, body: Attribution) -> Result<Attribution, Refusal> {
    let mut tags = tags(headers)?;
    for (name, value) in body.tags.iter().filter(|(name, _)| tags.get(name.as_str()).is_none()).collect::<Vec<_>>() {
        // What does not fit beside those of the header is left out.
        let _ = tags.insert(name.as_str(), value.as_str());
    }
    Ok(Attribution {
        end_user: label(headers, END_USER)?.or(body.end_user),
        session: label(headers, SESSION)?.or(body.session),
        client: headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).and_then(client_of_user_agent),
        tags,
    })
}

/// What a request of OpenAI's form says: `safety_identifier`, or `user` as it was called before, and `metadata`, names with texts. It is meant for the
/// provider, which says what is wrong with it: here, as much of it is kept as can be.
///
/// <https://platform.openai.com/docs/api-reference/chat/create>
#[derive(Debug, Default)]
pub(crate) struct Saying {
    safety_identifier: Option<Label>,
    user: Option<Label>,
    tags: Tags,
}

impl Saying {
    pub(crate) fn user(&mut self, member: &Member<'_>) {
        self.user = label_of(member);
    }

    pub(crate) fn safety_identifier(&mut self, member: &Member<'_>) {
        self.safety_identifier = label_of(member);
    }

    /// Anthropic's `metadata` names the client's own user, and nothing else.
    ///
    /// <https://docs.claude.com/en/api/messages>
    pub(crate) fn user_in_metadata(&mut self, member: &Member<'_>) {
        let metadata: Members<'_> = member.read().unwrap_or_default();
        self.user = metadata.get("user_id").and_then(label_of);
    }

    pub(crate) fn metadata(&mut self, member: &Member<'_>) {
        let metadata: BTreeMap<String, Value> = member.read().unwrap_or_default();
        for (name, value) in &metadata {
            let name: String = name.chars().take(Tags::NAME_MAX_CHARS).collect();
            if let (Some(name), Some(value)) = (Label::clipped(&name), value.as_str().and_then(Label::clipped)) {
                // One too many is left out.
                let _ = self.tags.insert(name.as_str(), value.as_str());
            }
        }
    }
}

fn label_of(member: &Member<'_>) -> Option<Label> {
    text_of(member.value).and_then(|text| Label::clipped(&text))
}

impl From<Saying> for Attribution {
    fn from(Saying { safety_identifier, user, tags }: Saying) -> Self {
        Self { end_user: safety_identifier.or(user), session: None, client: None, tags }
    }
}

fn label(headers: &HeaderMap, name: &'static str) -> Result<Option<Label>, Refusal> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|error: LabelError| Refusal::invalid(name, &format!("the header {name} {error}")))
}

/// A JSON object of texts.
fn tags(headers: &HeaderMap) -> Result<Tags, Refusal> {
    let Some(text) = text(headers, TAGS)? else { return Ok(Tags::default()) };
    let wrong = |problem: &str| Refusal::invalid(TAGS, &format!("the header {TAGS}: {problem}; write it like {{\"team\":\"search\"}}"));
    let members: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    let mut tags = Tags::default();
    for (name, value) in &members {
        tags.insert(name, value).map_err(|error| wrong(&error.to_string()))?;
    }
    Ok(tags)
}

/// The one value of a header, in UTF-8, or else in Latin-1, which is what browsers send (<https://fetch.spec.whatwg.org/#concept-header-value>). An empty
/// one says nothing.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Refusal::invalid(name, &format!("the header {name} was sent twice")));
    }
    let text = first.map(|value| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    });
    Ok(text.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(headers: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
        headers.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
    }

    fn body(json: &str) -> Attribution {
        let members = Members::parse(json).unwrap();
        let mut saying = Saying::default();
        for member in members.iter() {
            match &*member.name {
                "user" => saying.user(member),
                "safety_identifier" => saying.safety_identifier(member),
                "metadata" => saying.metadata(member),
                _ => {}
            }
        }
        saying.into()
    }

    fn said(of: &[(&'static str, &str)], json: &str) -> Attribution {
        of_call(&headers(of), body(json)).unwrap()
    }

    fn label(text: &str) -> Option<Label> {
        Some(text.parse().unwrap())
    }

    fn tags(tags: &Tags) -> Vec<(&str, &str)> {
        tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn headers_go_before_the_body() {
        let json = r#"{"user":"old","safety_identifier":"b\u00f6b","metadata":{"team":"support","step":"2"}}"#;
        let of_body = said(&[("user-agent", "OpenAI/Python 1.52.0")], json);
        assert_eq!(
            (of_body.end_user.clone(), of_body.session.clone(), of_body.client.clone()),
            (label("böb"), None, label("OpenAI/Python 1"))
        );
        assert_eq!(tags(&of_body.tags), [("step", "2"), ("team", "support")]);
        let both = said(&[(END_USER, "ada"), (SESSION, "lauf ü"), (TAGS, r#"{"team":"s\u00fc\u00df"}"#)], json);
        assert_eq!((both.end_user.clone(), both.session.clone(), both.client.clone()), (label("ada"), label("lauf ü"), None));
        assert_eq!(tags(&both.tags), [("step", "2"), ("team", "süß")]);
        assert_eq!(said(&[], r#"{"user":"old"}"#).end_user, label("old"));
        assert_eq!(said(&[], "{}"), Attribution::default());
    }

    #[test]
    fn an_empty_header_says_nothing_and_one_in_latin_1_is_read_as_that() {
        assert_eq!(said(&[(END_USER, ""), (SESSION, ""), (TAGS, "")], "{}"), Attribution::default());
        let mut latin = HeaderMap::new();
        latin.insert(END_USER, HeaderValue::from_bytes(b"b\xf6b").unwrap());
        assert_eq!(of_call(&latin, Attribution::default()).unwrap().end_user, label("b\u{f6}b"));
    }

    #[test]
    fn of_a_body_as_much_is_kept_as_can_be() {
        for nothing in [r#"{"user":7,"metadata":"x"}"#, r#"{"user":"","metadata":{"a":1,"b":"","c":{"d":"e"},"":"f"}}"#] {
            assert_eq!(body(nothing), Attribution::default(), "{nothing}");
        }
        let cased = body(r#"{"metadata":{"Team":"a","team":"b","x":"y","n":7}}"#);
        assert_eq!(tags(&cased.tags), [("Team", "a"), ("team", "b"), ("x", "y")]);
        let long = "é".repeat(300);
        let cut = body(&format!(r#"{{"user":"{long}","metadata":{{"{long}":"{long}\n"}}}}"#));
        assert_eq!(cut.end_user.unwrap().as_str().chars().count(), Label::MAX_CHARS);
        assert_eq!(tags(&cut.tags), [(&*"é".repeat(Tags::NAME_MAX_CHARS), &*"é".repeat(Label::MAX_CHARS))]);
        let many: Vec<_> = (10..30).map(|number| format!(r#""{number}":"x""#)).collect();
        assert_eq!(tags(&body(&format!(r#"{{"metadata":{{{}}}}}"#, many.join(","))).tags).len(), Tags::MAX);
        let beside: Vec<_> = (0..Tags::MAX).map(|number| format!(r#""own {number}":"x""#)).collect();
        let full = said(&[(TAGS, &format!("{{{}}}", beside.join(",")))], r#"{"metadata":{"a":"b"}}"#);
        assert!(full.tags.get("a").is_none() && full.tags.get("own 9").is_some());
    }

    #[test]
    fn a_header_that_cannot_be_read_is_refused_by_name() {
        let long = "x".repeat(257);
        let many: Vec<_> = (0..11).map(|number| format!(r#""{number}":"x""#)).collect();
        let many = format!("{{{}}}", many.join(","));
        for (header, text, why) in [
            (END_USER, &*long, "more than 256"),
            (SESSION, "a\tb", "control characters"),
            (SESSION, "a\u{202e}b", "control characters"),
            (TAGS, "team=search", r#"write it like {"team":"search"}"#),
            (TAGS, r#"{"team":7}"#, "expected a string"),
            (TAGS, r#"{"team":""}"#, "is empty"),
            (TAGS, &*many, "at most 10"),
        ] {
            let refusal = of_call(&headers(&[(header, text)]), Attribution::default()).unwrap_err();
            assert_eq!(refusal.param.as_deref(), Some(header), "{text}");
            assert!(refusal.message.contains(why), "{}", refusal.message);
        }
        let mut broken = headers(&[(END_USER, "a")]);
        broken.append(END_USER, HeaderValue::from_static("b"));
        assert!(of_call(&broken, Attribution::default()).unwrap_err().message.contains("twice"));
    }
}
