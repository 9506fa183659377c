//! Two sets of rates, rate by rate, as calls see them.

use std::{collections::BTreeSet, fmt};

use serde::{Serialize, Serializer};

use crate::{
    money::Amount,
    rates::Rates,
    tokens::{Bucket, Tokens},
};

/// What an amount is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// 1,000 tokens of a bucket.
    Tokens(Bucket),
    /// A call.
    Call,
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens(bucket) => bucket.label(),
            Self::Call => "Each call",
        })
    }
}

impl Serialize for Of {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Tokens(bucket) => bucket.serialize(serializer),
            Self::Call => serializer.serialize_str("call"),
        }
    }
}

/// One rate, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// For prompts of at least so many tokens; 0 for those that reach no tier.
    pub from_prompt_tokens: Tokens,
    /// What it is for.
    pub of: Of,
    /// Before.
    pub was: Amount,
    /// After.
    pub is: Amount,
}

/// Every rate that a call can meet under one of them or the other, after falling back, in the order in which a receipt lists them.
#[must_use]
pub fn compared(was: &Rates, is: &Rates) -> Vec<Compared> {
    let tiers = was.tiers.iter().chain(&is.tiers).map(|tier| tier.from_prompt_tokens);
    let starts: BTreeSet<Tokens> = std::iter::once(Tokens::ZERO).chain(tiers).collect();
    let rates = starts.into_iter().flat_map(|from_prompt_tokens| {
        Bucket::ALL.into_iter().map(move |bucket| {
            let rate = |rates: &Rates| rates.at(Some(from_prompt_tokens)).of(bucket);
            Compared { from_prompt_tokens, of: Of::Tokens(bucket), was: rate(was), is: rate(is) }
        })
    });
    let fee = Compared { from_prompt_tokens: Tokens::ZERO, of: Of::Call, was: was.per_call, is: is.per_call };
    rates.chain(std::iter::once(fee)).collect()
}

/// The rates that are written down, before any falling back: for prompts of at least so many tokens, what for, and how much; and the fee, if there is one.
#[must_use]
pub fn spelled_out(rates: &Rates) -> Vec<(Tokens, Of, Amount)> {
    let tiers = rates.tiers.iter().map(|tier| (tier.from_prompt_tokens, &tier.rates));
    let columns = std::iter::once((Tokens::ZERO, &rates.base)).chain(tiers);
    let rates_of = columns
        .flat_map(|(from, column)| Bucket::ALL.into_iter().filter_map(move |bucket| Some((from, Of::Tokens(bucket), column.own(bucket)?))));
    let fee = Some((Tokens::ZERO, Of::Call, rates.per_call)).filter(|(_, _, fee)| !fee.is_zero());
    rates_of.chain(fee).collect()
}

/// The rates that differ, without those that only fall back to another under both.
#[must_use]
pub fn differing(was: &Rates, is: &Rates) -> Vec<Compared> {
    let own: Vec<Of> = spelled_out(was).into_iter().chain(spelled_out(is)).map(|(_, of, _)| of).collect();
    compared(was, is).into_iter().filter(|rate| rate.was != rate.is && own.contains(&rate.of)).collect()
}

/// Whether every call costs the same under both, however they are written down.
#[must_use]
pub fn same_price(one: &Rates, other: &Rates) -> bool {
    compared(one, other).iter().all(|rate| rate.was == rate.is)
}
