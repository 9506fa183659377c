//! A small deployment to test in: one provider, one priced model, and as many customers as a test asks for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::Attribution,
    billing::GrantKind,
    call::{Outcome, UsageSource},
    catalog::{ModelBounds, OutputCapField, PriceKind},
    credit::{self, Caller, Demand, Hold, PoolRef, Quantity, Split, Strictness, Unit},
    id::{AccountId, CallId, EpochId, GrantId, KeyId, ModelId, PlanId, PriceId, ProjectId, ProviderId, SubscriptionId, UserId},
    key::ApiKey,
    lease::{Ask, Change},
    money::Amount,
    plan::{Overage, Plan, PlanLimits, PlanTerms, Term},
    pricing::{self, Charge, Discount, Excess},
    proof::Proof,
    rates::Rates,
    service_tier::ServiceTier,
    tokens::{CallUsage, Tokens},
};
use ledger::{
    Address, Admitted, CallCredit, ChangedLease, Ending, Error, Ledger, Login, MoneyIn, NewCustomer, NewEpoch, NewGrant, NewKey, NewModel,
    NewPlan, NewPrice, PostedCalls, Purchase, SettledCall, Verification, Wait, secrets::SecretKey,
};
use sqlx::{PgPool, migrate::Migrator};
use uuid::Uuid;

use crate::twin;

pub(crate) const MODEL: &str = "small";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const PROXY: Uuid = Uuid::from_u128(7);
/// How long a connection may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) address: Address,
    pub(crate) login: Login,
    /// As the owner of the schema, for looking and for tampering.
    pub(crate) pool: PgPool,
    pub(crate) now: DateTime<Utc>,
    pub(crate) price: PriceId,
    pub(crate) rates: Rates,
    /// The proxy of all calls of which a test does not say whose they are.
    pub(crate) proxy: Proxy,
    serial: AtomicU64,
    /// What leased calls hold.
    held: Mutex<HashMap<CallId, Held>>,
}

/// A life of a proxy. An account has one change of it in flight, as it is in production: here one change has it, of whatever account.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) epoch: EpochId,
    number: Arc<tokio::sync::Mutex<i64>>,
}

#[derive(Debug)]
struct Held {
    proxy: Proxy,
    split: Split,
    /// Whether what it did not use went back, or all of it.
    is_back: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Customer {
    pub(crate) user: UserId,
    pub(crate) account: AccountId,
    pub(crate) key: KeyId,
}

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// A plan by the month: 10 for 20 of credit, beyond which the wallet pays.
pub(crate) fn monthly() -> PlanTerms {
    PlanTerms {
        term: Term::Monthly,
        fee: amount("10"),
        unit: Unit::Money,
        allowance: Quantity::from(amount("20")),
        models: None,
        overage: Overage::Wallet,
        discount: Discount::NONE,
        limits: PlanLimits::NONE,
    }
}

/// The same call, admitted on other terms.
pub(crate) fn with(mut call: Admitted, change: impl FnOnce(&mut Admitted)) -> Admitted {
    change(&mut call);
    call
}

/// What a proxy with nothing free asks for a call.
pub(crate) fn ask(call: &Admitted) -> Ask {
    let demand = Demand { money: call.held, tokens: call.tokens_held, requests: 1 };
    let caller = Caller { key: call.key_id, project: call.project_id, member: call.member, run: call.attribution.session.clone() };
    Ask::new(demand, caller, call.model.clone(), call.call_id.started_at().unwrap())
}

/// Gives back all that an epoch had. What a refusal undid may be locked for a moment after it was refused.
pub(crate) async fn give_back_all(ending: &Ending) {
    let begun = Instant::now();
    while !ending.give_back().await.unwrap() {
        assert!(begun.elapsed() < PATIENCE, "an account stays locked");
        tokio::task::yield_now().await;
    }
}

/// What a call holds that has just this.
pub(crate) fn split_of(given: &[Hold]) -> Split {
    let (payment, limits) = given.iter().partition(|hold| matches!(hold.pool, PoolRef::Grant(_)));
    Split { payment, limits }
}

impl World {
    pub(crate) async fn new(pool: PgPool) -> Self {
        Self::of(pool, twin::is_wanted()).await
    }

