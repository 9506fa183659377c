//! OpenAI's chat completions, and the many servers that are compatible with them.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create>

use std::sync::LazyLock;

use domain::{catalog::Api, service_tier::ServiceTier};

use super::{
    Answers, Asking, Caps, Credential, Dialect, ErrorShape, members,
    prompt::{Form, Inline, Part, Parts, Pdf},
    request::{
        Member::{self, BesideCap, Loose, Only, Refused},
        NO_CAP, OTHER_MODEL, SEARCH, UNCOUNTED, UNKNOWN_LENGTH,
    },
    usage::{Accounting, CacheTokens, Later},
};
use crate::wire::{
    grammar::{Grammar, Mark, Row, Scope, Table},
    report::Count,
};

pub(super) static DIALECT: Dialect = Dialect {
    index: 0,
    api: Api::Chat,
    operation: "chat",
    route: "/v1/chat/completions",
    upstream_path: "/chat/completions",
    credential: Credential::Bearer,
    headers: &[],
    errors: ErrorShape::OpenAi,
    request: Asking {
        members: MEMBERS,
        harmless: &[members::SAMPLING, members::VLLM, members::LLAMA_CPP, members::PROVIDERS, HARMLESS],
        caps: Caps::ByModel,
        parts: PARTS,
    },
    answers: Answers {
        grammar: LazyLock::new(|| Grammar::new(&ANSWERS)),
        accounting: Accounting { cache: CacheTokens::InPrompt, later: Later::Grows },
        has_output: true,
        failed_kinds: &[],
    },
};

const HARMLESS: &[&str] = &[
    "audio",
    "echo",
    "function_call",
    "logprobs",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "store",
    "tool_choice",
    "top_logprobs",
    "verbosity",
];

