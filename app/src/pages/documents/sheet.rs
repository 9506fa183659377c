use leptos::prelude::*;

use super::{PATH, lines, page::OneDocument};
use crate::parts::{
    layout::{foreign, head, pairs, stack},
    table::{
        Column,
        Kind::{Figures, Words},
        link, table, text,
    },
    whose::Whose,
};

/// A document as it is printed.
pub(crate) fn document(page: &OneDocument, whose: &Whose) -> AnyView {
    let document = &page.document;
    let title = lines::title(document);
    let file = view! {
        <a class="button" href=whose.at(&format!("{PATH}/{}.pdf", document.number)) rel="external" download=format!("{}.pdf", document.number)>"Download as PDF"</a>
    };
    let parties = lines::parties(document).map(|(name, said)| party(name, &said)).collect_view();
    let facts = lines::facts(document).into_iter().map(|(name, said)| {
        let value = match (name, &document.about) {
            ("Lessens" | "Restores", Some(number)) => link(whose.at(&format!("{PATH}/{number}")), said),
            _ => text(said),
        };
        (name.to_owned(), value)
    });
    let total = lines::total(document);
    let what = vec![vec![foreign(&lines::purpose(document)), text(total.1.clone())].into()];
    let pair = |(name, amount): (String, String)| (name, text(amount));
    let parts: Vec<_> = lines::parts(document).into_iter().map(pair).collect();
    let parts = (!parts.is_empty()).then(|| pairs("receipt-sum", parts));
    let sheet = view! {
        <article class="paper" aria-label=title.clone()>
            <p class="paper-title">{title.clone()}</p>
            <div class="paper-parties">{parties}</div>
            {pairs("paper-facts", facts.collect())}
            {table("paper-lines", &[Column("What for", Words), Column("Amount", Figures)], what, None)}
            <div>
                {parts}
                {pairs("receipt-sum receipt-total", vec![pair(total)])}
            </div>
            <p class="hint">{lines::rule(document)}</p>
        </article>
    };
    let heading = view! { {document.kind.label()}" "<span class="unbroken">{document.number.clone()}</span> };
    stack(vec![head(heading.into_any(), link(whose.at(PATH), "All documents"), file), sheet.into_any()])
}

/// Whoever sells or buys. The first line is their name.
pub(super) fn party(name: &'static str, said: &[String]) -> AnyView {
    let said = said.iter().map(|line| view! { <p>{foreign(line)}</p> }).collect_view();
    view! { <section><h2>{name}</h2>{said}</section> }.into_any()
}
