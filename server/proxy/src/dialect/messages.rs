//! Anthropic's messages, and the servers that are compatible with them.
//!
//! <https://docs.claude.com/en/api/messages>, its streaming events, and what it says of caching and of usage. Tokens that are read from a cache or written to
//! one stand beside `input_tokens`, not in them.

use std::sync::LazyLock;

use domain::{catalog::Api, service_tier::ServiceTier};

use super::{
    Answers, Asking, Caps, Credential, Dialect, ErrorShape,
    prompt::{Form, Inline, Part, Parts, Pdf},
    request::{
        Member::{self, Only, Refused},
        OTHER_MODEL,
    },
    usage::{Accounting, CacheTokens, Later},
};
use crate::wire::{
    grammar::{Grammar, Mark, Row, Scope, Table},
    report::Count,
};

pub(super) static DIALECT: Dialect = Dialect {
    index: 4,
    api: Api::Messages,
    operation: "messages",
    route: "/v1/messages",
    upstream_path: "/messages",
    credential: Credential::ApiKey,
    headers: &[
        // Without one the API takes no request; this has been the only one since 2023 (<https://docs.claude.com/en/api/versioning>).
        ("anthropic-version", Some("2023-06-01")),
        ("anthropic-beta", None),
    ],
    errors: ErrorShape::Anthropic,
    request: Asking {
        members: MEMBERS,
        harmless: &[&["cache_control", "stop_sequences", "temperature", "thinking", "tool_choice", "top_k", "top_p", "user_profile_id"]],
        caps: Caps::Required("max_tokens"),
        parts: PARTS,
    },
    answers: Answers {
        grammar: LazyLock::new(|| Grammar::new(&ANSWERS)),
        accounting: Accounting { cache: CacheTokens::BesidePrompt, later: Later::Replaces },
        has_output: true,
        failed_kinds: &["error"],
    },
};

const MEMBERS: &[(&str, Member)] = &[
    ("model", Member::Model),
    ("messages", Member::Prompt(Form::Items)),
    ("system", Member::Prompt(Form::Parts)),
    ("max_tokens", Member::Cap),
    ("stream", Member::Stream),
    // Those that run at the client's side; one without a type is the client's own.
    ("tools", Member::Tools(&["", "custom", "bash_", "computer_", "memory_", "text_editor_"])),
    ("output_config", Member::PromptText),
    ("output_format", Member::PromptText),
    ("metadata", Member::MetadataOfUser),
    // It only takes away from the prompt; a summary is made by another pass, which is charged beside the answer.
    ("context_management", Member::Edits(&["clear_"])),
    ("container", Refused("what runs in it is not reported as tokens")),
    ("inference_geo", Only(&["\"global\"", "\"not_available\""], "other places have other prices")),
    ("mcp_servers", Only(&["[]"], "how much they put into the prompt is not known here")),
    ("fallbacks", Only(&["[]"], OTHER_MODEL)),
    // Nobody can ask for another: capacity that was paid for serves what it can of what does not say that it must not.
    (
        "service_tier",
        Member::ServiceTier(&[
            ("\"auto\"", ServiceTier::Default),
            ("\"standard_only\"", ServiceTier::Default),
            ("\"standard\"", ServiceTier::Default),
        ]),
    ),
    ("speed", Only(&["\"standard\""], "other speeds have other prices")),
];

const PARTS: Parts = Parts {
    kinds: &[
        ("text", Part::Text),
        ("thinking", Part::Text),
        ("redacted_thinking", Part::Text),
        ("tool_use", Part::Text),
        ("server_tool_use", Part::Text),
        ("tool_result", Part::Nested("content")),
        ("search_result", Part::Citable(&Part::Nested("content"))),
        ("image", Part::Picture(&[("source.data", Inline::Base64), ("source.url", Inline::DataUrl)])),
        ("document", Part::Citable(&Part::Within("source", DOCUMENTS))),
        ("container_upload", Part::File { at: &[], name: None, reference: "file_id" }),
    ],
    outside: &[],
};

/// Where a document is from.
const DOCUMENTS: &[(&str, Part)] =
    &[("text", Part::Text), ("content", Part::Nested("content")), ("base64", PDF), ("url", PDF), ("file", PDF)];
const PDF: Part = Part::File { at: &[("data", Pdf::MediaType), ("url", Pdf::Address)], name: None, reference: "file_id" };

const ANSWERS: Table = Table { rows: ROWS, counts: COUNTS, last_kinds: &["message_stop"] };

const ROWS: &[Row] = &[
    ("type", Mark::Kind),
    ("error", Mark::Failure),
    // In an event …
    ("message", Mark::Answer),
    ("message.model", Mark::Model),
    ("message.usage", Mark::Report(Scope::Answer)),
    ("message.usage.service_tier", Mark::Tier),
    ("content_block", Mark::Answer),
    ("content_block.text", Mark::Text),
    ("content_block.name", Mark::Text),
    ("delta", Mark::Answer),
    ("delta.text", Mark::Text),
    ("delta.thinking", Mark::Text),
    ("delta.partial_json", Mark::Text),
    ("delta.stop_reason", Mark::Finish),
    // … and in a whole answer. An event says at its end what it used.
    ("usage", Mark::Report(Scope::Answer)),
    ("usage.service_tier", Mark::Tier),
    ("usage.iterations.*", Mark::Report(Scope::Pass)),
    ("usage.iterations.*.model", Mark::ReportModel),
    ("model", Mark::Model),
    ("stop_reason", Mark::Finish),
    ("content", Mark::Answer),
    ("content.*.text", Mark::Text),
    ("content.*.thinking", Mark::Text),
    ("content.*.name", Mark::Text),
    ("content.*.input.**", Mark::Text),
];

const COUNTS: &[(&str, Count)] = &[
    ("input_tokens", Count::Input),
    ("output_tokens", Count::Output),
    ("cache_read_input_tokens", Count::CacheRead),
    ("cache_creation_input_tokens", Count::CacheWrite),
    ("cache_creation.ephemeral_5m_input_tokens", Count::CacheWrite5m),
    ("cache_creation.ephemeral_1h_input_tokens", Count::CacheWrite1h),
    ("output_tokens_details.thinking_tokens", Count::Reasoning),
];
