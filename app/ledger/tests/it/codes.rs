use chrono::TimeDelta;
use domain::{
    billing::{GrantKind, JournalKind},
    code::{Batch, BatchTerms, CodeKind, RedemptionCode},
    id::{BatchId, RedemptionId},
    payment::Currency,
};
use futures_util::future::join_all;
use ledger::{Error, NewBatch, Redeemed, Redemption};
use sqlx::{AssertSqlSafe, PgPool};

use crate::world::{Customer, World, amount};

/// A code of 10 as promotional credit that lasts 30 days, for one account.
pub(crate) fn terms() -> BatchTerms {
    BatchTerms {
        name: "Winter".to_owned(),
        amount: amount("10"),
        currency: Currency::USD,
        kind: CodeKind::Promo,
        codes: 1,
        uses: 1,
        is_sole: false,
        expires_at: None,
        credit_days: Some(30),
    }
}

fn codes(world: &World, many: i64) -> Vec<RedemptionCode> {
    let one = |_| {
        let mut bits = [7; 12];
        bits[2..].copy_from_slice(&world.random());
        RedemptionCode::from_random(bits)
    };
    (0..many).map(one).collect()
}

pub(crate) async fn made(world: &World, terms: BatchTerms) -> (Batch, Vec<RedemptionCode>) {
    let codes = codes(world, terms.codes);
    let new = NewBatch { id: BatchId::new(world.now, world.random()), terms, codes: &codes, actor: "root@example.com", now: world.now };
    (world.ledger.system().operator().make_codes(new).await.unwrap(), codes)
}

pub(crate) fn redemption<'a>(world: &World, code: &'a RedemptionCode) -> Redemption<'a> {
    Redemption { id: RedemptionId::new(world.now, world.random()), code, actor: "ada@example.com" }
}

/// A code that somebody has redeemed.
pub(crate) async fn redeemed(world: &World, customer: Customer) {
    let (_, codes) = made(world, terms()).await;
    redeem(world, customer, &codes[0]).await.unwrap();
}

async fn redeem(world: &World, customer: Customer, code: &RedemptionCode) -> ledger::Result<Redeemed> {
    world.ledger.owner(customer.user).await.unwrap().redeem(redemption(world, code)).await
}

/// Why a code was refused.
fn problem(redeemed: ledger::Result<Redeemed>) -> String {
    match redeemed {
        Err(Error::Invalid { field: "code", problem }) => problem,
        other => panic!("{other:?}"),
    }
}

