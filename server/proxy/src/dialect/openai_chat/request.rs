//! A chat request: what must be known of it before it is forwarded, and the few changes that metering makes.

use std::ops::Range;

use domain::{
    attribution::Attribution,
    catalog::{Model, OutputCapField, UsageMode},
    tokens::Tokens,
};

use super::prompt::{Prompt, Unmeterable};
use crate::{
    admit::attribution,
    reply::Refusal,
    wire::{
        json::{Member, Members, Name, place_of},
        splice::Edit,
    },
};

/// More answers to one request than this are refused: each holds credit for a whole output.
const CHOICES_MAX: i64 = 128;

/// What cannot be bounded or metered, and why. Each is refused unless it is `null` or one of the harmless values.
const UNMETERED: [(&str, &[&str], &str); 32] = [
    ("best_of", &["1"], "its discarded answers are not reported"),
    ("background", &["false"], "its usage is not reported here"),
    ("chat_template", &[], "it can write a prompt of any length"),
    ("conversation", &[], "its length is not known here"),
    ("data_sources", &["[]"], "what they put into the prompt is of a length not known here"),
    ("deferred", &["false"], "its usage is not reported here"),
    ("enable_search", &["false"], "the upstream's searches are not reported as tokens"),
    ("enable_thinking", &["false"], "its reasoning is not bounded by the cap on the output"),
    ("extra_body", &["{}"], "what is inside may be anything"),
    ("fallbacks", &["[]"], "another model has another price"),
    ("max_new_tokens", &[], "cap the output with max_tokens"),
    ("max_output_tokens", &[], "cap the output with max_tokens"),
    ("mm_processor_kwargs", &["{}"], "it decides how many tokens a picture is"),
    ("models", &["[]"], "another model has another price"),
    ("n_cmpl", &["1"], "ask for several answers with n"),
    ("n_predict", &[], "cap the output with max_tokens"),
    ("plugins", &["[]"], "what plugins cost is not reported as tokens"),
    ("prediction", &[], "rejected predictions are charged outside of the answer"),
    ("preset", &[], "it may choose another model"),
    ("previous_response_id", &[], "its length is not known here"),
    ("prompt_mode", &[], "it puts a text of its own into the prompt"),
    ("prompt", &[], "a stored prompt's length is not known here"),
    ("provider", &[], "the choice of the provider is the gateway's"),
    ("route", &[], "another model has another price"),
    ("safe_prompt", &["false"], "it puts a text of its own into the prompt"),
    ("search_parameters", &[], "the upstream's searches are not reported as tokens"),
    ("search_settings", &[], "the upstream's searches are not reported as tokens"),
    ("service_tier", &["\"default\"", "\"standard\""], "other tiers have other prices"),
    ("speed", &["\"standard\""], "other speeds have other prices"),
    ("thinking_budget", &[], "its reasoning is not bounded by the cap on the output"),
    ("use_beam_search", &["false"], "its discarded answers are not reported"),
    ("web_search_options", &[], "the upstream's searches are not reported as tokens"),
];

/// Members that the meter reads. What an upstream might take for one of these, it must be.
const METERED: [&str; 10] = [
    "functions",
    "include_usage",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "model",
    "n",
    "response_format",
    "stream",
    "stream_options",
];

/// A chat request, read once. Places are in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChatRequest {
    /// The model that the client asks for.
    pub(crate) model: String,
    /// Whether the answer is to be a stream.
    pub(crate) stream: bool,
    /// How large its prompt may be.
    pub(crate) prompt: Prompt,
    /// What it says of itself.
    pub(crate) said: Attribution,
    model_place: Range<usize>,
    choices: i64,
    /// Where the first member begins.
    first_member: usize,
    options: StreamOptions,
    caps: [Cap; 2],
}

/// `stream_options`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StreamOptions {
    Absent,
    /// `null`, here.
    Null(Range<usize>),
    /// An object without `include_usage`, whose first member would stand here; whether it has others.
    Silent {
        first_member: usize,
        is_empty: bool,
    },
    /// An object with `include_usage`, whose value stands here.
    Usage {
        asked: bool,
        place: Range<usize>,
    },
}

/// One of the two names of the cap on the output.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cap {
    field: OutputCapField,
    /// Name and value, if it is there, be it `null`.
    places: Option<(Range<usize>, Range<usize>)>,
    tokens: Option<i64>,
}

