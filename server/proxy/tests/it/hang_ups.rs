//! Whoever hangs up pays once, whichever event of whichever API it was behind: what the upstream counted where the rest is waited for, and else what is known
//! by then. What was shown until then is the upstream's, byte for byte.

use std::iter;

use bytes::Bytes;
use domain::{
    call::{CallDetail, Outcome, UsageSource},
    catalog::DisconnectPolicy,
    id::CallId,
    money::Amount,
    tokens::Tokens,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    dialects::asks,
    upstream::{PROMPT_TOKENS, WORDS},
    world::{Policy, World, amount, eventually},
};

/// "hi", and four tokens around a message.
const ESTIMATED_PROMPT: i64 = 5;
/// What the upstream counts in the end is more than the words: it has thought.
const REPORTED_COMPLETION: i64 = 11;

/// A call's usage: who says so, the prompt and the completion.
type Usage = (UsageSource, i64, i64);

const REPORTED: Usage = (UsageSource::Upstream, PROMPT_TOKENS, REPORTED_COMPLETION);

fn estimated(prompt: i64, words: usize) -> Usage {
    (UsageSource::Estimated, prompt, i64::try_from(words).unwrap())
}

/// An event, and what a client owes that leaves behind it when nobody waits for the next one.
type Event = (Value, Usage);

struct Api {
    route: &'static str,
    events: Vec<Event>,
    /// Behind the events.
    end: &'static str,
}

impl Api {
    fn bytes(&self) -> Vec<Bytes> {
        let mut events: Vec<_> = self.events.iter().map(|(event, _)| format!("data: {event}\n\n")).collect();
        if !self.end.is_empty() {
            events.push(self.end.to_owned());
        }
        events.into_iter().map(Bytes::from).collect()
    }

    /// What a client owes that was shown so many events; none stands for not even the head.
    fn owed(&self, shown: Option<usize>) -> Usage {
        let last = shown.and_then(|shown| shown.checked_sub(1));
        last.map_or(estimated(ESTIMATED_PROMPT, 0), |last| self.events[last].1)
    }
}

/// The end of a text is waited for, since the report comes behind it.
fn chat() -> Api {
    let chunk = |choices: Value| json!({ "id": "x", "model": "vendor/real", "choices": choices, "usage": null });
    let word = |(said, word)| (chunk(json!([{ "index": 0, "delta": { "content": word } }])), estimated(ESTIMATED_PROMPT, said + 1));
    let usage = json!({ "prompt_tokens": PROMPT_TOKENS, "completion_tokens": REPORTED_COMPLETION });
    let events = WORDS.iter().enumerate().map(word).chain([
        (chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }])), REPORTED),
        (json!({ "id": "x", "model": "vendor/real", "choices": [], "usage": usage }), REPORTED),
    ]);
    Api { route: "/v1/chat/completions", events: events.collect(), end: "data: [DONE]\n\n" }
}

/// The first event tells what the prompt was, and one token of the answer.
fn messages() -> Api {
    let begun = (UsageSource::Upstream, PROMPT_TOKENS, 1);
    let word = |(said, word)| {
        let delta = json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": word } });
        (delta, if said == 0 { begun } else { estimated(PROMPT_TOKENS, said + 1) })
    };
    let usage = |output: i64| json!({ "input_tokens": PROMPT_TOKENS, "output_tokens": output });
    let message = json!({ "id": "x", "type": "message", "role": "assistant", "model": "vendor/real", "content": [], "usage": usage(1) });
    let mut events = vec![
        (json!({ "type": "message_start", "message": message }), begun),
        (json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }), begun),
        (json!({ "type": "ping" }), begun),
    ];
    events.extend(WORDS.iter().enumerate().map(word));
    events.extend([
        (json!({ "type": "content_block_stop", "index": 0 }), estimated(PROMPT_TOKENS, WORDS.len())),
        (json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": usage(REPORTED_COMPLETION) }), REPORTED),
        (json!({ "type": "message_stop" }), REPORTED),
    ]);
    Api { route: "/v1/messages", events, end: "" }
}

