//! Pages of rows: a row more is asked for than fits, which says whether there is another page.

/// Cuts to so many rows what was read for a page of them. Says whether there were more.
pub(crate) fn cut<T>(rows: &mut Vec<T>, most: i64) -> bool {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    more
}
