//! A row of headline figures.

use leptos::prelude::*;

/// One figure: what it is, how much, and what it is measured against.
#[derive(Default)]
pub(crate) struct Figure {
    /// What it is.
    pub(crate) label: &'static str,
    /// The figure, written short.
    pub(crate) value: String,
    /// Every digit of it, when the short form leaves some out.
    pub(crate) exact: Option<String>,
    /// A comparison or an explanation.
    pub(crate) note: String,
    /// Where it comes from.
    pub(crate) href: Option<&'static str>,
    /// Whether somebody should look at it. The words beside it say why; the colour only repeats it.
    pub(crate) is_bad: bool,
}

/// The row.
pub(crate) fn figures(figures: Vec<Figure>) -> AnyView {
    let figures = figures
        .into_iter()
        .map(|Figure { label, value, exact, note, href, is_bad }| {
            let exact = exact.filter(|exact| *exact != value).map(|exact| view! { <span class="figure-exact">{exact}</span> });
            let label = match href {
                Some(href) => view! { <a href=href>{label}</a> }.into_any(),
                None => label.into_any(),
            };
            view! {
                <div class=if is_bad { "figure figure-bad" } else { "figure" }>
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
