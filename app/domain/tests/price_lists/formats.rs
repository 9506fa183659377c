//! Each format, by a list of our own making.

use domain::price_list::{Format, ListError, PriceList};

use crate::{check, fixture};

#[test]
fn litellm_counts_per_token() {
    check(
        &fixture("litellm.json"),
        &[
            "acme small: {input:0.00015,output:0.0006,cache_read:0.000075}",
            "acme acme/long: {input:0.003,output:0.015,cache_read:0.0003,cache_write_5m:0.00375,cache_write_1h:0.006} \
             from 200001 {input:0.006,output:0.0225,cache_read:0.0003,cache_write_5m:0.00375,cache_write_1h:0.012} \
             without input_cost_per_token_batches, input_cost_per_token_above_200k_tokens_priority, search_context_cost_per_query",
            "acme talks: {input:0.0025,output:0.01,reasoning:0.012,audio_input:0.04,audio_output:0.08}",
            "acme embeds: {input:0.00002,output:0}",
            "local free: {input:0,output:0}",
            "acme sentinel! input_cost_per_token is below zero: -1",
            r#"acme typed! input_cost_per_token is text, "-1", where a number belongs"#,
            "acme unknown! output_cost_per_token is NaN, which is no price",
            "acme boundless! input_cost_per_token is Infinity, which is no price",
            "acme null! output_cost_per_token is not there: the price is not known",
            "acme absent! input_cost_per_token is not there: the price is not known",
            "acme noisy! input_cost_per_token is 2.9999900000000002e-06, which does not fit nine decimals per 1,000 tokens",
            "acme dear! input_cost_per_token is 1001, which is above 1,000,000 per 1,000 tokens",
            "acme graduated! its price depends on tiered_pricing, which prices each part of a prompt by itself, and prices here do not",
            "acme doubled! input_cost_per_token is there twice",
            "acme twin! twin is there twice",
            "acme twin! twin is there twice",
            " odd! odd is not what this format has there",
        ],
    );
}

#[test]
fn litellm_names_service_tiers_at_the_end() {
    let list = r#"{
        "whole": {
            "litellm_provider": "acme", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06, "cache_read_input_token_cost": 5e-07,
            "input_cost_per_token_flex": 1e-06, "output_cost_per_token_flex": 4e-06,
            "input_cost_per_token_priority": 3.5e-06, "output_cost_per_token_priority": 1.4e-05, "cache_read_input_token_cost_priority": 8.75e-07
        },
        "half": { "litellm_provider": "acme", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06, "input_cost_per_token_flex": 1e-06 },
        "long": {
            "litellm_provider": "acme", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06, "input_cost_per_token_above_200k_tokens": 4e-06,
            "input_cost_per_token_flex": 1e-06, "output_cost_per_token_flex": 4e-06,
            "input_cost_per_token_priority": 3e-06, "output_cost_per_token_priority": 9e-06, "input_cost_per_token_above_200k_tokens_priority": 6e-06
        }
    }"#;
    check(
        &PriceList::read(list, Some(Format::LiteLlm)).unwrap(),
        &[
            "acme whole: {input:0.002,output:0.008,cache_read:0.0005}; at flex {input:0.001,output:0.004,cache_read:0.0005}; \
             at priority {input:0.0035,output:0.014,cache_read:0.000875}",
            // What it costs is not all said.
            "acme half: {input:0.002,output:0.008} without input_cost_per_token_flex",
            "acme long: {input:0.002,output:0.008} from 200001 {input:0.004,output:0.008}; \
             at priority {input:0.003,output:0.009} from 200001 {input:0.006,output:0.009} \
             without input_cost_per_token_flex, output_cost_per_token_flex",
        ],
    );
}

