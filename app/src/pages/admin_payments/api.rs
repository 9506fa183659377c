use domain::{
    audit::AuditPlace,
    id::PaymentId,
    money::Amount,
    payment::{PaymentFilter, PaymentState, Provider, SeenPayment, StrayPayment},
};
use http::StatusCode;

use super::fields::{AMOUNT, BY, DO, PAYMENT, REASON, REFERENCE, SHOW};
use crate::{
    error::ConsoleError,
    parts::form::{Form, ONCE, Problem},
    server::{Caller, FormAnswer, page_status, parameter, sentence, typed_form},
};

/// Payments that are listed on a page.
const PAGE: i64 = 25;
/// What is nobody's, of which there should be nothing.
const STRAYS_MAX: i64 = 50;

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct Payments {
    /// Which are listed.
    pub(super) filter: PaymentFilter,
    /// A page of them, newest first.
    pub(super) listed: Vec<SeenPayment>,
    /// Where the next page begins.
    pub(super) next: Option<AuditPlace>,
    /// Whether this is not the first.
    pub(super) has_newer: bool,
    /// How many wait for an operator.
    pub(super) waiting: i64,
    /// What was paid, and names no payment of ours.
    pub(super) strays: Vec<StrayPayment>,
    /// How many more of these there are, which are older.
    pub(super) older_strays: i64,
    /// What is looked at.
    pub(super) chosen: Option<Chosen>,
    /// What is asked for of it, before it is done.
    pub(super) review: Option<(Decision, Option<Amount>)>,
    /// What was just done.
    pub(super) done: Option<Decision>,
    /// The form.
    pub(super) form: Form,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub(super) enum Chosen {
    Payment(SeenPayment),
    Stray(StrayPayment),
}

/// What an operator decides of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is credited, all of it or another amount.
    Credit,
    /// It needs nothing more.
    Dismiss,
    /// The provider is to pay it back, all of it or a part.
    Refund,
    /// It went back, all of it or a part, by a bank transfer.
    Return,
}

impl Decision {
    /// Every one, in the order in which they are offered.
    pub(super) const ALL: [Self; 4] = [Self::Credit, Self::Dismiss, Self::Refund, Self::Return];

    /// Its name in a form.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Dismiss => "dismiss",
            Self::Refund => "refund",
            Self::Return => "return",
        }
    }

    /// The one of that name.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl Chosen {
    /// What can be decided of it.
    pub(super) fn decisions(&self) -> Vec<Decision> {
        match self {
            Self::Stray(_) => vec![Decision::Dismiss],
            Self::Payment(SeenPayment { payment, left, .. }) => {
                let can = |decision: &Decision| match decision {
                    Decision::Credit => payment.state == PaymentState::Held,
                    Decision::Dismiss => payment.problem.is_some(),
                    Decision::Refund => payment.state == PaymentState::Credited && *left > 0 && payment.provider == Provider::Stripe,
                    Decision::Return => payment.state == PaymentState::Credited && *left > 0 && payment.provider == Provider::Bank,
                };
                Decision::ALL.into_iter().filter(can).collect()
            }
        }
    }
}

/// Payments, for operators.
pub(crate) async fn payments(caller: &Caller, query: &str) -> Result<Payments, ConsoleError> {
    let operator = caller.operator().await?;
    let answered = FormAnswer::here().map(|answer| answer.form);
    let typed = |name: &str| match &answered {
        Some(form) => form.typed(name).map(str::to_owned),
        None => parameter(query, name),
    };
    let filter = PaymentFilter::ALL.into_iter().find(|one| typed(SHOW).as_deref() == Some(one.name())).unwrap_or(PaymentFilter::ToLookAt);
    let before = AuditPlace::from_query(query).map_err(|error| ConsoleError::Invalid(sentence(&error.to_string())))?;
    let (listed, next) = operator.payments_of(filter, before, PAGE).await?;
    let strays = operator.stray_payments(STRAYS_MAX).await?;
    let older_strays = operator.strays_to_look_at().await?.saturating_sub(i64::try_from(strays.len()).unwrap_or(i64::MAX)).max(0);
    let chosen = match typed(PAYMENT) {
        None => None,
        Some(id) => match id.parse::<PaymentId>() {
            Ok(id) => Some(Chosen::Payment(operator.payment(id).await?)),
            Err(_) => match operator.stray_payment(&id).await {
                Ok(stray) => Some(Chosen::Stray(stray)),
                Err(ledger::Error::NotFound) => None,
                Err(error) => return Err(error.into()),
            },
        },
    };
    let done = parameter(query, "done").and_then(|name| Decision::of(&name));
    let waiting = operator.payments_to_look_at().await?;
    let mut form = answered.unwrap_or_else(|| Form { typed: typed_form(query, &[AMOUNT, REFERENCE, BY, REASON, DO], DO), ..caller.form() });
    let review = match (&chosen, form.problem.is_some()) {
        (Some(chosen), false) => review(chosen, &mut form),
        (Some(_), true) => again(&form),
        _ => None,
    };
    Ok(Payments { filter, listed, next, has_newer: before.is_some(), waiting, strays, older_strays, chosen, review, done, form })
}

