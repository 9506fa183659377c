//! From what was typed to what is to be sold.

use domain::{
    credit::{Quantity, Unit},
    money::{Amount, NANOS_PER_UNIT},
    plan::{Overage, PlanLimits, PlanTerms, Term},
    pricing::Discount,
};

use super::fields::{ALLOWANCE, BEYOND, DAYS, DISCOUNT, ENDS, FEE, HIDDEN, KIND, MONEY, NAME, REQUESTS, SHOWN, TOKENS, UNIT, kind_of};
use crate::{
    parts::{
        form::Problem,
        models::{self, MODELS},
    },
    server::sentence,
};

/// A plan or a package as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) is_offered: bool,
    pub(super) terms: PlanTerms,
}

impl Draft {
    /// Reads the fields, each by its name.
    pub(super) fn read(typed: impl Fn(&str) -> String) -> Result<Self, Problem> {
        let name = typed(NAME).trim().to_owned();
        if name.is_empty() {
            return Err(Problem::new(NAME, "Write its name: customers read it."));
        }
        let (is_monthly, is_offered) = (typed(KIND) != kind_of(false), typed(SHOWN) != HIDDEN);
        let unit = if typed(UNIT) == Unit::Tokens.name() { Unit::Tokens } else { Unit::Money };
        let terms = PlanTerms {
            term: if is_monthly { Term::Monthly } else { Term::Once { days: days(&typed(DAYS))? } },
            fee: amount(FEE, &typed(FEE))?,
            unit,
            allowance: quantity(ALLOWANCE, &typed(ALLOWANCE), unit)?,
            models: models::typed(&typed(MODELS)),
            overage: ENDS.into_iter().find(|(_, name, _)| is_monthly && *name == typed(BEYOND)).map_or(Overage::Wallet, |(end, ..)| end),
            discount: if is_monthly { discount(&typed(DISCOUNT))? } else { Discount::NONE },
            limits: if is_monthly { limits(typed)? } else { PlanLimits::NONE },
        };
        terms.check().map_err(|error| Problem::new(error.field, sentence(error.problem)))?;
        Ok(Self { name, is_offered, terms })
    }
}

fn amount(field: &str, text: &str) -> Result<Amount, Problem> {
    text.parse().map_err(|error| Problem::new(field, sentence(&format!("this {error}"))))
}

fn quantity(field: &str, text: &str, unit: Unit) -> Result<Quantity, Problem> {
    // As pages write counts.
    let text = if unit == Unit::Money { text.to_owned() } else { text.trim().replace(',', "") };
    Quantity::parse(&text, unit).map_err(|error| Problem::new(field, sentence(&format!("this {error}"))))
}

/// What it bounds; an empty field bounds nothing.
fn limits(typed: impl Fn(&str) -> String) -> Result<PlanLimits, Problem> {
    let limit = |field: &str, unit| {
        let text = typed(field);
        if text.trim().is_empty() { Ok(None) } else { quantity(field, &text, unit).map(Some) }
    };
    Ok(PlanLimits {
        requests_a_minute: limit(REQUESTS, Unit::Requests)?,
        tokens_a_minute: limit(TOKENS, Unit::Tokens)?,
        money_a_month: limit(MONEY, Unit::Money)?,
    })
}

fn days(text: &str) -> Result<u32, Problem> {
    text.trim().parse().map_err(|_| Problem::new(DAYS, "Write for how many days it lasts, such as 30."))
}

/// Per cent with two decimals at most, which are basis points; nothing is none.
fn discount(text: &str) -> Result<Discount, Problem> {
    const NANOS_PER_BPS: i64 = NANOS_PER_UNIT / 100;
    let problem = || Problem::new(DISCOUNT, "Write per cent from 0 to 100, with two decimals at most, like 2.5.");
    let text = text.trim().trim_end_matches('%').trim_end();
    if text.is_empty() {
        return Ok(Discount::NONE);
    }
    let nanos = text.parse::<Amount>().map_err(|_| problem())?.nanos();
    let bps = (nanos % NANOS_PER_BPS == 0).then_some(nanos / NANOS_PER_BPS).and_then(|bps| i32::try_from(bps).ok());
    bps.and_then(|bps| Discount::from_bps(bps).ok()).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn read(changed: &[(&str, &str)]) -> Result<Draft, String> {
        let plan = [(NAME, "Team"), (FEE, "20"), (ALLOWANCE, "25")];
        let typed = |field: &str| {
            let found = changed.iter().chain(&plan).find(|(name, _)| *name == field);
            found.map_or("", |(_, text)| text).to_owned()
        };
        Draft::read(typed).map_err(|problem| problem.field)
    }

    #[test]
    fn what_is_typed_is_what_is_sold() {
        let draft = read(&[(MODELS, "a/b, c"), (DISCOUNT, "2.5 %"), (BEYOND, "refused"), (UNIT, "tokens"), (ALLOWANCE, "1,000")]).unwrap();
        assert_eq!((draft.name.as_str(), draft.is_offered, draft.terms.allowance.get()), ("Team", true, 1_000));
        assert_eq!((draft.terms.overage, draft.terms.discount.bps(), draft.terms.term), (Overage::Refused, 250, Term::Monthly));
        assert_eq!(draft.terms.models, Some(vec!["a/b".to_owned(), "c".to_owned()]));
        let bounded = read(&[(REQUESTS, "1,000"), (MONEY, "$50")]).unwrap().terms.limits;
        let found = [bounded.requests_a_minute, bounded.tokens_a_minute, bounded.money_a_month].map(|capacity| capacity.map(Quantity::get));
        assert_eq!(found, [Some(1_000), None, Some(50_000_000_000)]);
        let package =
            read(&[(REQUESTS, "60"), (KIND, "package"), (DAYS, "30"), (SHOWN, "no"), (DISCOUNT, "5"), (BEYOND, "refused")]).unwrap();
        assert_eq!((package.terms.term, package.is_offered, package.terms.models), (Term::Once { days: 30 }, false, None));
        let of_plans = (package.terms.discount, package.terms.overage, package.terms.limits);
        assert_eq!(of_plans, (Discount::NONE, Overage::Wallet, PlanLimits::NONE), "a package has none of these");
    }

    #[test]
    fn what_cannot_be_is_said_at_its_field() {
        for (field, text) in [
            (NAME, " "),
            (FEE, "-1"),
            (FEE, "much"),
            (ALLOWANCE, "0"),
            (ALLOWANCE, ""),
            (DISCOUNT, "2.505"),
            (DISCOUNT, "101"),
            (DISCOUNT, "-1"),
            (REQUESTS, "0"),
            (TOKENS, "1.5"),
            (MONEY, "much"),
        ] {
            assert_eq!(read(&[(field, text)]), Err(field.to_owned()), "{text}");
        }
        assert_eq!(read(&[(UNIT, "tokens"), (ALLOWANCE, "1.5")]), Err(ALLOWANCE.to_owned()));
        for days in ["", "0", "3661", "1.5"] {
            assert_eq!(read(&[(KIND, "package"), (DAYS, days)]), Err(DAYS.to_owned()), "{days}");
        }
    }
}
