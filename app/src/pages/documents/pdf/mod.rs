//! Documents and statements as PDF: what their pages say, in the same words.

mod sheet;
mod text;

use chrono::{DateTime, Utc};
use domain::{
    document::Document,
    monthly::Used,
    usage::{Totals, UsageRow},
};

use self::sheet::{Column, Sheets};
use super::{lines, page::OneStatement};
use crate::parts::time;

/// A document. `None` if it cannot be drawn.
pub(super) fn document(document: &Document) -> Option<Vec<u8>> {
    let title = lines::title(document);
    let mut sheets = Sheets::new()?;
    sheets.title(&title);
    sheets.side_by_side(&lines::parties(document));
    for (name, said) in lines::facts(document) {
        sheets.fact(name, &said);
    }
    sheets.space();
    let (name, whole) = lines::total(document);
    let (line, total) = (vec![lines::purpose(document), whole.clone()], vec![name, whole]);
    let columns = [words("What for", 75), figures("Amount", 25)];
    let parts = lines::parts(document);
    if parts.is_empty() {
        sheets.table(&columns, &[line, total], true);
    } else {
        sheets.table(&columns, &[line], false);
        // Below a rule of their own: they are what that consists of, and no further lines.
        let sums: Vec<_> = parts.into_iter().map(|(name, amount)| vec![name, amount]).chain([total]).collect();
        sheets.table(&[words("", 75), figures("", 25)], &sums, true);
    }
    sheets.note(&lines::rule(document));
    sheets.finish(&title, &document.seller.name, document.issued_at)
}

/// The statement of a month, read at this instant.
pub(super) fn statement(page: &OneStatement, now: DateTime<Utc>) -> Option<Vec<u8>> {
    let statement = &page.statement;
    let title = lines::statement_title(statement);
    let mut sheets = Sheets::new()?;
    sheets.title(&title);
    sheets.side_by_side(&lines::statement_parties(page.seller.as_ref(), &page.buyer));
    sheets.note(lines::state(statement));
    sheets.heading("Balance");
    let balance: Vec<_> = lines::balance(statement).into_iter().map(|(name, amount)| vec![name, amount]).collect();
    sheets.table(&[words("What changed it", 65), figures("Amount", 35)], &balance, true);
    movements(&mut sheets, page);
    used(&mut sheets, "Calls of this month", &statement.used);
    used(&mut sheets, "Calls of earlier months, posted or corrected in this one", &statement.late);
    sheets.finish(&title, page.seller.as_ref().map_or("Farebox", |seller| &seller.name), now)
}

fn movements(sheets: &mut Sheets, page: &OneStatement) {
    let statement = &page.statement;
    if statement.movements.is_empty() {
        return;
    }
    sheets.heading("Money in and out, plans and credit");
    let rows: Vec<_> = statement
        .movements
        .iter()
        .zip(lines::movements(statement))
        .map(|(movement, amount)| {
            let number = page.numbers.iter().find(|(posting, _)| *posting == movement.number);
            let what = [movement.memo.as_str(), number.map_or("", |(_, number)| number)].into_iter().filter(|part| !part.is_empty());
            let what = what.collect::<Vec<_>>().join(", ");
            vec![time::minute(movement.posted_at), movement.kind.label().to_owned(), what, amount]
        })
        .collect();
    sheets.table(&[words("When", 20), words("Entry", 20), words("What for", 35), figures("Amount", 25)], &rows, false);
    if statement.has_more {
        sheets.note("There are more: the journal has all of them.");
    }
}

fn used(sheets: &mut Sheets, title: &str, used: &Used) {
    if *used == Used::default() {
        return;
    }
    sheets.heading(title);
    let of = |rows: &[UsageRow]| rows.iter().map(|row| (row.label.clone(), row.totals)).collect::<Vec<_>>();
    let days = used.by_day.iter().map(|(day, totals)| (time::day(*day), *totals)).collect();
    for (name, rows) in [("Model", of(&used.by_model)), ("Key", of(&used.by_key)), ("Day", days)] {
        counted(sheets, name, rows, &used.totals);
    }
    if !used.written_off.is_zero() {
        sheets.note(&lines::written_off(used.written_off));
    }
}

fn counted(sheets: &mut Sheets, name: &str, rows: Vec<(String, Totals)>, sum: &Totals) {
    let columns: Vec<_> = std::iter::once(words(name, 18))
        .chain(lines::COUNTED.into_iter().zip(SHARES).map(|(counted, share)| figures(counted, share)))
        .collect();
    let (names, totals): (Vec<_>, Vec<_>) = rows.into_iter().chain([("Total".to_owned(), *sum)]).unzip();
    let counts = lines::counts(&totals.iter().collect::<Vec<_>>());
    let rows: Vec<Vec<String>> =
        names.into_iter().zip(counts).map(|(name, counts)| std::iter::once(name).chain(counts).collect()).collect();
    sheets.table(&columns, &rows, true);
}

/// Of the width, in hundredths, what each of [`lines::COUNTED`] has.
const SHARES: [i32; 5] = [12, 16, 17, 16, 21];

const fn words(heading: &str, share: i32) -> Column<'_> {
    Column { heading, share, is_figures: false }
}

const fn figures(heading: &str, share: i32) -> Column<'_> {
    Column { heading, share, is_figures: true }
}
