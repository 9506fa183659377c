//! OpenAI's Responses.
//!
//! <https://platform.openai.com/docs/api-reference/responses/create> and its streaming events. What runs on the provider's side beside the model (searches,
//! interpreters, stored conversations) costs what no count of tokens shows, and is the operator's to open.

use std::sync::LazyLock;

use domain::catalog::Api;

use super::{
    Answers, Asking, Caps, Credential, Dialect, ErrorShape, chat, members,
    prompt::{Form, Inline, Part, Parts, Pdf},
    request::{
        Member::{self, Only, Refused},
        UNCOUNTED, UNKNOWN_LENGTH,
    },
    usage::{Accounting, CacheTokens, Later},
};
use crate::wire::{
    grammar::{Grammar, Mark, Row, Scope, Table},
    report::Count,
};

pub(super) static DIALECT: Dialect = Dialect {
    index: 3,
    api: Api::Responses,
    operation: "responses",
    route: "/v1/responses",
    upstream_path: "/responses",
    credential: Credential::Bearer,
    headers: &[],
    errors: ErrorShape::OpenAi,
    request: Asking {
        members: MEMBERS,
        harmless: &[members::SAMPLING, HARMLESS],
        caps: Caps::Optional("max_output_tokens", None),
        parts: PARTS,
    },
    answers: Answers {
        grammar: LazyLock::new(|| Grammar::new(&ANSWERS)),
        accounting: Accounting { cache: CacheTokens::InPrompt, later: Later::Replaces },
        has_output: true,
        failed_kinds: &["error", "response.failed"],
    },
};

const HARMLESS: &[&str] = &[
    "client_metadata",
    "include",
    "max_tool_calls",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "store",
    "stream_options",
    "tool_choice",
    "top_logprobs",
    "truncation",
    "verbosity",
];

const MEMBERS: &[(&str, Member)] = &[
    ("model", Member::Model),
    ("input", Member::Prompt(Form::Items)),
    ("instructions", Member::PromptText),
    ("text", Member::PromptText),
    // Those that run at the client's side.
    ("tools", Member::Tools(&["function", "custom", "namespace", "local_shell", "apply_patch", "computer_use_preview", "computer"])),
    ("stream", Member::Stream),
    ("max_output_tokens", Member::Cap),
    ("user", Member::User),
    ("safety_identifier", Member::SafetyIdentifier),
    ("metadata", Member::Metadata),
    ("background", Only(&["false"], UNCOUNTED)),
    ("context_management", Only(&["[]"], "what it makes of the context is charged beside the answer")),
    ("conversation", Refused(UNKNOWN_LENGTH)),
    ("previous_response_id", Refused(UNKNOWN_LENGTH)),
    ("prompt", Refused("a stored prompt's length is not known here")),
    ("service_tier", Member::ServiceTier(chat::SERVICE_TIERS)),
];

const PARTS: Parts = Parts {
    kinds: &[
        // Items …
        ("message", Part::Nested("content")),
        ("function_call", Part::Text),
        ("function_call_output", Part::Nested("output")),
        ("custom_tool_call", Part::Text),
        ("custom_tool_call_output", Part::Nested("output")),
        ("local_shell_call", Part::Text),
        ("local_shell_call_output", Part::Text),
        ("apply_patch_call", Part::Text),
        ("apply_patch_call_output", Part::Text),
        ("computer_call", Part::Text),
        ("computer_call_output", Part::Picture(&[("output.image_url", Inline::DataUrl)])),
        ("reasoning", Part::Sealed("encrypted_content")),
        // … and what is in them.
        ("input_text", Part::Text),
        ("output_text", Part::Text),
        ("summary_text", Part::Text),
        ("refusal", Part::Text),
        ("input_image", Part::Picture(&[("image_url", Inline::DataUrl)])),
        ("input_audio", Part::Sound(&[("input_audio.data", Inline::Base64)])),
        (
            "input_file",
            Part::File { at: &[("file_data", Pdf::DataUrl), ("file_url", Pdf::DataUrl)], name: Some("filename"), reference: "file_id" },
        ),
    ],
    outside: &[],
};

const ANSWERS: Table = Table { rows: ROWS, counts: COUNTS, last_kinds: &["response.completed", "response.incomplete", "response.failed"] };

const ROWS: &[Row] = &[
    ("type", Mark::Kind),
    // In an event …
    ("response", Mark::Answer),
    ("response.model", Mark::Model),
    ("response.service_tier", Mark::Tier),
    ("response.error", Mark::Failure),
    ("response.usage", Mark::Report(Scope::Answer)),
    ("delta", Mark::Text),
    ("partial_image_b64", Mark::Media),
    ("error", Mark::Failure),
    // … and in a whole answer.
    ("model", Mark::Model),
    ("service_tier", Mark::Tier),
    ("usage", Mark::Report(Scope::Answer)),
    ("output", Mark::Answer),
    ("output.*.content.*.text", Mark::Text),
    ("output.*.content.*.refusal", Mark::Text),
    ("output.*.summary.*.text", Mark::Text),
    ("output.*.name", Mark::Text),
    ("output.*.arguments", Mark::Text),
    ("output.*.input", Mark::Text),
    ("output.*.result", Mark::Media),
];

const COUNTS: &[(&str, Count)] = &[
    ("input_tokens", Count::Input),
    ("output_tokens", Count::Output),
    ("total_tokens", Count::Total),
    ("input_tokens_details.cached_tokens", Count::CacheRead),
    ("input_tokens_details.cache_write_tokens", Count::CacheWrite),
    ("input_tokens_details.audio_tokens", Count::AudioInput),
    ("output_tokens_details.reasoning_tokens", Count::Reasoning),
    ("output_tokens_details.audio_tokens", Count::AudioOutput),
];
