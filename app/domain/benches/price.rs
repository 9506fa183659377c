//! What pricing a call costs: `cargo bench -p domain`.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::{
    money::Amount,
    pricing::{self, Discount},
    rates::{BucketRates, ContextTier, Rates},
    tokens::{CallUsage, TokenCounts, Tokens},
};

fn tokens(count: i64) -> Option<Tokens> {
    Some(Tokens::from_sum(count))
}

fn price(criterion: &mut Criterion) {
    let plain = Rates::plain(Amount::from_nanos(150_000), Amount::from_nanos(600_000));
    let two_totals = CallUsage::of_totals(tokens(1_200), tokens(340), tokens(1_540));
    criterion.bench_function("price: two buckets", |bencher| {
        bencher.iter(|| pricing::price(black_box(&two_totals), black_box(&plain), Discount::NONE).unwrap());
    });

    let dear = BucketRates { cache_read: Some(Amount::from_nanos(15_000)), ..plain.base.clone() };
    let tiered = Rates { tiers: vec![ContextTier { from_prompt_tokens: Tokens::from_sum(200_000), rates: dear }], ..plain };
    let counts =
        TokenCounts { input: tokens(1_000), cache_read: tokens(200), output: tokens(300), reasoning: tokens(40), ..TokenCounts::default() };
    let four_buckets = CallUsage { counts, ..two_totals };
    let discount = Discount::from_bps(500).unwrap();
    criterion.bench_function("price: four buckets, a tier, a discount", |bencher| {
        bencher.iter(|| pricing::price(black_box(&four_buckets), black_box(&tiered), discount).unwrap());
    });
}

criterion_group!(benches, price);
criterion_main!(benches);
