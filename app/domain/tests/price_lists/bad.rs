//! Our own format with one thing wrong: it harms its own model only.

use domain::price_list::PriceList;

use crate::line;

fn read(models: &str) -> Vec<String> {
    let text = format!(r#"{{ "farebox_prices": 1, "currency": "USD", "unit": "per 1,000 tokens", "models": [{models}] }}"#);
    PriceList::read(&text, None).unwrap().entries.iter().map(line).collect()
}

#[test]
fn what_is_wrong_with_a_model_of_ours_harms_no_other() {
    const GOOD: &str = r#"{ "model": "good", "provider": "acme", "cost": [{ "from": "2026-11-01T00:00:00Z", "rates": { "base": { "input": "1", "output": "2" } } }] }"#;
    let priced = |rates: &str| {
        format!(r#"{{ "model": "small", "provider": "acme", "sale": [{{ "from": "2026-11-01T00:00:00Z", "rates": {rates} }}] }}"#)
    };
    for (model, why) in [
        (priced(r#"{ "base": { "input": "-1", "output": "2" } }"#), "cannot be below zero"),
        (priced(r#"{ "base": { "input": 1, "output": "2" } }"#), "expected a string"),
        (priced(r#"{ "base": { "input": "1e-5", "output": "2" } }"#), "is not a number"),
        (priced(r#"{ "base": { "input": "0.0000000001", "output": "2" } }"#), "more than nine decimals"),
        (priced(r#"{ "base": { "input": "1000001", "output": "2" } }"#), "above 1,000,000"),
        (priced(r#"{ "base": { "input": "1" } }"#), "missing field `output`"),
        (priced(r#"{ "base": { "input": "1", "output": "2", "per_hour": "3" } }"#), "unknown field `per_hour`"),
        (priced(r#"{ "base": { "input": "1", "input": "1", "output": "2" } }"#), "duplicate field `input`"),
        (r#"{ "model": "small", "provider": "acme", "sale": [], "cost": null }"#.to_owned(), "sale or cost is not there"),
        (r#"{ "model": "small", "provider": "acme", "sale": "dear" }"#.to_owned(), "sale is not what this format has there"),
        (priced(r#"{ "base": { "input": "1", "output": "2" } }, "to": "2027-01-01T00:00:00Z""#), "unknown field `to`"),
        (
            r#"{ "model": "small", "provider": "acme", "cost": [
                { "from": "2026-11-02T00:00:00Z", "rates": { "base": { "input": "1", "output": "2" } } },
                { "from": "2026-11-01T00:00:00Z", "rates": { "base": { "input": "1", "output": "2" } } }] }"#
                .to_owned(),
            "not in order of time",
        ),
    ] {
        let lines = read(&format!("{model}, {GOOD}"));
        assert!(lines[0].starts_with("acme small! ") && lines[0].contains(why), "{why}: {}", lines[0]);
        assert_eq!(lines[1], "acme good: from 2026-11-01 {input:1,output:2}");
    }
    assert_eq!(read(&format!("{GOOD}, {GOOD}")), ["acme good! good is there twice"; 2]);
}
