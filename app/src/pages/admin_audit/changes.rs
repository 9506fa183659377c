//! From what was and what is, as JSON, to what changed, thing by thing.

use std::collections::BTreeMap;

use domain::audit::AuditLine;
use serde_json::Value;

use super::page::Changed;

/// What a line says has changed, by name.
pub(super) fn changes(line: &AuditLine) -> Vec<Changed> {
    let (before, after) = (things(line.before.as_deref()), things(line.after.as_deref()));
    let mut names: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().map(|what| Changed { before: before.get(&what).cloned(), after: after.get(&what).cloned(), what });
    changed.filter(|changed| changed.before != changed.after).collect()
}

fn things(json: Option<&str>) -> BTreeMap<String, String> {
    let mut things = BTreeMap::new();
    // The database has checked that it is JSON.
    let value = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or(Value::Null);
    collect(String::new(), &value, &mut things);
    things
}

/// Objects within objects by their path; what is null is not there.
fn collect(path: String, value: &Value, things: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(object) => {
            for (name, value) in object {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(path, value, things);
            }
        }
        Value::String(text) => drop(things.insert(path, text.clone())),
        other => drop(things.insert(path, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::audit::AuditPlace;

    use super::*;

    #[test]
    fn what_changed_is_told_thing_by_thing() {
        let line = AuditLine {
            place: AuditPlace { at: "2026-11-23T10:04:05Z".parse().unwrap(), id: uuid::Uuid::nil() },
            operation: "price.set".to_owned(),
            who: "root@example.com".to_owned(),
            address: None,
            account: None,
            object_id: String::new(),
            object: "small".to_owned(),
            before: Some(r#"{"rates":{"input":"1","output":"2"},"kind":"sale","opened":["a"]}"#.to_owned()),
            after: Some(r#"{"rates":{"input":"3","output":"2"},"kind":"sale","opened":["a","b"],"is_on":true,"gone":null}"#.to_owned()),
        };
        let told: Vec<_> = changes(&line).into_iter().map(|changed| (changed.what, changed.before, changed.after)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("is_on".to_owned(), None, some("true")),
                ("opened".to_owned(), some(r#"["a"]"#), some(r#"["a","b"]"#)),
                ("rates.input".to_owned(), some("1"), some("3")),
            ]
        );
    }
}
