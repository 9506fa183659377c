//! What an account can pay with: its balance, and the pools that it consists of.

use domain::{
    billing::{Balance, Grant, GrantKind},
    credit::{Quantity, Unit},
    money::Amount,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::parts::{
    figures::{Figure, figures},
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        table, text, with_note,
    },
    time,
};

/// A posting that somebody just made, read from the books and not from the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posted {
    /// What it changed.
    pub(crate) amount: Amount,
    /// Whether it had been made before: the form was sent twice.
    pub(crate) again: bool,
}

/// Balance, what is reserved right now, and what is left for new calls.
pub(crate) fn balance(balance: &Balance) -> AnyView {
    let figure = |label, amount, write: fn(Amount) -> String, note: &str| {
        let (value, exact) = (write(amount), Some(money::exact(amount)));
        Figure { label, value, exact, note: note.to_owned(), ..Figure::default() }
    };
    let figures = figures(vec![
        figure("Balance", balance.balance, money::left, "what was added, less what calls used"),
        figure("Reserved now", balance.reserved, money::total, "for running calls, and for the next ones"),
        figure("Available", balance.available, money::left, &usable(balance)),
    ]);
    if balance.excess.is_charged() { view! { <div>{figures}<p class="figures-basis">{LENIENT}</p></div> }.into_any() } else { figures }
}

/// What a lenient account should know of its balance.
const LENIENT: &str = "Calls are charged what they come to in money, also beyond what was held for them.";

/// What new calls can use, and how much of it is not the account's own.
fn usable(balance: &Balance) -> String {
    let lent = (balance.lent > Amount::ZERO).then(|| format!(", {} lent included", money::exact(balance.lent)));
    let tokens = balance.in_tokens().next().map(|_| ", beside the tokens below");
    format!("what new calls can use{}{}", lent.unwrap_or_default(), tokens.unwrap_or_default())
}

/// The pools that the balance consists of.
pub(crate) fn grants(grants: &[Grant]) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Credit", Words), Column("Remaining", Figures), Column("Reserved now", Figures), Column("Expires", Figures)];
    let rows = grants.iter().map(|grant| {
        let expires = grant.expires_at.map_or_else(|| "never".to_owned(), |at| format!("{} UTC", time::minute(at)));
        let credit = with_note(text(grant.kind.label()), scope(grant));
        let remaining = quantity_view(grant.balance, grant.unit, money::left_view);
        let reserved = quantity_view(grant.leased, grant.unit, money::total_view);
        vec![credit, remaining, reserved, text(expires)].into()
    });
    table("cards", &COLUMNS, rows.collect(), None)
}

/// Of which unit it is, since credit of both may stand in one column: money as it is written there.
fn quantity_view(quantity: Quantity, unit: Unit, money: fn(Amount) -> AnyView) -> AnyView {
    if unit == Unit::Money { money(Amount::from_nanos(quantity.get())) } else { text(money::tokens(quantity.get())) }
}

/// What it pays for, and from when, as far as that is not everything and always.
fn scope(grant: &Grant) -> String {
    let models = grant.models.as_ref().map(|models| format!("for {}", models.join(", ")));
    let starts = (grant.kind != GrantKind::Wallet).then(|| format!("from {} UTC", time::minute(grant.starts_at)));
    models.into_iter().chain(starts).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{id::GrantId, pricing::Excess};

    use super::*;

    /// The headline figures of a balance.
    fn figures_of(amount: &str, available: &str, lent: &str) -> String {
        let [amount, available, lent] = [amount, available, lent].map(|amount| amount.parse().unwrap());
        let credit = Balance { balance: amount, available, lent, ..Balance::default() };
        Owner::new().with(|| balance(&credit).to_html())
    }

    #[test]
    fn what_is_lent_is_said_of_what_is_available_and_nothing_where_nothing_is() {
        let html = figures_of("1", "6.5", "5.5");
        assert!(html.contains("what new calls can use, $5.50 lent included"), "{html}");
        let html = figures_of("1", "1", "0");
        assert!(html.contains("what new calls can use<") && !html.contains("lent"), "{html}");
    }

    #[test]
    fn what_is_counted_in_tokens_is_said_beside_the_money_and_listed_in_tokens() {
        let grant = Grant {
            id: GrantId::new(chrono::DateTime::UNIX_EPOCH, [1; 10]),
            kind: GrantKind::Package,
            unit: Unit::Tokens,
            balance: Quantity::from_count(8_900),
            granted: Quantity::from_count(10_000),
            leased: Quantity::from_count(1),
            models: None,
            starts_at: chrono::DateTime::UNIX_EPOCH,
            expires_at: None,
        };
        let credit = Balance { grants: vec![grant.clone()], ..Balance::default() };
        assert!(!credit.is_spent(chrono::DateTime::UNIX_EPOCH) && Balance::default().is_spent(chrono::DateTime::UNIX_EPOCH));
        let drawn = Owner::new().with(|| balance(&credit).to_html());
        assert!(drawn.contains("what new calls can use, beside the tokens below"), "{drawn}");
        let listed = Owner::new().with(|| grants(&[grant]).to_html());
        assert!(listed.contains(">8,900 tokens<") && listed.contains(">1 token<") && !listed.contains('$'), "{listed}");
    }

    #[test]
    fn a_lenient_account_is_told_that_calls_may_cost_more_than_was_held_for_them() {
        let html = |excess| Owner::new().with(|| balance(&Balance { excess, ..Balance::default() }).to_html());
        assert!(html(Excess::Charged).contains(LENIENT), "{}", html(Excess::Charged));
        assert!(!html(Excess::WrittenOff).contains(LENIENT), "{}", html(Excess::WrittenOff));
    }

    #[test]
    fn no_more_is_available_than_there_is() {
        let html = figures_of("2.999999999", "1.999", "0");
        for text in [">$2.99<", ">$2.999999999<", ">$1.99<", ">$1.999<"] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
    }

    #[test]
    fn a_balance_below_zero_has_its_sign_and_every_digit() {
        let html = figures_of("-2.5001", "2.4999", "5");
        assert!(html.contains(">−$2.50<") && html.contains(">−$2.5001<") && html.contains(">$2.4999<"), "{html}");
        let html = figures_of("-0.0005", "-0.0005", "0");
        assert_eq!(html.matches(">−$0.0005<").count(), 2, "however little is owed, it does not look like nothing: {html}");
    }
}