async fn used(world: &World) -> i64 {
    world.ledger.system().operator().batches().await.unwrap().iter().map(|(_, used)| used).sum()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_code_gives_promotional_credit_that_ends_or_money_that_does_not(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let (_, promo) = made(&world, terms()).await;
    let (_, paid) = made(&world, BatchTerms { kind: CodeKind::Paid, credit_days: None, amount: amount("2.5"), ..terms() }).await;
    for code in [&promo[0], &paid[0]] {
        assert!(!redeem(&world, ada, code).await.unwrap().replayed);
    }
    let balance = world.balance(ada).await;
    assert_eq!(balance.balance, amount("13.5"));
    let credit = balance.grants.iter().find(|grant| grant.kind == GrantKind::Promo).unwrap();
    assert_eq!(credit.expires_at, Some(credit.starts_at + TimeDelta::days(30)));
    let statement = world.ledger.reader(ada.user).await.unwrap().statement(None, 10, world.now).await.unwrap();
    let rows: Vec<_> = statement.journal.lines.iter().flat_map(|line| line.rows()).map(|row| (row.kind, row.memo.as_str())).collect();
    assert_eq!(rows[..2], [(JournalKind::TopUp, "Code: Winter"), (JournalKind::Promo, "Code: Winter")]);
    world.assert_proven().await;
    let later = world.ledger.dated(world.now + TimeDelta::days(31));
    later.system().lapse_grants().await.unwrap();
    assert_eq!(world.balance(ada).await.balance, amount("3.5"), "what was paid for stays");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_code_that_is_used_twice_at_once_is_used_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let (_, codes) = made(&world, BatchTerms { codes: 2, ..terms() }).await;
    // By two accounts, and by one account in two windows.
    for (code, others) in [(&codes[0], [ada, bob]), (&codes[1], [ada, ada])] {
        let done = join_all((0..20).map(|turn| redeem(&world, others[turn % 2], code))).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
    }
    // The same form, sent again and again.
    let (_, codes) = made(&world, terms()).await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let form = redemption(&world, &codes[0]);
    let done: Vec<_> = join_all((0..20).map(|_| owner.redeem(form))).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|done| !done.replayed).count(), 1);
    assert!(done.iter().all(|one| one.posting == done[0].posting));
    assert_eq!(used(&world).await, 3);
    let (_, other) = made(&world, terms()).await;
    assert!(matches!(owner.redeem(Redemption { code: &other[0], ..form }).await, Err(Error::IdempotencyConflict)));
    assert_eq!(world.balance(ada).await.balance.checked_add(world.balance(bob).await.balance).unwrap(), amount("30"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_code_of_twenty_uses_that_fifty_accounts_use_at_once_is_used_twenty_times(pool: PgPool) {
    let mut world = World::new(pool).await;
    let mut customers = Vec::new();
    for number in 0..50 {
        customers.push(world.customer(&format!("customer-{number}"), "0").await);
    }
    let (_, codes) = made(&world, BatchTerms { uses: 20, ..terms() }).await;
    let done = join_all(customers.iter().map(|customer| redeem(&world, *customer, &codes[0]))).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 20);
    let refused = done.into_iter().filter(Result::is_err).map(problem);
    assert!(refused.into_iter().all(|problem| problem.contains("used already")));
    assert_eq!(used(&world).await, 20);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_cannot_be_redeemed_says_why_and_what_to_do(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let operator = world.ledger.system().operator();
    let unknown = codes(&world, 1);
    assert!(problem(redeem(&world, ada, &unknown[0]).await).contains("no such code"));

    let (batch, codes) = made(&world, BatchTerms { codes: 3, uses: 2, is_sole: true, ..terms() }).await;
    redeem(&world, ada, &codes[0]).await.unwrap();
    assert!(problem(redeem(&world, ada, &codes[0]).await).contains("this account redeemed this code on"));
    assert!(problem(redeem(&world, ada, &codes[1]).await).contains("each account may redeem one"));
    redeem(&world, bob, &codes[0]).await.unwrap();
    let eve = world.customer("eve", "0").await;
    assert!(problem(redeem(&world, eve, &codes[0]).await).contains("used already"));
    operator.revoke_codes(batch.id, "root@example.com").await.unwrap();
    operator.revoke_codes(batch.id, "root@example.com").await.unwrap();
    assert!(problem(redeem(&world, eve, &codes[1]).await).contains("revoked"));
    assert!(matches!(operator.revoke_codes(BatchId::new(world.now, world.random()), "root").await, Err(Error::NotFound)));

    let expires_at = Some(world.now + TimeDelta::hours(1));
    let (_, codes) = made(&world, BatchTerms { codes: 2, expires_at, ..terms() }).await;
    redeem(&world, eve, &codes[0]).await.unwrap();
    let later = world.ledger.dated(world.now + TimeDelta::hours(1));
    let late = later.owner(eve.user).await.unwrap().redeem(redemption(&world, &codes[1])).await;
    assert!(problem(late).contains("was to be redeemed before"));

    let (_, codes) = made(&world, terms()).await;
    sqlx::query("update code_batches set currency = 'eur'").execute(&world.pool).await.unwrap();
    assert!(problem(redeem(&world, eve, &codes[0]).await).contains("credit in EUR, and balances here are in USD"));
    sqlx::query("update code_batches set currency = 'usd'").execute(&world.pool).await.unwrap();
    sqlx::query("update accounts set status = 'closed' where account_id = $1").bind(eve.account.uuid()).execute(&world.pool).await.unwrap();
    assert!(matches!(redeem(&world, eve, &codes[0]).await, Err(Error::Invalid { field: "account", .. })));
    assert_eq!([ada, bob, eve].len() as i64, used(&world).await);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_batch_is_made_once_and_its_codes_are_stored_nowhere(pool: PgPool) {
    let world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let codes = codes(&world, 3);
    let new = NewBatch {
        id: BatchId::new(world.now, world.random()),
        terms: BatchTerms { codes: 3, ..terms() },
        codes: &codes,
        actor: "root",
        now: world.now,
    };
    let made = operator.make_codes(new.clone()).await.unwrap();
    assert!(matches!(operator.make_codes(new.clone()).await, Err(Error::Taken(_))));
    let fewer = NewBatch { id: BatchId::new(world.now, world.random()), codes: &codes[..2], ..new.clone() };
    assert!(matches!(operator.make_codes(fewer).await, Err(Error::Invalid { field: "codes", .. })));
    let none = NewBatch { terms: BatchTerms { uses: 0, ..terms() }, ..new };
    assert!(matches!(operator.make_codes(none).await, Err(Error::Invalid { field: "uses", .. })));
    assert_eq!(operator.batches().await.unwrap(), [(made, 0)]);
    let stored = "select count(*) from codes c, code_batches b, audit a where concat(c::text, b::text, a::text) like '%' || $1 || '%'";
    for code in codes.iter().flat_map(|code| [code.expose(), code.expose().replace('-', "")]) {
        assert_eq!(sqlx::query_scalar::<_, i64>(stored).bind(code).fetch_one(&world.pool).await.unwrap(), 0);
    }
}

/// Whoever changes what is redeemed is found, wherever they do it.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proof_finds_a_code_that_was_used_once_too_often_or_gave_too_much(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let (_, codes) = made(&world, BatchTerms { uses: 2, ..terms() }).await;
    let (_, paid) = made(&world, BatchTerms { kind: CodeKind::Paid, credit_days: None, ..terms() }).await;
    for (customer, code) in [(ada, &codes[0]), (bob, &codes[0]), (ada, &paid[0])] {
        redeem(&world, customer, code).await.unwrap();
    }
    world.assert_proven().await;
    for (table, change, claim) in [
        ("codes", "update codes set used = used - 1 where used = 2", "a code was used"),
        ("codes", "update codes set used = used + 1", "a code was used"),
        ("codes", "delete from codes where used = 2", "a batch of codes"),
        ("code_batches", "update code_batches set amount = amount + 1", "a batch of codes"),
        ("code_batches", "update code_batches set uses = 1", "a code was used"),
        ("redemptions", "delete from redemptions where posting = 1", "a code that was redeemed has"),
        ("redemptions", "update redemptions set posting = posting + 7", "a code that was redeemed has"),
        ("redemptions", "update redemptions set code = sha256(code) where posting = 2", "a code was used"),
        ("journal", "update journal set seals = null", "a code that was redeemed has"),
    ] {
        let run = async |sql: String| sqlx::raw_sql(AssertSqlSafe(sql)).execute(&world.pool).await.unwrap();
        run(format!("create table kept as select * from {table}; {change}")).await;
        let faults = world.proof().await.faults;
        assert!(faults.iter().any(|fault| fault.claim.starts_with(claim)), "{change}: {faults:?}");
        run(format!(
            "set session_replication_role = replica; delete from {table}; insert into {table} select * from kept; drop table kept; \
             set session_replication_role = origin"
        ))
        .await;
        world.assert_proven().await;
    }
}