    /// One whose tables are spread by the account, see [`twin`].
    pub(crate) async fn spread(pool: PgPool) -> Self {
        Self::of(pool, true).await
    }

    async fn of(pool: PgPool, is_spread: bool) -> Self {
        let now = at_noon();
        let address = Address::from((*pool.connect_options()).clone());
        let login = Login::derived(&address, &SecretKey::from_bytes([7; 32]));
        Ledger::migrate(&address, now).await.unwrap();
        if is_spread {
            twin::spread(&pool).await;
        }
        Ledger::prepare_login(&address, &login).await.unwrap();
        // What is posted is of the same day as what it is of.
        let ledger = Ledger::connect_patiently(&login, 20, PATIENCE).dated(now);
        let proxy = begin(&ledger, EpochId::new(now, [0; 10]), PROXY, now).await;
        Self::with(ledger, address, login, pool, now, proxy).await
    }

    /// One with the schema of an earlier version, in which its owner may do what tables of this version are not needed for.
    pub(crate) async fn earlier(pool: PgPool, version: i64) -> Self {
        let now = at_noon();
        let address = Address::from((*pool.connect_options()).clone());
        let login = Login::derived(&address, &SecretKey::from_bytes([7; 32]));
        let migrations = ledger::MIGRATOR.iter().filter(|migration| migration.version <= version).cloned().collect();
        Migrator::with_migrations(migrations).run(&pool).await.unwrap();
        behind(&pool).await;
        let ledger = Ledger::connect_as_owner(&address, 5).dated(now);
        let proxy = Proxy { epoch: EpochId::new(now, [0; 10]), number: Arc::default() };
        let world = Self::with(ledger, address, login, pool, now, proxy).await;
        sqlx::query(
            "alter table price_versions drop column withdrawn_at, drop column account_id, drop column ends_at, drop column service_tier",
        )
        .execute(&world.pool)
        .await
        .unwrap();
        world
    }

    async fn with(ledger: Ledger, address: Address, login: Login, pool: PgPool, now: DateTime<Utc>, proxy: Proxy) -> Self {
        let rates = Rates::plain(amount("0.001"), amount("0.002"));
        let (price, serial, held) = (PriceId::from_uuid(Uuid::from_u128(1)), AtomicU64::new(0), Mutex::default());
        let mut world = Self { ledger, address, login, pool, now, price, rates, proxy, serial, held };
        world.add_catalog().await;
        world
    }

    /// Another proxy, whose life begins.
    pub(crate) async fn proxy(&self) -> Proxy {
        let epoch = EpochId::new(self.now, self.random());
        begin(&self.ledger, epoch, epoch.uuid(), self.now).await
    }

    /// Leases all that a call can take, just for it. Says what it is paid in.
    pub(crate) async fn lease(&self, call: &Admitted) -> ledger::Result<Unit> {
        self.lease_of(&self.proxy, &self.ledger, call).await
    }

    /// [`Self::lease`] by a proxy.
    pub(crate) async fn lease_by(&self, proxy: &Proxy, call: &Admitted) -> ledger::Result<Unit> {
        self.lease_of(proxy, &self.ledger, call).await
    }

    /// [`Self::lease`] by a ledger that is dated otherwise.
    pub(crate) async fn lease_in(&self, ledger: &Ledger, call: &Admitted) -> ledger::Result<Unit> {
        self.lease_of(&self.proxy, ledger, call).await
    }

    pub(crate) async fn lease_of(&self, proxy: &Proxy, ledger: &Ledger, call: &Admitted) -> ledger::Result<Unit> {
        let ask = Ask { held: self.held_by(proxy), ..ask(call) };
        let changed = proxy.change(ledger, call.account_id, Vec::new(), Some(ask)).await?;
        let answer = changed.answer.unwrap();
        if let Some(refused) = answer.refused {
            return Err(Error::Exhausted(Box::new(refused)));
        }
        let split = split_of(&answer.given);
        let unit = credit::unit_of(&split.payment);
        self.held.lock().unwrap().insert(call.call_id, Held { proxy: proxy.clone(), split, is_back: false });
        Ok(unit)
    }

