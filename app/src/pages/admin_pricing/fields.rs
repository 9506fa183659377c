//! The form's fields: what they are called, and how what is typed into them becomes rates. The browser reads them by the same words as the server.

use std::borrow::Cow;

use domain::{
    catalog::PriceKind,
    money::Amount,
    rate_unit::RateUnit,
    rates::{BucketRates, ContextTier, Rates, RatesError},
    service_tier::ServiceTier,
    tokens::{Bucket, Tokens},
};

/// Which model.
pub(in crate::pages) const MODEL: &str = "model";
/// At which service tier: [`ServiceTier::name`].
pub(in crate::pages) const SERVICE_TIER: &str = "service_tier";
/// Which side of its price.
pub(super) const KIND: &str = "kind";
/// The unit of all rates in the form: [`RateUnit::name`].
pub(in crate::pages) const PER: &str = "per";
/// The version that the form was filled from, which keeps what the form does not show.
pub(super) const BASE: &str = "base";
/// How often the side had been written to when the form was filled.
pub(super) const REVISION: &str = "revision";
/// From when on.
pub(in crate::pages) const EFFECTIVE: &str = "effective";
/// The fee per call.
pub(in crate::pages) const PER_CALL: &str = "per_call";
/// How many tiers the form has fields for.
pub(in crate::pages) const TIERS: &str = "tiers";
/// The model's name, typed by whoever agrees to a leap or a loss.
pub(in crate::pages) const NAMED: &str = "named";
/// The version to be withdrawn.
pub(super) const WITHDRAW: &str = "withdraw";
/// What a form asks for: one of the following.
pub(super) const STEP: &str = "step";
/// Show what it would change.
pub(super) const REVIEW: &str = "review";
/// Back to its fields.
pub(super) const EDIT: &str = "edit";
/// Do it.
pub(super) const PUBLISH: &str = "publish";

/// More tiers than anybody has. A form with fields for more was made by hand.
pub(in crate::pages) const TIERS_MAX: usize = 20;

/// A rate's field and its label, in the form's order. The two plain ones come first.
pub(in crate::pages) const RATES: [(Bucket, &str, &str); 8] = [
    (Bucket::Input, "prompt", "Prompt tokens"),
    (Bucket::Output, "completion", "Completion tokens"),
    (Bucket::CacheRead, "cache_read", "Prompt tokens read from cache"),
    (Bucket::CacheWrite5m, "cache_write_5m", "Prompt tokens written to cache for 5 minutes"),
    (Bucket::CacheWrite1h, "cache_write_1h", "Prompt tokens written to cache for 1 hour"),
    (Bucket::Reasoning, "reasoning", "Reasoning tokens"),
    (Bucket::AudioInput, "audio_input", "Audio in the prompt"),
    (Bucket::AudioOutput, "audio_output", "Audio in the completion"),
];

/// The field of a rate: of the plain ones by its own name, of a tier (from 1 on) with the tier's before it.
pub(in crate::pages) fn rate_field(tier: Option<usize>, name: &'static str) -> Cow<'static, str> {
    tier.map_or(Cow::Borrowed(name), |tier| Cow::Owned(format!("tier{tier}_{name}")))
}

/// The field that says where a tier begins.
pub(in crate::pages) fn from_field(tier: usize) -> Cow<'static, str> {
    rate_field(Some(tier), "from")
}

/// What is wrong with a field, and which.
pub(in crate::pages) type Wrong = (Cow<'static, str>, String);

/// What a form says of a field; `None` where it has no such field.
pub(in crate::pages) type Said<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The unit that a form is in.
pub(in crate::pages) fn unit(said: Said<'_>) -> RateUnit {
    said(PER).and_then(|name| RateUnit::named(&name)).unwrap_or_default()
}

/// The rates that a form asks for. What it has no field for stays as it is in the version that it was filled from.
pub(in crate::pages) fn rates(said: Said<'_>, base: Option<&Rates>) -> Result<Rates, Wrong> {
    let form = Reader { said, unit: unit(said) };
    let per_call = match said(PER_CALL) {
        None => base.map(|rates| rates.per_call).unwrap_or_default(),
        Some(text) => amount(PER_CALL.into(), &text, RateUnit::Per1K)?.unwrap_or_default(),
    };
    let tiers = match said(TIERS) {
        None => base.map(|rates| rates.tiers.clone()).unwrap_or_default(),
        Some(count) => form.tiers(count.parse().unwrap_or(0).min(TIERS_MAX))?,
    };
    let rates = Rates { base: form.set(None, base.map(|rates| &rates.base))?, per_call, tiers };
    match rates.validate() {
        Err(RatesError::TierOrder) => {
            Err((from_field(1), "Each context tier begins at another number of prompt tokens, above 0.".to_owned()))
        }
        Err(other) => Err(("".into(), sentence(&other.to_string()))),
        Ok(()) => Ok(rates),
    }
}

struct Reader<'a> {
    said: Said<'a>,
    unit: RateUnit,
}