#[test]
fn models_dev_counts_per_million() {
    check(
        &fixture("models_dev.json"),
        &[
            "acme small: {input:0.00015,output:0.0006,cache_read:0.000075}",
            "acme long: {input:0.003,output:0.015,cache_read:0.0003,cache_write_5m:0.00375,reasoning:0.02} \
             from 200000 {input:0.006,output:0.0225,cache_read:0.0006,cache_write_5m:0.0075,reasoning:0.03} without request",
            "acme talks: {input:0.0025,output:0.01,audio_input:0.04,audio_output:0.08}",
            "acme subscribed! cost is not there: the price is not known",
            "acme gap! its tier from 1000 prompt tokens on does not say cache_read",
            "acme legacy! its price depends on context_over_200k, which does not say from how many prompt tokens on without tiers, \
             and prices here do not",
            "acme weekday! its price depends on something else than the length of the prompt, and prices here do not",
            "acme negative! input is below zero: -0.5",
            "acme fine! input is 0.0000001, which does not fit nine decimals per 1,000 tokens",
            "broken broken! models is not what this format has there",
        ],
    );
}

#[test]
fn genai_prices_count_per_million_and_have_dates() {
    check(
        &fixture("genai_prices.json"),
        &[
            "acme small: {input:0.00015,output:0.0006,cache_read:0.000075}",
            "acme long: {input:0.003,output:0.015,cache_write_5m:0.00375,cache_write_1h:0.006} 0.005 a call \
             from 200001 {input:0.006,output:0.015,cache_write_5m:0.00375,cache_write_1h:0.006} \
             from 400001 {input:0.006,output:0.03,cache_write_5m:0.00375,cache_write_1h:0.006} without input_image_mtok, web_searches_kcount",
            "acme lives: {input:0.003,output:0.015,cache_write_5m:0.0038,cache_write_1h:0.00375}",
            "acme falls: {input:0.01,output:0.04}; from 2026-07-30 {input:0.002,output:0.008}; from 2027-01-01 {input:0.001,output:0.004}",
            "acme overtaken: {input:0.01,output:0.04}; from 2026-07-30 {input:0.002,output:0.008}",
            "acme nightly! its price depends on the time of day, and prices here do not",
            "acme lettered! input_mchars is in a unit that is not known",
            "acme furlongs! distance_furlongs is in a unit that is not known",
            "acme half! output_mtok is not there: the price is not known",
            r#"acme typed! input_mtok is text, "1", where a number belongs"#,
            "acme undated! start_date is not what this format has there",
        ],
    );
}

#[test]
fn our_own_format_is_read_as_it_is_documented() {
    let documented = include_str!("../../src/price_list/own.rs");
    let example: Vec<&str> = documented
        .lines()
        .skip_while(|line| *line != "//! ```json")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//!"))
        .collect();
    let list = PriceList::read(&example.join("\n"), None).unwrap();
    let expected = "acme small: from 2026-11-01 {input:0.00015,output:0.0006,cache_read:0.000075} from 200001 {input:0.0003,output:0.0012}";
    check(&list, &[expected]);
}

#[test]
fn a_list_that_is_none_says_what_it_is_not() {
    let own = |version: &str, currency: &str, unit: &str| {
        format!(r#"{{ "farebox_prices": {version}, "currency": "{currency}", "unit": "{unit}", "models": [] }}"#)
    };
    for (text, format, expected) in [
        ("[1, 2".to_owned(), None, "is not JSON"),
        ("NaN and Infinity".to_owned(), None, "is not JSON"),
        ("7".to_owned(), None, "in no format that is known here"),
        (r#"{ "a": { "b": 1 } }"#.to_owned(), None, "in no format that is known here"),
        ("[]".to_owned(), Some(Format::LiteLlm), "is not a list in the format litellm"),
        ("{}".to_owned(), Some(Format::GenaiPrices), "is not a list in the format genai-prices"),
        ("{}".to_owned(), Some(Format::Farebox), "is not a list in the format farebox"),
        (own("2", "USD", "per 1,000 tokens"), None, "is of version 2"),
        (own("1", "EUR", "per 1,000 tokens"), None, "in another currency or unit"),
        (own("1", "USD", "per token"), None, "in another currency or unit"),
    ] {
        let said = PriceList::read(&text, format).unwrap_err();
        assert!(said.to_string().contains(expected), "{text}: {said}");
    }
    assert_eq!(PriceList::read("{}", Some(Format::LiteLlm)).unwrap().entries, []);
    assert_eq!(PriceList::read(&own("1", "USD", "per 1,000 tokens"), None).unwrap().format, Format::Farebox);
    assert!(matches!(PriceList::read("", None), Err(ListError::NotJson(_))));
}
