//! The whole ledger under everything at once: calls of several proxies, replays, deaths of proxies and late settlements, corrections, money in and out,
//! credit that ends, limits, plans with limits of their own, prices that change, hours and days that close, and a clock that is set forward and back. A plain sum beside it says what each account must have; the proof is
//! asked again and again.
//!
//! A short round runs with the other tests. `make sim-ledger` runs `FAREBOX_SIM_SEEDS` of `FAREBOX_SIM_STEPS`; a seed that fails is printed, and the step.

mod calls;
mod dice;
mod given_back;
mod limits;
mod money;
mod plans;
mod prices;
mod proxies;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    credit::Unit,
    id::{CallId, GrantId, LimitId, PriceId, ProjectId},
    plan::Plan,
    rates::Rates,
};
use ledger::{Admitted, Ledger, NewProject, PostedCalls, SettledCall};
use sqlx::PgPool;

use self::{
    calls::State,
    dice::Dice,
    limits::run,
    money::{Both, Sum, months_with_two_graces},
};
use crate::{
    leases::slices,
    world::{Customer, Proxy, World, amount},
};

struct Walk {
    world: World,
    dice: Dice,
    customers: Vec<Customer>,
    projects: Vec<[ProjectId; 2]>,
    sums: Vec<Both<Sum>>,
    calls: Vec<(usize, Admitted, State)>,
    /// Those that live.
    proxies: Vec<Proxy>,
    /// Calls that ran when their proxies told of them.
    announced: BTreeSet<CallId>,
    /// Calls that ended, and whose rests did not go back yet.
    idle: Vec<(Vec<SettledCall>, PostedCalls)>,
    /// What calls are paid in.
    paid_in: BTreeMap<CallId, Unit>,
    grants: Vec<(usize, GrantId)>,
    limits: Vec<(usize, LimitId)>,
    /// Every version of a plan that was ever sold, the newest last.
    plans: Vec<Plan>,
    /// Calls that a limit of a plan refused.
    refused_by_plans: usize,
    /// Which of the customers ever were lenient.
    lenient: Vec<bool>,
    /// Every price there was, by when it began.
    prices: BTreeMap<DateTime<Utc>, PriceId>,
    rates: BTreeMap<PriceId, Rates>,
    /// The latest instant that the clock has shown.
    latest: DateTime<Utc>,
    serial: u64,
}

impl Walk {
    async fn begin(pool: PgPool, seed: u64) -> Self {
        let mut world = World::new(pool).await;
        let mut customers = Vec::new();
        let mut projects = Vec::new();
        for name in ["ada", "bob", "cyd"] {
            let customer = world.customer(name, "0").await;
            let second = ProjectId::new(world.now, world.random());
            let owner = world.ledger.owner(customer.user).await.unwrap();
            owner.add_project(NewProject { id: second, name: "second", now: world.now }).await.unwrap();
            projects.push([ProjectId::first_of(customer.account), second]);
            customers.push(customer);
        }
        let prices = BTreeMap::from([(DateTime::UNIX_EPOCH, world.price)]);
        let rates = BTreeMap::from([(world.price, world.rates.clone())]);
        let sums = customers.iter().map(|_| Both::default()).collect();
        let mut walk = Self {
            world,
            dice: Dice(seed),
            customers,
            projects,
            sums,
            calls: Vec::new(),
            proxies: Vec::new(),
            announced: BTreeSet::new(),
            idle: Vec::new(),
            paid_in: BTreeMap::new(),
            grants: Vec::new(),
            limits: Vec::new(),
            plans: Vec::new(),
            refused_by_plans: 0,
            lenient: vec![false; 3],
            prices,
            rates,
            latest: DateTime::UNIX_EPOCH,
            serial: 0,
        };
        for of in 0..walk.customers.len() {
            walk.top_up(of, 5_000_000_000).await;
        }
        for _ in 0..3 {
            walk.sell_plan().await;
        }
        for of in 0..walk.customers.len() {
            walk.buy_plan(of).await;
        }
        for _ in 0..3 {
            walk.proxies.push(walk.world.proxy().await);
        }
        walk
    }

