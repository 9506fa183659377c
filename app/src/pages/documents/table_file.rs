use chrono::{DateTime, Utc};
use domain::{
    monthly::{Holdings, MonthlyStatement, Used},
    usage::Totals,
};

use crate::{parts::time, server::csv};

const HEADINGS: [&str; 10] =
    ["part", "name", "id", "at", "count", "prompt_tokens", "completion_tokens", "total_tokens", "amount_usd", "tokens"];

/// A statement as CSV: what there was, what changed it kind by kind, what there is then, the movements, and what calls used by model, key and day.
pub(super) fn statement(statement: &MonthlyStatement) -> String {
    let range = statement.month.range();
    let mut file = csv::line(HEADINGS);
    file.push_str(&there("opening", Some(range.from), statement.opening));
    for sum in &statement.changes {
        let (count, change) = (sum.postings.to_string(), sum.change);
        file.push_str(&line(
            ["change", sum.kind.name(), "", ""],
            [&count, "", "", ""],
            (&change.money.to_string(), &change.tokens.to_string()),
        ));
    }
    // Of a month that is not closed there is no end yet.
    file.push_str(&match statement.is_closed {
        true => there("closing", Some(range.to), statement.closing),
        false => there("so_far", None, statement.closing),
    });
    for movement in &statement.movements {
        let (id, at, change) = (movement.number.to_string(), time::iso(movement.posted_at), movement.change);
        let sums = (change.money.to_string(), change.tokens.to_string());
        let name = format!("{}: {}", movement.kind.label(), movement.memo);
        file.push_str(&line(["movement", &name, &id, &at], ["", "", "", ""], (&sums.0, &sums.1)));
    }
    if statement.has_more {
        file.push_str(&line(["movements_left_out", "older ones are in the journal's file", "", ""], ["", "", "", ""], ("", "")));
    }
    used(&mut file, "", &statement.used);
    used(&mut file, "earlier_", &statement.late);
    file
}

fn there(part: &str, at: Option<DateTime<Utc>>, held: Holdings) -> String {
    line([part, "", "", &at.map(time::iso).unwrap_or_default()], ["", "", "", ""], (&held.money.to_string(), &held.tokens.to_string()))
}

fn used(file: &mut String, prefix: &str, used: &Used) {
    for row in &used.by_model {
        file.push_str(&counted([&format!("{prefix}model"), &row.label, "", ""], &row.totals));
    }
    for row in &used.by_key {
        file.push_str(&counted([&format!("{prefix}key"), &row.label, &row.id, ""], &row.totals));
    }
    for (day, totals) in &used.by_day {
        file.push_str(&counted([&format!("{prefix}day"), "", "", &time::iso(*day)], totals));
    }
    if !used.written_off.is_zero() {
        file.push_str(&line([&format!("{prefix}written_off"), "", "", ""], ["", "", "", ""], (&used.written_off.to_string(), "")));
    }
}

fn counted(head: [&str; 4], totals: &Totals) -> String {
    let tokens = [totals.prompt_tokens, totals.completion_tokens, totals.total_tokens].map(|tokens| tokens.get().to_string());
    let [prompt, completion, total] = &tokens;
    line(head, [&totals.requests.to_string(), prompt, completion, total], (&totals.amount.to_string(), ""))
}

fn line(head: [&str; 4], counts: [&str; 4], (amount, tokens): (&str, &str)) -> String {
    csv::line(head.into_iter().chain(counts).chain([amount, tokens]))
}
