//! Every change of money, prices and rights leaves a line in the log: of who, from where, and what was before and after.

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

use chrono::TimeDelta;
use domain::{
    account::AccountState,
    audit::{AuditFilter, AuditLine, Operation},
    billing::Adjustment,
    catalog::{DisconnectPolicy, Fallback, PriceKind, TimeOuts, UsageMode},
    credit::{Hardness, Quantity, Scope, Unit, Window},
    id::{LimitId, PriceId, ProjectId, ProviderId, ReportKeyId, UserId},
    key::ReportKey,
    plan::PlanTerms,
    rates::Rates,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{
    AccountOwner, CallCredit, Error, Ledger, ModelChange, NewBuyer, NewLimit, NewModel, NewOperator, NewOwnPrice, NewPrice, NewProject,
    NewProvider, NewReportKey, Operator, OwnReview, PaymentCredit, ProviderChange, Reprice, Review, System,
};
use sqlx::PgPool;

use crate::{
    auto_top_up, codes, documents, payments,
    world::{Customer, MODEL, PASSWORD, World, amount, monthly},
};

/// What writes without a line in the log, by file, how often, and why it may: calls and what belongs to them, which have the books; what the process does by
/// itself; and what is no right, price or money. A change of any of the three goes through `Database::change`, which ends with its line.
const WITHOUT_A_LINE: [(&str, usize, &str); 23] = [
    ("audit/mod.rs", 1, "`Database::change` itself"),
    ("books/hours.rs", 1, "the process sums the calls of an hour"),
    ("books/roots.rs", 2, "the process seals days"),
    ("database.rs", 1, "`Database::execute` itself, each use of which is in this list"),
    ("documents/issue.rs", 1, "documents of what is posted, which the process issues by itself"),
    ("leases/announced.rs", 2, "calls that run"),
    ("leases/epochs.rs", 5, "proxies that begin, renew and end"),
    ("leases/mod.rs", 1, "credit that proxies lease for calls"),
    ("lib.rs", 1, "asks whether it could"),
    ("limits/mod.rs", 1, "the process forgets minutes that have passed"),
    ("new_grant.rs", 1, "credit lapses by itself when it ends, which its line said when it was given"),
    ("notices.rs", 2, "tells proxies to look anew"),
    ("partitions.rs", 2, "makes the months that calls are stored in"),
    ("payments/auto.rs", 3, "payments that begin as their line says, and cards that the provider keeps for an account"),
    ("payments/mod.rs", 3, "payments that begin, which move nothing yet"),
    ("payments/news.rs", 1, "what a provider says, which no person does"),
    ("payments/refunds.rs", 3, "what a provider answers to a refund, which its line asked for, and that it does not answer"),
    ("payments/strays.rs", 1, "what a provider says that is nobody's"),
    ("plans/renewals.rs", 1, "plans renew by themselves, as the line says by which they were bought"),
    ("posting.rs", 2, "calls"),
    ("proof/runs.rs", 3, "what a proof found"),
    ("sessions.rs", 4, "who is signed in"),
    ("wanted.rs", 1, "models that calls asked for"),
];
/// Written from the calls, which say the same.
const REBUILT: (&str, usize, &str) = ("rollups.rs", 1, "sums are written anew from the calls");

#[test]
fn what_writes_without_a_line_is_listed_with_why() {
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let is_database = |receiver: &str| receiver.ends_with("database") || receiver.ends_with("self");
            let writes =
                [".write()", ".write_with(begin", ".write_with(BEGIN"].iter().map(|call| source.matches(call).count()).sum::<usize>();
            let executes = source.match_indices(".execute(").filter(|(at, _)| is_database(&source[..*at])).count();
            if writes + executes > 0 {
                found.insert(path.strip_prefix(&root).unwrap().display().to_string(), writes + executes);
            }
        }
    }
    let listed: BTreeMap<_, _> = WITHOUT_A_LINE.iter().chain([&REBUILT]).map(|(file, count, _)| ((*file).to_owned(), *count)).collect();
    assert_eq!(found, listed, "what changes money, prices or rights must use `Database::change`; what does not is listed here");
}

