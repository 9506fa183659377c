//! OpenAI's embeddings: vectors of texts. There is no output that costs.
//!
//! <https://platform.openai.com/docs/api-reference/embeddings/create>

use std::sync::LazyLock;

use domain::catalog::Api;

use super::{
    Answers, Asking, Caps, Credential, Dialect, ErrorShape, chat,
    prompt::{Form, Parts},
    request::Member,
    usage::{Accounting, CacheTokens, Later},
};
use crate::wire::grammar::{Grammar, Mark, Row, Scope, Table};

pub(super) static DIALECT: Dialect = Dialect {
    index: 2,
    api: Api::Embeddings,
    operation: "embeddings",
    route: "/v1/embeddings",
    upstream_path: "/embeddings",
    credential: Credential::Bearer,
    headers: &[],
    errors: ErrorShape::OpenAi,
    request: Asking {
        members: &[
            ("model", Member::Model),
            ("input", Member::Prompt(Form::Texts)),
            ("user", Member::User),
            // vLLM puts one before each text.
            ("instruction", Member::PromptText),
        ],
        harmless: &[&[
            "dimensions",
            "encoding_format",
            // Mistral, Voyage and NVIDIA.
            "embedding_type",
            "embedding_types",
            "input_type",
            "output_dimension",
            "output_dtype",
            "truncate",
            "truncation",
            // Jina.
            "late_chunking",
            "normalized",
            "task",
            // vLLM, and Hugging Face's server.
            "add_special_tokens",
            "normalize",
            "priority",
            "truncate_prompt_tokens",
        ]],
        caps: Caps::None,
        parts: Parts::NONE,
    },
    answers: Answers {
        grammar: LazyLock::new(|| Grammar::new(&ANSWERS)),
        accounting: Accounting { cache: CacheTokens::InPrompt, later: Later::Grows },
        has_output: false,
        failed_kinds: &[],
    },
};

const ANSWERS: Table = Table { rows: ROWS, counts: chat::COUNTS, last_kinds: &[] };

const ROWS: &[Row] = &[
    ("model", Mark::Model),
    ("error", Mark::Failure),
    ("data", Mark::Answer),
    ("data.*", Mark::Media),
    ("usage", Mark::Report(Scope::Answer)),
];
