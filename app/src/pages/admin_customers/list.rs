use domain::{
    account::{AccountState, Customer},
    customers::{CustomerFilter, CustomerKind, CustomerPage, CustomerSort},
    money::Amount,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::parts::{
    form::{Field, Form, Tone, hidden, notice},
    layout::{empty, file, head, stack},
    money,
    pager::forward,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, name, name_link, table, text, with_note,
    },
    tabs::{Tab, address, tabs},
    time,
};

const PATH: &str = "/admin/customers";

/// Everything on the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Customers {
    /// What is listed.
    pub(crate) filter: CustomerFilter,
    /// What was asked for and could not be understood; then nobody is listed.
    pub(crate) form: Form,
    /// The customers.
    pub(crate) page: CustomerPage,
    /// Whether others precede them.
    pub(crate) has_earlier: bool,
}

/// What the operator bears, if anything, with what can be done about it.
pub(super) fn written_off(amount: Amount) -> Option<AnyView> {
    let words = format!(
        "{} written off in 30 days: calls came to more than was held for them, or were settled after their credit had been spent. The log names \
         each. Where an upstream counts rightly, raise the bounds of its model.",
        money::exact(amount)
    );
    (!amount.is_zero()).then(|| notice(Tone::Bad, words))
}

/// A page of the customers.
pub(crate) fn list(page: Customers) -> AnyView {
    let Customers { filter, form, page: CustomerPage { customers, next }, has_earlier } = page;
    let new = view! { <a class="button" href="/admin/customers/new">"New customer"</a> };
    let first = has_earlier.then(|| address(PATH, &filter.to_query()));
    let next = next.map(|place| address(PATH, &filter.to_query_after(&place)));
    let loss = Amount::checked_sum(customers.iter().map(|customer| customer.written_off_30_days)).and_then(written_off);
    let is_whole = first.is_none() && next.is_none();
    let body = if form.problem.is_some() {
        notice(Tone::Plain, "Choose from what is above to see the customers.")
    } else if customers.is_empty() {
        nobody(&filter, has_earlier)
    } else {
        let file = file(address("/admin/customers.csv", &filter.to_query()), "customers.csv");
        stack(vec![loss.into_any(), customers_table(customers, is_whole), forward(first, next), view! { <p>{file}</p> }.into_any()])
    };
    stack(vec![head("Customers", about(filter.only), new), form.problem_view(), find(&filter), choices(&filter), body])
}

/// What a kind means, where its name does not say it.
const fn about(only: CustomerKind) -> &'static str {
    match only {
        CustomerKind::LowBalance => "What is left would last them for less than three days, at the pace of the last 30.",
        CustomerKind::Suspended => "Their calls are refused until they are resumed.",
        CustomerKind::Closed => "Their calls are refused, and what their plans cost is due no more.",
        CustomerKind::OnPlan => "They pay for a plan by the month.",
        CustomerKind::All => "Who pays, what they have, and what their calls cost. Times are UTC.",
    }
}

fn find(filter: &CustomerFilter) -> AnyView {
    // What is chosen beside it stays.
    let kept = CustomerFilter { search: String::new(), ..filter.clone() };
    let only = (kept.only != CustomerKind::default()).then(|| hidden("only", kept.only.name()));
    let sort = (kept.sort != CustomerSort::default()).then(|| hidden("sort", kept.sort.name()));
    let clear = (!filter.search.is_empty()).then(|| link(address(PATH, &kept.to_query()), "Clear"));
    view! {
        <form class="row-form" method="get" action=PATH role="search">
            {only}
            {sort}
            {Field::new("search", "search", "Find by name or e-mail address").initial(filter.search.clone()).view(&Form::default())}
            <button>"Find"</button>
            {clear}
        </form>
    }
    .into_any()
}

fn choices(filter: &CustomerFilter) -> AnyView {
    let tab = |label: &str, other: CustomerFilter| Tab {
        label: label.to_owned(),
        current: other == *filter,
        href: address(PATH, &other.to_query()),
    };
    let only = CustomerKind::ALL.map(|only| tab(only.label(), CustomerFilter { only, ..filter.clone() }));
    let sort = CustomerSort::ALL.map(|sort| tab(sort.label(), CustomerFilter { sort, ..filter.clone() }));
    view! { <div class="filter-bar">{tabs("Show", only.into())}{tabs("Sort by", sort.into())}</div> }.into_any()
}

fn nobody(filter: &CustomerFilter, has_earlier: bool) -> AnyView {
    let all = || link(PATH.to_owned(), "Every customer");
    if has_earlier {
        return empty("There are no more customers.", link(address(PATH, &filter.to_query()), "The first page"));
    }
    if !filter.search.is_empty() {
        return empty(format!("No name or address contains “{}”.", filter.search), all());
    }
    match filter.only {
        CustomerKind::All => empty(
            "There is no customer yet. They sign up themselves, or you open an account for them.",
            link(format!("{PATH}/new"), "New customer"),
        ),
        CustomerKind::LowBalance => empty("Nobody's balance is low.", all()),
        CustomerKind::Suspended => empty("Nobody is suspended.", all()),
        CustomerKind::Closed => empty("No account is closed.", all()),
        CustomerKind::OnPlan => empty("Nobody has a plan.", all()),
    }
}