/// Whoever acts, from where.
const ADDRESS: &str = "203.0.113.9";

fn console(world: &World) -> Ledger {
    world.ledger.reached_from(ADDRESS.parse::<IpAddr>().unwrap())
}

async fn root(world: &World) -> UserId {
    let root = UserId::new(world.now, world.random());
    let new = NewOperator { user_id: root, email: "root@example.com".to_owned(), password: PASSWORD.to_owned(), now: world.now };
    world.ledger.system().create_operator(new).await.unwrap();
    root
}

/// The whole log, oldest first.
async fn log(world: &World) -> Vec<AuditLine> {
    let mut lines = world.ledger.system().operator().audit(&AuditFilter::default(), None, 1_000).await.unwrap().lines;
    lines.reverse();
    lines
}

/// The line of an operation; of several, one that says what was before.
fn of(lines: &[AuditLine], operation: Operation) -> &AuditLine {
    let lines = lines.iter().filter(|line| line.operation == operation.name());
    lines.max_by_key(|line| line.before.is_some()).unwrap_or_else(|| panic!("{} left no line", operation.name()))
}

/// A price of everyone's, calls that are charged anew by it, its withdrawal, and a customer's own.
async fn prices(world: &World, operator: &Operator, ada: Customer) {
    let price = PriceId::new(world.now, world.random());
    let effective_from = world.now + TimeDelta::hours(1);
    let dear = world.call(ada, 10_000, 10, TimeDelta::hours(1));
    world.post(&[dear]).await.unwrap();
    let rates = Rates::plain(amount("0.0001"), amount("0.0001"));
    let new = NewPrice {
        id: price,
        model: MODEL,
        kind: PriceKind::Sale,
        rates,
        effective_from,
        actor: "root@example.com",
        now: world.now,
        service_tier: ServiceTier::Default,
    };
    operator.publish_price(new, Review { revision: 1, named: Some(MODEL) }).await.unwrap();
    let reprice =
        Reprice { model: MODEL, from: world.now - TimeDelta::days(2), to: world.now, price, note: "Sorry", actor: "root@example.com" };
    assert_eq!(operator.reprice(reprice).await.unwrap().lowered, 1);
    operator.withdraw_price((MODEL, ServiceTier::Default), price, "root@example.com", world.now).await.unwrap();
    let own = NewOwnPrice {
        id: PriceId::new(world.now, world.random()),
        account: ada.account,
        model: MODEL,
        rates: world.rates.clone(),
        effective_from: world.now + TimeDelta::days(1),
        actor: "root@example.com",
        now: world.now,
    };
    let id = own.id;
    operator.set_own_price(own, OwnReview { revision: 0, named: None }).await.unwrap();
    operator.end_own_price(ada.account, id, world.now, "root@example.com", world.now).await.unwrap();
}

/// Everything that there is to do, once.
async fn everything(world: &mut World) -> Customer {
    let ada = world.customer("ada", "10").await;
    let root = root(world).await;
    let (system, operator) = (world.ledger.system(), console(world).operator(root).await.unwrap());
    let owner = console(world).owner(ada.user).await.unwrap();

    Box::pin(money(world, &operator, &owner, ada)).await;
    Box::pin(codes(world, &operator, &owner)).await;
    Box::pin(refunds(world, &operator, ada)).await;
    operator.view(ada.account).await.unwrap();
    operator.set_seller(documents::seller(world)).await.unwrap();
    owner.set_buyer(NewBuyer { name: "Ada Ltd", email: "", address: "", tax_id: "", now: world.now }).await.unwrap();
    operator.set_account_state(ada.account, AccountState::Active, AccountState::Suspended).await.unwrap();
    operator.set_account_state(ada.account, AccountState::Suspended, AccountState::Active).await.unwrap();

    let plan = world.sell("Basic", PlanTerms { fee: amount("0.5"), ..monthly() }).await;
    owner.buy(world.purchase(&plan)).await.unwrap();
    owner.end_plan(plan.id, true).await.unwrap();

    Box::pin(limits_and_keys(world, &operator, &owner, ada)).await;
    Box::pin(prices(world, &operator, ada)).await;
    Box::pin(catalog(world, &system)).await;
    ada
}