impl ChatRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is wrong, or what cannot be metered.
    pub(crate) fn parse(body: &str) -> Result<Self, Refusal> {
        let members = Members::parse(body).map_err(|error| Refusal::malformed(&error.to_string()))?;
        spelled_exactly(&members)?;
        for (name, harmless, why) in UNMETERED {
            if members.get(name).is_some_and(|member| !harmless.contains(&member.value.get())) {
                return Err(Refusal::unmetered(name, why));
            }
        }
        let model = members.get("model").ok_or_else(|| Refusal::invalid("model", "name the model: \"model\" is missing"))?;
        let Name(name) = model.read().ok_or_else(|| Refusal::invalid("model", "\"model\" must be a string"))?;
        only_functions(&members)?;
        let request = Self {
            model: name.into_owned(),
            stream: optional(&members, "stream", "true or false")?.unwrap_or(false),
            prompt: Prompt::of(&members, body.len()).map_err(|Unmeterable(why)| Refusal::invalid("messages", &why))?,
            said: attribution::of_openai(&members),
            model_place: place_of(model.value.get(), body),
            choices: optional(&members, "n", "a whole number")?.unwrap_or(1),
            first_member: body.find('{').map_or(0, |brace| brace + 1),
            options: StreamOptions::parse(&members, body)?,
            caps: [
                Cap::parse(OutputCapField::MaxTokens, &members, body)?,
                Cap::parse(OutputCapField::MaxCompletionTokens, &members, body)?,
            ],
        };
        request.within_bounds()
    }

    /// The client's own cap on one answer's output; the smaller where it gave two.
    #[must_use]
    pub(crate) fn output_cap(&self) -> Option<Tokens> {
        self.caps.iter().filter_map(|cap| cap.tokens).min().map(Tokens::from_sum)
    }

    /// No call has more completion tokens whose answers are capped at so many each: what the model reasons with may lie beside the cap, and no answer
    /// is longer than the model's window.
    #[must_use]
    pub(crate) fn completion_max(&self, model: &Model, cap: Tokens) -> Tokens {
        let answer = cap.saturating_add(model.bounds.reasoning_max).min(model.context_window);
        Tokens::from_sum(answer.get().saturating_mul(self.choices))
    }

    /// Whether the stream must be made to report its usage although the client did not ask: then its traces are taken out again.
    #[must_use]
    pub(crate) fn forces_usage(&self, mode: UsageMode) -> bool {
        self.stream && mode == UsageMode::Forced && !matches!(self.options, StreamOptions::Usage { asked: true, .. })
    }

    /// The changes that make it a request to this model's upstream, whose every answer is capped, if there is a cap.
    #[must_use]
    pub(crate) fn edits(&self, model: &Model, mode: UsageMode, cap: Option<Tokens>) -> Vec<Edit> {
        let mut edits = Vec::new();
        if model.upstream_name != self.model {
            edits.push(Edit::replace(self.model_place.clone(), serde_json::Value::from(model.upstream_name.as_str()).to_string()));
        }
        if self.forces_usage(mode) {
            edits.push(self.force_usage());
        }
        if let Some(cap) = cap {
            self.cap_output(model.output_cap_field, cap, &mut edits);
        }
        edits
    }

    fn within_bounds(self) -> Result<Self, Refusal> {
        if !(1..=CHOICES_MAX).contains(&self.choices) {
            return Err(Refusal::invalid("n", &format!("\"n\" must be from 1 to {CHOICES_MAX}")));
        }
        Ok(self)
    }

    fn force_usage(&self) -> Edit {
        match &self.options {
            StreamOptions::Absent => Edit::insert(self.first_member, r#""stream_options":{"include_usage":true},"#),
            StreamOptions::Null(place) => Edit::replace(place.clone(), r#"{"include_usage":true}"#),
            StreamOptions::Silent { first_member, is_empty: true } => Edit::insert(*first_member, r#""include_usage":true"#),
            StreamOptions::Silent { first_member, is_empty: false } => Edit::insert(*first_member, r#""include_usage":true,"#),
            StreamOptions::Usage { place, .. } => Edit::replace(place.clone(), "true"),
        }
    }

    /// The cap must stand under the name that the upstream reads, else it is no cap. A client may know it by its other name.
    fn cap_output(&self, field: OutputCapField, tokens: Tokens, edits: &mut Vec<Edit>) {
        let [own, other] = if self.caps[0].field == field { [&self.caps[0], &self.caps[1]] } else { [&self.caps[1], &self.caps[0]] };
        match (&own.places, &other.places) {
            (Some((_, value)), _) if own.tokens != Some(tokens.get()) => edits.push(Edit::replace(value.clone(), tokens.to_string())),
            (Some(_), _) => {}
            (None, Some((name, value))) if other.tokens.is_some() => {
                edits.push(Edit::replace(name.clone(), format!("\"{}\"", field.name())));
                if other.tokens != Some(tokens.get()) {
                    edits.push(Edit::replace(value.clone(), tokens.to_string()));
                }
                return;
            }
            (None, _) => edits.push(Edit::insert(self.first_member, format!("\"{}\":{tokens},", field.name()))),
        }
        // An upstream that reads both must find the same in both.
        if let (Some((_, value)), Some(theirs)) = (&other.places, other.tokens)
            && theirs != tokens.get()
        {
            edits.push(Edit::replace(value.clone(), tokens.to_string()));
        }
    }
}

impl StreamOptions {
    fn parse(members: &Members<'_>, body: &str) -> Result<Self, Refusal> {
        let Some(member) = members.find("stream_options") else { return Ok(Self::Absent) };
        let place = place_of(member.value.get(), body);
        if member.is_null() {
            return Ok(Self::Null(place));
        }
        let options = Members::parse(member.value.get())
            .map_err(|error| Refusal::invalid("stream_options", &format!("\"stream_options\": {error}")))?;
        spelled_exactly(&options)?;
        let Some(usage) = options.find("include_usage") else {
            return Ok(Self::Silent { first_member: place.start + 1, is_empty: options.is_empty() });
        };
        let asked = optional(&options, "include_usage", "true or false")?.unwrap_or(false);
        Ok(Self::Usage { asked, place: place_of(usage.value.get(), body) })
    }
}

impl Cap {
    fn parse(field: OutputCapField, members: &Members<'_>, body: &str) -> Result<Self, Refusal> {
        let tokens: Option<i64> = optional(members, field.name(), "a whole number")?;
        if tokens.is_some_and(|tokens| tokens < 1) {
            return Err(Refusal::invalid(field.name(), &format!("\"{}\" must be at least 1", field.name())));
        }
        let places = members.find(field.name()).map(|member| (place_of(member.raw_name, body), place_of(member.value.get(), body)));
        Ok(Self { field, places, tokens })
    }
}

fn spelled_exactly(members: &Members<'_>) -> Result<(), Refusal> {
    let known = METERED.into_iter().chain(UNMETERED.into_iter().map(|(known, ..)| known));
    members.misspelled(known).map_or(Ok(()), |known| Err(Refusal::invalid(known, &format!("write the name \"{known}\" exactly so"))))
}

/// A member that may be left out, but must be what it is meant to be.
fn optional<'a, T: serde::Deserialize<'a>>(members: &Members<'a>, name: &'static str, what: &str) -> Result<Option<T>, Refusal> {
    let Some(member) = members.get(name) else { return Ok(None) };
    member.read().map(Some).ok_or_else(|| Refusal::invalid(name, &format!("\"{name}\" must be {what}")))
}

/// Tools that the upstream runs itself cost what no token count shows; the client's own functions cost their text.
fn only_functions(members: &Members<'_>) -> Result<(), Refusal> {
    let Some(tools) = members.get("tools") else { return Ok(()) };
    let tools: Vec<Members<'_>> =
        tools.read().ok_or_else(|| Refusal::invalid("tools", "\"tools\" must be a list of tools, with no member given twice"))?;
    for tool in tools {
        let kind = tool.get("type").and_then(Member::read::<Name<'_>>);
        if !kind.as_ref().is_some_and(|Name(kind)| matches!(kind.as_ref(), "function" | "custom")) {
            return Err(Refusal::unmetered("tools", "only tools of type \"function\" or \"custom\" run at the client's side"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use bytes::Bytes;
    use chrono::DateTime;
    use domain::{
        catalog::ModelBounds,
        id::{ModelId, ProviderId},
    };
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::wire::splice::splice;

    const HELLO: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

    fn model(field: OutputCapField) -> Model {
        Model {
            id: ModelId::new(DateTime::UNIX_EPOCH, [0; 10]),
            name: "m".to_owned(),
            provider_id: ProviderId::new(DateTime::UNIX_EPOCH, [0; 10]),
            provider: "p".to_owned(),
            upstream_name: "vendor/m".to_owned(),
            context_window: Tokens::from_sum(128_000),
            default_output_hold: Tokens::from_sum(4_096),
            output_cap_field: field,
            bounds: ModelBounds::default(),
        }
    }

    fn check(body: &str, field: OutputCapField, mode: UsageMode, expected: &str) {
        let request = ChatRequest::parse(body).unwrap();
        let cap = request.output_cap().unwrap_or(Tokens::from_sum(4_096));
        let spliced = splice(&Bytes::copy_from_slice(body.as_bytes()), request.edits(&model(field), mode, Some(cap)));
        assert_eq!(String::from_utf8_lossy(&spliced), expected);
    }

    #[test]
    fn all_but_the_spliced_members_stays_as_it_was() {
        check(
            &format!(r#"{{ "model" : "m", "temperature":1.50, {HELLO}, "max_tokens": 7, "unknown": [1e2]}}"#),
            OutputCapField::MaxTokens,
            UsageMode::Forced,
            &format!(r#"{{ "model" : "vendor/m", "temperature":1.50, {HELLO}, "max_tokens": 7, "unknown": [1e2]}}"#),
        );
    }

    #[test]
    fn usage_is_forced_wherever_the_client_left_it_out() {
        let stream = |options: &str| format!(r#"{{"model":"m","stream":true,{HELLO},"max_tokens":7{options}}}"#);
        let forced = |options: &str| stream(options).replace(r#""m""#, r#""vendor/m""#);
        let field = OutputCapField::MaxTokens;
        check(&stream(""), field, UsageMode::Forced, &forced("").replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1));
        for (asked, sent) in [
            ("null", r#"{"include_usage":true}"#),
            ("{}", r#"{"include_usage":true}"#),
            (r#"{"x":1}"#, r#"{"include_usage":true,"x":1}"#),
            (r#"{ "include_usage": false }"#, r#"{ "include_usage": true }"#),
            (r#"{"include_usage":null}"#, r#"{"include_usage":true}"#),
            (r#"{"include_usage":true}"#, r#"{"include_usage":true}"#),
        ] {
            let options = |options: &str| format!(r#","stream_options":{options}"#);
            check(&stream(&options(asked)), field, UsageMode::Forced, &forced(&options(sent)));
            check(&stream(&options(asked)), field, UsageMode::Native, &forced(&options(asked)));
        }
    }

    #[test]
    fn the_cap_stands_under_the_name_that_the_upstream_reads() {
        let body = |caps: &str| format!(r#"{{{caps}"model":"m",{HELLO}}}"#);
        for (asked, sent) in [
            ("", r#""max_tokens":4096,"#),
            (r#""max_tokens":null,"#, r#""max_tokens":4096,"#),
            (r#""max_completion_tokens":null,"#, r#""max_tokens":4096,"max_completion_tokens":null,"#),
            (r#""max_tokens":9,"#, r#""max_tokens":9,"#),
            (r#""max_completion_tokens":9,"#, r#""max_tokens":9,"#),
            (r#""max_completion_tokens":9,"max_tokens":8,"#, r#""max_completion_tokens":8,"max_tokens":8,"#),
            (r#""max_completion_tokens":7,"max_tokens":8,"#, r#""max_completion_tokens":7,"max_tokens":7,"#),
            (r#""max_completion_tokens":7,"max_tokens":null,"#, r#""max_completion_tokens":7,"max_tokens":7,"#),
        ] {
            check(&body(asked), OutputCapField::MaxTokens, UsageMode::Forced, &body(sent).replace(r#""m""#, r#""vendor/m""#));
        }
        check(
            &body(r#""max_tokens":9,"#),
            OutputCapField::MaxCompletionTokens,
            UsageMode::Forced,
            &body(r#""max_completion_tokens":9,"#).replace(r#""m""#, r#""vendor/m""#),
        );
    }

    #[test]
    fn what_cannot_be_read_bounded_or_metered_is_refused_by_name() {
        for (body, param) in [
            (r#"{"model":"m","messages":[]}"#.to_owned(), "messages"),
            (r#"{"messages":[{"role":"user"}]}"#.to_owned(), "model"),
            (format!(r#"{{"model":7,{HELLO}}}"#), "model"),
            (format!(r#"{{"model":"m",{HELLO},"stream":"true"}}"#), "stream"),
            (format!(r#"{{"model":"m",{HELLO},"n":129}}"#), "n"),
            (format!(r#"{{"model":"m",{HELLO},"n":0}}"#), "n"),
            (format!(r#"{{"model":"m",{HELLO},"max_tokens":0}}"#), "max_tokens"),
            (format!(r#"{{"model":"m",{HELLO},"max_tokens":1.5}}"#), "max_tokens"),
            (format!(r#"{{"model":"m",{HELLO},"max_completion_tokens":"9"}}"#), "max_completion_tokens"),
            (format!(r#"{{"model":"m",{HELLO},"service_tier":"priority"}}"#), "service_tier"),
            (format!(r#"{{"model":"m",{HELLO},"tools":[{{"type":"web_search"}}]}}"#), "tools"),
            (format!(r#"{{"model":"m",{HELLO},"stream_options":{{"include_usage":true,"include_usage":false}}}}"#), "stream_options"),
            (r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#.to_owned(), "messages"),
            (r#"{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}"#.to_owned(), "messages"),
        ] {
            assert_eq!(ChatRequest::parse(&body).unwrap_err().param, Some(param), "{body}");
        }
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        let refusal = ChatRequest::parse(&format!(r#"{{"model":"cheap",{HELLO},"mod\u0065l":"dear"}}"#)).unwrap_err();
        assert!(refusal.message.contains("given twice"), "{}", refusal.message);
    }

    #[test]
    fn a_prompt_that_points_outside_is_bounded_by_the_window() {
        let model = Model { context_window: Tokens::from_sum(1_000_000), ..model(OutputCapField::MaxTokens) };
        let bound = |content: &str| {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
            ChatRequest::parse(&body).unwrap().prompt.tokens_max(&model).get()
        };
        assert!(bound(r#""hi""#) < 200);
        assert!((50_000..51_000).contains(&bound(r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]"#)));
        for outside in [
            r#"[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#,
            r#"[{"type":"image_url","image_url":"https://example.com/a.png"}]"#,
            r#"[{"type":"input_audio","input_audio":{"data":"https://example.com/a.wav"}}]"#,
            r#"[{"type":"file","file":{"file_data":"data:application/pdf;base64,AA=="}}]"#,
            r#"[{"type":"video_url","video_url":{"url":"data:video/mp4;base64,AA=="}}]"#,
        ] {
            assert_eq!(bound(outside), 1_000_000, "{outside}");
        }
    }

    proptest! {
        #[test]
        fn a_spliced_request_is_the_same_request_but_for_what_was_spliced(
            text in ".{0,30}", stream: bool, mine in prop::option::of(1_i64..100), theirs in prop::option::of(1_i64..100), cap in 1_i64..50,
        ) {
            let mut asked = serde_json::json!({"a": text, "model": "m", "messages": [{"role": "user", "content": text}], "stream": stream});
            for (name, value) in [("max_tokens", mine), ("max_completion_tokens", theirs)] {
                if let Some(value) = value { asked[name] = value.into(); }
            }
            let body = asked.to_string();
            let request = ChatRequest::parse(&body).unwrap();
            let edits = request.edits(&model(OutputCapField::MaxTokens), UsageMode::Forced, Some(Tokens::from_sum(cap)));
            let sent: Value = serde_json::from_slice(&splice(&Bytes::from(body), edits)).unwrap();
            prop_assert_eq!(&sent["max_tokens"], &Value::from(cap));
            prop_assert_eq!(&sent["model"], "vendor/m");
            prop_assert_eq!(sent["stream_options"]["include_usage"] == true, stream);
            prop_assert_eq!(&sent["messages"], &asked["messages"]);
            prop_assert_eq!(&sent["a"], &asked["a"]);
        }
    }
}
