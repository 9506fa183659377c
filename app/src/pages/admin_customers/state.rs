//! Whether an account's calls are admitted: what each choice does, asked once, and answered.

use domain::account::{AccountState, Customer};
use leptos::prelude::*;

use super::page::Stated;
use crate::parts::{
    confirm::confirm,
    form::{Tone, hidden, notice},
    layout::{quoted, section, stack},
    table::text,
};

/// The state that an account shall have.
pub(super) const STATE: &str = "state";
/// The one that it had when that was chosen.
pub(super) const FROM: &str = "from";

#[cfg(feature = "ssr")]
impl Stated {
    /// Its name in a query string.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Overtaken => "overtaken",
        }
    }

    /// The one of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Done, Self::Overtaken].into_iter().find(|stated| stated.name() == name)
    }
}

/// What the state means, where calls are refused; and what became of the one that was just set.
pub(super) fn standing(state: AccountState, stated: Option<Stated>) -> AnyView {
    let overtaken = (stated == Some(Stated::Overtaken))
        .then(|| notice(Tone::Bad, "Somebody had changed the account's state meanwhile, so nothing was done. This is what it is now."));
    let standing = match (state, stated) {
        (AccountState::Active, Some(Stated::Done)) => {
            notice(Tone::Good, "The account is active: every proxy takes its calls within two seconds.")
        }
        (AccountState::Active, _) => ().into_any(),
        (AccountState::Suspended, _) => notice(Tone::Bad, "This account is suspended: its calls are refused."),
        (AccountState::Closed, _) => notice(Tone::Bad, "This account is closed: its calls are refused, and nothing more of a plan is due."),
    };
    stack(vec![overtaken.into_any(), standing])
}

/// What can be made of it.
pub(super) fn choices(path: &str, customer: &Customer) -> AnyView {
    let choices = AccountState::ALL.into_iter().filter(|to| *to != customer.state).filter_map(|to| choice(path, customer, to));
    section("State", view! { <div class="choices"><p>{customer.state.label()}</p>{choices.collect_view()}</div> }.into_any())
}

/// What happens to the account, in words; a closed one is opened again before it can be suspended.
const fn words(from: AccountState, to: AccountState) -> Option<(&'static str, &'static str)> {
    match (from, to) {
        (AccountState::Active, AccountState::Suspended) => Some((
            "Suspend the account",
            ": within two seconds every new call of its keys is refused, with 403 account_suspended. Calls that run end as they would, and are \
             charged. Its people can sign in and see everything, and its plan goes on. Nothing moves in its books.",
        )),
        (AccountState::Suspended, AccountState::Active) => {
            Some(("Resume the account", ": within two seconds calls of its keys are taken again, as before."))
        }
        (AccountState::Closed, AccountState::Active) => Some((
            "Open the account again",
            ": within two seconds calls of its keys are taken again. A plan still ends with its month, unless somebody has it go on.",
        )),
        (AccountState::Active | AccountState::Suspended, AccountState::Closed) => Some((
            "Close the account",
            ": within two seconds every new call of its keys is refused, with 403 account_closed. Calls that run end as they would, and are \
             charged. Its plan ends with the month that is paid for. Its people can sign in and see everything. What is in its balance stays there \
             until you refund it, and you can open the account again.",
        )),
        _ => None,
    }
}

fn choice(path: &str, customer: &Customer, to: AccountState) -> Option<AnyView> {
    let (label, effect) = words(customer.state, to)?;
    let class = if to == AccountState::Active { "primary" } else { "danger" };
    let form = view! {
        <form method="post" action=path.to_owned()>
            {hidden(FROM, customer.state.name())}
            {hidden(STATE, to.name())}
            <p>{quoted(&customer.name, effect)}</p>
            <button class=class>{text(label)}</button>
        </form>
    };
    Some(confirm(format!("state-{}", to.name()), label, format!("{label}: {}", customer.name), form.into_any()))
}
