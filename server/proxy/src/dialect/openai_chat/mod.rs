//! OpenAI's chat completions, and the many servers that are compatible with them.
//!
//! Sources: OpenAI's API reference (`POST /v1/chat/completions`, `stream_options.include_usage`) and the documentation of the providers that the
//! tables in [`usage`] name.

pub(crate) mod prompt;
pub mod reading;
pub(crate) mod request;
pub mod usage;
