//! A small deployment to test in: one provider, one priced model, and as many customers as a test asks for.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::Attribution,
    billing::GrantKind,
    call::{Outcome, UsageSource},
    catalog::{DisconnectPolicy, ModelBounds, OutputCapField, PriceKind, UsageMode},
    credit::{Quantity, Unit},
    id::{AccountId, CallId, GrantId, KeyId, ModelId, PriceId, ProjectId, ProviderId, UserId},
    key::ApiKey,
    money::Amount,
    pricing::{self, Charge, Discount, Excess},
    proof::Proof,
    rates::Rates,
    tokens::{CallUsage, Tokens},
};
use ledger::{
    Address, Admitted, CallCredit, Intent, Ledger, Login, MoneyIn, NewCustomer, NewGrant, NewKey, NewModel, NewPrice, NewProvider,
    SettledCall, Verification, secrets::SecretKey,
};
use sqlx::PgPool;
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
    serial: u64,
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

/// The same intent, of a call that is admitted on other terms.
pub(crate) fn with(mut intent: Intent, change: impl FnOnce(&mut Admitted)) -> Intent {
    change(&mut intent.admitted);
    intent
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
        let now = "2026-06-15T12:30:00Z".parse().unwrap();
        let address = Address::from((*pool.connect_options()).clone());
        let login = Login::derived(&address, &SecretKey::from_bytes([7; 32]));
        Ledger::migrate(&address, now).await.unwrap();
        if is_spread {
            twin::spread(&pool).await;
        }
        Ledger::prepare_login(&address, &login).await.unwrap();
        // What is posted is of the same day as what it is of.
        let ledger = Ledger::connect_patiently(&login, 20, PATIENCE).dated(now);
        let rates = Rates::plain(amount("0.001"), amount("0.002"));
        let mut world = Self { ledger, address, login, pool, now, price: PriceId::from_uuid(Uuid::from_u128(1)), rates, serial: 0 };
        world.add_catalog().await;
        world
    }

    async fn add_catalog(&mut self) {
        let system = self.ledger.system();
        let provider = NewProvider {
            id: ProviderId::new(self.now, self.random()),
            name: "upstream",
            base_url: "http://127.0.0.1:9/v1",
            credential: None,
            usage_mode: UsageMode::Forced,
            on_disconnect: DisconnectPolicy::Drain,
            allow_private: true,
            now: self.now,
        };
        system.add_provider(provider).await.unwrap();
        system.add_model(self.model()).await.unwrap();
        let price = NewPrice {
            id: self.price,
            model: MODEL,
            kind: PriceKind::Sale,
            rates: self.rates.clone(),
            effective_from: self.now - TimeDelta::days(60),
            actor: "test",
            now: self.now,
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
    pub(crate) fn random(&mut self) -> [u8; 10] {
        self.serial += 1;
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&self.serial.to_be_bytes());
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

    pub(crate) fn intent(&mut self, customer: Customer, held: &str) -> Intent {
        let id = CallId::new(self.now, self.random());
        let admitted = Admitted { held: amount(held), tokens_held: Tokens::from_sum(1_000_000), ..self.admitted(customer, id) };
        Intent { admitted, proxy: PROXY, expires_at: self.now + TimeDelta::hours(1) }
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
        }
    }

    /// A call that ended well after so many tokens, `ago` before now.
    pub(crate) fn call(&mut self, customer: Customer, prompt: i64, completion: i64, ago: TimeDelta) -> SettledCall {
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
        }
    }

    /// The settlement of a call that was held.
    pub(crate) fn settle(&mut self, intent: &Intent, customer: Customer, prompt: i64, completion: i64) -> SettledCall {
        let call = self.call(customer, prompt, completion, TimeDelta::zero());
        let Charge { amount, written_off } = pricing::charge(&call.usage, &self.rates, intent.discount, intent.held, intent.excess);
        SettledCall { admitted: intent.admitted.clone(), amount, written_off, ..call }
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

    /// The settlement of a call that was held, by somebody who took its proxy for dead: its prompt, as it was counted before.
    pub(crate) fn interrupt(&mut self, intent: &Intent, customer: Customer) -> SettledCall {
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
