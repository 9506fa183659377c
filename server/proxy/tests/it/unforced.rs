//! What asking for usage adds to a stream, told by other means than the proxy's.

use serde_json::Value;

/// What an upstream sends of a stream where nobody asks it to report: no event that carries nothing but usage, and no `"usage":null` in the others.
pub(crate) fn unforced(stream: &[u8]) -> String {
    let is_empty = |said: &Value| said.is_null() || said == "" || said.as_object().is_some_and(serde_json::Map::is_empty);
    let says = |choice: &Value| {
        let mut delta = choice["delta"].as_object().into_iter().flatten().filter(|(name, _)| *name != "role");
        !is_empty(&choice["finish_reason"]) || !is_empty(&choice["text"]) || delta.any(|(_, said)| !is_empty(said))
    };
    let events = str::from_utf8(stream).unwrap().split_inclusive("\n\n").filter_map(|event| {
        let data = event.lines().find_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()).unwrap_or(Value::Null);
        let is_bare = data["usage"].is_object() && data["error"].is_null() && !data["choices"].as_array().into_iter().flatten().any(says);
        (!is_bare).then(|| event.replace(r#","usage":null"#, "").replace(r#""usage":null,"#, ""))
    });
    events.collect()
}

#[test]
fn nothing_but_usage_is_taken_out_of_a_stream() {
    let text = r#"data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}"#;
    let all = format!("{text}\n\ndata: {{\"usage\":null,\"x\":1}}\n\ndata: {{\"choices\":[],\"usage\":{{}}}}\n\ndata: [DONE]\n\n");
    assert_eq!(unforced(all.as_bytes()), format!("{text}\n\ndata: {{\"x\":1}}\n\ndata: [DONE]\n\n"));
}
