//! What the calls of the last days would have come to at rates that are to be published.

use domain::{
    catalog::PriceKind,
    money::Amount,
    replay::{Replay, ReplayedCustomer},
    service_tier::ServiceTier,
};
use leptos::prelude::*;

use super::{page::REPLAYED_DAYS, words};
use crate::parts::{
    layout::{foreign, stack},
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, table, text, with_note,
    },
};

/// Revenue, cost and margin as they were and would have been, who pays more or less, and what goes back if past calls are charged anew.
pub(super) fn view(replay: &Replay, side: PriceKind, of: (&str, ServiceTier)) -> AnyView {
    let sums = &replay.sums;
    if sums.calls + sums.in_tokens == 0 {
        let of = words::of(of);
        let none = format!("Nobody has called {of} in the last {REPLAYED_DAYS} days, so that there is nothing to compare.");
        return view! { <p class="hint">{none}{without(side)}</p> }.into_any();
    }
    let heading = format!("The last {REPLAYED_DAYS} days at these rates");
    stack(vec![
        view! { <h2>{heading}</h2> }.into_any(),
        view! { <p class="hint">{of_what(replay)}{without(side)}</p> }.into_any(),
        sides(replay),
        customers(replay),
        (side == PriceKind::Sale).then(|| view! { <p class="hint">{goes_back(replay)}</p> }).into_any(),
    ])
}

/// What is not among them.
const fn without(side: PriceKind) -> &'static str {
    match side {
        PriceKind::Sale => " Calls at a price of a customer's own, or of another service tier, are not among them: these stay as they are.",
        PriceKind::Cost => "",
    }
}

fn of_what(replay: &Replay) -> String {
    let sums = &replay.sums;
    let mut words = format!("{}, each with the discount that it had.", calls(sums.calls));
    if sums.in_tokens > 0 {
        words += &format!(" {} more were paid in tokens, which no rate changes.", calls(sums.in_tokens));
    }
    if replay.left_out > 0 {
        words += &format!(" {} customers who used least are left out: there are too many calls for a page.", count(replay.left_out));
    }
    words
}

fn sides(replay: &Replay) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Sum", Words), Column("As it was", Figures), Column("At these rates", Figures), Column("Change", Figures)];
    let revenue = [replay.sums.charged, replay.sums.replayed];
    let margin = replay.provider.and_then(|cost| Some([revenue[0].checked_sub(cost[0])?, revenue[1].checked_sub(cost[1])?]));
    let line = |name: &str, amounts: Option<[Amount; 2]>, shares: [String; 2]| -> Row {
        let [was, is] = shares;
        let amount = |at: usize| amounts.map_or_else(|| text(money::ABSENT), |amounts| money::exact_view(amounts[at]));
        vec![text(name), with_note(amount(0), was), with_note(amount(1), is), changed(amounts)].into()
    };
    let share = |at: usize| margin.map_or_else(String::new, |margin| money::share(margin[at].nanos(), revenue[at].nanos()));
    let none = || [String::new(), String::new()];
    let rows = vec![
        line("Revenue", Some(revenue), none()),
        line("Provider cost", replay.provider, none()),
        line("Margin", margin, [share(0), share(1)]),
    ];
    table("cards", &COLUMNS, rows, None)
}

fn customers(replay: &Replay) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Customer", Words), Column("Charged", Figures), Column("At these rates", Figures), Column("Change", Figures)];
    let affected: Vec<_> = replay.customers.iter().filter(|customer| customer.sums.charged != customer.sums.replayed).collect();
    if affected.is_empty() {
        return ().into_any();
    }
    let rows = affected.into_iter().map(customer).collect();
    stack(vec![view! { <h3>"Whom it changes most"</h3> }.into_any(), table("cards", &COLUMNS, rows, None)])
}

fn customer(customer: &ReplayedCustomer) -> Row {
    let href = format!("/admin/customers/{}", customer.account);
    let name = view! { <a href=href>{foreign(&customer.name)}</a> }.into_any();
    let sums = &customer.sums;
    vec![
        with_note(name, customer.email.clone().unwrap_or_default()),
        money::exact_view(sums.charged),
        money::exact_view(sums.replayed),
        changed(Some([sums.charged, sums.replayed])),
    ]
    .into()
}

fn changed(amounts: Option<[Amount; 2]>) -> AnyView {
    let difference = amounts.and_then(|[was, is]| Some((was, is, is.checked_sub(was)?)));
    match difference {
        None => text(money::ABSENT),
        Some((_, _, Amount::ZERO)) => text("unchanged"),
        Some((was, is, difference)) => with_note(money::movement_view(difference), money::change(is.nanos(), was.nanos())),
    }
}

/// What [`ledger::Operator::reprice`] would post.
fn goes_back(replay: &Replay) -> String {
    let sums = &replay.sums;
    let past = "Past calls keep what they were charged.";
    if sums.lowered == 0 {
        return past.to_owned();
    }
    format!(
        "{past} Charged anew by these rates, they would give back {} for {}, and nobody would pay more: once it is published, \
         “Charge past calls anew” above does that.",
        money::exact(sums.given_back),
        calls(sums.lowered),
    )
}

fn calls(number: u64) -> String {
    if number == 1 { "1 call".to_owned() } else { format!("{} calls", count(number)) }
}

fn count(number: u64) -> String {
    money::grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::replay::Replayed;

    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn replay(calls: u64, charged: &str, replayed: &str, back: &str) -> Replay {
        let now = chrono::DateTime::UNIX_EPOCH;
        let lowered = u64::from(back != "0");
        let sums =
            Replayed { calls, in_tokens: 0, charged: amount(charged), replayed: amount(replayed), given_back: amount(back), lowered };
        let customer = ReplayedCustomer {
            account: domain::id::AccountId::new(now, [1; 10]),
            name: "Acme".to_owned(),
            email: Some("ada@example.com".to_owned()),
            sums,
        };
        let provider = Some([amount("1"), amount("1")]);
        Replay { from: now, to: now, sums, provider, customers: vec![customer], left_out: 0 }
    }

    fn html(replay: &Replay) -> String {
        view(replay, PriceKind::Sale, ("small", ServiceTier::Default)).to_html()
    }

    #[test]
    fn it_says_revenue_margin_who_and_what_would_go_back() {
        let html = html(&replay(1_200, "4", "2.5", "1.5"));
        for part in ["1,200 calls", "$2.50", "$3.00", "$1.50", "75.0 %", "60.0 %", "Acme", "ada@example.com", "give back $1.50 for 1 call"]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn without_calls_it_says_so_and_without_a_difference_it_names_nobody() {
        assert!(html(&replay(0, "0", "0", "0")).contains("Nobody has called small in the last 30 days"));
        let same = html(&replay(3, "4", "4", "0"));
        assert!(same.contains("unchanged") && !same.contains("Acme"), "{same}");
    }
}
