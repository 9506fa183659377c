//! The form's fields.

use domain::service_tier::ServiceTier;

/// Which model.
#[cfg(feature = "ssr")]
pub(super) const MODEL: &str = "model";
/// Of calls that were served at which service tier; without it, at the default.
#[cfg(feature = "ssr")]
pub(super) use crate::pages::admin_pricing::fields::SERVICE_TIER;
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
/// How much went back when it was looked at.
#[cfg(feature = "ssr")]
pub(super) const SEEN: &str = "seen";
/// That it was posted.
#[cfg(feature = "ssr")]
pub(super) const DONE: &str = "done";

/// The page of a model's price at a service tier.
pub(crate) fn address((model, service_tier): (&str, ServiceTier)) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("model", model);
    if let Some(tier) = service_tier.other() {
        query.append_pair("service_tier", tier.name());
    }
    format!("/admin/pricing/reprice?{}", query.finish())
}
