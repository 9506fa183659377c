//! The journal: its postings, and the lines and pages in which they are shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{JournalKind, PostingNumber};
use crate::{money::Amount, period::Step};

/// One posting, with the balance after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRow {
    /// Its number.
    pub number: PostingNumber,
    /// Why it was made.
    pub kind: JournalKind,
    /// Of usage: how many calls it sums up.
    pub calls: Option<i64>,
    /// In words: an operator's reason, or the call that was settled late.
    pub memo: String,
    /// Who made it; empty for the meter.
    pub actor: String,
    /// When what it records happened; of usage, when its hour began.
    pub event_at: DateTime<Utc>,
    /// When it was written.
    pub posted_at: DateTime<Utc>,
    /// What it changed of money.
    pub amount: Amount,
    /// What it changed of tokens.
    pub tokens: i64,
    /// The balance of money after it.
    pub balance_after: Amount,
}

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatementLine {
    /// Money that moved by itself.
    Posting(JournalRow),
    /// The usage of a day, or of that part of a day that no other posting divides: its hours, newest first, at least one.
    Usage(Vec<JournalRow>),
}

/// A page of postings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPage {
    /// Newest first.
    pub lines: Vec<StatementLine>,
    /// The page after this one has the postings before this number, if there are any.
    pub next: Option<PostingNumber>,
}

impl JournalPage {
    /// At most so many lines, of postings newest first. `more` says whether there are postings beyond these, in which case the last line is left for
    /// the next page: its hours may not all be here.
    #[must_use]
    pub fn of(rows: Vec<JournalRow>, lines_max: usize, more: bool) -> Self {
        let mut lines: Vec<StatementLine> = Vec::new();
        for row in rows {
            match lines.last_mut() {
                Some(StatementLine::Usage(hours)) if hours.last().is_some_and(|hour| row.is_usage_of_the_day_of(hour)) => hours.push(row),
                _ if row.kind == JournalKind::Usage => lines.push(StatementLine::Usage(vec![row])),
                _ => lines.push(StatementLine::Posting(row)),
            }
        }
        let complete = if more && lines.len() > 1 { lines.len() - 1 } else { lines.len() };
        let cut = complete.min(lines_max);
        let has_next = more || cut < lines.len();
        lines.truncate(cut);
        let next = lines.last().filter(|_| has_next).map(StatementLine::oldest);
        Self { lines, next }
    }

    /// The posting of a number, if it is on this page.
    #[must_use]
    pub fn posting(&self, number: PostingNumber) -> Option<&JournalRow> {
        self.lines.iter().flat_map(StatementLine::rows).find(|row| row.number == number)
    }
}

impl StatementLine {
    /// Its postings, newest first.
    #[must_use]
    pub fn rows(&self) -> &[JournalRow] {
        match self {
            Self::Posting(row) => std::slice::from_ref(row),
            Self::Usage(hours) => hours,
        }
    }

    /// The number of its oldest posting.
    fn oldest(&self) -> PostingNumber {
        self.rows().last().map_or(PostingNumber::NONE, |row| row.number)
    }
}

impl JournalRow {
    fn is_usage_of_the_day_of(&self, hour: &Self) -> bool {
        self.kind == JournalKind::Usage && Step::Day.floor(self.event_at) == Step::Day.floor(hour.event_at)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn row(number: i64, kind: JournalKind, hour: i64) -> JournalRow {
        let at = DateTime::from_timestamp(hour * 3600, 0).unwrap();
        let calls = (kind == JournalKind::Usage).then_some(1);
        let (memo, actor) = (String::new(), String::new());
        let (amount, balance_after) = (Amount::from_nanos(1), Amount::from_nanos(number));
        JournalRow {
            number: PostingNumber::from_count(number),
            kind,
            calls,
            memo,
            actor,
            event_at: at,
            posted_at: at,
            amount,
            tokens: 0,
            balance_after,
        }
    }

    /// Newest first: usage at these hours since 1970, or a top-up.
    fn rows(hours: &[Option<i64>]) -> Vec<JournalRow> {
        let kind = |hour: Option<i64>| if hour.is_some() { JournalKind::Usage } else { JournalKind::TopUp };
        let oldest_first = (1..).zip(hours).map(|(number, hour)| row(number, kind(*hour), hour.unwrap_or(0)));
        let mut rows: Vec<_> = oldest_first.collect();
        rows.reverse();
        rows
    }

    fn numbers(page: &JournalPage) -> Vec<Vec<i64>> {
        page.lines.iter().map(|line| line.rows().iter().map(|row| row.number.get()).collect()).collect()
    }

    #[test]
    fn the_hours_of_a_day_are_one_line_that_another_posting_divides() {
        let page = JournalPage::of(rows(&[Some(1), Some(2), None, Some(23), Some(24), None, None]), 99, false);
        assert_eq!(numbers(&page), [vec![7], vec![6], vec![5], vec![4], vec![3], vec![2, 1]]);
        assert_eq!(page.next, None);
        assert_eq!(page.posting(PostingNumber::from_count(1)).map(|row| row.kind), Some(JournalKind::Usage));
        assert_eq!(page.posting(PostingNumber::from_count(8)), None);
    }

    #[test]
    fn a_day_that_may_go_on_is_left_for_the_next_page_unless_it_is_all_there_is() {
        let page = JournalPage::of(rows(&[Some(1), Some(2), None]), 99, true);
        assert_eq!((numbers(&page), page.next), (vec![vec![3]], Some(PostingNumber::from_count(3))));
        let page = JournalPage::of(rows(&[Some(1), Some(2)]), 99, true);
        assert_eq!((numbers(&page), page.next), (vec![vec![2, 1]], Some(PostingNumber::from_count(1))));
    }

    proptest! {
        #[test]
        fn pages_of_any_size_show_every_posting_once(hours: Vec<Option<u8>>, lines_max in 1..5_usize, rows_max in 1..9_usize) {
            let all = rows(&hours.into_iter().map(|hour| hour.map(i64::from)).collect::<Vec<_>>());
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let rest: Vec<_> = all.iter().filter(|row| before.is_none_or(|before| row.number < before)).cloned().collect();
                let more = rest.len() > rows_max;
                let page = JournalPage::of(rest.into_iter().take(rows_max).collect(), lines_max, more);
                prop_assert!(page.lines.len() <= lines_max);
                seen.extend(page.lines.iter().flat_map(StatementLine::rows).cloned());
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            prop_assert_eq!(seen, all);
        }
    }
}
