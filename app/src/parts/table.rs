//! Tables. Where there is little room a row becomes a card, which is why every cell knows its column's name.

use leptos::prelude::*;

/// A column: its heading, and whether it holds figures.
#[derive(Clone, Copy)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) Kind);

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Words.
    Words,
    /// What is read letter by letter, on one line.
    Code,
    /// A day, on one line.
    Moment,
    /// Figures, set flush right.
    Figures,
    /// What can be done; its heading is read out, not shown.
    Action,
}

/// A row: the first cell names it.
pub(crate) struct Row {
    /// Its cells, one per column.
    pub(crate) cells: Vec<AnyView>,
    /// Whether it no longer counts, or not yet as the others do.
    pub(crate) faded: bool,
}

impl From<Vec<AnyView>> for Row {
    fn from(cells: Vec<AnyView>) -> Self {
        Self { cells, faded: false }
    }
}

/// A table; `sum` is its last row. The class is of the box around it, by whose width it is laid out: `cards` become cards on a phone, `cards
/// wide`, of many columns, also on a small desktop. The columns of a `fixed` one are as wide whatever is in them, so that nothing moves while rows arrive.
pub(crate) fn table(class: &'static str, columns: &[Column], rows: Vec<Row>, sum: Option<Row>) -> AnyView {
    let sum = sum.map(|sum| view! { <tfoot>{row_view(columns, sum)}</tfoot> });
    view! { <div class=class><table>{head(columns)}<tbody>{rows_view(columns, rows)}</tbody>{sum}</table></div> }.into_any()
}

/// A table in which a row can open to others. Each group is a row, followed by those that it opens to if its cells have an [`opener`]. They are
/// rows of the same table, so that figures stay in line.
#[cfg(feature = "ssr")]
pub(crate) fn folding_table(class: &'static str, columns: &[Column], groups: Vec<Vec<Row>>) -> AnyView {
    let groups = groups
        .into_iter()
        .map(|rows| {
            let class = if rows.len() > 1 { "folding" } else { "" };
            view! { <tbody class=class>{rows_view(columns, rows)}</tbody> }
        })
        .collect_view();
    view! { <div class=class><table>{head(columns)}{groups}</table></div> }.into_any()
}

/// The headings.
pub(crate) fn head(columns: &[Column]) -> AnyView {
    let heads = columns
        .iter()
        .map(|Column(label, kind)| {
            let label_class = if *kind == Kind::Action { "unseen" } else { "" };
            view! { <th scope="col" class=class_of(*kind)><span class=label_class>{*label}</span></th> }
        })
        .collect_view();
    view! { <thead><tr>{heads}</tr></thead> }.into_any()
}

fn rows_view(columns: &[Column], rows: Vec<Row>) -> AnyView {
    rows.into_iter().map(|row| row_view(columns, row)).collect_view().into_any()
}

fn row_view(columns: &[Column], row: Row) -> AnyView {
    let class = if row.faded { "faded" } else { "" };
    let cells =
        columns.iter().zip(row.cells).enumerate().map(|(place, (column, cell))| cell_view(*column, place == 0, cell)).collect_view();
    view! { <tr class=class>{cells}</tr> }.into_any()
}

/// A cell; the first of a row is its heading.
pub(crate) fn cell_view(Column(label, kind): Column, is_heading: bool, cell: AnyView) -> AnyView {
    if is_heading {
        return view! { <th scope="row">{cell}</th> }.into_any();
    }
    let label = (kind != Kind::Action).then_some(label);
    view! { <td class=class_of(kind) data-label=label>{cell}</td> }.into_any()
}

const fn class_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Words => "",
        Kind::Code => "code",
        Kind::Moment => "moment",
        Kind::Figures => "number",
        Kind::Action => "action",
    }
}

/// A cell of text.
pub(crate) fn text(text: impl Into<String>) -> AnyView {
    text.into().into_any()
}

/// A name of somebody else's choice as a cell: one line, whatever its length, with all of it in its title.
pub(crate) fn name(words: &str) -> AnyView {
    view! { <bdi class="name" title=words.to_owned()>{words.to_owned()}</bdi> }.into_any()
}

/// The same as a link.
pub(crate) fn name_link(href: String, words: &str) -> AnyView {
    view! { <a href=href>{name(words)}</a> }.into_any()
}

/// A cell with something smaller below it, if there is something to say.
pub(crate) fn with_note(cell: AnyView, note: String) -> AnyView {
    if note.is_empty() { cell } else { view! { <span>{cell}</span><span class="by">{note}</span> }.into_any() }
}

/// A cell whose row opens to those below it, in a [`folding_table`]. The style sheet shows them while it is open, so it takes no script.
#[cfg(feature = "ssr")]
pub(crate) fn opener(text: String) -> AnyView {
    view! { <details><summary>{text}</summary></details> }.into_any()
}

/// A cell that leads somewhere.
pub(crate) fn link(href: String, text: impl Into<String>) -> AnyView {
    view! { <a href=href>{text.into()}</a> }.into_any()
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    #[test]
    fn every_cell_carries_its_columns_name() {
        let columns = [Column("Model", Kind::Words), Column("Cost", Kind::Figures)];
        let html = Owner::new().with(|| table("cards", &columns, vec![vec![text("a"), text("$1.00")].into()], None).to_html());
        assert!(html.contains(r#"<th scope="row">a"#) && html.contains(r#"<td data-label="Cost" class="number">$1.00"#), "{html}");
    }

    #[test]
    fn only_a_row_with_others_below_it_folds() {
        let row = || Row::from(vec![text("a")]);
        let columns = [Column("Model", Kind::Words)];
        let html = Owner::new().with(|| folding_table("cards", &columns, vec![vec![row()], vec![row(), row()]]).to_html());
        assert_eq!((html.matches("<tbody").count(), html.matches(r#"<tbody class="folding">"#).count()), (2, 1), "{html}");
    }
}