const MEMBERS: &[(&str, Member)] = &[
    ("model", Member::Model),
    ("messages", Member::Prompt(Form::Items)),
    ("stream", Member::Stream),
    ("stream_options", Member::StreamOptions),
    ("max_tokens", Member::Cap),
    ("max_completion_tokens", Member::Cap),
    ("n", Member::Answers),
    ("tools", Member::Tools(&["function", "custom"])),
    ("functions", Member::PromptText),
    ("response_format", Member::PromptText),
    ("format", Member::PromptText),
    // What vLLM hands to the template, which may also be a template of its own.
    (
        "chat_template_kwargs",
        Member::Inner(&[
            "add_generation_prompt",
            "clear_thinking",
            "enable_thinking",
            "preserve_thinking",
            "reasoning_effort",
            "thinking",
            "thinking_mode",
        ]),
    ),
    ("user", Member::User),
    ("safety_identifier", Member::SafetyIdentifier),
    ("metadata", Member::Metadata),
    ("background", Only(&["false"], UNCOUNTED)),
    ("best_of", Only(&["1"], "its discarded answers are not reported")),
    ("chat_template", Loose("it can write a prompt of any length")),
    ("conversation", Refused(UNKNOWN_LENGTH)),
    ("data_sources", Only(&["[]"], UNKNOWN_LENGTH)),
    ("deferred", Only(&["false"], UNCOUNTED)),
    ("documents", Only(&["[]"], UNKNOWN_LENGTH)),
    ("enable_search", Only(&["false"], SEARCH)),
    ("enable_thinking", BesideCap(&["false"])),
    ("thinking_budget", BesideCap(&[])),
    ("extra_body", Only(&["{}"], "what is inside may be anything")),
    ("fallbacks", Only(&["[]"], OTHER_MODEL)),
    ("max_new_tokens", Loose(NO_CAP)),
    ("max_output_tokens", Loose(NO_CAP)),
    ("n_predict", Loose(NO_CAP)),
    ("mm_processor_kwargs", Only(&["{}"], "it decides how many tokens a picture is")),
    ("modalities", Only(&[r#"["text"]"#, r#"["text","audio"]"#, r#"["audio","text"]"#], "what pictures cost is not counted as text")),
    ("models", Only(&["[]"], OTHER_MODEL)),
    ("n_cmpl", Only(&["1"], "ask for several answers with n")),
    ("plugins", Only(&["[]"], "what plugins cost is not reported as tokens")),
    ("prediction", Loose("rejected predictions are charged outside of the answer")),
    ("preset", Refused("it may choose another model")),
    ("previous_response_id", Refused(UNKNOWN_LENGTH)),
    ("prompt", Refused("a stored prompt's length is not known here")),
    ("prompt_mode", Loose("it puts a text of its own into the prompt")),
    ("provider", Refused("the choice of the provider is the gateway's")),
    ("route", Refused(OTHER_MODEL)),
    ("safe_prompt", Only(&["false"], "it puts a text of its own into the prompt")),
    ("search_parameters", Refused(SEARCH)),
    ("search_settings", Refused(SEARCH)),
    ("service_tier", Member::ServiceTier(SERVICE_TIERS)),
    ("speed", Only(&["\"standard\""], "other speeds have other prices")),
    ("use_beam_search", Only(&["false"], "its discarded answers are not reported")),
    ("web_search_options", Refused(SEARCH)),
];

/// What leaving it out means, too, Groq's word for that, and the tiers of OpenAI that can be asked for.
pub(super) const SERVICE_TIERS: &[(&str, ServiceTier)] = &[
    ("\"auto\"", ServiceTier::Default),
    ("\"default\"", ServiceTier::Default),
    ("\"standard\"", ServiceTier::Default),
    ("\"on_demand\"", ServiceTier::Default),
    ("\"scale\"", ServiceTier::Scale),
    ("\"flex\"", ServiceTier::Flex),
    ("\"priority\"", ServiceTier::Priority),
];

const PARTS: Parts = Parts {
    kinds: &[
        ("text", Part::Text),
        ("refusal", Part::Text),
        ("thinking", Part::Text),
        ("image_url", Part::Picture(&[("image_url.url", Inline::DataUrl), ("image_url", Inline::DataUrl)])),
        ("input_audio", Part::Sound(&[("input_audio.data", Inline::Base64)])),
        ("file", Part::File { at: &[("file.file_data", Pdf::DataUrl)], name: Some("file.filename"), reference: "file.file_id" }),
    ],
    // An earlier spoken answer, by its id.
    outside: &["audio"],
};

pub(super) const ANSWERS: Table = Table {
    rows: ROWS,
    counts: COUNTS,
    // A stream ends with `[DONE]`.
    last_kinds: &[],
};

const ROWS: &[Row] = &[
    ("model", Mark::Model),
    ("service_tier", Mark::Tier),
    ("error", Mark::Failure),
    ("choices", Mark::Answer),
    ("choices.*.finish_reason", Mark::Finish),
    ("choices.*.error", Mark::Failure),
    ("usage", Mark::Report(Scope::Answer)),
    // Groq once reported only there, and now does so in both places (<https://console.groq.com/docs/api-reference>).
    ("x_groq.usage", Mark::Report(Scope::Aside)),
    // Moonshot's streams (<https://platform.moonshot.ai/docs/api/chat>).
    ("choices.*.usage", Mark::Report(Scope::Aside)),
    // In an event …
    ("choices.*.delta.*", Mark::Said),
    ("choices.*.delta.role", Mark::Opening),
    ("choices.*.delta.content", Mark::Text),
    ("choices.*.delta.content.*.text", Mark::Text),
    ("choices.*.delta.content.*.thinking", Mark::Text),
    ("choices.*.delta.content.*.thinking.*.text", Mark::Text),
    ("choices.*.delta.reasoning", Mark::Text),
    ("choices.*.delta.reasoning_content", Mark::Text),
    ("choices.*.delta.refusal", Mark::Text),
    ("choices.*.delta.thinking", Mark::Text),
    ("choices.*.delta.audio.*", Mark::Media),
    ("choices.*.delta.audio.transcript", Mark::Text),
    ("choices.*.delta.images.*", Mark::Media),
    ("choices.*.delta.tool_calls.*.function.name", Mark::Text),
    ("choices.*.delta.tool_calls.*.function.arguments", Mark::Text),
    ("choices.*.delta.tool_calls.*.custom.name", Mark::Text),
    ("choices.*.delta.tool_calls.*.custom.input", Mark::Text),
    ("choices.*.delta.function_call.name", Mark::Text),
    ("choices.*.delta.function_call.arguments", Mark::Text),
    // … and in a whole answer, and in llama.cpp's older ones.
    ("choices.*.message.content", Mark::Text),
    ("choices.*.message.content.*.text", Mark::Text),
    ("choices.*.message.content.*.thinking", Mark::Text),
    ("choices.*.message.content.*.thinking.*.text", Mark::Text),
    ("choices.*.message.reasoning", Mark::Text),
    ("choices.*.message.reasoning_content", Mark::Text),
    ("choices.*.message.refusal", Mark::Text),
    ("choices.*.message.thinking", Mark::Text),
    ("choices.*.message.audio.*", Mark::Media),
    ("choices.*.message.audio.transcript", Mark::Text),
    ("choices.*.message.images.*", Mark::Media),
    ("choices.*.message.tool_calls.*.function.name", Mark::Text),
    ("choices.*.message.tool_calls.*.function.arguments", Mark::Text),
    ("choices.*.message.tool_calls.*.custom.name", Mark::Text),
    ("choices.*.message.tool_calls.*.custom.input", Mark::Text),
    ("choices.*.message.function_call.name", Mark::Text),
    ("choices.*.message.function_call.arguments", Mark::Text),
];

/// What providers report of tokens. Everything else that stands in a report (times, costs, texts, parts of the totals for pictures) is left alone.
pub(super) const COUNTS: &[(&str, Count)] = &[
    ("prompt_tokens", Count::Input),
    ("completion_tokens", Count::Output),
    ("total_tokens", Count::Total),
    // OpenAI, Azure, OpenRouter, xAI, Qwen, vLLM, Hugging Face.
    ("prompt_tokens_details.cached_tokens", Count::CacheRead),
    // DeepSeek (<https://api-docs.deepseek.com/guides/kv_cache>).
    ("prompt_cache_hit_tokens", Count::CacheRead),
    // Together, Moonshot.
    ("cached_tokens", Count::CacheRead),
    // Databricks, for Anthropic's models.
    ("cache_read_input_tokens", Count::CacheRead),
    ("prompt_tokens_details.cache_write_tokens", Count::CacheWrite),
    // Qwen (<https://help.aliyun.com/en/model-studio/context-cache>).
    ("prompt_tokens_details.cache_creation_input_tokens", Count::CacheWrite),
    ("cache_creation_input_tokens", Count::CacheWrite),
    ("prompt_tokens_details.audio_tokens", Count::AudioInput),
    ("completion_tokens_details.reasoning_tokens", Count::Reasoning),
    // Perplexity, beside a completion that does not hold them: such a call is flagged.
    ("reasoning_tokens", Count::Reasoning),
    ("completion_tokens_details.audio_tokens", Count::AudioOutput),
];
