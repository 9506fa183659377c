//! The tiers at which a provider serves the same model, sooner or later, each for a price of its own.
//!
//! OpenAI: <https://platform.openai.com/docs/api-reference/chat/create>, `service_tier`. Anthropic: <https://platform.claude.com/docs/en/api/service-tiers>.

use serde::{Deserialize, Serialize};

/// One of them. The word "tier" alone means the steps of a price by the prompt's length ([`crate::rates::ContextTier`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// What leaving it out means; Anthropic and others say `standard`.
    #[default]
    Default,
    /// Cheaper, and slower or not at all while there is much to do.
    Flex,
    /// Dearer, and sooner.
    Priority,
    /// By capacity that was paid for in advance.
    Scale,
    /// Within a day, of many calls that are sent together.
    Batch,
}

impl ServiceTier {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Default, Self::Flex, Self::Priority, Self::Scale, Self::Batch];
    /// Those that may have a price beside the model's own, which is the default's.
    pub const OTHERS: [Self; 4] = [Self::Flex, Self::Priority, Self::Scale, Self::Batch];

    /// Its name in requests, in flags, in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Scale => "scale",
            Self::Batch => "batch",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::Flex => "Flex",
            Self::Priority => "Priority",
            Self::Scale => "Scale",
            Self::Batch => "Batch",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// Whether it is another than the default.
    #[must_use]
    pub fn other(self) -> Option<Self> {
        (self != Self::Default).then_some(self)
    }

    /// Whether a call can ask for it: a batch is sent in another way, which none passes here.
    #[must_use]
    pub const fn can_be_asked_for(self) -> bool {
        !matches!(self, Self::Batch)
    }

    /// Whether it costs something else than the default although it has no price here: capacity that was paid for in advance does not.
    #[must_use]
    pub const fn wants_a_price(self) -> bool {
        match self {
            Self::Default | Self::Scale => false,
            Self::Flex | Self::Priority | Self::Batch => true,
        }
    }

    /// Whether a call that asks for it may be served at the default: OpenAI does so with priority where too much of it is asked for at once, and with what
    /// exceeds capacity that was paid for; flex is refused rather than served at another price.
    #[must_use]
    pub const fn may_become_the_default(self) -> bool {
        matches!(self, Self::Priority | Self::Scale)
    }
}

/// The tiers by whose price a call may be charged, the first that has one: that which served it, as far as its answer says; that which was asked for; the
/// default. The one rule of the meter and of the proof.
pub fn charged_at(asked: ServiceTier, served: Option<ServiceTier>) -> impl Iterator<Item = ServiceTier> {
    served.into_iter().chain([asked, ServiceTier::Default])
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*, sample::select};

    use super::*;

    fn any_tier() -> impl Strategy<Value = ServiceTier> {
        select(ServiceTier::ALL.as_slice())
    }

    fn charged(asked: ServiceTier, served: Option<ServiceTier>, priced: &[ServiceTier]) -> Option<ServiceTier> {
        charged_at(asked, served).find(|tier| *tier == ServiceTier::Default || priced.contains(tier))
    }

    #[test]
    fn a_tier_is_found_by_its_name_and_by_no_other() {
        for tier in ServiceTier::ALL {
            assert_eq!(ServiceTier::named(tier.name()), Some(tier));
        }
        assert_eq!(ServiceTier::named("standard"), None);
        let others: Vec<_> = ServiceTier::ALL.into_iter().filter_map(ServiceTier::other).collect();
        assert_eq!(others, ServiceTier::OTHERS);
    }

    #[test]
    fn what_served_counts_then_what_was_asked_for_then_the_default() {
        use ServiceTier::{Default, Flex, Priority};
        for (asked, served, priced, at) in [
            (Default, None, &[Flex][..], Default),
            (Flex, None, &[Flex], Flex),
            (Flex, Some(Default), &[Flex], Default),
            (Default, Some(Priority), &[Priority], Priority),
            (Default, Some(Priority), &[Flex], Default),
            (Flex, Some(Priority), &[Flex], Flex),
            (Flex, Some(Priority), &[], Default),
        ] {
            assert_eq!(charged(asked, served, priced), Some(at), "{asked:?} {served:?} {priced:?}");
        }
    }

    proptest! {
        #[test]
        fn every_call_has_a_price_and_it_is_that_of_the_tier_that_served_if_that_has_one(
            asked in any_tier(), served in option::of(any_tier()), priced in proptest::collection::vec(any_tier(), 0..5)
        ) {
            let at = charged(asked, served, &priced);
            prop_assert!(at.is_some_and(|at| at == ServiceTier::Default || priced.contains(&at)));
            let has_price = |tier: ServiceTier| tier == ServiceTier::Default || priced.contains(&tier);
            if let Some(served) = served.filter(|served| has_price(*served)) {
                prop_assert_eq!(at, Some(served));
            }
        }
    }
}
