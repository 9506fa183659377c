use domain::call::{CallDetail, Reckoning};
use leptos::prelude::*;

use super::{
    page::OneCall,
    particulars::particulars,
    remarks::remarks,
    sum::{lines, since, sum},
};
use crate::parts::{
    layout::{foreign, head, stack},
    table::link,
    time,
    whose::Whose,
};

/// A receipt: everything that the charge rests on, so that anyone can reach the same figure.
pub(crate) fn receipt(page: &OneCall, whose: &Whose) -> AnyView {
    let call = &page.call;
    let first = call.first();
    let now = call.late().unwrap_or(&first);
    let sheet = view! {
        <div class="receipt-page">
            <article class="receipt" aria-label="Receipt">
                {stack(vec![heading(call), lines(&now.receipt), sum(now), since(call, &first)])}
            </article>
            {particulars(page, whose, &first, now)}
        </div>
    };
    stack(vec![head("Receipt", link(whose.at("/calls"), "All calls"), ()), remarks(call, now), sheet.into_any(), raw(now)])
}

fn heading(call: &CallDetail) -> AnyView {
    view! {
        <header class="receipt-head">
            <p class="receipt-name">"Farebox"</p>
            <p>{foreign(&call.row.model)}</p>
            <p>{time::time_view(call.row.started_at, format!("{} UTC", time::second(call.row.started_at)))}</p>
            <p class="receipt-id">{call.row.id.to_string()}</p>
        </header>
    }
    .into_any()
}

fn raw(of: &Reckoning) -> AnyView {
    let Some(raw) = of.raw_usage.clone() else { return ().into_any() };
    view! {
        <section>
            <h2 id="raw">"What the upstream sent"</h2>
            <p>"Its usage object, byte for byte."</p>
            <pre class="raw" tabindex="0" role="region" aria-labelledby="raw">{raw}</pre>
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, html, usage};

    #[test]
    fn a_receipt_shows_every_factor_and_every_digit_of_its_sum() {
        let html = html(&call(usage(12, 34, 46), 0));
        for figure in ["$0.00015", "$0.0000018", "$0.0006", "$0.0000204", "$0.0000222", "$0.0014", "$0.0013778", "demo-mini-2026", "1.24 s"]
        {
            assert!(html.contains(figure), "{figure} is missing");
        }
        assert!(!html.contains("Discount") && !html.contains("Rounding"));
    }
}