/// Credit that moves, and what is lent.
async fn money(world: &mut World, operator: &Operator, owner: &AccountOwner, ada: Customer) {
    owner.top_up(world.money("5", "top-up")).await.unwrap();
    operator.credit(ada.account, world.money("2.5", "credit")).await.unwrap();
    operator.credit(ada.account, world.money("-1", "back")).await.unwrap();
    operator.adjust(ada.account, Adjustment::Refund, world.money("1", "refund")).await.unwrap();
    operator.change_credit_line(ada.account, "root@example.com", |line| line.amount = amount("3")).await.unwrap();
    let promo = world.grant("5", "promo");
    operator.add_grant(ada.account, promo.clone()).await.unwrap();
    operator.end_grant(ada.account, promo.id, "root@example.com").await.unwrap();
    let call = world.call(ada, 10_000, 10, TimeDelta::zero());
    world.post(std::slice::from_ref(&call)).await.unwrap();
    operator.credit_call(call.call_id, CallCredit { amount: None, idempotency_key: "call", memo: "Sorry", actor: "root" }).await.unwrap();
    for (credit, is_credited) in [("2000", true), ("3000", false)] {
        let payment = payments::begun(world, ada, credit).await;
        payments::pay(world, &payment).await;
        let seen = payments::problem(world, &payment).await;
        let decision = PaymentCredit { amount: Some(amount("1")), reason: "seen at Stripe", seen: &seen, actor: "root@example.com" };
        match is_credited {
            true => drop(operator.credit_payment(payment.id, decision).await.unwrap()),
            false => operator.dismiss_payment(payment.id, &seen, "paid back").await.unwrap(),
        }
    }
}

/// Bounds, keys and projects.
async fn limits_and_keys(world: &mut World, operator: &Operator, owner: &AccountOwner, ada: Customer) {
    let limit = NewLimit {
        id: LimitId::new(world.now, world.random()),
        scope: Scope::Account,
        window: Window::Month,
        unit: Unit::Money,
        hardness: Hardness::Hard,
        capacity: Quantity::from(amount("10")),
    };
    operator.set_limit(ada.account, &limit).await.unwrap();
    operator.set_limit(ada.account, &NewLimit { capacity: Quantity::from(amount("20")), ..limit.clone() }).await.unwrap();
    operator.remove_limit(ada.account, limit.id).await.unwrap();

    let secret = world.secret();
    let key = world.new_key(ada, &secret, "second");
    owner.create_key(key.clone()).await.unwrap();
    let project = NewProject { id: ProjectId::new(world.now, world.random()), name: "Research", now: world.now };
    owner.add_project(project.clone()).await.unwrap();
    let (id, report) = (ReportKeyId::new(world.now, world.random()), ReportKey::from_random([3; 20]));
    owner.create_report_key(NewReportKey { id, secret: &report, name: "reports", now: world.now }).await.unwrap();
    owner.revoke_report_key(id, world.now).await.unwrap();
    owner.move_key(key.id, project.id).await.unwrap();
    owner.set_key_models(key.id, Some(&[MODEL.to_owned()])).await.unwrap();
    owner.set_key_cost(key.id, true).await.unwrap();
    owner.revoke_key(key.id, world.now).await.unwrap();
}