/// What was asked for and is not known to be done: to be sent again as it was, since with the same id it is done once. What is left of the payment does not
/// matter: what was asked for may be what is missing there.
fn again(form: &Form) -> Option<(Decision, Option<Amount>)> {
    // One that came back with another id did nothing, and is begun anew.
    let is_same = form.problem_at("").is_some() && form.typed(ONCE) == Some(form.once.as_str());
    let decision = form.typed(DO).and_then(Decision::of).filter(|_| is_same)?;
    match decision {
        Decision::Dismiss => Some((decision, None)),
        Decision::Credit | Decision::Refund | Decision::Return => Some((decision, Some(form.typed(AMOUNT)?.trim().parse().ok()?))),
    }
}

/// What is asked for, if that can be.
fn review(chosen: &Chosen, form: &mut Form) -> Option<(Decision, Option<Amount>)> {
    let decision = form.typed(DO).and_then(Decision::of).filter(|decision| chosen.decisions().contains(decision))?;
    let problem = match (decision, form.typed(REASON).unwrap_or_default().trim(), amount(chosen, form.typed(AMOUNT).unwrap_or_default())) {
        (_, "", _) => Problem::new(REASON, "Say why: it stands in the audit log."),
        (Decision::Dismiss, _, _) => return Some((decision, None)),
        (Decision::Return, _, _) if form.typed(REFERENCE).unwrap_or_default().trim().is_empty() => {
            Problem::new(REFERENCE, "Write what the bank's statement calls what went back.")
        }
        (_, _, Ok(amount)) => return Some((decision, Some(amount))),
        (_, _, Err(problem)) => problem,
    };
    page_status(StatusCode::UNPROCESSABLE_ENTITY);
    form.problem = Some(problem);
    None
}

/// How much is to be credited or paid back.
pub(super) fn amount(chosen: &Chosen, text: &str) -> Result<Amount, Problem> {
    let amount: Amount = text.trim().parse().map_err(|error| Problem::new(AMOUNT, sentence(&format!("this {error}"))))?;
    if amount <= Amount::ZERO {
        return Err(Problem::new(AMOUNT, "Write an amount above zero."));
    }
    match chosen {
        Chosen::Payment(SeenPayment { payment, left, .. }) if payment.state == PaymentState::Credited => {
            let most = payment.currency.amount(*left).unwrap_or_default();
            if amount > most {
                Err(Problem::new(AMOUNT, format!("Write at most {most}, which is left of the payment.")))
            } else {
                Ok(amount)
            }
        }
        _ => Ok(amount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_back_whole_and_by_its_own_id_is_asked_for_again() {
        let form = |once: &str, field: &str| {
            let typed = [(ONCE, "7"), (DO, "refund"), (AMOUNT, "5"), (REASON, "asked for")];
            let typed = typed.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
            Form { once: once.to_owned(), typed, problem: Some(Problem::new(field, "Stripe did not answer.")) }
        };
        assert_eq!(again(&form("7", "")), Some((Decision::Refund, Amount::from_units(5))));
        assert_eq!((again(&form("8", "")), again(&form("7", AMOUNT))), (None, None));
    }
}