    /// What the running calls of a proxy hold.
    fn held_by(&self, proxy: &Proxy) -> Vec<Hold> {
        let held = self.held.lock().unwrap();
        let own = held.values().filter(|held| held.proxy.epoch == proxy.epoch && !held.is_back);
        own.flat_map(|held| held.split.payment.iter().chain(&held.split.limits)).copied().collect()
    }

    /// Gives back all that a call holds: it was never forwarded.
    pub(crate) async fn release(&self, call: &Admitted) -> ledger::Result<()> {
        self.release_in(&self.ledger, call).await
    }

    /// [`Self::release`] by a ledger that is dated otherwise.
    pub(crate) async fn release_in(&self, ledger: &Ledger, call: &Admitted) -> ledger::Result<()> {
        let Some((proxy, split)) = self.take_held(call.call_id) else { return Ok(()) };
        let returned = [split.payment, split.limits].concat();
        proxy.change(ledger, call.account_id, returned, None).await.map(drop)
    }

    /// Posts calls. What those that were leased held and did not use goes back then, as idle slices do within seconds.
    pub(crate) async fn post(&self, calls: &[SettledCall]) -> ledger::Result<PostedCalls> {
        self.post_in(&self.ledger, calls).await
    }

    /// [`Self::post`] by a ledger that is dated otherwise.
    pub(crate) async fn post_in(&self, ledger: &Ledger, calls: &[SettledCall]) -> ledger::Result<PostedCalls> {
        let done = ledger.meter().post_calls(calls).await?;
        self.return_rests(ledger, calls, &done).await?;
        Ok(done)
    }

    /// Gives back what calls held and did not use, each once.
    pub(crate) async fn return_rests(&self, ledger: &Ledger, calls: &[SettledCall], done: &PostedCalls) -> ledger::Result<()> {
        let mut rests: BTreeMap<_, (Proxy, Vec<Hold>)> = BTreeMap::new();
        // Of a call's two settlements its own was posted.
        let (assumed, own): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.source == UsageSource::Interrupted);
        for call in own.into_iter().chain(assumed) {
            if done.quarantined.contains(&call.call_id) || done.deferred.contains(&call.call_id) {
                continue;
            }
            let Some((proxy, split)) = self.take_held(call.call_id) else { continue };
            let (_, rests) = rests.entry((proxy.epoch, call.account_id)).or_insert((proxy, Vec::new()));
            let charge = call.charge(&split, Strictness::Strict);
            for change in charge.payment.iter().chain(&charge.limits) {
                let rest = change.released.checked_sub(change.used).unwrap();
                match rests.iter_mut().find(|hold| hold.pool == change.pool) {
                    Some(hold) => hold.quantity = hold.quantity.checked_add(rest).unwrap(),
                    None => rests.push(Hold { pool: change.pool, unit: change.unit, quantity: rest }),
                }
            }
        }
        for ((_, account), (proxy, mut rests)) in rests {
            rests.retain(|hold| !hold.quantity.is_zero());
            if rests.is_empty() {
                continue;
            }
            match proxy.change(ledger, account, rests, None).await {
                // What it had went back with its end.
                Ok(_) | Err(Error::EpochOver) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// What a call holds that nothing went back of yet.
    fn take_held(&self, call: CallId) -> Option<(Proxy, Split)> {
        let mut held = self.held.lock().unwrap();
        let held = held.get_mut(&call).filter(|held| !held.is_back)?;
        held.is_back = true;
        Some((held.proxy.clone(), held.split.clone()))
    }

    /// The call with what it holds.
    pub(crate) fn holding(&self, call: &Admitted) -> Admitted {
        match self.held.lock().unwrap().get(&call.call_id) {
            Some(held) => Admitted { epoch: Some(held.proxy.epoch), split: held.split.clone(), ..call.clone() },
            None => call.clone(),
        }
    }

    async fn add_catalog(&mut self) {
        let system = self.ledger.system();
        // In words of the first version, whose schema this may be.
        let provider = "insert into providers (provider_id, name, base_url, usage_mode, on_disconnect, allow_private, created_at)
                        values ($1, 'upstream', 'http://127.0.0.1:9/v1', 'forced', 'drain', true, $2)";
        let id = ProviderId::new(self.now, self.random()).uuid();
        sqlx::query(provider).bind(id).bind(self.now).execute(&self.pool).await.unwrap();
        system.add_model(self.model()).await.unwrap();
        let price = NewPrice {
            id: self.price,
            model: MODEL,
            kind: PriceKind::Sale,
            rates: self.rates.clone(),
            effective_from: self.now - TimeDelta::days(60),
            actor: "test",
            now: self.now,
            service_tier: ServiceTier::Default,
        };
        system.import_price(price).await.unwrap();
    }

    pub(crate) fn model(&mut self) -> NewModel<'static> {
        NewModel {
            id: ModelId::new(self.now, self.random()),
            name: MODEL,
            provider: "upstream",
            upstream_name: "small-2026",
            context_window: Tokens::from_sum(8_192),
            default_output_hold: Tokens::from_sum(1_024),
            output_cap_field: OutputCapField::MaxTokens,
            bounds: ModelBounds::default(),
            now: self.now,
        }
    }

    /// Different each time, the same in each run.
    pub(crate) fn random(&self) -> [u8; 10] {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&serial.to_be_bytes());
        bytes
    }

