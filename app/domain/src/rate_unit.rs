//! Per how many tokens a rate is written. The books know one unit, per 1,000; people and providers' price lists know another, too.

use serde::{Deserialize, Serialize};

use crate::money::{Amount, AmountError};

/// Per how many tokens a rate is written and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RateUnit {
    /// Per 1,000 tokens, as the books have it.
    #[default]
    Per1K,
    /// Per 1,000,000 tokens, as most providers publish it.
    Per1M,
}

/// Why a text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// No amount at all.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Per 1,000 tokens it would be no whole number of nanos.
    #[error("has more than six decimals, which a price per 1M tokens cannot have")]
    TooPrecise,
}

impl RateUnit {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Per1K, Self::Per1M];

    /// How many tokens, in short: as labels and addresses have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Per1K => "1K",
            Self::Per1M => "1M",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Thousands of tokens in it.
    const fn thousands(self) -> i64 {
        match self {
            Self::Per1K => 1,
            Self::Per1M => 1_000,
        }
    }

    /// A rate per 1,000 tokens from what a person typed per so many. Digits are never rounded away.
    ///
    /// # Errors
    /// See [`RateError`].
    pub fn parse(self, text: &str) -> Result<Amount, RateError> {
        let typed: Amount = text.parse()?;
        let nanos = typed.nanos();
        if nanos % self.thousands() == 0 { Ok(Amount::from_nanos(nanos / self.thousands())) } else { Err(RateError::TooPrecise) }
    }

    /// A rate per 1,000 tokens as a person types it per so many; exact for every rate that [`crate::rates::Rates::validate`] lets pass.
    #[must_use]
    pub const fn amount(self, per_1k: Amount) -> Amount {
        Amount::from_nanos(per_1k.nanos().saturating_mul(self.thousands()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;
    use crate::rates::Rates;

    #[test]
    fn a_price_per_million_is_a_thousandth_of_it_per_thousand() {
        assert_eq!(RateUnit::Per1M.parse("0.15"), Ok("0.00015".parse().unwrap()));
        assert_eq!(RateUnit::Per1K.parse("0.15"), Ok("0.15".parse().unwrap()));
        assert_eq!(RateUnit::Per1M.parse("0.000001"), Ok(Amount::from_nanos(1)));
        assert_eq!(RateUnit::Per1M.parse("0.0000001"), Err(RateError::TooPrecise));
        assert_eq!(RateUnit::Per1M.parse("cheap"), Err(RateError::Amount(AmountError::NotANumber)));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_what_it_was(nanos in 0..=Rates::MAX_PER_1K.nanos()) {
            for unit in RateUnit::ALL {
                let rate = Amount::from_nanos(nanos);
                prop_assert_eq!(unit.parse(&unit.amount(rate).to_string()), Ok(rate));
            }
        }
    }
}
