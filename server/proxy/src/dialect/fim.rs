//! Mistral's completions of code between what comes before and what comes after it. The answers are those of chat, which report usage by themselves.
//!
//! <https://docs.mistral.ai/api/endpoint/fim>

use std::sync::LazyLock;

use domain::catalog::Api;

use super::{
    Answers, Asking, Caps, Credential, Dialect, ErrorShape, chat, members,
    prompt::{Form, Parts},
    request::Member,
    usage::{Accounting, CacheTokens, Later},
};
use crate::wire::grammar::Grammar;

pub(super) static DIALECT: Dialect = Dialect {
    index: 5,
    api: Api::Fim,
    operation: "text_completion",
    route: "/v1/fim/completions",
    upstream_path: "/fim/completions",
    credential: Credential::Bearer,
    headers: &[],
    errors: ErrorShape::OpenAi,
    request: Asking {
        members: &[
            ("model", Member::Model),
            ("prompt", Member::Prompt(Form::Texts)),
            ("suffix", Member::PromptText),
            ("max_tokens", Member::Cap),
            ("stream", Member::Stream),
            ("metadata", Member::Metadata),
        ],
        harmless: &[members::SAMPLING, &["min_tokens", "random_seed"]],
        caps: Caps::Optional("max_tokens", None),
        parts: Parts::NONE,
    },
    answers: Answers {
        grammar: LazyLock::new(|| Grammar::new(&chat::ANSWERS)),
        accounting: Accounting { cache: CacheTokens::InPrompt, later: Later::Grows },
        has_output: true,
        failed_kinds: &[],
    },
};