    pub(crate) async fn customer(&mut self, name: &str, credit: &str) -> Customer {
        let new = NewCustomer {
            account_id: AccountId::new(self.now, self.random()),
            account_name: name.to_owned(),
            grant_id: GrantId::new(self.now, self.random()),
            user_id: UserId::new(self.now, self.random()),
            email: format!("{name}@example.com"),
            password: PASSWORD.to_owned(),
            is_demo: false,
            now: self.now,
        };
        let customer = Customer { user: new.user_id, account: new.account_id, key: KeyId::new(self.now, self.random()) };
        self.ledger.sign_up(new).await.unwrap();
        let owner = self.ledger.owner(customer.user).await.unwrap();
        let secret = self.secret();
        let new_key = NewKey { id: customer.key, ..self.new_key(customer, &secret, "first") };
        owner.create_key(new_key).await.unwrap();
        if amount(credit) > Amount::ZERO {
            owner.top_up(self.money(credit, &format!("opening of {name}"))).await.unwrap();
        }
        customer
    }

    /// Has a plan or a package on offer.
    pub(crate) async fn sell(&self, name: &str, terms: PlanTerms) -> Plan {
        let new =
            NewPlan { id: PlanId::new(self.now, self.random()), name, is_offered: true, terms, seen: None, actor: "test", now: self.now };
        self.ledger.system().operator().set_plan(new).await.unwrap()
    }

    /// Of what was just seen.
    pub(crate) fn purchase(&self, plan: &Plan) -> Purchase<'static> {
        Purchase { id: SubscriptionId::new(self.now, self.random()), plan: plan.id, version: plan.version, actor: "test" }
    }

    pub(crate) fn secret(&mut self) -> ApiKey {
        let mut bits = [0; 20];
        bits[..10].copy_from_slice(&self.random());
        ApiKey::from_random(bits)
    }

