//! Takes what an upstream says of cost out of its reports of usage, as they pass: it is what the operator pays.
//!
//! A report is where the [`Grammar`] has a row for one; the same names elsewhere, as in the arguments of a tool, are the customer's. Bytes are looked at in
//! pieces of any size, and none waits but those of which it is not yet known whether they go: a name in a report, and the comma before it.

use std::{borrow::Cow, mem, ops::Range};

use bytes::{Bytes, BytesMut};

use super::{
    grammar::{Grammar, Mark, Place},
    tap::is_blank,
};

/// The most that waits: no name of a cost is longer, with what comes before it.
const WAITING_BYTES_MAX: usize = 1024;
/// The longest name that is looked at, in its quotes.
const NAME_BYTES_MAX: usize = 64;
/// No report stands deeper.
const DEPTH_MAX: usize = 12;

/// What becomes of the bytes from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    /// It is not known yet.
    Wait,
    Go,
}

/// What the answer is, as its first byte says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Unsaid,
    Document,
    /// With what the current line is.
    Events(Line),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// The name of its field, of which so many bytes are those of [`DATA`].
    Name(usize),
    Data,
    Other,
}

const DATA: &[u8] = b"data";

/// Where the JSON stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between texts.
    Between,
    /// In a text.
    Text,
    /// Behind a backslash in one.
    Escape,
    /// Behind a text.
    AfterText,
    /// Behind the colon that makes it a name, of a member at this place.
    Named(Place),
}

/// An open container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Container {
    place: Place,
    is_list: bool,
}

/// An answer on its way; see the module.
#[derive(Debug)]
pub(crate) struct WithoutCost {
    grammar: &'static Grammar,
    form: Form,
    at: At,
    /// The last text in its quotes, where that is no longer than a name.
    text: Vec<u8>,
    /// The outer ones of those that are open, and how many are.
    open: Vec<Container>,
    depth: usize,
    /// How many are open in the report that is passing, itself included.
    report: Option<usize>,
    /// A member of the report comes before this place and stays: then the comma between goes with what follows it.
    has_member: bool,
    fate: Fate,
    /// What has come of what waits.
    waiting: BytesMut,
    /// How many bytes wait, those of the current piece included.
    waits: usize,
    /// Ends of lines one behind the other, and whether the last was a carriage return: two end an event, however far its document came.
    line_ends: u8,
    is_after_cr: bool,
    /// The end of a line in what goes: where the event ends, it stays.
    aside: Vec<u8>,
}

/// `cost` and `cost_details` as at OpenRouter (<https://openrouter.ai/docs/use-cases/usage-accounting>) and Perplexity, `estimated_cost` as at DeepInfra,
/// `cost_in_usd_ticks` as at xAI.
fn is_of_cost(name: &[u8]) -> bool {
    serde_json::from_slice::<Cow<'_, str>>(name).is_ok_and(|name| name.starts_with("cost") || name == "estimated_cost")
}

impl WithoutCost {
    /// For answers whose reports stand where this grammar says.
    pub(crate) fn new(grammar: &'static Grammar) -> Self {
        Self {
            grammar,
            form: Form::Unsaid,
            at: At::Between,
            text: Vec::new(),
            open: Vec::new(),
            depth: 0,
            report: None,
            has_member: false,
            fate: Fate::Pass,
            waiting: BytesMut::new(),
            waits: 0,
            line_ends: 0,
            is_after_cr: false,
            aside: Vec::new(),
        }
    }

    /// What of the next piece may go on, with what waited for it.
    pub(crate) fn push(&mut self, piece: &Bytes) -> Bytes {
        let mut out = Vec::new();
        // Where the bytes of the present fate begin.
        let mut from = 0;
        for (place, byte) in piece.iter().enumerate() {
            let (before, after) = self.step(*byte);
            for (fate, end) in [(before, place), (after, place + 1)] {
                if fate != self.fate {
                    self.turn(fate, piece, from..end, &mut out);
                    from = end;
                }
            }
        }
        self.turn(self.fate, piece, from..piece.len(), &mut out);
        // One piece stays one: what follows tells by the last whether more comes.
        if let [whole] = &out[..] { whole.clone() } else { out.concat().into() }
    }

