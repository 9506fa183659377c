//! The keys that a chat answer is searched for.

/// What a key means, by its place in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Other,
    Usage,
    XGroq,
    Model,
    Error,
    Choices,
    /// `delta` in an event, `message` in a whole answer.
    Message,
    Content,
    /// What models call the text that they think in, and a refusal: output, though not content.
    OtherText,
    Text,
    /// Pictures that were made.
    Images,
    /// A spoken answer, and the words of it.
    Audio,
    Transcript,
    ToolCalls,
    /// The function of a tool call, or its custom tool.
    Function,
    /// A function's `name` or `arguments`, a custom tool's `input`.
    FunctionText,
    FinishReason,
}

impl Key {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"usage" => Self::Usage,
            b"x_groq" => Self::XGroq,
            b"model" => Self::Model,
            b"error" => Self::Error,
            b"choices" => Self::Choices,
            b"delta" | b"message" => Self::Message,
            b"content" => Self::Content,
            b"reasoning" | b"reasoning_content" | b"refusal" | b"thinking" => Self::OtherText,
            b"text" => Self::Text,
            b"images" => Self::Images,
            b"audio" => Self::Audio,
            b"transcript" => Self::Transcript,
            b"tool_calls" => Self::ToolCalls,
            b"function" | b"function_call" | b"custom" => Self::Function,
            b"name" | b"arguments" | b"input" => Self::FunctionText,
            b"finish_reason" => Self::FinishReason,
            _ => Self::Other,
        }
    }
}

/// The places where a chat answer carries what the model wrote.
pub(super) fn is_delivered_text(path: &[Key]) -> bool {
    matches!(
        path,
        [Key::Choices, _, Key::Message, Key::Content | Key::OtherText]
            | [Key::Choices, _, Key::Message, Key::Content, _, Key::Text | Key::OtherText]
            | [Key::Choices, _, Key::Message, Key::Content, _, Key::OtherText, _, Key::Text]
            | [Key::Choices, _, Key::Message, Key::Audio, Key::Transcript]
            | [Key::Choices, _, Key::Message, Key::ToolCalls, _, Key::Function, Key::FunctionText]
            | [Key::Choices, _, Key::Message, Key::Function, Key::FunctionText]
    )
}
