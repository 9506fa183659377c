//! The form's fields.

/// Which model.
#[cfg(feature = "ssr")]
pub(super) const MODEL: &str = "model";
/// From when on its calls began.
#[cfg(feature = "ssr")]
pub(super) const FROM: &str = "from";
/// Until when; empty for now.
#[cfg(feature = "ssr")]
pub(super) const TO: &str = "to";
/// By which version of its price.
#[cfg(feature = "ssr")]
pub(super) const PRICE: &str = "price";
/// Why.
#[cfg(feature = "ssr")]
pub(super) const NOTE: &str = "note";
/// That it is to be looked at.
#[cfg(feature = "ssr")]
pub(super) const REVIEW: &str = "review";
/// That it was posted.
#[cfg(feature = "ssr")]
pub(super) const DONE: &str = "done";

/// The page of a model.
pub(crate) fn address(model: &str) -> String {
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("model", model).finish();
    format!("/admin/pricing/reprice?{query}")
}
