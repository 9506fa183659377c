//! How long the scanner takes over a stream: per event, as it comes, in the three forms that answers have.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proxy::wire::tap::{Form, Tap};

const EVENTS: usize = 1_000;

/// An event as OpenAI sends it, of about 300 bytes.
fn event(usage: &str) -> Bytes {
    let chunk = format!(
        r#"{{"id":"chatcmpl-C4HqHBe4xca0k0EzsCnf1t6V3YFXp","object":"chat.completion.chunk","created":1755137933,"model":"gpt-5-nano-2025-08-07","service_tier":"default","system_fingerprint":null,"choices":[{{"index":0,"delta":{{"content":" about"}},"logprobs":null,"finish_reason":null}}]{usage},"obfuscation":"AhjV0cXZqo72k8"}}"#
    );
    Bytes::from(format!("data: {chunk}\n\n"))
}

/// A whole answer with as much text in it.
fn document() -> Bytes {
    let text = r#"It says \"usage\": {\n} and goes on about something else for a while. "#.repeat(4 * EVENTS);
    Bytes::from(format!(
        r#"{{"id":"x","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}}}"#
    ))
}

fn scanner(criterion: &mut Criterion) {
    for (name, form, event) in [
        ("events", Form::Events, event("")),
        ("events whose usage is taken out", Form::EventsWithoutUsage, event(r#","usage":null"#)),
        ("a document", Form::Document, document()),
    ] {
        let pieces = if form == Form::Document { 1 } else { EVENTS };
        let mut group = criterion.benchmark_group("scanner");
        group.throughput(Throughput::Bytes(u64::try_from(event.len() * pieces).unwrap_or(0)));
        group.bench_function(name, |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| {
                let mut tap = Tap::new(form);
                for _ in 0..pieces {
                    tap.push(event.clone(), &mut out);
                    black_box(&mut out).clear();
                }
                tap.finish()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, scanner);
criterion_main!(benches);
