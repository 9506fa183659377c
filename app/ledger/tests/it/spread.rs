//! On the twin, whose tables lie in 16 shards by the account: what concerns one account touches one shard.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use domain::{
    attribution::{Attribution, Label, Tags},
    credit::{Hardness, Quantity, Scope, Unit, Window},
    filter::{CallFilter, TagFilter, UsageFilter},
    id::{LimitId, PaymentId, ProjectId},
    month::CalendarMonth,
    payment::{AutoTerms, Currency},
    period::{Period, Step},
    tokens::Tokens,
};
use ledger::{Ledger, NewGrant, NewLimit, NewPayment, NewProject, News, Says, SettledCall};
use sqlx::PgPool;

use crate::{
    auto_top_up, codes,
    payments::usd,
    plans::{self, Plans},
    world::{Customer, World, amount, with},
};

/// The tables of a test hold so little that reading them whole is cheapest, which takes every shard of a table that is joined with a batch; of large ones
/// the planner takes the index, and only the shard of each row. And each statement is planned for what it asks for, as Citus routes it: a plan for any
/// value has all shards where it compares an account with a list (`lock_books`, and the limits of a batch).
const AS_IF_LARGE: [&str; 4] =
    ["enable_seqscan = off", "enable_hashjoin = off", "enable_mergejoin = off", "plan_cache_mode = force_custom_plan"];

/// Statements that go over all accounts, by what they begin with, and why they may.
const OVER_ALL: [(&str, &str); 2] = [
    ("select account_id as \"account_id: AccountId\" from heads where hour < $1", "a job looks for ended hours, once a minute"),
    (
        "select account_id as \"account_id: AccountId\" from calls where started_at = $1",
        "an operator knows the id of a call, not whose it is",
    ),
];

/// Sees what every step touches.
struct Watch {
    plans: Plans,
    shards: BTreeMap<String, String>,
    /// Where the account is that the steps are about.
    home: String,
    faults: Vec<String>,
}

impl Watch {
    /// Does something, which must succeed and touch the account's shard alone.
    async fn step<T>(&mut self, name: &str, doing: impl Future<Output = ledger::Result<T>>) -> T {
        self.plans.take();
        let done = doing.await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut in_all = BTreeSet::new();
        for executed in self.plans.take() {
            if OVER_ALL.iter().any(|(begin, _)| executed.statement.starts_with(begin)) {
                continue;
            }
            let shards: BTreeSet<_> = executed.touched.iter().filter_map(|name| self.shards.get(name)).cloned().collect();
            if shards.iter().any(|shard| *shard != self.home) {
                self.faults.push(format!("{name}, of {}: {} touched {:?}", self.home, executed.statement, executed.touched));
            }
            in_all.extend(shards);
        }
        if in_all.is_empty() {
            self.faults.push(format!("{name} touched nothing"));
        }
        done
    }
}

/// What a customer, or the operator for them, does with money and calls.
async fn money_path(world: &mut World, ledger: &Ledger, watch: &mut Watch, ada: Customer) {
    let (meter, operator, now) = (ledger.meter(), ledger.system().operator(), world.now);
    let owner = ledger.owner(ada.user).await.unwrap();
    let money = world.money("5", "more");
    watch.step("a top-up", owner.top_up(money)).await;
    let grant = world.grant("2", "a promo");
    let (promo, again) = (grant.id, grant.clone());
    watch.step("a grant", operator.add_grant(ada.account, grant)).await;
    watch.step("the same grant again", operator.add_grant(ada.account, again)).await;
    watch.step("a credit line", operator.change_credit_line(ada.account, "test", |line| line.amount = amount("3"))).await;
    let running = world.intent(ada, "0.2");
    watch.step("a hold", world.lease_in(ledger, &running)).await;
    let new = NewLimit {
        id: LimitId::new(now, world.random()),
        scope: Scope::Key(ada.key),
        window: Window::Month,
        unit: Unit::Money,
        hardness: Hardness::Hard,
        capacity: Quantity::from_count(5_000_000_000),
    };
    let limit = watch.step("a limit beside a running call", owner.set_limit(&new)).await;
    let settled = [world.settle(&running, ada, 100, 10)];
    watch.step("a settlement", world.post_in(ledger, &settled)).await;
    watch.step("a replay", world.post_in(ledger, &settled)).await;
    let dropped = world.intent(ada, "0.2");
    watch.step("a hold in a limit", world.lease_in(ledger, &dropped)).await;
    watch.step("a release", world.release_in(ledger, &dropped)).await;
    let lost = world.intent(ada, "0.2");
    watch.step("a hold of a proxy that dies", world.lease_in(ledger, &lost)).await;
    watch.step("an interrupted call", meter.post_free_calls(&[world.interrupt(&lost, ada)])).await;
    watch.step("late usage", world.post_in(ledger, &[world.settle(&lost, ada, 1_000, 100)])).await;
    let batch: Vec<_> = (0..20).map(|minute| of_run(world, ada, minute)).collect();
    watch.step("a batch", meter.post_free_calls(&batch)).await;
    let back = world.give_back(Some("0.000001"), "back");
    watch.step("a call that is given back", operator.credit_call(settled[0].call_id, back)).await;
    watch.step("a grant that is ended", operator.end_grant(ada.account, promo, "test")).await;
    watch.step("a limit that is removed", owner.remove_limit(limit)).await;
    watch.step("closing hours", ledger.system().close_hours()).await;
}