impl Reader<'_> {
    fn set(&self, tier: Option<usize>, base: Option<&BucketRates>) -> Result<BucketRates, Wrong> {
        let rate = |bucket: Bucket| {
            let name = RATES.into_iter().find(|(of, ..)| *of == bucket).map(|(_, name, _)| name).unwrap_or_default();
            let field = rate_field(tier, name);
            match (self.said)(&field) {
                None => Ok(base.and_then(|rates| rates.own(bucket))),
                Some(text) => amount(field, &text, self.unit),
            }
        };
        let plain =
            |bucket: Bucket, name| rate(bucket)?.ok_or_else(|| (rate_field(tier, name), "Write a price; zero means free.".to_owned()));
        Ok(BucketRates {
            input: plain(Bucket::Input, "prompt")?,
            output: plain(Bucket::Output, "completion")?,
            cache_read: rate(Bucket::CacheRead)?,
            cache_write_5m: rate(Bucket::CacheWrite5m)?,
            cache_write_1h: rate(Bucket::CacheWrite1h)?,
            reasoning: rate(Bucket::Reasoning)?,
            audio_input: rate(Bucket::AudioInput)?,
            audio_output: rate(Bucket::AudioOutput)?,
        })
    }

    /// The tiers, in the order in which they begin. One that begins nowhere is none, unless somebody wrote rates into a new one, which is the last.
    fn tiers(&self, count: usize) -> Result<Vec<ContextTier>, Wrong> {
        let mut tiers = Vec::new();
        for tier in 1..=count {
            let from = (self.said)(&from_field(tier)).unwrap_or_default();
            if from.is_empty() {
                let has_rates =
                    RATES.iter().any(|(_, name, _)| (self.said)(&rate_field(Some(tier), name)).is_some_and(|text| !text.is_empty()));
                if tier == count && has_rates {
                    return Err((from_field(tier), "Write from how many prompt tokens on, or empty the prices of this tier.".to_owned()));
                }
                continue;
            }
            let wrong = || (from_field(tier), "Write a whole number of prompt tokens, like 200000.".to_owned());
            let number: i64 = from.replace(',', "").parse().map_err(|_| wrong())?;
            let from_prompt_tokens = Tokens::of_call(number).map_err(|_| wrong())?;
            tiers.push(ContextTier { from_prompt_tokens, rates: self.set(Some(tier), None)? });
        }
        tiers.sort_by_key(|tier| tier.from_prompt_tokens);
        Ok(tiers)
    }
}

fn amount(field: Cow<'static, str>, text: &str, unit: RateUnit) -> Result<Option<Amount>, Wrong> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let rate = unit.parse(text).map_err(|error| (field.clone(), format!("This {error}.")))?;
    Rates::plain(rate, Amount::ZERO).validate().map_err(|error| (field, sentence(&error.to_string())))?;
    Ok(Some(rate))
}

/// The domain's problems begin small.
fn sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Both sides of a price, in the order in which they are offered.
pub(super) const SIDES: [PriceKind; 2] = [PriceKind::Sale, PriceKind::Cost];

/// The side of this name, in the form and in the address.
#[cfg(feature = "ssr")]
pub(super) fn side(name: &str) -> Option<PriceKind> {
    SIDES.into_iter().find(|side| side.name() == name)
}

