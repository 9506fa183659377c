use domain::plan::Subscription;
use leptos::prelude::*;

use super::{PATH, fields::END};
use crate::parts::{
    confirm::confirm,
    form::{Form, hidden},
    layout::foreign,
    time,
};

/// Ends the plan when its month is over; asks once and names it.
pub(crate) fn end_form(subscription: &Subscription, form: &Form) -> AnyView {
    let Subscription { plan, period, .. } = subscription;
    let words = format!(
        " ends at {} UTC. Until then nothing changes; then what is left of its allowance lapses, and nothing is charged any more.",
        time::minute(period.to)
    );
    let form = view! {
        <form method="post" action=PATH>
            {form.once_field()}
            {hidden(END, plan.id.to_string())}
            <p>{foreign(&plan.name)}{words}</p>
            <button class="danger"><span>"End "{foreign(&plan.name)}</span></button>
        </form>
    };
    confirm("end-plan".to_owned(), "End the plan", format!("End {}", plan.name), form.into_any())
}