    pub(crate) fn money<'a>(&mut self, text: &str, key: &'a str) -> MoneyIn<'a> {
        MoneyIn { amount: amount(text), idempotency_key: key, memo: "test", actor: "test", now: self.now }
    }

    /// So much of a call, or all of it.
    pub(crate) fn give_back<'a>(&mut self, text: Option<&str>, key: &'a str) -> CallCredit<'a> {
        CallCredit { amount: text.map(amount), idempotency_key: key, memo: "test", actor: "test" }
    }

    /// A call that may cost so much, and for which nothing is leased yet.
    pub(crate) fn intent(&self, customer: Customer, held: &str) -> Admitted {
        let id = CallId::new(self.now, self.random());
        Admitted { held: amount(held), tokens_held: Tokens::from_sum(1_000_000), ..self.admitted(customer, id) }
    }

    /// A key of a customer's first project.
    pub(crate) fn new_key<'a>(&mut self, customer: Customer, secret: &'a ApiKey, name: &'a str) -> NewKey<'a> {
        let (id, project) = (KeyId::new(self.now, self.random()), ProjectId::first_of(customer.account));
        NewKey { id, secret, name, project, member: Some(customer.user), expires_at: None, now: self.now }
    }

    /// A call of a customer's first key, of which its client says nothing, with nothing held.
    fn admitted(&self, customer: Customer, call_id: CallId) -> Admitted {
        Admitted {
            account_id: customer.account,
            call_id,
            key_id: customer.key,
            project_id: ProjectId::first_of(customer.account),
            member: Some(customer.user),
            attribution: Attribution::default(),
            model: MODEL.to_owned(),
            provider: "upstream".to_owned(),
            price_id: self.price,
            discount: Discount::NONE,
            stream: true,
            excess: Excess::WrittenOff,
            input_estimate: Tokens::from_sum(12),
            held: Amount::ZERO,
            tokens_held: Tokens::ZERO,
            epoch: None,
            split: Split::default(),
            asked_tier: ServiceTier::Default,
        }
    }

    /// A call that ended well after so many tokens, `ago` before now.
    pub(crate) fn call(&self, customer: Customer, prompt: i64, completion: i64, ago: TimeDelta) -> SettledCall {
        let random = self.random();
        self.call_of(customer, prompt, completion, ago, random)
    }

    /// [`Self::call`] with an id of the caller's.
    pub(crate) fn call_of(&self, customer: Customer, prompt: i64, completion: i64, ago: TimeDelta, random: [u8; 10]) -> SettledCall {
        let call_id = CallId::new(self.now - ago, random);
        let tokens = |count| Some(Tokens::from_sum(count));
        let usage = CallUsage::of_totals(tokens(prompt), tokens(completion), tokens(prompt + completion));
        let amount = pricing::price(&usage, &self.rates, Discount::NONE).unwrap().amount;
        let tokens_held = Tokens::from_sum(prompt + completion);
        SettledCall {
            admitted: Admitted { held: amount, tokens_held, ..self.admitted(customer, call_id) },
            upstream_model: Some("small-2026".to_owned()),
            outcome: Outcome::Ok,
            source: UsageSource::Upstream,
            usage,
            amount,
            written_off: Amount::ZERO,
            http_status: Some(200),
            latency_ms: 840,
            first_byte_ms: Some(120),
            raw_usage: Some(format!(r#"{{"prompt_tokens": {prompt}, "completion_tokens": {completion}}}"#)),
            attempts: Vec::new(),
            served_tier: None,
        }
    }

    /// The settlement of a call, which is paid from what was leased for it.
    pub(crate) fn settle(&self, intent: &Admitted, customer: Customer, prompt: i64, completion: i64) -> SettledCall {
        let call = self.call_of(customer, prompt, completion, TimeDelta::zero(), [0; 10]);
        let Charge { amount, written_off } = pricing::charge(&call.usage, &self.rates, intent.discount, intent.held, intent.excess);
        SettledCall { admitted: self.holding(intent), amount, written_off, ..call }
    }

    /// Promotional credit that expires in two weeks.
    pub(crate) async fn promo(&mut self, customer: Customer, credit: &str) -> GrantId {
        let new = self.grant(credit, "a promo");
        let id = new.id;
        self.ledger.system().operator().add_grant(customer.account, new).await.unwrap();
        id
    }

    /// A package of tokens that expires in two weeks.
    pub(crate) async fn package(&mut self, customer: Customer, tokens: i64, key: &str) -> GrantId {
        let quantity = Quantity::from_count(tokens);
        let new = NewGrant { kind: GrantKind::Package, unit: Unit::Tokens, quantity, ..self.grant("1", key) };
        let id = new.id;
        self.ledger.system().operator().add_grant(customer.account, new).await.unwrap();
        id
    }

    pub(crate) fn grant<'a>(&mut self, credit: &str, key: &'a str) -> NewGrant<'a> {
        NewGrant {
            id: GrantId::new(self.now, self.random()),
            kind: GrantKind::Promo,
            unit: Unit::Money,
            quantity: amount(credit).into(),
            models: None,
            starts_at: None,
            expires_at: Some(self.now + TimeDelta::days(14)),
            priority: 0,
            idempotency_key: key,
            memo: "welcome",
            actor: "test",
            now: self.now,
        }
    }

    /// The settlement of a call by somebody who took its proxy for dead: its prompt, as it was counted before.
    pub(crate) fn interrupt(&self, intent: &Admitted, customer: Customer) -> SettledCall {
        let usage = CallUsage::of_totals(Some(intent.input_estimate), None, None);
        let Charge { amount, written_off } = pricing::charge(&usage, &self.rates, intent.discount, intent.held, intent.excess);
        let call = self.settle(intent, customer, 0, 0);
        let (outcome, source) = (Outcome::Interrupted, UsageSource::Interrupted);
        SettledCall { outcome, source, usage, amount, written_off, upstream_model: None, http_status: None, raw_usage: None, ..call }
    }

    pub(crate) async fn balance(&self, customer: Customer) -> domain::billing::Balance {
        self.ledger.reader(customer.user).await.unwrap().balance(self.now).await.unwrap()
    }

    pub(crate) async fn assert_proven(&self) {
        let proof = self.proof().await;
        assert!(proof.holds(), "{:#?}", proof.faults);
    }

    /// [`Self::assert_proven`], but for accounts that owe: calls of theirs were charged without a hold.
    pub(crate) async fn assert_proven_but_for_debts(&self, debts: usize) {
        let faults = self.proof().await.faults;
        assert!(faults.iter().all(|fault| fault.claim.starts_with("no grant is below its floor")), "{faults:#?}");
        assert_eq!(faults.len(), debts);
    }

    /// Of everything, two accounts at a time.
    pub(crate) async fn proof(&self) -> Proof {
        self.ledger.verify(&Verification { at_once: 2, ..Verification::default() }, |_| {}).await.unwrap()
    }
}