/// What a customer pays through a provider, and what of it goes back.
async fn paying(world: &mut World, ledger: &Ledger, watch: &mut Watch, ada: Customer) {
    let (owner, now) = (ledger.owner(ada.user).await.unwrap(), world.now);
    let payment = NewPayment { id: PaymentId::new(now, world.random()), amount: amount("5"), currency: Currency::USD, actor: "ada", now };
    let payment = watch.step("a payment that begins", owner.begin_payment(payment)).await;
    let session = format!("cs_{}", payment.id);
    watch.step("its session", ledger.system().note_session(ada.account, payment.id, &session)).await;
    let names = Some((ada.account, payment.id));
    for says in [
        Says::Paid { session: &session, sum: usd(500), names },
        Says::Refunded { charge: "ch_1", in_all: usd(100) },
        Says::Disputed { dispute: "du_1", sum: usd(400), is_taken: true },
    ] {
        let news = News { event: None, account: ada.account, payment: payment.id, intent: None, says };
        watch.step("what a provider says", ledger.system().take_news(&news, amount("100"))).await;
    }
}

/// An account that is topped up by itself.
async fn topping_up(world: &World, ledger: &Ledger, watch: &mut Watch, ada: Customer) {
    let (owner, system, now) = (ledger.owner(ada.user).await.unwrap(), ledger.system(), world.now);
    let terms = AutoTerms { threshold: amount("1000000"), ..auto_top_up::terms() };
    watch.step("an auto top-up", Box::pin(owner.set_auto_top_up(terms, "ada"))).await;
    watch.step("its card", Box::pin(owner.note_setup("cs_setup"))).await;
    watch.step("its card, kept", Box::pin(system.keep_method(ada.account, "cs_setup", ("cus_1", "pm_1", "visa")))).await;
    let payment = watch
        .step("its payment", Box::pin(system.begin_auto_payment(ada.account, PaymentId::new(now, world.random()), amount("100"))))
        .await
        .unwrap()
        .payment;
    watch.step("what it is asked of", Box::pin(system.auto_payment(&payment))).await;
    watch.step("what it says", Box::pin(owner.auto_top_up(now))).await;
    let says = Says::Declined { why: "declined" };
    let news = News { event: None, account: ada.account, payment: payment.id, intent: None, says };
    watch.step("its end", Box::pin(system.take_news(&news, amount("100")))).await;
}

/// A code that a customer redeems.
async fn redeeming(world: &World, ledger: &Ledger, watch: &mut Watch, ada: Customer) {
    let (_, given) = codes::made(world, codes::terms()).await;
    let redemption = codes::redemption(world, &given[0]);
    let owner = ledger.owner(ada.user).await.unwrap();
    watch.step("a code", Box::pin(owner.redeem(redemption))).await;
    watch.step("the same code again", Box::pin(owner.redeem(redemption))).await;
}

/// A call that a package of tokens pays.
async fn packages(world: &mut World, ledger: &Ledger, watch: &mut Watch, ada: Customer) {
    let operator = ledger.system().operator();
    let package = world.grant("1", "a package");
    let package = NewGrant { unit: Unit::Tokens, quantity: Quantity::from_count(500), ..package };
    watch.step("a package of tokens", operator.add_grant(ada.account, package)).await;
    let in_tokens = with(world.intent(ada, "0.2"), |call| call.tokens_held = Tokens::from_sum(300));
    watch.step("a hold in tokens", world.lease_in(ledger, &in_tokens)).await;
    watch.step("a settlement in tokens", world.post_in(ledger, &[world.settle(&in_tokens, ada, 100, 10)])).await;
}

