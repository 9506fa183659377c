//! Plans and packages: what they take, what they give, and what becomes of them from month to month.

use chrono::{DateTime, Days, Months, TimeDelta, Utc};
use domain::{
    billing::{GrantKind, JournalKind},
    credit::{CreditLine, Hardness, LimitSetter, LimitState, Mode, Quantity, Scope, Unit, Window},
    id::{LimitId, PlanId},
    money::Amount,
    plan::{Overage, Plan, PlanLimits, PlanTerms, Term},
    pricing::Discount,
    tokens::Tokens,
};
use ledger::{Bought, Error, Ledger, NewLimit, NewPlan, Purchase};
use sqlx::PgPool;

use crate::world::{Customer, MODEL, World, amount, monthly, with};

/// A world that began on 31 January three years ago, so that months can pass in it.
async fn past_world(pool: PgPool) -> World {
    let mut world = World::new(pool).await;
    world.now = "2024-01-31T12:00:00Z".parse().unwrap();
    world.ledger = world.ledger.dated(world.now);
    world
}

impl World {
    async fn buy(&self, ledger: &Ledger, customer: Customer, plan: &Plan) -> Result<Bought, Error> {
        ledger.owner(customer.user).await.unwrap().buy(self.purchase(plan)).await
    }

    async fn renew_at(&self, at: DateTime<Utc>) -> usize {
        self.ledger.dated(at).system().renew_plans().await.unwrap()
    }

    async fn subscription(&self, customer: Customer) -> Option<domain::plan::Subscription> {
        self.ledger.reader(customer.user).await.unwrap().subscription().await.unwrap()
    }

    /// What is in the wallet, and in the allowance of the running period.
    async fn has(&self, customer: Customer, at: DateTime<Utc>) -> (Amount, Amount) {
        let balance = self.ledger.reader(customer.user).await.unwrap().balance(at).await.unwrap();
        let of = |kind| balance.grants.iter().filter(|grant| grant.kind == kind).map(|grant| grant.balance.get()).sum::<i64>();
        (Amount::from_nanos(of(GrantKind::Wallet)), Amount::from_nanos(of(GrantKind::Plan)))
    }
}

fn months(at: DateTime<Utc>, many: u32) -> DateTime<Utc> {
    at.checked_add_months(Months::new(many)).unwrap()
}

