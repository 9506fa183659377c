//! OpenAI's completions: a text that is gone on with.
//!
//! <https://platform.openai.com/docs/api-reference/completions/create>

use std::sync::LazyLock;

use domain::catalog::Api;

use super::{
    Answers, Asking, Caps, Credential, Dialect, ErrorShape, chat, members,
    prompt::{Form, Parts},
    request::{
        Member::{self, Loose, Only},
        NO_CAP, OTHER_MODEL,
    },
    usage::{Accounting, CacheTokens, Later},
};
use crate::wire::grammar::{Grammar, Mark, Row, Scope, Table};

pub(super) static DIALECT: Dialect = Dialect {
    index: 1,
    api: Api::Completions,
    operation: "text_completion",
    route: "/v1/completions",
    upstream_path: "/completions",
    credential: Credential::Bearer,
    headers: &[],
    errors: ErrorShape::OpenAi,
    request: Asking {
        members: MEMBERS,
        harmless: &[
            members::SAMPLING,
            members::VLLM,
            members::LLAMA_CPP,
            &["echo", "include_reasoning", "logprobs", "random_seed", "reasoning", "session_id"],
        ],
        // "Defaults to 16", says OpenAI's reference.
        caps: Caps::Optional("max_tokens", Some(16)),
        parts: Parts::NONE,
    },
    answers: Answers {
        grammar: LazyLock::new(|| Grammar::new(&ANSWERS)),
        accounting: Accounting { cache: CacheTokens::InPrompt, later: Later::Grows },
        has_output: true,
        failed_kinds: &[],
    },
};

const MEMBERS: &[(&str, Member)] = &[
    ("model", Member::Model),
    ("prompt", Member::Prompt(Form::Texts)),
    ("suffix", Member::PromptText),
    ("response_format", Member::PromptText),
    ("stream", Member::Stream),
    ("stream_options", Member::StreamOptions),
    ("max_tokens", Member::Cap),
    ("n", Member::Answers),
    // So many answers are made, and `n` of them are shown.
    ("best_of", Member::Answers),
    ("user", Member::User),
    ("max_new_tokens", Loose(NO_CAP)),
    ("n_predict", Loose(NO_CAP)),
    ("models", Only(&["[]"], OTHER_MODEL)),
    ("service_tier", Member::ServiceTier(chat::SERVICE_TIERS)),
    ("use_beam_search", Only(&["false"], "its discarded answers are not reported")),
];

const ANSWERS: Table = Table { rows: ROWS, counts: chat::COUNTS, last_kinds: &[] };

const ROWS: &[Row] = &[
    ("model", Mark::Model),
    ("service_tier", Mark::Tier),
    ("error", Mark::Failure),
    ("choices", Mark::Answer),
    ("choices.*.finish_reason", Mark::Finish),
    ("choices.*.text", Mark::Text),
    ("choices.*.reasoning", Mark::Text),
    ("usage", Mark::Report(Scope::Answer)),
];
