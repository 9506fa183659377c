//! Lists that can be longer than a page should be: their first rows, and a search by name for the others.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::parts::{
    form::{Field, Form},
    layout::{empty, stack},
    money,
    table::link,
};

/// Rows of a page at most.
const ROWS_MAX: usize = 200;
/// What is searched for, in a query.
pub(crate) const SEARCH: &str = "search";

/// What was looked for in a list, and how much of it there is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Search {
    /// A part of a name, in whatever case; empty for all.
    words: String,
    /// Rows on the page.
    shown: usize,
    /// Rows that were found.
    found: usize,
    /// Rows of the list.
    all: usize,
}

impl Search {
    /// Leaves of a list what a page has of it: the first of those whose name contains what is searched for.
    #[cfg(feature = "ssr")]
    pub(crate) fn narrow<T>(words: Option<String>, rows: &mut Vec<T>, name: impl Fn(&T) -> &str) -> Self {
        let words = words.unwrap_or_default().trim().to_owned();
        let (all, part) = (rows.len(), words.to_lowercase());
        rows.retain(|row| name(row).to_lowercase().contains(&part));
        let found = rows.len();
        rows.truncate(ROWS_MAX);
        Self { words, shown: rows.len(), found, all }
    }

    /// Whether nothing is searched for.
    pub(crate) fn is_of_all(&self) -> bool {
        self.words.is_empty()
    }

    /// The list, and the way to what of it is not there: where it fits on a page, the list alone. `many` is what it is of: `keys`.
    pub(crate) fn list(&self, path: String, many: &'static str, rows: AnyView) -> AnyView {
        if self.is_of_all() && self.all <= ROWS_MAX {
            return rows;
        }
        let body = if self.shown == 0 {
            empty(format!("No name contains “{}”.", self.words), link(path.clone(), format!("All {many}")))
        } else {
            stack(vec![view! { <p class="hint">{self.says(many)}</p> }.into_any(), rows])
        };
        stack(vec![self.form(path), body])
    }

    fn form(&self, path: String) -> AnyView {
        let clear = (!self.is_of_all()).then(|| link(path.clone(), "Clear"));
        view! {
            <form class="row-form" method="get" action=path role="search">
                {Field::new("search", SEARCH, "Find by name").initial(self.words.clone()).view(&Form::default())}
                <button>"Find"</button>
                {clear}
            </form>
        }
        .into_any()
    }

    fn says(&self, many: &str) -> String {
        let [shown, found, all] = [self.shown, self.found, self.all].map(|rows| money::grouped(i64::try_from(rows).unwrap_or(i64::MAX)));
        match (self.is_of_all(), self.found > self.shown) {
            (true, _) => format!("The first {shown} of {all} {many}: find others by name."),
            (false, true) => format!("The first {shown} of {found} {many} that were found, of {all} in all: write more of the name."),
            (false, false) => format!("{found} of {all} {many}."),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    fn searched(words: &str, count: usize) -> (Vec<String>, Search) {
        let mut rows: Vec<_> = (0..count).map(|row| format!("Key {row}")).collect();
        let search = Search::narrow(Some(words.to_owned()), &mut rows, String::as_str);
        (rows, search)
    }

    fn html(words: &str, count: usize) -> String {
        let (_, search) = searched(words, count);
        Owner::new().with(|| search.list("/keys".to_owned(), "keys", "ROWS".into_any()).to_html()).replace("<!>", "")
    }

    #[test]
    fn a_list_that_fits_is_itself_and_of_a_longer_one_the_first_rows_stand_below_a_search() {
        assert_eq!(html("", 200), "ROWS");
        let (rows, _) = searched("", 1_000);
        assert_eq!((rows.len(), rows[0].as_str(), rows[199].as_str()), (200, "Key 0", "Key 199"));
        let long = html("", 1_000);
        for text in [r#"method="get""#, r#"action="/keys""#, r#"name="search""#, "The first 200 of 1,000 keys", "ROWS"] {
            assert!(long.contains(text), "{text} is missing: {long}");
        }
        assert!(!long.contains("Clear"), "{long}");
    }

    #[test]
    fn a_part_of_a_name_finds_it_in_whatever_case_and_wherever_it_stands() {
        let (rows, _) = searched(" kEY 99", 1_000);
        assert_eq!(rows.len(), 11, "99, and 990 to 999: {rows:?}");
        let found = html("key 99", 1_000);
        assert!(found.contains("11 of 1,000 keys.") && found.contains("Clear") && found.contains(r#"value="key 99""#), "{found}");
        let many = html("key 1", 3_000);
        assert!(many.contains("The first 200 of 1,111 keys that were found, of 3,000 in all"), "{many}");
        let none = html("nothing", 7);
        assert!(none.contains("No name contains “nothing”.") && none.contains("All keys") && !none.contains("ROWS"), "{none}");
    }
}
