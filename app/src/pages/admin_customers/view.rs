use domain::billing::Balance;
use leptos::prelude::*;

use super::{list::written_off, money_form, page::OneCustomer, state};
use crate::{
    pages::Page,
    parts::{
        credit::{self, Posted},
        form::{Tone, notice},
        layout::{drawn, foreign, head, section, stack},
        money,
        table::{link, text},
        time,
        whose::customer_ways,
    },
};

/// One customer.
pub(crate) fn one(page: OneCustomer) -> AnyView {
    let OneCustomer { customer, balance, journal, done, stated, form, review } = page;
    let path = format!("/admin/customers/{}", customer.id);
    let owner = customer.owner_email.as_deref().map_or_else(|| text("no owner"), foreign);
    let about = stack(vec![
        owner,
        text(format!(", since {}. ", time::day(customer.created_at))),
        link("/admin/customers".to_owned(), "All customers"),
    ]);
    stack(vec![
        head(foreign(&customer.name), about, ()),
        customer_ways(customer.id, Page::Customer),
        done.map(|posted| receipt_of(posted, &balance)).into_any(),
        state::standing(customer.state, stated),
        written_off(customer.written_off_30_days).into_any(),
        credit::balance(&balance),
        money_form::money_form(&path, &customer, review.as_ref(), &form),
        state::choices(&path, &customer),
        section("Credit", credit::grants(&balance.grants)),
        section("Journal", drawn(journal)),
    ])
}

fn receipt_of(Posted { amount, again }: Posted, balance: &Balance) -> AnyView {
    let once = if again { " It had been posted before: the form was sent twice, and counted once." } else { "" };
    notice(Tone::Good, format!("{} posted. The balance is now {}.{once}", money::movement(amount), money::exact(balance.balance)))
}