    fn ledger(&self) -> Ledger {
        self.world.ledger.dated(self.world.now)
    }

    fn key(&mut self) -> String {
        self.serial += 1;
        format!("step {}", self.serial)
    }

    /// Time passes; now and then the clock is set back.
    fn pass(&mut self) {
        self.latest = self.latest.max(self.world.now);
        let minutes = if self.dice.below(8) == 0 { self.dice.between(-40, 0) } else { self.dice.between(0, 90) };
        self.world.now += TimeDelta::minutes(minutes);
    }

    async fn step(&mut self) {
        let of = self.dice.below(self.customers.len());
        match self.dice.below(100) {
            0..35 => self.begin_call(of).await,
            35..65 => self.end_calls().await,
            65..70 => self.release().await,
            70..75 => self.give_back().await,
            75..79 => {
                let nanos = self.dice.between(1, 2_000_000_000);
                self.top_up(of, nanos).await;
            }
            79..82 => self.take_back(of).await,
            82..85 => self.give_grant(of).await,
            85..89 => self.end_credit(of).await,
            89..92 => self.change_limits(of).await,
            92..93 => self.change_price().await,
            93..95 => self.lend(of).await,
            95..96 => self.die().await,
            96..98 => self.change_plan(of).await,
            _ => self.pass(),
        }
    }

    /// Every account has what came in, less what its calls cost and what lapsed.
    async fn check(&self) {
        for (of, sums) in self.sums.iter().enumerate() {
            assert_eq!(self.balance(of).await, sums.map(|Sum { put_in, cost, lapsed }| put_in - cost - lapsed), "account {of}");
        }
    }
}

/// How often a month passes in a walk: its clock stays behind Postgres' own, which books never get ahead of.
const MONTHS: usize = 3;

async fn walk(pool: PgPool, seed: u64, steps: usize) {
    let mut walk = Walk::begin(pool, seed).await;
    for step in 0..steps {
        println!("seed {seed}, step {step}");
        walk.step().await;
        walk.check().await;
        if step % (steps / MONTHS).max(1) == steps / MONTHS / 2 {
            walk.pass_a_month().await;
        }
        if step % 50 == 49 {
            walk.assert_bounded_by_plans().await;
            walk.world.assert_proven().await;
        }
    }
    assert!(steps < 600 || walk.refused_by_plans > 0, "plans bound nothing");
    // Everything ends, and nothing is held any more.
    walk.return_idle().await;
    while let Some((_, intent, state)) = walk.calls.pop() {
        if matches!(state, State::Running) {
            walk.give_up(&intent).await;
        }
    }
    assert_eq!(slices(&walk.world).await, 0);
    assert_eq!(months_with_two_graces(&walk.world).await, 0);
    let system = walk.world.ledger.system();
    system.close_hours().await.unwrap();
    system.seal_days().await.unwrap();
    for customer in &walk.customers {
        assert_eq!(walk.world.balance(*customer).await.reserved, amount("0"));
    }
    walk.check().await;
    walk.world.assert_proven().await;
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_account_has_what_came_in_less_what_its_calls_cost(pool: PgPool) {
    let (first, seeds, steps) = (setting("FAREBOX_SIM_FIRST", 1), setting("FAREBOX_SIM_SEEDS", 1), setting("FAREBOX_SIM_STEPS", 600));
    for seed in first..first + seeds {
        // Each on empty books.
        let tables = "accounts, plans, plan_versions, users, memberships, sessions, projects, api_keys, key_digests, providers, models, price_versions, heads, grants, credit_lines, limits, limit_windows, \
                      intents, epochs, leases, slices, notices, journal, entries, books, roots, proofs, calls, corrections, usage_hourly, usage_daily, quarantine";
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("truncate {tables} cascade"))).execute(&pool).await.unwrap();
        walk(pool.clone(), seed, usize::try_from(steps).unwrap()).await;
    }
}
