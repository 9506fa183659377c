//! What a call cost, put into the report of usage that its answer ends with, where the client asked for that.
//!
//! A member `cost` goes before the others of the last report that is about the whole answer: a decimal text in units of the currency, as amounts are in
//! all JSON here. OpenRouter writes a number there (<https://openrouter.ai/docs/use-cases/usage-accounting>); most parsers make that a binary fraction,
//! which few amounts are. What the upstream says there of cost has gone out by then ([`super::without_cost`]).

use std::ops::Range;

use bytes::Bytes;

use super::{
    document::Document,
    grammar::{Grammar, Scope},
    scan::Scanner,
    sse::{Splitter, Token},
    tap::is_blank,
};
use crate::wire::estimate::DeliveredText;

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One document, whole.
    Document,
    /// Events of a stream, from the beginning of one.
    Events,
}

/// The same bytes with the cost in them; as they were, where no such report is in them.
pub(crate) fn put_in(bytes: Vec<Bytes>, form: Form, grammar: &'static Grammar, cost: &str) -> Vec<Bytes> {
    let whole = bytes.concat();
    let found = match form {
        Form::Document => in_document(&whole, grammar),
        Form::Events => in_events(&whole, grammar),
    };
    let Some(report) = found else { return bytes };
    // It says something besides, so that a comma can follow.
    let (whole, first) = (Bytes::from(whole), report.start + 1);
    vec![whole.slice(..first), format!(r#""cost":"{cost}","#).into(), whole.slice(first..)]
}

fn in_document(bytes: &[u8], grammar: &'static Grammar) -> Option<Range<usize>> {
    let start = bytes.iter().position(|byte| !is_blank(*byte))?;
    let mut scanner = Scanner::new(grammar);
    scanner.push(&bytes[start..], &mut DeliveredText::default());
    let report = last_report(&scanner.finish())?;
    Some(start + report.start..start + report.end)
}

/// In the last event that has one.
fn in_events(bytes: &[u8], grammar: &'static Grammar) -> Option<Range<usize>> {
    let (mut scanner, mut splitter, mut text) = (Scanner::new(grammar), Splitter::default(), DeliveredText::default());
    let (mut place, mut found) = (0, None);
    // The stretches of the current event's data: where each begins, and how much of the data comes before it.
    let (mut lines, mut read) = (Vec::<(Range<usize>, usize)>::new(), 0);
    while let Some(token) = splitter.next(bytes, &mut place) {
        match token {
            Token::Data(range) => {
                scanner.push(&bytes[range.clone()], &mut text);
                read += range.len();
                lines.push((range.clone(), read - range.len()));
            }
            Token::NextLine => {
                scanner.push(b"\n", &mut text);
                read += 1;
            }
            Token::EndOfEvent(_) => {
                found = last_report(&scanner.finish()).and_then(|report| on_one_line(&lines, &report)).or(found);
                (lines, read) = (Vec::new(), 0);
            }
        }
    }
    last_report(&scanner.finish()).and_then(|report| on_one_line(&lines, &report)).or(found)
}

/// Where a range of an event's data lies, if on one line.
fn on_one_line(lines: &[(Range<usize>, usize)], data: &Range<usize>) -> Option<Range<usize>> {
    let (line, before) = lines.iter().rfind(|(_, before)| *before <= data.start)?;
    let range = data.start - before + line.start..data.end - before + line.start;
    (range.end <= line.end).then_some(range)
}

fn last_report(document: &Document) -> Option<Range<usize>> {
    let report = document.reports.iter().rfind(|report| report.scope == Scope::Answer && report.says_something())?;
    (!report.raw.is_empty()).then(|| report.at..report.at + report.raw.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DIALECTS;

    fn check(form: Form, before: &str, after: &str) {
        for pieces in [1, 3, before.len().max(1)] {
            let bytes = before.as_bytes().chunks(pieces).map(Bytes::copy_from_slice).collect();
            let bytes = put_in(bytes, form, &DIALECTS[0].answers.grammar, "0.0000222").concat();
            assert_eq!(String::from_utf8_lossy(&bytes), after, "{before}");
        }
    }

    #[test]
    fn the_cost_stands_in_the_report_and_nowhere_else() {
        check(
            Form::Document,
            " {\"id\":\"\\\"usage\\\":{}\", \"usage\" : { \"prompt_tokens\" : 3,\n\"x\":{\"cost\":1},\"completion_tokens\":4 } }\n",
            " {\"id\":\"\\\"usage\\\":{}\", \"usage\" : {\"cost\":\"0.0000222\", \"prompt_tokens\" : 3,\n\"x\":{\"cost\":1},\"completion_tokens\":4 } }\n",
        );
        check(
            Form::Events,
            ": hi\n\ndata: {\"usage\":{\"prompt_tokens\":3}}\r\n\r\ndata:{\"usage\":{\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n",
            ": hi\n\ndata: {\"usage\":{\"prompt_tokens\":3}}\r\n\r\ndata:{\"usage\":{\"cost\":\"0.0000222\",\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n",
        );
    }

    #[test]
    fn without_a_report_of_the_whole_answer_nothing_is_changed() {
        for form in [Form::Document, Form::Events] {
            for text in
                ["", " ", "{}", r#"{"usage":null}"#, r#"{"usage":{}}"#, r#"{"x_groq":{"usage":{"prompt_tokens":3}}}"#, "data: [DONE]\n\n"]
            {
                check(form, text, text);
            }
        }
        // Half a report, and one on several lines.
        for text in [r#"data: {"usage":{"prompt_tokens":3"#, "data: {\"usage\":{\ndata: \"prompt_tokens\":3}}\n\n"] {
            check(Form::Events, text, text);
        }
    }
}
