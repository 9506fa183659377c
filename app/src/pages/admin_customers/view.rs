use domain::{
    account::Customer,
    billing::{JournalKind, PostingNumber, Statement},
    money::Amount,
};
use leptos::prelude::*;

use super::{
    money_form,
    page::{Customers, OneCustomer},
};
use crate::{
    pages::Page,
    parts::{
        form::{Field, Form, Tone, notice},
        journal,
        layout::{empty, foreign, head, section, stack},
        money,
        table::{
            Column,
            Kind::{Figures, Words},
            link, name, name_link, table, text, with_note,
        },
        time,
        whose::customer_ways,
    },
};

/// The customers.
pub(crate) fn list(page: Customers) -> AnyView {
    let Customers { customers, more, search } = page;
    let first = more.then(|| notice(Tone::Plain, format!("The first {} by name; search narrows it.", customers.len())));
    let find = view! {
        <form class="row-form" method="get" action="/admin/customers" role="search">
            {Field::new("search", "search", "Find by name or e-mail address").initial(search.clone()).view(&Form::default())}
            <button>"Find"</button>
        </form>
    };
    let loss = Amount::checked_sum(customers.iter().map(|customer| customer.written_off_30_days)).and_then(written_off);
    let body = match (customers.is_empty(), search.is_empty()) {
        (true, true) => empty(
            "There is no customer yet. They sign up themselves, or you open an account with this command.",
            view! { <code>"farebox account create"</code> },
        ),
        (true, false) => empty(format!("No name or address contains “{search}”."), link("/admin/customers".to_owned(), "Every customer")),
        _ => customers_table(customers),
    };
    stack(vec![head("Customers", (), ()), find.into_any(), first.into_any(), loss.into_any(), body])
}

/// What the operator bears, if anything, with what can be done about it.
fn written_off(amount: Amount) -> Option<AnyView> {
    let words = format!(
        "{} written off in 30 days: calls came to more than was held for them, or were settled after their credit had been spent. The log names \
         each. Where an upstream counts rightly, raise the bounds of its model.",
        money::exact(amount)
    );
    (!amount.is_zero()).then(|| notice(Tone::Bad, words))
}

fn loss_of(written_off: Amount) -> String {
    if written_off.is_zero() { String::new() } else { format!("{} written off", money::total(written_off)) }
}

fn customers_table(customers: Vec<Customer>) -> AnyView {
    const COLUMNS: [Column; 6] = [
        Column("Customer", Words),
        Column("Owner", Words),
        Column("State", Words),
        Column("Balance", Figures),
        Column("Reserved now", Figures),
        Column("Spent in 30 days", Figures),
    ];
    let rows = customers.into_iter().map(|customer| {
        vec![
            name_link(format!("/admin/customers/{}", customer.id), &customer.name),
            customer.owner_email.map_or_else(|| text(money::ABSENT), |email| name(&email)),
            text(if customer.is_active { "Active" } else { "Suspended" }),
            money::total_view(customer.balance),
            money::total_view(customer.reserved),
            with_note(money::total_view(customer.spent_30_days), loss_of(customer.written_off_30_days)),
        ]
        .into()
    });
    table("cards", &COLUMNS, rows.collect(), None)
}

/// One customer.
pub(crate) fn one(page: OneCustomer) -> AnyView {
    let OneCustomer { customer, statement, has_newer, done, form, review } = page;
    let path = format!("/admin/customers/{}", customer.id);
    let done = done.and_then(|(number, again)| receipt_of(&statement, number, again));
    let suspended = (!customer.is_active).then(|| notice(Tone::Bad, "This account is suspended: its calls are refused."));
    let owner = customer.owner_email.as_deref().map_or_else(|| text("no owner"), foreign);
    let about = stack(vec![
        owner,
        text(format!(", since {}. ", time::day(customer.created_at))),
        link("/admin/customers".to_owned(), "All customers"),
    ]);
    stack(vec![
        head(foreign(&customer.name), about, ()),
        customer_ways(customer.id, Page::Customer),
        done.into_any(),
        suspended.into_any(),
        written_off(customer.written_off_30_days).into_any(),
        journal::balance(&statement.balance),
        money_form::money_form(&path, &customer, review.as_ref(), &form),
        section("Credit", journal::grants(&statement.balance.grants)),
        section("Journal", journal::journal(statement, has_newer, &path)),
    ])
}

fn receipt_of(statement: &Statement, number: PostingNumber, again: bool) -> Option<AnyView> {
    // The address may name any posting.
    let row = statement
        .journal
        .posting(number)
        .filter(|row| matches!(row.kind, JournalKind::TopUp | JournalKind::Adjustment | JournalKind::Refund))?;
    let once = if again { " It had been posted before: the form was sent twice, and counted once." } else { "" };
    Some(notice(
        Tone::Good,
        format!("{} posted. The balance is now {}.{once}", money::movement(row.amount), money::exact(statement.balance.balance)),
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::id::AccountId;

    use super::*;

    #[test]
    fn a_list_that_is_cut_says_so_and_sums_the_operators_loss() {
        let created_at = "2026-11-23T10:04:05Z".parse().unwrap();
        let customer = Customer {
            id: AccountId::new(created_at, [1; 10]),
            name: "Acme".to_owned(),
            owner_email: None,
            is_active: true,
            created_at,
            balance: Amount::ZERO,
            reserved: Amount::ZERO,
            spent_30_days: Amount::ZERO,
            written_off_30_days: Amount::from_nanos(1_500_000_000),
        };
        let html = |more| {
            let page = Customers { customers: vec![customer.clone(); 200], more, search: String::new() };
            Owner::new().with(|| list(page).to_html())
        };
        assert!(html(true).contains("The first 200 by name; search narrows it."));
        assert!(!html(false).contains("The first"));
        assert!(html(false).contains("$300.00 written off in 30 days"), "the operator's loss is summed");
    }
}