/// Providers and models, and a password.
async fn catalog(world: &mut World, system: &System) {
    let provider = NewProvider {
        id: ProviderId::new(world.now, world.random()),
        name: "other",
        base_url: "https://other.example/v1",
        credential: Some(b"a sealed credential".to_vec()),
        usage_mode: UsageMode::Native,
        on_disconnect: DisconnectPolicy::Cancel,
        allow_private: false,
        hide_cost: false,
        apis: None,
        time_outs: TimeOuts::default(),
        now: world.now,
    };
    system.add_provider(provider).await.unwrap();
    let change = ProviderChange { base_url: Some("https://new.example/v1"), ..ProviderChange::default() };
    system.change_provider("other", change).await.unwrap();
    system.set_credential("other", Some(b"another sealed credential".to_vec())).await.unwrap();
    system.disable_provider("other", Some(world.now)).await.unwrap();
    let fallback =
        Fallback { provider: "other".to_owned(), upstream_name: "other/small".to_owned(), output_cap_field: None, opened: Vec::new() };
    system.add_fallback(MODEL, &fallback).await.unwrap();
    system.remove_fallback(MODEL, "other").await.unwrap();
    system.open_members_of_provider("other", &["web_search_options".to_owned()], &[]).await.unwrap();
    system.remove_provider("other").await.unwrap();
    system.add_model(NewModel { name: "large", ..world.model() }).await.unwrap();
    let change = ModelChange { context_window: Some(Tokens::from_sum(200_000)), ..ModelChange::default() };
    system.change_model("large", change).await.unwrap();
    system.open_members("large", &["web_search_options".to_owned()], &[]).await.unwrap();
    system.disable_model("large", Some(world.now)).await.unwrap();
    system.remove_model("large").await.unwrap();
    system.set_password("ada@example.com", "another password".to_owned()).await.unwrap();
}

/// A payment of which a part is asked back.
async fn refunds(world: &World, operator: &Operator, ada: Customer) {
    let paid = payments::begun(world, ada, "5").await;
    payments::pay(world, &paid).await;
    operator.begin_refund(payments::refund(world, paid.id, "2")).await.unwrap();
}