fn half_of(period: domain::plan::Month) -> DateTime<Utc> {
    period.from + (period.to - period.from) / 2
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plan_takes_its_fee_and_gives_its_allowance_once_however_often_it_is_asked_for(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "25").await;
    let plan = world.sell("Basic", monthly()).await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let purchase = world.purchase(&plan);
    let both = tokio::join!(owner.buy(purchase), owner.buy(purchase));
    let Bought::Now(until) = both.0.unwrap() else { panic!("it begins now") };
    assert_eq!(both.1.unwrap(), Bought::Now(until));
    assert_eq!(world.has(ada, world.now).await, (amount("15"), amount("20")));
    let subscription = world.subscription(ada).await.unwrap();
    assert_eq!((subscription.plan.name.as_str(), subscription.period.to), ("Basic", until));
    assert_eq!((subscription.left, until.date_naive().to_string().as_str()), (Quantity::from(amount("20")), "2024-02-29"));
    // Another purchase of the same is none.
    let again = world.buy(&world.ledger, ada, &plan).await;
    assert!(matches!(again, Err(Error::Invalid { field: "plan", .. })), "{again:?}");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_cannot_be_paid_for_is_not_had(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "9.999999999").await;
    let plan = world.sell("Basic", monthly()).await;
    let refused = world.buy(&world.ledger, ada, &plan).await;
    assert!(matches!(refused, Err(Error::InsufficientCredit { needed, .. }) if needed == amount("10")), "{refused:?}");
    assert_eq!(world.subscription(ada).await, None);
    assert_eq!(world.has(ada, world.now).await, (amount("9.999999999"), Amount::ZERO));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn each_month_is_paid_for_once_and_what_is_left_of_the_one_before_lapses(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let began = world.subscription(ada).await.unwrap().period.from;
    assert_eq!(world.renew_at(months(began, 1) - TimeDelta::seconds(1)).await, 0, "it is not over");
    let over = months(began, 1);
    assert_eq!((world.renew_at(over).await, world.renew_at(over).await, world.renew_at(over + TimeDelta::hours(1)).await), (1, 0, 0));
    world.ledger.dated(over).system().lapse_grants().await.unwrap();
    assert_eq!(world.has(ada, over).await, (amount("80"), amount("20")));
    let next = world.subscription(ada).await.unwrap().period;
    assert_eq!((next.from, next.to), (over, months(began, 2)), "from the 29th to the 31st");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn months_in_which_nothing_ran_are_not_billed(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let began = world.subscription(ada).await.unwrap().period.from;
    let later = months(began, 4) + TimeDelta::days(3);
    assert_eq!(world.renew_at(later).await, 1);
    assert_eq!(world.has(ada, later).await.0, amount("80"), "the first month, and the one that runs");
    let period = world.subscription(ada).await.unwrap().period;
    assert_eq!((period.from, period.to), (months(began, 4), months(began, 5)));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_dearer_plan_begins_at_once_and_takes_off_the_lesser_of_the_time_and_the_allowance_that_are_left(pool: PgPool) {
    let mut world = past_world(pool).await;
    let (ada, ben) = (world.customer("ada", "100").await, world.customer("ben", "100").await);
    let plan = world.sell("Basic", monthly()).await;
    let large = world.sell("Large", PlanTerms { fee: amount("50"), allowance: Quantity::from(amount("200")), ..monthly() }).await;
    for customer in [ada, ben] {
        world.buy(&world.ledger, customer, &plan).await.unwrap();
    }
    let period = world.subscription(ada).await.unwrap().period;
    // Of what Ben was given nine tenths are taken by somebody who writes into the books: no call can be of those days.
    let take = "update grants set leased = 18000000000 where account_id = $1 and kind = 'plan'";
    sqlx::query(take).bind(ben.account.uuid()).execute(&world.pool).await.unwrap();
    let half = world.ledger.dated(half_of(period));
    for customer in [ada, ben] {
        assert!(matches!(world.buy(&half, customer, &large).await.unwrap(), Bought::Now(_)));
    }
    sqlx::query("update grants set leased = 0 where account_id = $1").bind(ben.account.uuid()).execute(&world.pool).await.unwrap();
    let at = world.subscription(ada).await.unwrap().period.from;
    // Some microseconds after the half: the books date what follows after what was.
    let back = world.has(ada, at).await.0.checked_sub(amount("40")).unwrap();
    assert!(back <= amount("5") && back > amount("4.9999"), "half of 10 comes back: {back}");
    assert_eq!(world.has(ada, at).await.1, amount("200"), "what was left of the plan before has lapsed");
    assert_eq!(world.has(ben, at).await.0, amount("41"), "a tenth of the allowance was left");
    world.ledger.dated(at).system().lapse_grants().await.unwrap();
    world.assert_proven().await;
}

/// Also one that comes again when something else was bought since.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_that_is_asked_for_again_is_made_once(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    let large = world.sell("Large", PlanTerms { fee: amount("20"), ..monthly() }).await;
    let huge = world.sell("Huge", PlanTerms { fee: amount("30"), ..monthly() }).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let purchase = world.purchase(&large);
    let bought = owner.buy(purchase).await.unwrap();
    let left = world.has(ada, world.now).await.0;
    assert_eq!((owner.buy(purchase).await.unwrap(), world.has(ada, world.now).await.0), (bought, left));
    world.buy(&world.ledger, ada, &huge).await.unwrap();
    assert_eq!(owner.buy(purchase).await.unwrap(), bought);
    let now = world.subscription(ada).await.unwrap();
    assert_eq!((now.plan.name.as_str(), now.next), ("Huge", None));
    let other = owner.buy(Purchase { plan: huge.id, ..purchase }).await;
    assert!(matches!(other, Err(Error::IdempotencyConflict)), "{other:?}");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_cheaper_plan_follows_when_the_month_is_over_and_can_be_thought_better_of(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    let small = world.sell("Small", PlanTerms { fee: amount("4"), ..monthly() }).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let over = world.subscription(ada).await.unwrap().period.to;
    assert_eq!(world.buy(&world.ledger, ada, &small).await.unwrap(), Bought::Then(over));
    assert_eq!(world.subscription(ada).await.unwrap().next.unwrap().name, "Small");
    let owner = world.ledger.owner(ada.user).await.unwrap();
    owner.end_plan(plan.id, false).await.unwrap();
    assert_eq!(world.subscription(ada).await.unwrap().next, None, "it stays after all");
    world.buy(&world.ledger, ada, &small).await.unwrap();
    assert_eq!(world.has(ada, world.now).await.0, amount("90"), "nothing is paid before");
    assert_eq!(world.renew_at(over).await, 1);
    let now = world.subscription(ada).await.unwrap();
    assert_eq!((now.plan.name.as_str(), now.next, world.has(ada, over).await.0), ("Small", None, amount("86")));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plan_that_is_ended_lasts_until_its_month_is_over(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    assert!(matches!(owner.end_plan(plan.id, true).await, Err(Error::NotFound)));
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let other = world.sell("Other", monthly()).await;
    assert!(
        matches!(owner.end_plan(other.id, true).await, Err(Error::Invalid { field: "plan", .. })),
        "a page that is out of date ends nothing"
    );
    assert!(!world.subscription(ada).await.unwrap().ends);
    owner.end_plan(plan.id, true).await.unwrap();
    let open = world.subscription(ada).await.unwrap();
    assert!(open.ends);
    assert_eq!(world.renew_at(open.period.to).await, 0);
    assert_eq!((world.subscription(ada).await, world.has(ada, open.period.to).await), (None, (amount("90"), Amount::ZERO)));
    world.ledger.dated(open.period.to).system().lapse_grants().await.unwrap();
    world.buy(&world.ledger.dated(open.period.to), ada, &plan).await.unwrap();
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn who_cannot_pay_gets_a_whole_month_once_they_can_and_has_a_week_for_it(pool: PgPool) {
    let mut world = past_world(pool).await;
    let (ada, ben) = (world.customer("ada", "12").await, world.customer("ben", "12").await);
    let plan = world.sell("Basic", monthly()).await;
    for customer in [ada, ben] {
        world.buy(&world.ledger, customer, &plan).await.unwrap();
    }
    let over = world.subscription(ben).await.unwrap().period.to;
    assert_eq!(world.renew_at(over).await, 0);
    assert!(world.subscription(ada).await.unwrap().unpaid_since.is_some());
    let paid = over + TimeDelta::days(3);
    let money = world.money("10", "again");
    world.ledger.dated(paid).owner(ada.user).await.unwrap().top_up(money).await.unwrap();
    assert_eq!(world.renew_at(paid).await, 1);
    let open = world.subscription(ada).await.unwrap();
    assert_eq!((open.unpaid_since, open.period.to.date_naive()), (None, months(paid, 1).date_naive()));
    assert_eq!(world.renew_at(over + TimeDelta::days(6)).await, 0);
    assert!(world.subscription(ben).await.is_some());
    world.renew_at(over + TimeDelta::days(8)).await;
    assert_eq!((world.subscription(ben).await, world.has(ben, paid).await.0), (None, amount("2")));
    world.ledger.dated(paid).system().lapse_grants().await.unwrap();
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plan_that_refuses_what_goes_beyond_it_spares_the_wallet_for_as_long_as_it_lasts(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Fixed", PlanTerms { overage: Overage::Refused, allowance: Quantity::from(amount("1")), ..monthly() }).await;
    let lend = |line: CreditLine| {
        let operator = world.ledger.system().operator();
        async move { operator.change_credit_line(ada.account, "test", move |own| *own = line).await }
    };
    lend(CreditLine { amount: amount("5"), ..CreditLine::default() }).await.unwrap();
    let refused = world.buy(&world.ledger, ada, &plan).await;
    assert!(matches!(&refused, Err(Error::Invalid { field: "plan", .. })), "{refused:?}");
    assert_eq!(world.has(ada, world.now).await.0, amount("100"), "nothing was taken");
    lend(CreditLine::default()).await.unwrap();
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    assert_eq!(world.balance(ada).await.mode, Mode::Quota);
    let exhausted = world.lease(&world.intent(ada, "1.1")).await;
    assert!(matches!(&exhausted, Err(Error::Exhausted(_))), "{exhausted:?}");
    world.lease(&world.intent(ada, "1")).await.unwrap();
    let large = world.sell("Open", PlanTerms { fee: amount("20"), ..monthly() }).await;
    world.buy(&world.ledger, ada, &large).await.unwrap();
    assert_eq!(world.balance(ada).await.mode, Mode::Prepaid, "the next one does not");
    world.lease(&world.intent(ada, "50")).await.unwrap();
    world.assert_proven().await;
}

/// A plan takes nobody off quota whom an operator has put there.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_account_that_was_on_quota_before_stays_so_when_its_plan_ends(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    world.ledger.system().operator().change_credit_line(ada.account, "test", |line| line.is_quota = true).await.unwrap();
    let plan = world.sell("Fixed", PlanTerms { overage: Overage::Refused, ..monthly() }).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    world.ledger.owner(ada.user).await.unwrap().end_plan(plan.id, true).await.unwrap();
    world.renew_at(world.subscription(ada).await.unwrap().period.to).await;
    assert_eq!((world.subscription(ada).await, world.balance(ada).await.mode), (None, Mode::Quota));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_package_is_bought_once_beside_any_plan_and_lapses(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let terms = PlanTerms { term: Term::Once { days: 30 }, unit: Unit::Tokens, allowance: Quantity::from_count(5_000), ..monthly() };
    let package = world.sell("Volume", PlanTerms { models: Some(vec![MODEL.to_owned()]), ..terms }).await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let purchase = world.purchase(&package);
    let Bought::Now(until) = owner.buy(purchase).await.unwrap() else { panic!("it begins now") };
    assert_eq!(owner.buy(purchase).await.unwrap(), Bought::Now(until), "the second click");
    world.buy(&world.ledger, ada, &package).await.unwrap();
    let balance = world.ledger.reader(ada.user).await.unwrap().balance(world.now + TimeDelta::days(1)).await.unwrap();
    let packages: Vec<_> = balance.grants.iter().filter(|grant| grant.kind == GrantKind::Package).collect();
    assert_eq!((packages.len(), packages[0].balance, balance.balance), (2, Quantity::from_count(5_000), amount("80")));
    assert_eq!(packages[0].models.as_deref(), Some(&[MODEL.to_owned()][..]));
    let over = until.checked_add_days(Days::new(1)).unwrap();
    assert_eq!((world.renew_at(over).await, world.ledger.dated(over).system().lapse_grants().await.unwrap()), (0, 2));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_purchase_would_come_to_is_what_it_comes_to_and_nothing_is_bought_by_asking(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "40").await;
    let plan = world.sell("Basic", monthly()).await;
    let large = world.sell("Large", PlanTerms { fee: amount("50"), ..monthly() }).await;
    let package = world.sell("Volume", PlanTerms { term: Term::Once { days: 30 }, ..monthly() }).await;
    let quote = async |ledger: &Ledger, plan: &Plan| ledger.owner(ada.user).await.unwrap().quote(plan.id).await.unwrap();
    let first = quote(&world.ledger, &plan).await;
    assert_eq!((first.due, first.credit, first.balance, first.missing()), (amount("10"), Amount::ZERO, amount("40"), None));
    assert_eq!(world.subscription(ada).await, None, "asking buys nothing");
    assert_eq!(world.buy(&world.ledger, ada, &plan).await.unwrap(), first.bought);
    let period = world.subscription(ada).await.unwrap().period;
    let half = world.ledger.dated(half_of(period));
    let dearer = quote(&half, &large).await;
    assert_eq!((dearer.credit, dearer.due, dearer.missing()), (amount("5"), amount("45"), Some(amount("15"))));
    assert_eq!(dearer.balance_after(), Some(amount("-15")), "which is why it is not sold");
    assert!(matches!(world.buy(&half, ada, &large).await, Err(Error::InsufficientCredit { .. })));
    world.ledger.owner(ada.user).await.unwrap().top_up(world.money("15", "more")).await.unwrap();
    assert_eq!(quote(&half, &large).await.missing(), None, "to the nano");
    assert_eq!(world.buy(&half, ada, &large).await.unwrap(), dearer.bought);
    assert_eq!(world.has(ada, half_of(period)).await.0, Amount::ZERO);
    let cheaper = quote(&half, &plan).await;
    assert_eq!((cheaper.due, cheaper.missing()), (Amount::ZERO, None));
    assert_eq!(world.buy(&half, ada, &plan).await.unwrap(), cheaper.bought);
    assert_eq!(quote(&half, &package).await.missing(), Some(amount("10")));
    // What is lent pays for no fee.
    let lent = world.ledger.system().operator().change_credit_line(ada.account, "test", |line| line.amount = amount("100")).await;
    assert!(lent.is_ok());
    assert_eq!(quote(&half, &package).await.missing(), Some(amount("10")));
    assert!(matches!(world.buy(&half, ada, &package).await, Err(Error::InsufficientCredit { .. })));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn who_has_what_is_told_for_as_long_as_they_have_it(pool: PgPool) {
    let mut world = past_world(pool).await;
    let (ada, ben) = (world.customer("ada", "100").await, world.customer("ben", "100").await);
    let plan = world.sell("Basic", monthly()).await;
    let large = world.sell("Large", PlanTerms { fee: amount("50"), ..monthly() }).await;
    let package = world.sell("Volume", PlanTerms { term: Term::Once { days: 30 }, ..monthly() }).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    world.buy(&world.ledger, ben, &large).await.unwrap();
    world.buy(&world.ledger, ben, &plan).await.unwrap();
    for _ in 0..2 {
        world.buy(&world.ledger, ada, &package).await.unwrap();
    }
    let until = world.subscription(ben).await.unwrap().period.to;
    let over = until + TimeDelta::days(2);
    let counts = async |at: DateTime<Utc>| {
        let plans = world.ledger.dated(at).system().operator().plans().await.unwrap();
        plans.into_iter().map(|(plan, accounts)| (plan.name, accounts)).collect::<Vec<_>>()
    };
    let named = |name: &str, accounts| (name.to_owned(), accounts);
    assert_eq!(counts(world.now).await, [named("Basic", 1), named("Large", 1), named("Volume", 1)]);
    assert_eq!(counts(over).await.last(), Some(&named("Volume", 0)), "it is over, and its period is not forgotten");
    let holders = async |plan: &Plan, at| world.ledger.dated(at).system().operator().plan_holders(plan.id, 9).await.unwrap();
    let of_large = holders(&large, world.now).await;
    assert_eq!(of_large.len(), 1);
    assert_eq!((of_large[0].account, of_large[0].until, of_large[0].ends), (ben.account, until, false));
    assert_eq!((of_large[0].next.as_deref(), of_large[0].version), (Some("Basic"), 1));
    let of_package = holders(&package, world.now).await;
    assert_eq!((of_package.len(), of_package[0].account, of_package[0].ends), (2, ada.account, true));
    assert_eq!(holders(&package, over).await, []);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_version_is_looked_at_before_it_is_written_and_none_is_written_over_unseen(pool: PgPool) {
    let world = past_world(pool).await;
    let operator = world.ledger.system().operator();
    let new = |fee: &str, seen| NewPlan {
        id: PlanId::new(world.now, [7; 10]),
        name: "Basic",
        is_offered: true,
        terms: PlanTerms { fee: amount(fee), ..monthly() },
        seen,
        actor: "test",
        now: world.now,
    };
    let reviewed = operator.review_plan(new("10", Some(0))).await.unwrap().unwrap();
    assert_eq!(operator.plans().await.unwrap(), [], "nothing is written yet");
    let first = operator.set_plan(new("10", Some(0))).await.unwrap();
    assert_eq!(first, reviewed);
    assert_eq!(operator.set_plan(new("10", Some(0))).await.unwrap(), first, "the second click");
    assert_eq!(operator.review_plan(new("10", Some(1))).await.unwrap(), None, "nothing would change");
    let unseen = operator.set_plan(new("11", Some(0))).await;
    assert!(matches!(unseen, Err(Error::Taken("a plan or a package of this name"))), "{unseen:?}");
    let second = operator.set_plan(new("11", Some(1))).await.unwrap();
    let unseen = operator.set_plan(new("12", Some(1))).await;
    assert!(matches!(unseen, Err(Error::Taken("a newer version than the one that you saw"))), "{unseen:?}");
    let versions = operator.plan_versions(first.id).await.unwrap();
    let versions: Vec<_> = versions.into_iter().map(|set| (set.plan, set.set_by)).collect();
    assert_eq!(versions, [(second, "test".to_owned()), (first, "test".to_owned())]);
    assert!(matches!(operator.plan_versions(PlanId::new(world.now, [8; 10])).await, Err(Error::NotFound)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn nobody_pays_another_price_than_they_have_seen_or_buys_what_is_not_offered(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let seen = world.sell("Basic", monthly()).await;
    assert_eq!(world.sell("Basic", monthly()).await, seen, "the same is no other version");
    let dearer = world.sell("basic", PlanTerms { fee: amount("11"), ..monthly() }).await;
    assert_eq!((dearer.id, dearer.version, dearer.name.as_str()), (seen.id, 2, "Basic"));
    let refused = world.buy(&world.ledger, ada, &seen).await;
    assert!(matches!(&refused, Err(Error::Invalid { problem, .. }) if problem.contains("has changed")), "{refused:?}");
    let new =
        NewPlan { id: dearer.id, name: "Basic", is_offered: false, terms: dearer.terms.clone(), seen: None, actor: "test", now: world.now };
    let hidden = world.ledger.system().operator().set_plan(new).await.unwrap();
    assert_eq!(world.ledger.offers().await.unwrap(), []);
    let refused = world.buy(&world.ledger, ada, &hidden).await;
    assert!(matches!(&refused, Err(Error::Invalid { problem, .. }) if problem.contains("not sold")), "{refused:?}");
    let operator = world.ledger.system().operator();
    assert!(operator.buy(ada.account, world.purchase(&hidden)).await.is_ok());
    assert_eq!(operator.plans().await.unwrap(), [(hidden.clone(), 1)]);
    let package = NewPlan {
        id: hidden.id,
        name: "Basic",
        is_offered: true,
        terms: PlanTerms { term: Term::Once { days: 3 }, ..monthly() },
        seen: None,
        actor: "test",
        now: world.now,
    };
    assert!(matches!(operator.set_plan(package).await, Err(Error::Invalid { field: "name", .. })));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plans_discount_holds_for_as_long_as_the_plan(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let discount = async || world.ledger.meter().key_of(ada.account, ada.key).await.unwrap().unwrap().discount.bps();
    let plan = world.sell("Tenth", PlanTerms { discount: Discount::from_bps(1_000).unwrap(), ..monthly() }).await;
    assert_eq!(discount().await, 0);
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    assert_eq!(discount().await, 1_000);
    sqlx::query("update accounts set discount_bps = 1500 where account_id = $1")
        .bind(ada.account.uuid())
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(discount().await, 1_500, "an own one that is better");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn calls_use_the_allowance_before_the_wallet(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    world.now += TimeDelta::seconds(1);
    let call = with(world.intent(ada, "0.5"), |call| call.tokens_held = Tokens::from_sum(3_000));
    world.lease(&call).await.unwrap();
    world.post(&[world.settle(&call, ada, 1_000, 0)]).await.unwrap();
    assert_eq!(world.subscription(ada).await.unwrap().left, Quantity::from(amount("19.999")));
    assert_eq!(world.has(ada, world.now).await.0, amount("90"));
    let statement = world.ledger.reader(ada.user).await.unwrap().statement(None, 50, world.now).await.unwrap();
    let fees: Vec<_> = statement.journal.lines.iter().flat_map(|line| line.rows()).filter(|row| row.kind == JournalKind::PlanFee).collect();
    assert_eq!((fees.len(), fees[0].amount), (1, amount("-10")));
    world.assert_proven().await;
}

/// What there is of limits that come with a plan: unit, window and capacity.
async fn bounds(world: &World, of: Customer) -> Vec<(&'static str, &'static str, i64)> {
    let limits = world.ledger.system().account(of.account).limits(world.now).await.unwrap();
    let of_plan = limits.into_iter().filter(|state| state.set_by == LimitSetter::Plan);
    of_plan.map(|LimitState { limit, .. }| (limit.pool.unit.name(), limit.window.name(), limit.pool.capacity.get())).collect()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plans_limits_come_with_it_bind_beside_the_accounts_and_go_with_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let (owner, operator) = (world.ledger.owner(ada.user).await.unwrap(), world.ledger.system().operator());
    let some = |count| Some(Quantity::from_count(count));
    let small = PlanLimits { requests_a_minute: some(1), money_a_month: some(5_000_000_000), ..PlanLimits::NONE };
    let plan = world.sell("Small", PlanTerms { limits: small, ..monthly() }).await;
    owner.buy(world.purchase(&plan)).await.unwrap();
    assert_eq!(bounds(&world, ada).await, [("requests", "minute", 1), ("money", "month", 5_000_000_000)]);
    world.lease(&world.intent(ada, "0.01")).await.unwrap();
    assert!(matches!(world.lease(&world.intent(ada, "0.01")).await, Err(Error::Exhausted(_))), "the second in a minute");
    let of_plan = owner.limits(world.now).await.unwrap().remove(0).limit.id;
    assert!(matches!(owner.remove_limit(of_plan).await, Err(Error::Forbidden)));
    assert!(matches!(operator.remove_limit(ada.account, of_plan).await, Err(Error::Forbidden)));

    // Whoever has it keeps it as it was; a dearer one takes its place at once.
    let large = PlanLimits { requests_a_minute: some(1_000), tokens_a_minute: some(50_000_000), ..PlanLimits::NONE };
    world.sell("Small", PlanTerms { limits: large, ..monthly() }).await;
    assert_eq!(bounds(&world, ada).await.len(), 2);
    let dear = world.sell("Large", PlanTerms { fee: amount("50"), limits: large, ..monthly() }).await;
    owner.buy(world.purchase(&dear)).await.unwrap();
    assert_eq!(bounds(&world, ada).await, [("tokens", "minute", 50_000_000), ("requests", "minute", 1_000)]);
    world.lease(&world.intent(ada, "0.01")).await.unwrap();
    // The tightest binds, whoever has set it.
    let own = NewLimit {
        id: LimitId::new(world.now, world.random()),
        scope: Scope::Account,
        window: Window::Minute,
        unit: Unit::Requests,
        hardness: Hardness::Hard,
        capacity: Quantity::from_count(1),
    };
    owner.set_limit(&own).await.unwrap();
    world.lease(&world.intent(ada, "0.01")).await.unwrap();
    assert!(matches!(world.lease(&world.intent(ada, "0.01")).await, Err(Error::Exhausted(_))), "the account's own");
    owner.remove_limit(own.id).await.unwrap();
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plans_limits_last_until_it_ends_and_change_with_the_month(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let money = |count| PlanLimits { money_a_month: Some(Quantity::from_count(count)), ..PlanLimits::NONE };
    let plan = world.sell("Large", PlanTerms { limits: money(7), ..monthly() }).await;
    let small = world.sell("Small", PlanTerms { fee: amount("4"), limits: money(3), ..monthly() }).await;
    let ledger = world.ledger.clone();
    world.buy(&ledger, ada, &plan).await.unwrap();
    world.buy(&ledger, ada, &small).await.unwrap();
    assert_eq!(bounds(&world, ada).await, [("money", "month", 7)], "it follows when the month is over");
    let over = world.subscription(ada).await.unwrap().period.to;
    assert_eq!(world.renew_at(over).await, 1);
    assert_eq!(bounds(&world, ada).await, [("money", "month", 3)]);
    ledger.owner(ada.user).await.unwrap().end_plan(small.id, true).await.unwrap();
    assert_eq!(bounds(&world, ada).await.len(), 1);
    let over = world.subscription(ada).await.unwrap().period.to;
    assert_eq!(world.renew_at(over).await, 0, "it ends");
    assert_eq!(bounds(&world, ada).await, []);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proof_finds_a_limit_of_a_plan_that_is_another(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let limits = PlanLimits { requests_a_minute: Some(Quantity::from_count(60)), ..PlanLimits::NONE };
    let plan = world.sell("Small", PlanTerms { limits, ..monthly() }).await;
    world.ledger.owner(ada.user).await.unwrap().buy(world.purchase(&plan)).await.unwrap();
    world.assert_proven().await;
    for (wrong, right) in [
        ("update limits set capacity = 61 where set_by = 'plan'", "update limits set capacity = 60 where set_by = 'plan'"),
        ("update limits set removed_at = now() where set_by = 'plan'", "update limits set removed_at = null where set_by = 'plan'"),
        ("update plan_versions set tokens_a_minute = 1", "update plan_versions set tokens_a_minute = null"),
    ] {
        sqlx::query(wrong).execute(&world.pool).await.unwrap();
        assert!(!world.proof().await.holds(), "{wrong}");
        sqlx::query(right).execute(&world.pool).await.unwrap();
        world.assert_proven().await;
    }
}
