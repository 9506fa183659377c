//! Calls that ask for a service tier, and what serves them, through the running proxy.

use chrono::TimeDelta;
use domain::{
    call::CallDetail,
    catalog::PriceKind,
    id::PriceId,
    rates::Rates,
    service_tier::ServiceTier::{self, Default, Flex, Priority, Scale},
    tokens::Flag,
};
use http::StatusCode;
use ledger::NewPrice;
use sqlx::PgPool;

use crate::{
    fallbacks::{answers, two_providers},
    upstream::Prepared,
    world::{MODEL, Policy, World, amount, call_id, chat, eventually, json, text},
};

/// The model at 0.001 for a thousand tokens of either side, at flex for half of that, at priority for the double.
async fn world(pool: &PgPool, credit: &str) -> World {
    let world = World::priced(pool, credit, Policy::default(), plain("0.001")).await;
    for (service_tier, rate) in [(Flex, "0.0005"), (Priority, "0.002")] {
        set(&world, service_tier, rate).await;
    }
    let priced = async || {
        let model = json(world.get(&format!("/v1/models/{MODEL}")).await).await;
        let tiers = &model["pricing"]["service_tiers"];
        (tiers["flex"]["per_1k"]["input"] == "0.0005" && tiers["priority"]["per_1k"]["output"] == "0.002").then_some(())
    };
    eventually(priced).await;
    world
}

fn plain(rate: &str) -> Rates {
    Rates::plain(amount(rate), amount(rate))
}

async fn set(world: &World, service_tier: ServiceTier, rate: &str) {
    let (id, begins) = (PriceId::new(world.now, rand::random()), world.now - TimeDelta::days(1));
    let (kind, rates) = (PriceKind::Sale, plain(rate));
    let new = NewPrice { id, model: MODEL, kind, service_tier, rates, effective_from: begins, actor: "test", now: begins };
    world.ledger.system().import_price(new).await.unwrap();
}

