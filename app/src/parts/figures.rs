//! A row of headline figures.

use leptos::prelude::*;

/// One figure: what it is, how much, and what it is measured against.
pub(crate) struct Figure {
    /// What it is.
    pub(crate) label: &'static str,
    /// The figure, written short.
    pub(crate) value: String,
    /// Every digit of it, when the short form leaves some out.
    pub(crate) exact: Option<String>,
    /// A comparison or an explanation.
    pub(crate) note: String,
}

/// The row.
pub(crate) fn figures(figures: Vec<Figure>) -> AnyView {
    let figures = figures
        .into_iter()
        .map(|Figure { label, value, exact, note }| {
            let exact = exact.filter(|exact| *exact != value).map(|exact| view! { <span class="figure-exact">{exact}</span> });
            view! {
                <div class="figure">
                    <dt>{label}</dt>
                    <dd>
                        <span class="figure-value">{value}</span>
                        {exact}
                        {(!note.is_empty()).then(|| view! { <span class="figure-note">{note}</span> })}
                    </dd>
                </div>
            }
        })
        .collect_view();
    view! { <dl class="figures">{figures}</dl> }.into_any()
}
