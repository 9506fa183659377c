//! What a call cost, put into the report of usage that its answer ends with, where the client asked for that.
//!
//! A member `cost` goes before the others of the last report that is about the whole answer: a decimal text in units of the currency, as amounts are in
//! all JSON here. OpenRouter writes a number there (<https://openrouter.ai/docs/use-cases/usage-accounting>); most parsers make that a binary fraction,
//! which few amounts are. What the upstream says there of cost is what the operator pays, and goes out.

use std::{borrow::Cow, ops::Range};

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
    let with_cost = with_cost(&whole[report.clone()], cost);
    let whole = Bytes::from(whole);
    vec![whole.slice(..report.start), with_cost.into(), whole.slice(report.end..)]
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

/// A report with this cost, and no other.
fn with_cost(report: &[u8], cost: &str) -> Vec<u8> {
    let mut with_cost = format!(r#"{{"cost":"{cost}""#).into_bytes();
    for member in members(report).into_iter().filter(|member| !is_of_cost(member)) {
        with_cost.push(b',');
        with_cost.extend_from_slice(member);
    }
    with_cost.push(b'}');
    with_cost
}

/// `cost` and `cost_details` as at OpenRouter, `estimated_cost` as at DeepInfra, `cost_in_usd_ticks` as at xAI.
fn is_of_cost(member: &[u8]) -> bool {
    let mut names = serde_json::Deserializer::from_slice(member).into_iter::<Cow<'_, str>>();
    names.next().and_then(Result::ok).is_some_and(|name| name.starts_with("cost") || name == "estimated_cost")
}

/// What stands between the commas of an object, as it was written.
fn members(object: &[u8]) -> Vec<&[u8]> {
    let (mut members, mut start, mut depth) = (Vec::new(), 1, 0_usize);
    let (mut is_text, mut is_escaped) = (false, false);
    for (place, byte) in object.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => depth += 1,
            b',' if depth == 1 => {
                members.push(&object[start..place]);
                start = place + 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    members.push(&object[start..place]);
                }
            }
            _ => {}
        }
    }
    members
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
    fn what_the_upstream_says_of_cost_goes_out_in_every_spelling() {
        check(
            Form::Document,
            r#"{"usage":{"cost":0.95,"prompt_tokens":3,"cost_details":{"a":[1,{}]},"estimated_cost":1,"c\u006fst":2,"cost_in_usd_ticks":7,"costly\"":"}"}}"#,
            r#"{"usage":{"cost":"0.0000222","prompt_tokens":3}}"#,
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