/// One side of a model's price at a service tier, in a unit; a model's name may hold anything.
pub(in crate::pages) fn address((model, service_tier): (&str, ServiceTier), side: PriceKind, unit: RateUnit) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(MODEL, model);
    if let Some(tier) = service_tier.other() {
        query.append_pair(SERVICE_TIER, tier.name());
    }
    if side == PriceKind::Cost {
        query.append_pair("side", side.name());
    }
    if unit != RateUnit::default() {
        query.append_pair(PER, unit.name());
    }
    format!("/admin/pricing?{}", query.finish())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeMap;

    use super::*;

    fn read(fields: &[(&str, &str)], base: Option<&Rates>) -> Result<Rates, Wrong> {
        let fields: BTreeMap<&str, &str> = fields.iter().copied().collect();
        rates(&|name| fields.get(name).map(|text| (*text).to_owned()), base)
    }

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn rich() -> Rates {
        let mut rates = Rates::plain(amount("1"), amount("2"));
        rates.base.cache_read = Some(amount("0.1"));
        rates.base.reasoning = Some(amount("3"));
        rates.per_call = amount("0.5");
        rates.tiers =
            vec![ContextTier { from_prompt_tokens: Tokens::from_sum(200_000), rates: BucketRates::plain(amount("4"), amount("5")) }];
        rates
    }

    #[test]
    fn what_a_form_does_not_show_stays_and_what_it_shows_empty_goes() {
        let kept = read(&[("prompt", "1.5"), ("completion", "2")], Some(&rich())).unwrap();
        assert_eq!(kept, Rates { base: BucketRates { input: amount("1.5"), ..rich().base }, ..rich() });
        let gone = [("prompt", "1"), ("completion", "2"), ("cache_read", ""), ("reasoning", ""), ("per_call", ""), ("tiers", "0")];
        assert_eq!(read(&gone, Some(&rich())).unwrap(), Rates::plain(amount("1"), amount("2")));
    }

    #[test]
    fn tiers_stand_in_their_order_and_one_that_begins_nowhere_is_none() {
        let plain = [("prompt", "1"), ("completion", "2"), ("tiers", "3")];
        let tiers = [("tier1_from", "200,000"), ("tier1_prompt", "4"), ("tier1_completion", "5")];
        let more = [("tier2_from", ""), ("tier2_prompt", "6"), ("tier3_from", "1000"), ("tier3_prompt", "3"), ("tier3_completion", "3")];
        let starts = read(&[&plain[..], &tiers, &more].concat(), None).unwrap().tiers;
        assert_eq!(starts.iter().map(|tier| tier.from_prompt_tokens.get()).collect::<Vec<_>>(), [1_000, 200_000]);

        let wrong = |more: &[(&str, &str)]| read(&[&plain[..], &tiers, more].concat(), None).unwrap_err().0;
        assert_eq!(wrong(&[("tier3_prompt", "6")]), "tier3_from", "a new tier that begins nowhere was meant");
        assert_eq!(wrong(&[("tier3_from", "1000"), ("tier3_prompt", "6")]), "tier3_completion");
        assert_eq!(wrong(&[("tier3_from", "many")]), "tier3_from");
        assert_eq!(wrong(&[("tier3_from", "200000"), ("tier3_prompt", "6"), ("tier3_completion", "6")]), "tier1_from", "two begin there");
    }

    #[test]
    fn rates_are_in_the_forms_unit_and_the_fee_is_per_call() {
        let rates = read(&[("per", "1M"), ("prompt", "0.15"), ("completion", "$1,000"), ("per_call", "0.01")], None).unwrap();
        assert_eq!((rates.base.input, rates.base.output, rates.per_call), (amount("0.00015"), amount("1"), amount("0.01")));
        assert_eq!(read(&[("per", "1M"), ("prompt", "0.0000001"), ("completion", "1")], None).unwrap_err().0, "prompt");
    }

    #[test]
    fn what_cannot_be_is_said_of_its_field() {
        for (field, text, problem) in [
            ("prompt", "", "Write a price; zero means free."),
            ("prompt", "-1", "A price cannot be below zero."),
            ("completion", "0.0000000001", "This has more than nine decimals."),
            ("cache_read", "cheap", "This is not a number: write it like 12.50 or 1,250.00."),
            ("per_call", "2000000", "A price per 1,000 tokens cannot be above 1,000,000."),
        ] {
            let good: [(&str, &str); 2] = [("prompt", "1"), ("completion", "2")];
            let fields: Vec<_> = good.into_iter().filter(|(name, _)| *name != field).chain([(field, text)]).collect();
            assert_eq!(read(&fields, None).unwrap_err(), (field.into(), problem.to_owned()));
        }
    }
}
