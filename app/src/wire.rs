//! How pages travel to the browser.

use leptos::server_fn::{Bytes, ContentType, Decodes, Encodes, Format, FormatType, codec::Post};
use serde::{Serialize, de::DeserializeOwned};

/// JSON that is read as text. What comes inside a page is read as text too, so the browser needs one reader for both; the usual codec reads
/// bytes, and would bring a second copy of every type's reader.
pub(crate) type Text = Post<JsonText>;

/// See [`Text`].
pub(crate) struct JsonText;

impl ContentType for JsonText {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for JsonText {
    const FORMAT_TYPE: Format = Format::Text;
}

impl<T: Serialize> Encodes<T> for JsonText {
    type Error = serde_json::Error;

    fn encode(value: &T) -> Result<Bytes, Self::Error> {
        serde_json::to_vec(value).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for JsonText {
    type Error = serde_json::Error;

    fn decode(bytes: Bytes) -> Result<T, Self::Error> {
        // What is not UTF-8 is no JSON either; the reader says so.
        serde_json::from_str(std::str::from_utf8(&bytes).unwrap_or_default())
    }
}
