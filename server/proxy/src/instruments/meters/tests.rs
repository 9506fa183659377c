use std::collections::BTreeSet;

use domain::{
    catalog::{ModelBounds, OutputCapField},
    credit::Split,
    id::{ModelId, ProviderId},
    tokens::CallUsage,
};
use ledger::Admitted;
use metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use uuid::Uuid;

use super::*;
use crate::{
    books::settled,
    instruments::{INSTRUMENTS, describe, refusals},
};

/// What is told of what is counted, without buckets.
pub(crate) fn rendered(count: impl FnOnce()) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        describe();
        count();
    });
    recorder.handle().render()
}

/// A model of this provider.
pub(crate) fn model(provider: &str) -> Model {
    Model {
        id: ModelId::from_uuid(Uuid::from_u128(1)),
        name: "small".to_owned(),
        provider_id: ProviderId::from_uuid(Uuid::from_u128(2)),
        provider: provider.to_owned(),
        upstream_name: "small-2026".to_owned(),
        context_window: Tokens::from_sum(1_000),
        default_output_hold: Tokens::from_sum(100),
        output_cap_field: OutputCapField::MaxTokens,
        bounds: ModelBounds::default(),
        opened: Vec::new(),
    }
}

fn counted(calls: &[SettledCall]) -> String {
    let meters = Meters::of(&model("acme"));
    rendered(|| calls.iter().for_each(|call| meters.count(DIALECTS[0], call, Duration::from_millis(500), Some(Duration::from_millis(250)))))
}

fn expect(said: &str, lines: &[&str]) {
    let told: BTreeSet<_> = said.lines().collect();
    for line in lines {
        assert!(told.contains(line), "{line} is not in\n{said}");
    }
}

#[test]
fn a_call_is_counted_by_its_model_its_provider_and_how_it_ended() {
    let failed = SettledCall { outcome: Outcome::UpstreamError, source: UsageSource::None, usage: CallUsage::default(), ..settled() };
    expect(
        &counted(&[settled(), settled(), failed]),
        &[
            r#"farebox_calls_total{operation="chat",provider="acme",model="small",outcome="ok"} 2"#,
            r#"farebox_calls_total{operation="chat",provider="acme",model="small",outcome="upstream_error"} 1"#,
            r#"farebox_first_byte_seconds_sum{operation="chat",provider="acme",model="small",outcome="ok"} 0.5"#,
            r#"gen_ai_client_operation_duration_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="acme",gen_ai_request_model="small"} 1"#,
            r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="acme",gen_ai_request_model="small",error_type="upstream_error"} 1"#,
            r#"gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="acme",gen_ai_request_model="small"} 2"#,
        ],
    );
}

#[test]
fn tokens_are_counted_in_their_buckets_and_money_in_nanos() {
    let estimated = SettledCall { source: UsageSource::Estimated, ..settled() };
    expect(
        &counted(&[settled(), estimated]),
        &[
            r#"farebox_tokens_total{provider="acme",model="small",bucket="cache_write_1h"} 8"#,
            r#"farebox_tokens_total{provider="acme",model="small",bucket="audio_output"} 2000000000"#,
            r#"farebox_charged_nanos_total{provider="acme",model="small"} 14"#,
            r#"farebox_estimated_calls_total{provider="acme",model="small"} 1"#,
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="acme",gen_ai_request_model="small",gen_ai_token_type="input"} 30"#,
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="acme",gen_ai_request_model="small",gen_ai_token_type="output"} 14"#,
        ],
    );
}

#[test]
fn what_tokens_pay_is_no_money() {
    let mut payment = settled().admitted.split.payment;
    payment.retain(|hold| hold.unit == Unit::Tokens);
    let of_tokens = SettledCall { admitted: Admitted { split: Split { payment, ..Split::default() }, ..settled().admitted }, ..settled() };
    expect(&counted(&[of_tokens]), &[r#"farebox_charged_nanos_total{provider="acme",model="small"} 0"#]);
}

#[test]
fn what_is_written_off_is_counted() {
    let meters = Meters::of(&model("acme"));
    let said = rendered(|| [7, 0].into_iter().for_each(|nanos| meters.write_off(Amount::from_nanos(nanos))));
    expect(
        &said,
        &[
            r#"farebox_written_off_calls_total{provider="acme",model="small"} 2"#,
            r#"farebox_written_off_nanos_total{provider="acme",model="small"} 7"#,
        ],
    );
}

#[test]
fn whatever_is_told_is_one_of_the_instruments_and_says_what_it_is() {
    let meters = Meters::of(&model("acme"));
    let said = rendered(|| {
        meters.count(DIALECTS[0], &settled(), Duration::ZERO, Some(Duration::ZERO));
        refusals::count("invalid_api_key");
    });
    let types: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(types.contains(&"farebox_refusals_total"), "{said}");
    for name in types {
        assert!(INSTRUMENTS.into_iter().any(|instrument| instrument.name == name), "{name}");
        assert!(said.contains(&format!("# HELP {name} ")), "{name}");
    }
}

#[test]
fn a_call_that_was_not_streamed_has_no_first_token() {
    let whole = SettledCall { admitted: Admitted { stream: false, ..settled().admitted }, ..settled() };
    let said = counted(&[whole]);
    assert!(
        !said.lines().any(|line| line.starts_with("gen_ai_server_time_to_first_token_seconds_count") && !line.ends_with(" 0")),
        "{said}"
    );
    expect(&said, &[r#"farebox_first_byte_seconds_count{operation="chat",provider="acme",model="small",outcome="ok"} 1"#]);
}
