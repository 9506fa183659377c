//! The pieces of a page: its head, its sections, and lists of particulars.

use leptos::prelude::*;

/// The head of a page: what it is, in one line what to know about it, and what can be begun here.
pub(crate) fn head(title: impl IntoAny, subtitle: impl IntoAny, action: impl IntoAny) -> AnyView {
    head_of(title.into_any(), subtitle.into_any(), action.into_any())
}

fn head_of(title: AnyView, subtitle: AnyView, action: AnyView) -> AnyView {
    view! {
        <header class="page-head">
            <h1>{title}</h1>
            <p class="subtitle">{subtitle}</p>
            {action}
        </header>
    }
    .into_any()
}

/// The way to what a page shows, as a file of this name.
pub(crate) fn file(href: String, name: &'static str) -> AnyView {
    view! { <a class="button" href=href rel="external" download=name>"Download as CSV"</a> }.into_any()
}

/// A part of a page under a heading.
pub(crate) fn section(title: &'static str, body: AnyView) -> AnyView {
    view! { <section><h2>{title}</h2>{body}</section> }.into_any()
}

/// What stands where there is nothing to show: why, and what to do next.
pub(crate) fn empty(words: impl Into<String>, next: impl IntoAny) -> AnyView {
    empty_of(words.into(), next.into_any())
}

fn empty_of(words: String, next: AnyView) -> AnyView {
    view! { <section class="empty"><p>{words}</p><p>{next}</p></section> }.into_any()
}

/// Names and values, one line each.
pub(crate) fn pairs(class: &'static str, pairs: Vec<(String, AnyView)>) -> AnyView {
    let pairs = pairs.into_iter().map(|(name, value)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> }).collect_view();
    view! { <dl class=class>{pairs}</dl> }.into_any()
}

/// A name of somebody else's choice in quotation marks, and what follows it.
pub(crate) fn quoted(name: &str, rest: &'static str) -> AnyView {
    view! { "“"{foreign(name)}"”"{rest} }.into_any()
}

/// Words of somebody else's choice: they neither turn the text around them nor widen the page.
pub(crate) fn foreign(words: &str) -> AnyView {
    view! { <bdi>{words.to_owned()}</bdi> }.into_any()
}

/// What the server drew, as it is.
pub(crate) fn drawn(html: String) -> AnyView {
    view! { <div class="drawn" inner_html=html></div> }.into_any()
}

/// Views one after the other.
pub(crate) fn stack(views: Vec<AnyView>) -> AnyView {
    views.into_any()
}
