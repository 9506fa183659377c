//! Far more calls at once than there is anything left for, over one proxy and over three: never is more used than there is, and all of it can be.
//!
//! One proxy admits every call that there is room for. Of three, each has a second to give back what it has idle when another one needs it: where that is
//! not enough, a call is refused though there was room for it, and whoever calls next has that room. So it is where the database takes a second to answer.
//!
//! `make test` does each twice. `make overspend` does it as often as `FAREBOX_OVERSPENDS` says.

use std::{collections::BTreeMap, time::Instant};

use chrono::Utc;
use domain::{
    credit::{ScopeKind, Unit, Window},
    money::Amount,
};
use futures_util::future::join_all;
use http::{Response, StatusCode};
use ledger::Verification;
use proxy::{AnswerBody, Gateway, Proxy};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    limits::set,
    world::{World, chat, eventually, json, text, top_up},
};

/// What there is little of.
#[derive(Debug, Clone, Copy)]
enum Left {
    /// The account's credit.
    Credit,
    Limit(ScopeKind, Window, Unit),
}

fn repetitions() -> usize {
    std::env::var("FAREBOX_OVERSPENDS").map_or(2, |text| text.parse().expect("FAREBOX_OVERSPENDS is a number"))
}

/// On what is left for ten, two hundred at once over so many proxies, again and again: no more than ten are admitted, whatever is counted, and by one proxy
/// no fewer. Each of them uses all that it may. What there is left then is enough for as many as are missing, called one by one, and for no other. Whenever
/// all is at rest, nothing is leased; and the books hold.
async fn ten_of_two_hundred(pool: PgPool, proxies: usize, left: Left) {
    let repetitions = repetitions();
    let mut world = World::new(&pool, "0").await;
    let others = join_all((1..proxies).map(|_| world.another_proxy())).await;
    let gateways: Vec<_> = others.iter().map(Proxy::gateway).chain([world.gateway()]).collect();
    let body_of = |prompt: usize| chat(&format!("hold {prompt:04} 1000"), r#","max_tokens":1000"#);
    // A token per byte and the overhead at 1,000 nanos each, and 1,000 tokens at 2,000: what it holds is what it comes to.
    let prompt = body_of(0).len() + 64;
    let (body, prompt) = (body_of(prompt), i64::try_from(prompt).unwrap());
    let unit = if let Left::Limit(.., unit) = left { unit } else { Unit::Money };
    let ten = 10
        * match unit {
            Unit::Money => prompt * 1_000 + 2_000_000,
            Unit::Tokens => prompt + 1_000,
            Unit::Requests => 1,
        };
    let (begun, mut slow, mut admitted) = (Instant::now(), 0, BTreeMap::<usize, usize>::new());
    for repetition in 0..repetitions {
        let name = format!("customer-{repetition}");
        match left {
            Left::Credit => {
                world.change_customer(&name, "0").await;
                top_up(&world.ledger, world.account, Amount::from_nanos(ten), "credit for ten").await;
            }
            Left::Limit(of, window, unit) => {
                world.change_customer(&name, "1000").await;
                set(&world, of, window, unit, ten).await;
            }
        }
        let (answered, refusals) = world.crowd(&gateways, &body).await;
        let at_once = answered.len();
        let mut is_slow = false;
        for refusal in refusals {
            is_slow |= is_for_slowness(refusal, unit).await;
        }
        slow += usize::from(is_slow);
        assert!(at_once == 10 || at_once < 10 && (proxies > 1 || is_slow), "{at_once} were admitted");
        *admitted.entry(at_once).or_default() += 1;
        join_all(answered.into_iter().map(text)).await;
        expect_rest(&world, &pool, at_once).await;
        // What was refused could have had it, and whoever calls now does.
        for place in at_once..10 {
            assert!(is_admitted(&world, &gateways[place % proxies], &body, unit).await);
            expect_rest(&world, &pool, place + 1).await;
        }
        assert!(!is_admitted(&world, &world.gateway(), &body, unit).await);
        expect_all_used(&world, left, ten).await;
        let of_it = Verification { account: Some(world.account), ..Verification::default() };
        let proof = world.ledger.verify(&of_it, |_| {}).await.unwrap();
        assert!(proof.holds(), "{proof:?}");
    }
    println!(
        "{left:?} over {proxies}, {repetitions} times: so many were admitted at once, so often: {admitted:?}; the database was slow {slow} times; it took {:?}",
        begun.elapsed()
    );
    for other in others {
        other.stop().await;
    }
    world.stop().await;
}

/// A call is refused for want of what there is little of, or because the database takes long to answer. Says whether it is that.
async fn is_for_slowness(refusal: Response<AnswerBody>, unit: Unit) -> bool {
    if refusal.status() == StatusCode::SERVICE_UNAVAILABLE {
        return true;
    }
    let error = json(refusal).await["error"].clone();
    assert_eq!((&error["code"], &error["exhausted"]["unit"]), (&json!("insufficient_quota"), &json!(unit)));
    false
}

/// Whether one more call is, once the database is quick enough.
async fn is_admitted(world: &World, gateway: &Gateway, body: &str, unit: Unit) -> bool {
    eventually(async || {
        let response = gateway.answer(world.request(body)).await;
        if response.status() == StatusCode::OK {
            text(response).await;
            return Some(true);
        }
        (!is_for_slowness(response, unit).await).then_some(false)
    })
    .await
}

/// So many are posted, and nothing is held or leased any more. What is idle is asked for, to have it at once.
async fn expect_rest(world: &World, pool: &PgPool, calls: usize) {
    let question = "select (select count(*) from calls where account_id = $1), \
                    (select count(*) from slices where account_id = $1) + (select count(*) from intents where account_id = $1)";
    eventually(async || {
        world.ledger.meter().recall(&[world.account]).await.unwrap();
        let found: (i64, i64) = sqlx::query_as(question).bind(world.account.uuid()).fetch_one(pool).await.unwrap();
        (found == (i64::try_from(calls).unwrap(), 0)).then_some(())
    })
    .await;
}

/// To the last nano, token and request.
async fn expect_all_used(world: &World, left: Left, all: i64) {
    let Left::Limit(.., unit) = left else {
        let balance = world.ledger.meter().balance(world.account, Utc::now()).await.unwrap();
        return assert_eq!((balance.balance, balance.reserved), (Amount::ZERO, Amount::ZERO));
    };
    let [all, none] = [all, 0].map(|count| if unit == Unit::Money { json!(Amount::from_nanos(count)) } else { json!(count) });
    let limits = json(world.get("/v1/key").await).await["data"]["limits"].clone();
    assert_eq!((&limits[0]["used"], &limits[0]["available"], &limits[1]), (&all, &none, &json!(null)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn credit_is_not_overspent_over_one_proxy(pool: PgPool) {
    ten_of_two_hundred(pool, 1, Left::Credit).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn credit_is_not_overspent_over_three_proxies(pool: PgPool) {
    ten_of_two_hundred(pool, 3, Left::Credit).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn tokens_are_not_overspent_over_one_proxy(pool: PgPool) {
    ten_of_two_hundred(pool, 1, Left::Limit(ScopeKind::Account, Window::Month, Unit::Tokens)).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn tokens_are_not_overspent_over_three_proxies(pool: PgPool) {
    ten_of_two_hundred(pool, 3, Left::Limit(ScopeKind::Account, Window::Month, Unit::Tokens)).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn requests_are_not_overspent_over_one_proxy(pool: PgPool) {
    ten_of_two_hundred(pool, 1, Left::Limit(ScopeKind::Account, Window::Ever, Unit::Requests)).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn requests_are_not_overspent_over_three_proxies(pool: PgPool) {
    ten_of_two_hundred(pool, 3, Left::Limit(ScopeKind::Account, Window::Ever, Unit::Requests)).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_keys_month_is_not_overspent_over_one_proxy(pool: PgPool) {
    ten_of_two_hundred(pool, 1, Left::Limit(ScopeKind::Key, Window::Month, Unit::Money)).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_keys_month_is_not_overspent_over_three_proxies(pool: PgPool) {
    ten_of_two_hundred(pool, 3, Left::Limit(ScopeKind::Key, Window::Month, Unit::Money)).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_projects_day_is_not_overspent_over_three_proxies(pool: PgPool) {
    ten_of_two_hundred(pool, 3, Left::Limit(ScopeKind::Project, Window::Day, Unit::Money)).await;
}