/// Codes that are made, redeemed and revoked, and an account that is topped up by itself.
async fn codes(world: &World, operator: &Operator, owner: &AccountOwner) {
    let (batch, given) = codes::made(world, codes::terms()).await;
    owner.redeem(codes::redemption(world, &given[0])).await.unwrap();
    owner.set_auto_top_up(auto_top_up::terms(), "ada@example.com").await.unwrap();
    operator.revoke_codes(batch.id, "root@example.com").await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_operation_leaves_its_line(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = everything(&mut world).await;
    let lines = log(&world).await;
    for operation in Operation::ALL {
        let line = of(&lines, operation);
        assert!(!line.object.is_empty() && (line.before.is_some() || line.after.is_some()), "{line:?}");
    }
    let credit = of(&lines, Operation::Credit);
    assert_eq!((credit.who.as_str(), credit.address.as_deref()), ("root@example.com", Some(ADDRESS)));
    assert_eq!((credit.account, credit.object.as_str()), (Some(ada.account), "ada"));
    assert_eq!(credit.before.as_deref(), Some(r#"{"balance":"15"}"#));
    assert!(credit.after.as_deref().unwrap().contains(r#""amount":"2.5","balance":"17.5""#), "{credit:?}");
    assert_eq!(of(&lines, Operation::TopUp).who, "ada@example.com");
    let password = of(&lines, Operation::PasswordSet);
    assert_eq!((password.who.as_str(), password.address.as_deref()), ("command line", None));
    let limit = of(&lines, Operation::LimitSet);
    assert_eq!((limit.before.as_deref(), limit.after.as_deref()), (Some(r#"{"capacity":"10"}"#), Some(r#"{"capacity":"20"}"#)));
    let moved = of(&lines, Operation::ProviderChange);
    assert_eq!(moved.after.as_deref(), Some(r#"{"base_url":"https://new.example/v1"}"#), "only what changed");
    assert!(of(&lines, Operation::KeyRevoke).before.as_deref() == Some(r#"{"revoked_at":null}"#));
    assert!(of(&lines, Operation::PriceSet).before.as_deref().unwrap().contains("rates"), "the version that it follows");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn no_line_tells_a_secret(pool: PgPool) {
    let mut world = World::new(pool).await;
    everything(&mut world).await;
    let secrets = sqlx::query_scalar::<_, i64>(
        "select count(*) from audit a where exists (\
             select from users u where a::text like '%' || u.password_hash || '%') \
         or exists (select from key_digests d where a::text like '%' || encode(d.digest, 'hex') || '%') \
         or exists (select from report_key_digests d where a::text like '%' || encode(d.digest, 'hex') || '%') or a::text like '%rk-fb%' \
         or a::text like '%' || encode('a sealed credential', 'hex') || '%' or a::text like '%argon2%' or a::text like '%sk-fb%'",
    );
    assert_eq!(secrets.fetch_one(&world.pool).await.unwrap(), 0);
    let replaced = log(&world).await;
    let replaced = of(&replaced, Operation::ProviderCredential);
    assert_ne!(replaced.before, replaced.after, "that it was replaced can be seen: {replaced:?}");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_changed_nothing_leaves_no_line(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let root = root(&world).await;
    let operator = world.ledger.operator(root).await.unwrap();
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let credit = world.money("2.5", "credit");
    operator.credit(ada.account, credit.clone()).await.unwrap();
    owner.revoke_key(ada.key, world.now).await.unwrap();
    operator.view(ada.account).await.unwrap();
    let before = log(&world).await.len();
    assert!(operator.credit(ada.account, credit).await.unwrap().replayed);
    owner.revoke_key(ada.key, world.now + TimeDelta::hours(1)).await.unwrap();
    operator.view(ada.account).await.unwrap();
    operator.set_account_state(ada.account, AccountState::Suspended, AccountState::Active).await.unwrap();
    world.ledger.system().disable_model(MODEL, None).await.unwrap();
    assert!(matches!(operator.credit(ada.account, world.money("-100", "too much")).await, Err(Error::InsufficientCredit { .. })));
    assert!(matches!(world.ledger.system().disable_model("nothing", Some(world.now)).await, Err(Error::NotFound)));
    let bob = domain::id::AccountId::new(world.now, world.random());
    assert!(matches!(operator.view(bob).await, Err(Error::NotFound)), "nobody's pages");
    assert_eq!(log(&world).await.len(), before);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_log_is_narrowed_and_paged(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = everything(&mut world).await;
    let operator = world.ledger.system().operator();
    let all = operator.audit(&AuditFilter::default(), None, 1_000).await.unwrap();
    assert_eq!(all.next, None);
    let (mut paged, mut place) = (Vec::new(), None);
    loop {
        let page = operator.audit(&AuditFilter::default(), place, 7).await.unwrap();
        paged.extend(page.lines);
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(paged, all.lines, "nothing is skipped or shown twice");

    let today = all.lines[0].place.at.date_naive();
    let count = async |query: &str| operator.audit(&AuditFilter::from_query(query).unwrap(), None, 1_000).await.unwrap().lines.len();
    assert_eq!(count("who=ROOT%40").await, all.lines.iter().filter(|line| line.who == "root@example.com").count());
    assert_eq!(count("operation=money.credit").await, 1);
    assert_eq!(count("object=larg").await, all.lines.iter().filter(|line| line.object == "large").count());
    assert_eq!(count(&format!("object={}", ada.account)).await, all.lines.iter().filter(|line| line.account == Some(ada.account)).count());
    assert_eq!(count("object=%25").await, 0, "what a person types is no wildcard");
    assert_eq!(
        count(&format!("from={today}&to={today}")).await,
        all.lines.iter().filter(|line| line.place.at.date_naive() == today).count()
    );
    assert_eq!(count(&format!("from={}", today.succ_opt().unwrap())).await, 0);
}
