use chrono::TimeDelta;
use domain::{account::Role, billing::JournalKind, credit::Scope, id::PaymentId, payment};
use ledger::AccountReader;

use leptos::prelude::*;

use super::{
    held::{Done, Held},
    page::{Billing, Payment, Returned},
    redeem::{self, CODE},
};
use crate::{
    error::ConsoleError,
    pages::{auto_top_up, offers::fields::PLAN},
    parts::{form::Form, journal::Journal},
    server::{Caller, Seen, Stripe, journal_done, journal_slice, parameter},
    visit::Visit,
};

/// For so long after it was begun, the page of a payment looks again by itself.
const WAITED_FOR: TimeDelta = TimeDelta::minutes(10);

impl Payment {
    /// How credit comes into an account by this visitor, who has this role in it.
    pub(super) fn of(stripe: Option<&Stripe>, visit: &Visit, role: Option<Role>) -> Self {
        match (stripe, visit.demo, role) {
            (_, _, None) => Self::None,
            (None, false, _) => Self::ByOperator,
            (Some(stripe), _, Some(Role::Owner)) => {
                let (smallest, largest) = stripe.range();
                Self::Stripe { is_test: stripe.is_test(), smallest, largest }
            }
            (None, true, Some(Role::Owner)) => Self::Test,
            _ => Self::NotAllowed,
        }
    }
}

/// The credit and the books of an account.
pub(crate) async fn billing(caller: &Caller, seen: &Seen, query: &str) -> Result<Billing, ConsoleError> {
    let reader = &seen.reader;
    let (slice, now) = (journal_slice(query)?, caller.visitor.now);
    // Before the books are read: what is found out is in them then.
    let returned = returned(caller, reader, query).await?;
    let limits = reader.limits(now).await?.into_iter();
    let statement = reader.statement_of(slice, now).await?;
    let taken = [JournalKind::TopUp, JournalKind::Promo];
    let (balance, done) = (statement.balance.clone(), journal_done(query, &statement.journal, &taken));
    let (path, file, has_newer) = (seen.whose.at("/billing"), seen.whose.at("/billing.csv"), slice.before.is_some());
    let documents = reader.has_seller().await?.then(|| seen.whose.at("/billing/documents"));
    let (form, more) = forms(caller, seen).await?;
    Ok(Billing {
        balance,
        journal: Journal { statement, filter: slice.filter, has_newer, path, file, documents, now }.draw(),
        held: held(caller, seen, query).await?,
        limits: limits.filter(|state| !matches!(state.limit.scope, Scope::Key(_))).collect(),
        now,
        done,
        returned,
        payment: Payment::of(caller.stripe(), &caller.visitor.visit, seen.role),
        form,
        more,
    })
}

/// The top-up form, and what else may be asked for. An answer is that of the one that was sent.
async fn forms(caller: &Caller, seen: &Seen) -> Result<(Form, String), ConsoleError> {
    let (mine, fresh) = (caller.form(), Form { once: caller.new_id().to_string(), ..Form::default() });
    let (form, code) = if mine.typed(CODE).is_some() { (fresh, mine) } else { (mine, fresh) };
    if seen.role != Some(Role::Owner) {
        return Ok((form, String::new()));
    }
    let now = caller.visitor.now;
    let auto = match caller.stripe() {
        Some(_) => Some(auto_top_up::view::summary(seen.reader.auto_top_up(now).await?.as_ref(), &code, now).to_html()),
        None => None,
    };
    let more = auto.unwrap_or_default() + &redeem::form(&code).to_html();
    Ok((form, more))
}

/// The payment that an address names, if it is one of the account's. While it is pending, its provider is asked for it: the page may be there first.
async fn returned(caller: &Caller, reader: &AccountReader, query: &str) -> Result<Option<Returned>, ConsoleError> {
    let Some(id) = parameter(query, "payment").and_then(|text| text.parse::<PaymentId>().ok()) else { return Ok(None) };
    let found = async || match reader.payment(id).await {
        Ok(payment) => Ok(Some(payment)),
        Err(ledger::Error::NotFound) => Ok(None),
        Err(error) => Err(ConsoleError::from(error)),
    };
    if let (Some(stripe), Some(payment)) = (caller.stripe(), found().await?) {
        stripe.look_now(&caller.console.ledger, &payment).await;
    }
    let is_cancelled = parameter(query, "cancelled").is_some();
    let is_fresh = |payment: &payment::Payment| caller.visitor.now - payment.made_at < WAITED_FOR;
    Ok(found().await?.map(|payment| Returned {
        id,
        amount: payment.amount,
        state: payment.state,
        is_cancelled,
        is_fresh: is_fresh(&payment),
    }))
}

async fn held(caller: &Caller, seen: &Seen, query: &str) -> Result<Held, ConsoleError> {
    let done = parameter(query, PLAN).and_then(|name| Done::NAMES.into_iter().find(|(_, one)| *one == name));
    Ok(Held {
        line: seen.reader.credit_line().await?,
        next_grace: seen.reader.next_grace(caller.visitor.now).await?,
        subscription: seen.reader.subscription().await?,
        packages: seen.reader.packages().await?,
        // Who only looks buys nothing.
        is_offered: seen.role.is_some() && !caller.console.ledger.offers().await?.is_empty(),
        can_buy: seen.role == Some(Role::Owner),
        done: done.map(|(done, _)| done),
    })
}