fn customers_table(customers: Vec<Customer>, is_whole: bool) -> AnyView {
    const COLUMNS: [Column; 6] = [
        Column("Customer", Words),
        Column("Owner", Words),
        Column("State", Words),
        Column("Balance", Figures),
        Column("Reserved now", Figures),
        Column("Spent in 30 days", Figures),
    ];
    let sum = sums(&customers, is_whole);
    table("cards roomy", &COLUMNS, customers.into_iter().map(row).collect(), Some(sum))
}

fn row(customer: Customer) -> Row {
    let plan = customer.plan.map(|plan| view! { <span class="by">"on "{name(&plan)}</span> });
    let cells = vec![
        with_note(name_link(format!("{PATH}/{}", customer.id), &customer.name), format!("since {}", time::day(customer.created_at))),
        customer.owner_email.map_or_else(|| text(money::ABSENT), |email| name(&email)),
        view! { <span>{state(customer.state)}</span>{plan} }.into_any(),
        money::left_view(customer.balance),
        money::total_view(customer.reserved),
        with_note(money::total_view(customer.spent_30_days), loss_of(customer.written_off_30_days)),
    ];
    Row { cells, faded: customer.state == AccountState::Closed }
}

fn state(state: AccountState) -> AnyView {
    let class = if state == AccountState::Suspended { "status-bad" } else { "" };
    view! { <span class=class>{state.label()}</span> }.into_any()
}

/// Of those that are listed, which may be a part of all that match.
fn sums(customers: &[Customer], is_whole: bool) -> Row {
    // Rounded figures need not add up to their rounded sum: what is left out of it stands below.
    let sum = |of: fn(&Customer) -> Amount, view: fn(Amount) -> AnyView| match Amount::checked_sum(customers.iter().map(of)) {
        Some(sum) => with_note(view(sum), money::hidden_digits(sum)),
        None => text(money::ABSENT),
    };
    let count = if customers.len() == 1 { "1 customer".to_owned() } else { format!("{} customers", customers.len()) };
    vec![
        text(format!("{count} {}", if is_whole { "in all" } else { "on this page" })),
        ().into_any(),
        ().into_any(),
        sum(|customer| customer.balance, money::left_view),
        sum(|customer| customer.reserved, money::total_view),
        sum(|customer| customer.spent_30_days, money::total_view),
    ]
    .into()
}

fn loss_of(written_off: Amount) -> String {
    if written_off.is_zero() { String::new() } else { format!("{} written off", money::total(written_off)) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        customers::{CustomerPlace, Mark},
        id::AccountId,
    };

    use super::*;

    fn customer(number: u8) -> Customer {
        let created_at = "2026-11-23T10:04:05Z".parse().unwrap();
        Customer {
            id: AccountId::new(created_at, [number; 10]),
            name: "Acme".to_owned(),
            owner_email: None,
            state: AccountState::Active,
            plan: Some("Pro".to_owned()),
            created_at,
            balance: "2".parse().unwrap(),
            reserved: Amount::ZERO,
            spent_30_days: "0.5".parse().unwrap(),
            written_off_30_days: Amount::from_nanos(1_500_000_000),
        }
    }

    fn html(customers: Vec<Customer>, query: &str, next: bool, has_earlier: bool) -> String {
        let filter = CustomerFilter::from_query(query).unwrap();
        let next = next.then(|| CustomerPlace { id: customer(9).id, mark: Mark::Name("A & B".to_owned()) });
        let page = Customers { filter, form: Form::default(), page: CustomerPage { customers, next }, has_earlier };
        Owner::new().with(|| list(page).to_html()).replace("<!>", "")
    }

    #[test]
    fn a_page_sums_what_it_lists_and_says_whether_that_is_all() {
        let whole = html(vec![customer(1), customer(2)], "", false, false);
        for text in
            ["2 customers in all", "$4.00", "$1.00", "$3.00 written off in 30 days", r#"on <bdi title="Pro" class="name">Pro</bdi>"#]
        {
            assert!(whole.contains(text), "{text} is missing: {whole}");
        }
        assert!(!whole.contains("First page") && !whole.contains("Next page"), "{whole}");
        let part = html(vec![customer(1)], "", true, true);
        assert!(part.contains("1 customer on this page"), "{part}");
        assert!(part.contains(r#"href="/admin/customers""#) && part.contains(".A+%26+B"), "{part}");
    }

    #[test]
    fn a_search_keeps_what_is_chosen_beside_it_and_a_choice_keeps_the_search() {
        let html = html(vec![], "search=acme&only=low&sort=spend", false, false);
        for text in [
            r#"name="only" value="low""#,
            r#"name="sort" value="spend""#,
            r#"href="/admin/customers?search=acme&amp;sort=spend""#,
            r#"href="/admin/customers?search=acme&amp;only=low""#,
            r#"href="/admin/customers?only=low&amp;sort=spend""#,
            "less than three days",
            "No name or address contains “acme”.",
        ] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
    }

    #[test]
    fn where_nobody_is_it_is_said_why() {
        for (query, words) in
            [("", "There is no customer yet"), ("only=suspended", "Nobody is suspended."), ("only=plan", "Nobody has a plan.")]
        {
            assert!(html(vec![], query, false, false).contains(words), "{words}");
        }
        assert!(html(vec![], "", false, true).contains("There are no more customers."));
    }
}
