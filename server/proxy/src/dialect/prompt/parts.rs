//! What a prompt can consist of, as the tables of the dialects say it.

/// How the member of a request is written that holds a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A text, or a list of messages and what else [`Parts`] knows.
    Items,
    /// A text, or a list of parts of one message.
    Parts,
    /// A text, a list of tokens by their numbers, or a list of either: each is a prompt of its own.
    Texts,
}

/// What the parts of a prompt are, by their `type`.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) kinds: &'static [(&'static str, Part)],
    /// Members of a message that point to something that is not in the request.
    pub(crate) outside: &'static [&'static str],
}

impl Parts {
    /// There is nothing but text.
    pub(crate) const NONE: Self = Self { kinds: &[], outside: &[] };
}

/// One kind of part. A kind that is not known may be anything, and is bounded by the model's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Whatever is in it is text.
    Text,
    /// The same, where this member is there; without it, what it is stands elsewhere, under its id.
    Sealed(&'static str),
    /// The same, and in this member a text or a list of parts.
    Nested(&'static str),
    /// A picture, by its bytes or its address in one of these members.
    Picture(&'static [(&'static str, Inline)]),
    /// A recording. Its length is not known where its bytes are not in the request.
    Sound(&'static [(&'static str, Inline)]),
    /// A file, in these members. It is refused where it is named, by `reference`: whose it is, is not known here.
    File { at: &'static [(&'static str, Pdf)], reference: &'static str },
    /// What it is stands in this member, by kinds of its own.
    Within(&'static str, &'static [(&'static str, Part)]),
    /// This part, of which the provider makes more than it says where `citations` are asked for: it numbers each sentence.
    Citable(&'static Part),
}

/// How it shows that a file is a PDF, the pages of which are so many tokens however they are written. Other files may be text, as long as the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pdf {
    /// By its bytes: `data:application/pdf;…`.
    DataUrl,
    /// By the `media_type` beside its bytes in base64.
    MediaType,
    /// By the place: no other file's address can stand there.
    Address,
}

impl Pdf {
    pub(super) fn is(self, text: &str, media_type: Option<&str>) -> bool {
        match self {
            Self::DataUrl => text.starts_with("data:application/pdf;"),
            Self::MediaType => media_type == Some("application/pdf"),
            Self::Address => !text.starts_with("data:"),
        }
    }
}

/// How bytes are written in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inline {
    /// `data:image/…`; another address points outside.
    DataUrl,
    /// Base64, in which no address can be written.
    Base64,
}

impl Inline {
    pub(super) fn is(self, text: &str) -> bool {
        match self {
            Self::DataUrl => text.starts_with("data:image/"),
            Self::Base64 => !text.contains(':'),
        }
    }
}

/// The part that is called so, if there is one.
pub(super) fn kind_of(kinds: &[(&str, Part)], name: &str) -> Option<Part> {
    kinds.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
}