/// Calls of a run of somebody's.
fn of_run(world: &mut World, ada: Customer, minute: i64) -> SettledCall {
    let mut call = world.call(ada, 100 + minute, 10, TimeDelta::minutes(minute));
    let mut tags = Tags::default();
    tags.insert("team", "search").unwrap();
    call.admitted.attribution = Attribution { end_user: Some(label("user 3")), session: Some(label("run 5")), client: None, tags };
    call
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

/// Keys as they are made, found and revoked.
async fn keys(world: &mut World, ledger: &Ledger, watch: &mut Watch, ada: Customer) {
    let (meter, now) = (ledger.meter(), world.now);
    let owner = ledger.owner(ada.user).await.unwrap();
    let research = ProjectId::new(now, world.random());
    watch.step("a project", owner.add_project(NewProject { id: research, name: "Research", now })).await;
    let secret = world.secret();
    let new = world.new_key(ada, &secret, "second");
    let id = new.id;
    watch.step("a key", owner.create_key(new)).await;
    let entry = watch.step("the key of a call", meter.key(&ledger::keys::digest(&secret))).await.unwrap();
    watch.step("the limits of a key", meter.limits(&entry, now)).await;
    watch.step("what a key spent", meter.key_usage(ada.account, id, now)).await;
    watch.step("what a key can spend", meter.balance(ada.account, now)).await;
    watch.step("a key in another project", owner.move_key(id, research)).await;
    watch.step("a key that is revoked", owner.revoke_key(id, now)).await;
}

/// What the console shows a customer.
async fn pages(world: &World, ledger: &Ledger, watch: &mut Watch, ada: Customer) {
    let (reader, now) = (ledger.reader(ada.user).await.unwrap(), world.now);
    for filter in filters(ada) {
        for step in [Step::Hour, Step::Day] {
            let filter = UsageFilter { calls: filter.clone(), step: Some(step), ..UsageFilter::default() };
            watch.step("the usage page", reader.usage(&filter, now)).await;
        }
        let page = watch.step("the call log", reader.calls(&filter, None, 5, now)).await;
        watch.step("its next page", reader.calls(&filter, page.next, 5, now)).await;
        let call = page.calls.first().unwrap_or_else(|| panic!("{filter:?} finds nothing")).id;
        watch.step("a receipt", reader.call(call)).await;
        watch.step("a generation", ledger.meter().generation(ada.account, call)).await;
    }
    let statement = watch.step("the statement", reader.statement(None, 5, now)).await;
    let newest = statement.journal.lines[0].rows()[0].number;
    watch.step("the statement before a posting", reader.statement(Some(newest), 5, now)).await;
    watch.step("the statement of a month", reader.monthly(CalendarMonth::of(now), now)).await;
    watch.step("the months", reader.months(now)).await;
    watch.step("the documents", reader.documents(None, 5)).await;
    watch.step("who buys", reader.buyer()).await;
    watch.step("the billing page", reader.balance(now)).await;
    watch.step("what is lent", reader.credit_line()).await;
    watch.step("the limits page", reader.limits(now)).await;
    watch.step("the keys page", reader.keys(now)).await;
    watch.step("the projects", reader.projects()).await;
    watch.step("the choices of a filter", reader.filter_choices()).await;
}

/// One that is answered from the sums, one that the sums lead to, and those that only the calls can answer.
fn filters(ada: Customer) -> [CallFilter; 5] {
    let all = CallFilter::default;
    [
        all(),
        CallFilter { key: Some(ada.key), period: Period::Last7Days, ..all() },
        CallFilter { end_user: Some(label("user 3")), ..all() },
        CallFilter { session: Some(label("run 5")), key: Some(ada.key), ..all() },
        CallFilter { tag: Some(TagFilter { name: label("team"), value: Some(label("search")) }), ..all() },
    ]
}

/// Every part of a plan that was executed, indexes and what foreign keys ask for included, is of the account's shard: of statements that name the account,
/// and of those that find or write a batch by its arrays, which are handed one account's calls here. A row that is inserted is in its account's shard by
/// what a shard is. Not claimed: that a plan has no other shards, which it may have without executing them; statements of [`OVER_ALL`]; and the other jobs,
/// the operator's pages and the proof, which go from account to account.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_statement_about_one_account_touches_one_shard(pool: PgPool) {
    let mut world = World::spread(pool).await;
    for number in 0..18 {
        let other = world.customer(&format!("other-{number}"), "10").await;
        let call = world.call(other, 10, 10, TimeDelta::minutes(number));
        world.post(&[call]).await.unwrap();
    }
    let (ada, bob) = (world.customer("ada", "10").await, world.customer("bob", "10").await);
    // From here on the only hour that ends is that of the account that is looked at.
    world.ledger.system().close_hours().await.unwrap();
    plans::set(&world.pool, &AS_IF_LARGE).await;
    let plans = Plans::listen(&world.pool).await;
    let ledger = Ledger::connect(&world.login, 1).dated(world.now);
    let mut watch = Watch { plans, shards: plans::shards(&world.pool).await, home: String::new(), faults: Vec::new() };
    for customer in [ada, bob] {
        watch.home = home(&world, customer).await;
        // On the heap: a future of so many steps is larger than a test's stack.
        Box::pin(keys(&mut world, &ledger, &mut watch, customer)).await;
        Box::pin(packages(&mut world, &ledger, &mut watch, customer)).await;
        Box::pin(money_path(&mut world, &ledger, &mut watch, customer)).await;
        Box::pin(paying(&mut world, &ledger, &mut watch, customer)).await;
        Box::pin(topping_up(&world, &ledger, &mut watch, customer)).await;
        Box::pin(redeeming(&world, &ledger, &mut watch, customer)).await;
        Box::pin(pages(&world, &ledger, &mut watch, customer)).await;
    }
    assert!(watch.faults.is_empty(), "{:#?}", watch.faults);
    world.assert_proven().await;
}

/// The shard that an account is in.
async fn home(world: &World, customer: Customer) -> String {
    let shard = "select right(tableoid::regclass::text, 2) from accounts where account_id = $1";
    sqlx::query_scalar(shard).bind(customer.account.uuid()).fetch_one(&world.pool).await.unwrap()
}