/// All is reported with the very last event.
fn responses() -> Api {
    let response =
        |status: &str, usage: Value| json!({ "id": "x", "model": "vendor/real", "status": status, "output": [], "usage": usage });
    let usage = json!({ "input_tokens": PROMPT_TOKENS, "output_tokens": REPORTED_COMPLETION });
    let nothing = estimated(ESTIMATED_PROMPT, 0);
    let mut events = vec![
        (json!({ "type": "response.created", "response": response("in_progress", Value::Null) }), nothing),
        (json!({ "type": "response.output_item.added", "output_index": 0, "item": { "type": "message", "content": [] } }), nothing),
    ];
    let word = |(said, word)| (json!({ "type": "response.output_text.delta", "delta": word }), estimated(ESTIMATED_PROMPT, said + 1));
    events.extend(WORDS.iter().enumerate().map(word));
    let said = estimated(ESTIMATED_PROMPT, WORDS.len());
    events.extend([
        (json!({ "type": "response.output_text.done", "text": WORDS.concat() }), said),
        (json!({ "type": "response.completed", "response": response("completed", usage) }), REPORTED),
    ]);
    Api { route: "/v1/responses", events, end: "" }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_hangs_up_pays_what_the_upstream_counted_whichever_event_it_was_behind(pool: PgPool) {
    check(&pool, DisconnectPolicy::Drain).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_hangs_up_pays_what_was_known_by_then_where_the_rest_is_not_waited_for(pool: PgPool) {
    check(&pool, DisconnectPolicy::Cancel).await;
}

async fn check(pool: &PgPool, on_disconnect: DisconnectPolicy) {
    let world = World::with(pool, "1", Policy { on_disconnect, ..Policy::default() }).await;
    let (mut calls, mut paid) = (0, Amount::ZERO);
    for api in [chat(), messages(), responses()] {
        let all = api.bytes().len();
        for shown in iter::once(None).chain((0..=all).map(Some)) {
            let is_whole = shown == Some(all);
            let usage = if is_whole || on_disconnect == DisconnectPolicy::Drain { REPORTED } else { api.owed(shown) };
            // What nobody waits for ends although the upstream stays where it is.
            hang_up(&world, &api, shown, usage == REPORTED).await;
            calls += 1;
            let call = newest_of(pool, &world, calls).await;
            let name = format!("{} behind {shown:?} of {all}", api.route);
            let outcome = if is_whole { Outcome::Ok } else { Outcome::ClientLeft };
            assert_eq!((call.row.outcome, usage_of(&call)), (outcome, usage), "{name}");
            let (_, prompt, completion) = usage;
            assert_eq!((call.row.amount, call.row.usage.flag), (Amount::from_nanos(prompt * 1_000 + completion * 2_000), None), "{name}");
            paid = paid.checked_add(call.row.amount).unwrap();
        }
    }
    // Once each, and no hold is left.
    assert_eq!(world.balance().await.checked_add(paid), Some(amount("1")));
    world.stop().await;
}

/// Reads so many of an answer's events, and leaves; whoever reads all of them stays for the end. The upstream goes on only then, if at all.
async fn hang_up(world: &World, api: &Api, shown: Option<usize>, goes_on: bool) {
    let (events, asked) = (api.bytes(), world.upstream.asked());
    world.upstream.shut_gate();
    world.upstream.prepare_events(events.clone(), shown);
    let answering = world.send(world.request_to(api.route, asks(api.route, true)));
    match shown {
        None => {
            let forwarded = eventually(async || (world.upstream.asked() > asked).then_some(()));
            tokio::select! {
                _ = answering => panic!("the upstream waits before the head"),
                () = forwarded => {} // and the client leaves
            }
        }
        Some(shown) => {
            let mut body = answering.await.into_body();
            // The last event is held back until the call is settled.
            let expected = events[..shown.min(events.len() - 1)].concat();
            let mut read = Vec::new();
            while read.len() < expected.len() {
                read.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
            }
            if shown == events.len() {
                read.extend(body.collect().await.unwrap().to_bytes());
                assert!(read == events.concat(), "{}", api.route);
            } else {
                assert!(read == expected, "{} behind {shown}", api.route);
            }
        }
    }
    if goes_on {
        world.upstream.open_gate();
    }
}

/// The last of so many calls, once all are posted.
async fn newest_of(pool: &PgPool, world: &World, calls: usize) -> CallDetail {
    const CALLS: &str = "select call_id from calls where account_id = $1 order by call_id desc";
    let newest = eventually(async || {
        let ids: Vec<Uuid> = sqlx::query_scalar(CALLS).bind(world.account.uuid()).fetch_all(pool).await.unwrap();
        (ids.len() == calls).then(|| ids[0])
    });
    world.detail(CallId::from_uuid(newest.await)).await
}

fn usage_of(call: &CallDetail) -> Usage {
    let count = |tokens: Option<Tokens>| tokens.map_or(-1, Tokens::get);
    (call.row.source, count(call.row.usage.prompt_tokens), count(call.row.usage.completion_tokens))
}
