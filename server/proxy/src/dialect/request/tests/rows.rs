//! Each row of each API's table of members does what it says.

use super::{Caps, DIALECTS, Dialect, Member, Model, ModelBounds, OutputCapField, Refusal, Request, Tokens, model};
use crate::dialect::prompt::Form;

/// A value that no row names.
const OTHER: &str = r#"{"other":[1]}"#;

/// A right value of a prompt in this form.
const fn prompt(form: Form) -> &'static str {
    match form {
        Form::Items => r#"[{"role":"user","content":"hi"}]"#,
        Form::Parts | Form::Texts => r#""hi""#,
    }
}

/// The least that this API takes, and this member, which stands for the one that would be there.
fn body(dialect: &Dialect, name: &str, value: &str) -> String {
    let mut members = vec![(name, value)];
    let mut add = |name, value| {
        if members.iter().all(|(known, _)| *known != name) {
            members.push((name, value));
        }
    };
    add("model", r#""m""#);
    if let Some((name, Member::Prompt(form))) = dialect.request.members.iter().find(|(_, member)| matches!(member, Member::Prompt(_))) {
        add(name, prompt(*form));
    }
    if let Caps::Required(name) = dialect.request.caps {
        add(name, "9");
    }
    let members: Vec<_> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", members.join(","))
}

/// What is said against it, if anything.
fn refusal(dialect: &'static Dialect, model: &Model, (name, value): (&str, &str)) -> Option<Refusal> {
    match Request::parse(dialect, &body(dialect, name, value)) {
        Ok(request) => request.refused_by(model),
        Err(refusal) => Some(refusal),
    }
}

/// What a lenient account is told.
fn refusal_of_lenient(dialect: &'static Dialect, (name, value): (&str, &str)) -> Option<Refusal> {
    let mut request = Request::parse(dialect, &body(dialect, name, value)).unwrap();
    request.set_lenient(true);
    request.refused_by(&model(OutputCapField::MaxTokens))
}

fn passes(dialect: &'static Dialect, name: &str, value: &str) {
    let refusal = refusal(dialect, &model(OutputCapField::MaxTokens), (name, value));
    assert!(refusal.is_none(), "{} with \"{name}\": {value}: {refusal:?}", dialect.route);
}

/// By this name, which is in what the client reads. An operator who opens it lets it pass, and nothing else does.
fn refused(dialect: &'static Dialect, name: &str, value: &str, named: &str) {
    let (model, sent) = (model(OutputCapField::MaxTokens), (name, value));
    let said = refusal(dialect, &model, sent).unwrap_or_else(|| panic!("{} takes \"{name}\": {value}", dialect.route));
    assert_eq!((said.code, said.param.as_deref()), ("unsupported_parameter", Some(named)), "{} with {value}", dialect.route);
    assert!(said.message.starts_with(&format!("\"{named}\" cannot be used")), "{}", said.message);
    let opening = |opened: &str| Model { opened: vec![opened.to_owned()], ..model.clone() };
    assert!(refusal(dialect, &opening(named), sent).is_none(), "{} with \"{named}\" opened", dialect.route);
    assert!(refusal(dialect, &opening("else"), sent).is_some(), "{} with something else opened", dialect.route);
}

/// It is not what a member of this name must be.
fn wrong(dialect: &'static Dialect, name: &str, value: &str) {
    let said = refusal(dialect, &model(OutputCapField::MaxTokens), (name, value));
    let said = said.unwrap_or_else(|| panic!("{} takes \"{name}\": {value}", dialect.route));
    assert_eq!(said.param.as_deref(), Some(name), "{} with {value}", dialect.route);
    assert!(said.message.contains(&format!("\"{name}\"")), "{}", said.message);
}

fn check(dialect: &'static Dialect, name: &str, member: Member) {
    let passes = |value: &str| passes(dialect, name, value);
    let refused_of_strict = |value: &str, named: &str| refused(dialect, name, value, named);
    let refused = |value: &str, named: &str| {
        refused_of_strict(value, named);
        assert!(refusal_of_lenient(dialect, (name, value)).is_some(), "{name}: {value}");
    };
    let passes_of_lenient = |value: &str| {
        refused_of_strict(value, name);
        assert!(refusal_of_lenient(dialect, (name, value)).is_none(), "{name}: {value}");
    };
    let wrong = |value: &str| wrong(dialect, name, value);
    match member {
        Member::Model => wrong("7"),
        Member::Stream => {
            passes("true");
            wrong(r#""true""#);
        }
        Member::StreamOptions => {
            passes(r#"{"include_usage":true}"#);
            wrong("7");
        }
        Member::Cap => {
            passes("9");
            ["0", "-1", "1.5", r#""9""#].into_iter().for_each(wrong);
        }
        Member::Answers => {
            passes("128");
            ["0", "129", "1.5", r#""2""#].into_iter().for_each(wrong);
        }
        Member::Prompt(form) => {
            passes(prompt(form));
            wrong("7");
        }
        Member::PromptText => passes(OTHER),
        Member::Tools(kinds) => {
            let tool = |kind: &str| format!(r#"[{{"type":"{kind}"}}]"#);
            let named = |kind: &str| if kind.ends_with('_') { format!("{kind}20990101") } else { kind.to_owned() };
            kinds.iter().for_each(|kind| passes(&tool(&named(kind))));
            refused(&tool("web_search"), &format!("{name}.web_search"));
            wrong("7");
        }
        Member::Edits(kinds) => {
            kinds.iter().for_each(|kind| passes(&format!(r#"{{"edits":[{{"type":"{kind}x"}}]}}"#)));
            refused(r#"{"edits":[{"type":"other"}]}"#, &format!("{name}.other"));
            refused(OTHER, &format!("{name}.other"));
        }
        Member::Inner(known) => {
            known.iter().for_each(|inner| passes(&format!(r#"{{"{inner}":true}}"#)));
            refused(OTHER, &format!("{name}.other"));
        }
        Member::User | Member::SafetyIdentifier => passes(r#""u""#),
        Member::Metadata | Member::MetadataOfUser => passes(r#"{"user_id":"u"}"#),
        Member::ServiceTier(known) => {
            for (value, tier) in known {
                if tier.wants_a_price() { refused(value, name) } else { passes(value) }
            }
            refused(r#""other""#, name);
        }
        Member::Only(harmless, _) => {
            harmless.iter().for_each(|value| passes(value));
            [OTHER, r#""other""#, "true"].into_iter().for_each(|value| refused(value, name));
        }
        Member::BesideCap(harmless) => {
            harmless.iter().for_each(|value| passes(value));
            passes_of_lenient("true");
            let bounded = ModelBounds { reasoning_max: Tokens::from_sum(100), ..ModelBounds::default() };
            let bounded = Model { bounds: bounded, ..model(OutputCapField::MaxTokens) };
            assert!(refusal(dialect, &bounded, (name, "true")).is_none(), "{name}");
        }
        Member::Loose(_) => [OTHER, "false", "[]", r#""""#].into_iter().for_each(passes_of_lenient),
        Member::Refused(_) => [OTHER, "false", "[]", r#""""#].into_iter().for_each(|value| refused(value, name)),
    }
    let is_required = member == Member::Cap && matches!(dialect.request.caps, Caps::Required(_));
    if !is_required && !matches!(member, Member::Model | Member::Prompt(_)) {
        passes("null");
    }
}

#[test]
fn each_member_passes_or_is_refused_by_its_name() {
    for dialect in DIALECTS {
        dialect.request.members.iter().for_each(|(name, member)| check(dialect, name, *member));
        for name in dialect.request.harmless.iter().flat_map(|names| names.iter()) {
            [OTHER, "[]", "7", "null"].into_iter().for_each(|value| passes(dialect, name, value));
        }
        refused(dialect, "of_nobody", OTHER, "of_nobody");
        passes(dialect, "of_nobody", "null");
    }
}