impl Proxy {
    /// Changes what is leased of an account, as nobody did before.
    pub(crate) async fn change(
        &self,
        ledger: &Ledger,
        account: AccountId,
        returned: Vec<Hold>,
        ask: Option<Ask>,
    ) -> ledger::Result<ChangedLease> {
        let mut number = self.number.lock().await;
        *number += 1;
        let change = [(account, Change { number: *number, heard: 0, returned, ask })];
        loop {
            match ledger.meter().change_leases(self.epoch, &change, Wait::Yes).await {
                // A busy machine: it is said again.
                Err(error @ Error::Unavailable(sqlx::Error::Database(_))) if error.did_nothing() => {}
                changed => return Ok(changed?.accounts.into_iter().next().unwrap()),
            }
        }
    }

    /// The change that it said last.
    pub(crate) async fn last_number(&self) -> i64 {
        *self.number.lock().await
    }
}

fn at_noon() -> DateTime<Utc> {
    "2026-06-15T12:30:00Z".parse().unwrap()
}

async fn begin(ledger: &Ledger, epoch: EpochId, proxy: Uuid, spool_since: DateTime<Utc>) -> Proxy {
    ledger
        .meter()
        .begin_epoch(&NewEpoch { id: epoch, proxy, spool_since, lasts: TimeDelta::seconds(30), longest: TimeDelta::hours(1) })
        .await
        .unwrap();
    Proxy { epoch, number: Arc::default() }
}

/// What is set up in an earlier version's schema is written to the log, and asks for further providers, neither of which was there yet: from a schema of
/// their own, which the tables of this version stand before once they are there. It asks for withdrawn prices and for customers' own, too, by
/// columns that their migrations find gone again.
async fn behind(pool: &PgPool) {
    let log = ledger::MIGRATOR.iter().find(|migration| migration.description == "audit").unwrap();
    let behind = format!(
        "create schema later; set search_path = later, public; {} create table fallbacks (model_id uuid, provider_id uuid, place bigint); reset search_path; \
         alter table price_versions add withdrawn_at timestamptz, add account_id uuid, add ends_at timestamptz, add service_tier text; \
         do $$ begin execute format('alter database %I set search_path = public, later', current_database()); end $$",
        log.sql.as_str()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(behind)).execute(pool).await.unwrap();
}