    /// The answer has ended: what was not decided goes on.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.waiting.extend_from_slice(&mem::take(&mut self.aside));
        mem::take(&mut self.waiting).freeze()
    }

    /// Deals with the bytes of the fate that ends here. What waited shares it from now on.
    fn turn(&mut self, fate: Fate, piece: &Bytes, range: Range<usize>, out: &mut Vec<Bytes>) {
        match self.fate {
            Fate::Pass if !range.is_empty() => out.push(piece.slice(range)),
            Fate::Wait => self.waiting.extend_from_slice(&piece[range]),
            Fate::Pass | Fate::Go => {}
        }
        match fate {
            Fate::Pass if !self.waiting.is_empty() => out.push(mem::take(&mut self.waiting).freeze()),
            Fate::Go => self.waiting.clear(),
            Fate::Pass | Fate::Wait => {}
        }
        self.fate = fate;
    }

    /// Takes a byte in. Returns what becomes of it, and of what follows.
    fn step(&mut self, byte: u8) -> (Fate, Fate) {
        if self.form == Form::Unsaid {
            if is_blank(byte) {
                return (Fate::Pass, Fate::Pass);
            }
            self.form = if matches!(byte, b'{' | b'[') { Form::Document } else { Form::Events(Line::Name(0)) };
        }
        let (before, after) = match byte {
            b'\n' | b'\r' => self.end_line(byte),
            _ => {
                (self.line_ends, self.is_after_cr) = (0, false);
                self.aside.clear();
                if self.is_data(byte) { self.json(byte) } else { (self.fate, self.fate) }
            }
        };
        self.waits = if after == Fate::Wait { self.waits + 1 } else { 0 };
        if self.waits > WAITING_BYTES_MAX {
            (self.waits, self.has_member) = (0, true);
            return (before, Fate::Pass);
        }
        (before, after)
    }

    /// Whether a byte is of a document, and not of what is around it in a stream.
    fn is_data(&mut self, byte: u8) -> bool {
        let Form::Events(line) = &mut self.form else { return true };
        match line {
            Line::Data => return true,
            Line::Other => {}
            Line::Name(read) => {
                *line = match byte {
                    b':' if *read == DATA.len() => Line::Data,
                    _ if DATA.get(*read) == Some(&byte) => Line::Name(*read + 1),
                    _ => Line::Other,
                }
            }
        }
        false
    }

    fn json(&mut self, byte: u8) -> (Fate, Fate) {
        let fate = self.fate;
        match (self.at, byte) {
            (At::Escape, _) => self.text(byte, At::Text),
            (At::Text, b'\\') => self.text(byte, At::Escape),
            (At::Text, b'"') => {
                self.text(byte, At::AfterText);
                return (fate, self.named(fate));
            }
            (At::Text, _) => self.text(byte, At::Text),
            (_, b'"') => {
                self.text.clear();
                self.text(byte, At::Text);
                // The first name of a report: the others wait from their commas on.
                let begins = if self.report == Some(1) && fate == Fate::Pass && !self.has_member { Fate::Wait } else { fate };
                return (begins, begins);
            }
            (_, b' ' | b'\t') => {}
            (At::AfterText, b':') => self.at = At::Named(self.member()),
            (at, _) => return self.between(at, byte),
        }
        (fate, fate)
    }

    fn text(&mut self, byte: u8, at: At) {
        self.at = at;
        if self.text.len() <= NAME_BYTES_MAX {
            self.text.push(byte);
        }
    }

    /// What becomes of what follows a text: in a report it may have been the name of a cost.
    fn named(&mut self, fate: Fate) -> Fate {
        if fate != Fate::Wait {
            return fate;
        }
        if is_of_cost(&self.text) {
            return Fate::Go;
        }
        self.has_member = true;
        Fate::Pass
    }

    /// Where the member stands whose name was read.
    fn member(&self) -> Place {
        let name = self.text.get(1..self.text.len() - 1).unwrap_or_default();
        self.container().filter(|container| !container.is_list).map_or(Place::NOWHERE, |of| self.grammar.member(of.place, name))
    }

    /// The innermost one that is open, as far as somebody looks.
    fn container(&self) -> Option<Container> {
        self.open.get(self.depth.checked_sub(1)?).copied()
    }

    /// A byte of the structure, or of a number.
    fn between(&mut self, at: At, byte: u8) -> (Fate, Fate) {
        self.at = At::Between;
        let fate = self.fate;
        match byte {
            b'{' | b'[' => self.open(at, byte),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.open.truncate(self.depth);
                self.report = self.report.and_then(|open| open.checked_sub(1)).filter(|open| *open > 0);
                if self.report.is_none() {
                    return (Fate::Pass, Fate::Pass);
                }
            }
            b',' if self.report == Some(1) && self.has_member => return (Fate::Wait, Fate::Wait),
            // The comma goes with what was the first.
            b',' if self.report == Some(1) => return (fate, Fate::Pass),
            _ => {}
        }
        (fate, fate)
    }

    fn open(&mut self, at: At, byte: u8) {
        let is_list = byte == b'[';
        let place = match (at, self.container()) {
            _ if self.depth == 0 => {
                if is_list {
                    Place::LIST
                } else {
                    Place::ROOT
                }
            }
            (At::Named(place), _) => place,
            (_, Some(Container { place, is_list: true })) => self.grammar.item(place),
            _ => Place::NOWHERE,
        };
        match &mut self.report {
            Some(open) => *open += 1,
            None if !is_list && matches!(self.grammar.mark(place), Mark::Report(_)) => (self.report, self.has_member) = (Some(1), false),
            None => {}
        }
        if self.depth == self.open.len() && self.depth < DEPTH_MAX {
            self.open.push(Container { place, is_list });
        }
        self.depth += 1;
    }

    fn end_line(&mut self, byte: u8) -> (Fate, Fate) {
        if !(byte == b'\n' && self.is_after_cr) {
            self.line_ends = self.line_ends.saturating_add(1);
        }
        self.is_after_cr = byte == b'\r';
        let is_of_events = matches!(self.form, Form::Events(_));
        if is_of_events {
            self.form = Form::Events(Line::Name(0));
        }
        // No text goes over the end of a line.
        let is_cut = matches!(self.at, At::Text | At::Escape);
        if is_cut || is_of_events && self.line_ends > 1 {
            (self.at, self.depth, self.report) = (At::Between, 0, None);
            self.open.clear();
            self.waiting.extend_from_slice(&mem::take(&mut self.aside));
            return (Fate::Pass, Fate::Pass);
        }
        if is_of_events && self.fate == Fate::Go {
            self.aside.push(byte);
        }
        (self.fate, self.fate)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::{DIALECTS, Dialect};

    fn without_at(dialect: &'static Dialect, text: &str, pieces: usize) -> String {
        let mut filter = WithoutCost::new(&dialect.answers.grammar);
        let mut out: Vec<_> = text.as_bytes().chunks(pieces).map(|piece| filter.push(&Bytes::copy_from_slice(piece))).collect();
        out.push(filter.finish());
        String::from_utf8(out.concat()).expect("no character is cut")
    }

    fn without(text: &str, pieces: usize) -> String {
        without_at(DIALECTS[0], text, pieces)
    }

    #[track_caller]
    fn check(before: &str, after: &str) {
        for pieces in 1..=before.len().max(1) {
            assert_eq!(without(before, pieces), after, "in pieces of {pieces}");
        }
    }

    #[test]
    fn what_is_said_of_cost_goes_with_one_comma_wherever_it_stands_in_a_report() {
        check(r#"{"usage":{"cost":0.95,"a":1}}"#, r#"{"usage":{"a":1}}"#);
        check(r#" {"usage": { "a": 1, "cost": 0.95 } }"#, r#" {"usage": { "a": 1} }"#);
        check(r#"{"usage":{"a":1,"cost":null,"b":2}}"#, r#"{"usage":{"a":1,"b":2}}"#);
        check(r#"{"usage":{"cost":1,"cost_details":{"x":[1,{}],"y":"},"},"a":1}}"#, r#"{"usage":{"a":1}}"#);
        check(r#"{"usage":{"a":1,"cost":1,"estimated_cost":2,"b":{"cost":3}}}"#, r#"{"usage":{"a":1,"b":{"cost":3}}}"#);
        check(r#"{"usage":{"c\u006fst":1,"cost_in_usd_ticks":7,"costly\"":"}"},"x":"y"}"#, r#"{"usage":{},"x":"y"}"#);
        check(
            r#"{"x_groq":{"usage":{"cost":"1"}},"choices":[{"usage":{"cost":1,"a":2}}]}"#,
            r#"{"x_groq":{"usage":{}},"choices":[{"usage":{"a":2}}]}"#,
        );
        check(r#"[{"usage":{"cost":1,"a":2}},{"usage":{"a":2,"cost":1}}]"#, r#"[{"usage":{"a":2}},{"usage":{"a":2}}]"#);
        check("{\n\n\"usage\":\n{\"a\":1,\n\n\"cost\":2\n}}", "{\n\n\"usage\":\n{\"a\":1}}");
    }

    #[test]
    fn of_a_stream_each_report_loses_it_and_nothing_else_is_touched() {
        check(
            "data: {\"usage\":{\"a\":1,\"cost\":1}}\r\n\r\n: \"usage\":{\n\ndata:{\"usage\":{\"cost\":1,\ndata: \"a\":1}}\n\ndata: [DONE]\n\n",
            "data: {\"usage\":{\"a\":1}}\r\n\r\n: \"usage\":{\n\ndata:{\"usage\":{\ndata: \"a\":1}}\n\ndata: [DONE]\n\n",
        );
        check(
            "\u{feff}event: \"x\ndata: {\"usage\":\ndata: {\"cost\":1,\"a\":1}}\n\n",
            "\u{feff}event: \"x\ndata: {\"usage\":\ndata: {\"a\":1}}\n\n",
        );
        check("data: {\"usage\":{\"a\":1,\"cost\":\ndata: 1}}\n\n", "data: {\"usage\":{\"a\":1}}\n\n");
    }

    /// What breaks off says nothing of the next, and every event keeps its end.
    #[test]
    fn an_event_that_breaks_off_takes_nothing_of_the_next_with_it() {
        let next = "data: {\"cost\":1}";
        for end in ["\n\n", "\r\n\r\n", "\r\r"] {
            for half in [r#"{"usage":{"a":""#, r#"{"usage":{"a":1"#, r#"{"usage":{"a":1,"#, r#"{"usage":{"a":1,"co"#] {
                let stream = format!("data: {half}{end}{next}{end}");
                check(&stream, &stream);
            }
            for (half, left) in [(r#"{"usage":{"cost":1"#, r#"{"usage":{"#), (r#"{"usage":{"a":1,"cost":"x"#, r#"{"usage":{"a":1"#)] {
                check(&format!("data: {half}{end}{next}{end}"), &format!("data: {left}{end}{next}{end}"));
            }
            check(&format!("data: {{\"usage\":{{\"cost\":1{end}"), &format!("data: {{\"usage\":{{{end}"));
        }
    }

    #[test]
    fn what_is_no_cost_or_in_no_report_goes_on_as_it_came() {
        for text in [
            "",
            r#"{"cost":1,"content":"\"usage\":{\"cost\":1}","usage":null,"b":"usage"}"#,
            r#"["usage",{"cost":1}]"#,
            r#"{"usage":[{"cost":1}],"usages":{"cost":1},"usage":"x","cost":1}"#,
            r#"{"usage":{"a":"cost","b":["cost",1],"Cost":1,"the_cost":2}}"#,
            // What somebody else calls so.
            r#"{"choices":[{"message":{"usage":{"cost":1}}}],"tool":{"usage":{"cost":1}}}"#,
            // Half of one.
            r#"{"usage":{"a":1,"co"#,
            "{\"usage\" :\t{ } , \"x\": 1}\n",
        ] {
            check(text, text);
        }
        let messages = Dialect::of("/v1/messages").expect("it is there");
        let tool = r#"{"content":[{"type":"tool_use","input":{"usage":{"cost":5}}}],"usage":{"input_tokens":1}}"#;
        assert_eq!(without_at(messages, tool, 3), tool);
    }

    #[test]
    fn nobody_fills_the_memory_with_a_name() {
        let text = format!(r#"{{"usage":{{"a":1,"{}":1,"b":2"#, "x".repeat(1024 * 1024));
        let mut filter = WithoutCost::new(&DIALECTS[0].answers.grammar);
        let passed: usize = text.as_bytes().chunks(1000).map(|piece| filter.push(&Bytes::copy_from_slice(piece)).len()).sum();
        assert!(filter.finish().len() + passed == text.len() && passed > text.len() - 1000);
    }

    fn value() -> impl Strategy<Value = Value> {
        let names = ["usage", "cost", "cost_details", "estimated_cost", "choices", "x_groq"].map(str::to_owned);
        let name = prop_oneof![prop::sample::select(names.to_vec()), "[a-c\"\\\\{},\u{e9}]{1,3}"];
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), name.clone().prop_map(Value::from)];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            let members = prop::collection::vec((name.clone(), inner.clone()), 0..5);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn prune(report: Option<&mut Value>) {
        if let Some(members) = report.and_then(Value::as_object_mut) {
            members.retain(|name, _| !name.starts_with("cost") && name != "estimated_cost");
        }
    }

    /// By the tree, what the bytes should come to.
    fn pruned(mut value: Value) -> Value {
        prune(value.get_mut("usage"));
        prune(value.get_mut("x_groq").and_then(|of| of.get_mut("usage")));
        for choice in value.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
            prune(choice.get_mut("usage"));
        }
        value
    }

    proptest! {
        #[test]
        fn whatever_comes_it_makes_the_same_of_it_in_any_pieces(text in r#"(data: )?([a-c{}\[\]:,"\\ \r\n1]|"usage":\{|"cost":){0,60}"#, pieces in 1_usize..9) {
            prop_assert_eq!(without(&text, pieces), without(&text, text.len().max(1)));
        }

        #[test]
        fn of_any_document_in_any_pieces_it_leaves_what_a_parser_would(members in prop::collection::vec(value(), 3), pieces in 1_usize..9, is_pretty: bool) {
            let value = json!({ "usage": members[0], "x_groq": members[1], "choices": [members[2]], "a": 1 });
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("it is JSON");
            let left = without(&text, pieces);
            prop_assert_eq!(serde_json::from_str::<Value>(&left).expect("it stays JSON"), pruned(value), "{}", left);
        }
    }
}