/// A request of each API, and answers that name the tier that served them.
fn asks(route: &str, stream: bool, asked: Option<&str>) -> String {
    let mut request = match route {
        "/v1/responses" => serde_json::json!({ "input": "hi" }),
        "/v1/messages" => serde_json::json!({ "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 1_000 }),
        _ => serde_json::json!({ "messages": [{ "role": "user", "content": "hi" }] }),
    };
    (request["model"], request["stream"]) = (MODEL.into(), stream.into());
    if let Some(asked) = asked {
        request["service_tier"] = asked.into();
    }
    request.to_string()
}

/// 60 tokens of a prompt and 40 of a completion: at the default 0.0001.
fn answer(route: &str, stream: bool, served: Option<&str>) -> Prepared {
    let tier = served.map(|served| format!(r#","service_tier":"{served}""#)).unwrap_or_default();
    let bytes = match (route, stream) {
        ("/v1/responses", false) => {
            format!(
                r#"{{"object":"response","status":"completed"{tier},"output":[{{"content":[{{"type":"output_text","text":"hi"}}]}}],"usage":{{"input_tokens":60,"output_tokens":40,"total_tokens":100}}}}"#
            )
        }
        ("/v1/responses", true) => format!(
            "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{{\"service_tier\":\"auto\"}}}}\n\n\
             event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"status\":\"completed\"{tier},\"usage\":{{\"input_tokens\":60,\"output_tokens\":40,\"total_tokens\":100}}}}}}\n\n"
        ),
        ("/v1/messages", false) => {
            format!(
                r#"{{"type":"message","content":[{{"type":"text","text":"hi"}}],"stop_reason":"end_turn","usage":{{"input_tokens":60,"output_tokens":40{tier}}}}}"#
            )
        }
        ("/v1/messages", true) => format!(
            "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"usage\":{{\"input_tokens\":60,\"output_tokens\":1{tier}}}}}}}\n\n\
             event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{{\"output_tokens\":40}}}}\n\n\
             event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
        ),
        (_, false) => {
            format!(
                r#"{{"object":"chat.completion"{tier},"choices":[{{"message":{{"content":"hi"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":60,"completion_tokens":40,"total_tokens":100}}}}"#
            )
        }
        (_, true) => format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"hi\"}},\"finish_reason\":\"stop\"}}]{tier}}}\n\n\
             data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":60,\"completion_tokens\":40,\"total_tokens\":100}}{tier}}}\n\ndata: [DONE]\n\n"
        ),
    };
    let content_type = if stream { "text/event-stream" } else { "application/json" }.to_owned();
    Prepared { status: 200, content_type, bytes: bytes.into(), breaks: false }
}

async fn call(world: &World, (route, stream): (&str, bool), asked: Option<&str>, served: Option<&str>) -> CallDetail {
    world.upstream.prepare(answer(route, stream, served));
    let response = world.send(world.request_to(route, asks(route, stream, asked))).await;
    let id = call_id(&response);
    let (status, said) = (response.status(), text(response).await);
    assert_eq!(status, StatusCode::OK, "{said}");
    world.detail(id).await
}

const ROUTES: [(&str, bool); 6] = [
    ("/v1/chat/completions", false),
    ("/v1/chat/completions", true),
    ("/v1/responses", false),
    ("/v1/responses", true),
    ("/v1/messages", false),
    ("/v1/messages", true),
];

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_tier_that_serves_a_call_is_its_price_in_every_api(pool: PgPool) {
    let world = world(&pool, "100").await;
    for on in ROUTES {
        let check = |call: &CallDetail, tier, charged: &str| {
            assert_eq!((call.price_tier, call.row.amount), (tier, amount(charged)), "{on:?}");
            assert_eq!(call.receipt.amount, call.row.amount, "{on:?}: the receipt is by the same version");
            assert_eq!(call.row.usage.flag, None, "{on:?}");
        };
        let is_messages = on.0 == "/v1/messages";
        let default = if is_messages { "standard" } else { "default" };
        check(&call(&world, on, None, None).await, Default, "0.0001");
        check(&call(&world, on, Some("auto"), Some(default)).await, Default, "0.0001");
        // The project at the provider may be so configured, and capacity may have been paid for there.
        check(&call(&world, on, None, Some("priority")).await, Priority, "0.0002");
        if is_messages {
            continue;
        }
        let flex = call(&world, on, Some("flex"), Some("flex")).await;
        check(&flex, Flex, "0.00005");
        assert_eq!((flex.asked_tier, flex.service_tier), (Flex, Flex));
        check(&call(&world, on, Some("flex"), None).await, Flex, "0.00005");
        check(&call(&world, on, Some("priority"), Some("priority")).await, Priority, "0.0002");
        let fallen = call(&world, on, Some("priority"), Some("default")).await;
        check(&fallen, Default, "0.0001");
        assert_eq!((fallen.asked_tier, fallen.service_tier), (Priority, Default));
        // Paid for in advance: nothing here says that it costs something else.
        let scale = call(&world, on, Some("scale"), Some("scale")).await;
        check(&scale, Default, "0.0001");
        assert_eq!(scale.service_tier, Scale);
    }
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_held_is_by_the_dearest_price_that_may_be_charged(pool: PgPool) {
    let world = world(&pool, "100").await;
    // Requests of the same length each.
    let held = async |asked| call(&world, ROUTES[0], Some(asked), None).await.held.nanos();
    assert_eq!(held("flex").await * 2, held("auto").await);
    assert_eq!(held("priority").await, held("standard").await * 2);
    world.stop().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_tier_that_nobody_priced_is_refused_or_flagged(pool: PgPool) {
    let world = World::priced(&pool, "100", Policy::default(), plain("0.001")).await;
    let refused = async |asked: &str| {
        let response = world.post(chat("hello", &format!(r#","service_tier":"{asked}""#))).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let error = json(response).await["error"].take();
        assert_eq!((error["code"].as_str(), error["param"].as_str()), (Some("unsupported_parameter"), Some("service_tier")));
        error["message"].as_str().unwrap().to_owned()
    };
    let said = refused("priority").await;
    assert!(said.contains(r#"Send "default" as "service_tier", or leave it out"#), "{said}");
    set(&world, Flex, "0.0005").await;
    eventually(async || refused("priority").await.contains(r#"Send "default" or "flex" as"#).then_some(())).await;
    refused("ultra").await;
    assert!(world.upstream.received().is_empty());

    for (asked, served, tier) in [(None, "batch", Default), (Some("flex"), "priority", Flex), (None, "ultra", Default)] {
        let call = call(&world, ROUTES[0], asked, Some(served)).await;
        assert_eq!((call.price_tier, call.row.usage.flag), (tier, Some(Flag::OtherTerms)), "{asked:?} {served}");
    }
    // What the operator lets pass costs what the default does, and is flagged.
    let opened = world.ledger.system().open_members(MODEL, &["service_tier".to_owned()], &[]).await.unwrap();
    assert_eq!(opened, ["service_tier"]);
    let passes = async || {
        world.upstream.prepare(answer(ROUTES[0].0, false, Some("priority")));
        let response = world.post(chat("hello", r#","service_tier":"priority""#)).await;
        (response.status() == StatusCode::OK).then(|| call_id(&response))
    };
    let id = eventually(passes).await;
    let call = world.detail(id).await;
    assert_eq!((call.price_tier, call.asked_tier, call.row.usage.flag), (Default, Priority, Some(Flag::OtherTerms)));
    world.stop().await;
}

/// Another provider would answer at its ordinary service, for less than priority and for more than flex.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_tier_with_a_price_is_asked_for_where_it_is_served_alone(pool: PgPool) {
    let (mut world, second) = two_providers(&pool).await;
    for (service_tier, rate) in [(Flex, "0.0005"), (Priority, "0.002")] {
        set(&world, service_tier, rate).await;
    }
    world.renew_proxy().await;
    let status = async |rest: &str| {
        world.upstream.prepare(answers(429));
        let response = world.post(chat("hello", rest)).await;
        let status = response.status();
        text(response).await;
        (status, second.received().len())
    };
    for asked in [r#","service_tier":"flex""#, r#","service_tier":"priority""#] {
        assert_eq!(status(asked).await, (StatusCode::TOO_MANY_REQUESTS, 0), "{asked}");
    }
    assert_eq!(status("").await, (StatusCode::OK, 1), "what asks for none goes on to the next");
    world.stop().await;
}
