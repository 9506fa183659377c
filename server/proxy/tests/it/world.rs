//! A proxy with a database of its own, an upstream, one priced model and one customer.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::body::Body;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    call::CallDetail,
    catalog::{DisconnectPolicy, ModelBounds, OutputCapField, PriceKind, TimeOuts, UsageMode},
    id::{AccountId, CallId, GrantId, KeyId, ModelId, PriceId, ProjectId, ProviderId, UserId},
    key::ApiKey,
    money::Amount,
    rates::Rates,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use futures_util::future::{join, join_all};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use ledger::{Address, Ledger, Login, MoneyIn, NewCustomer, NewKey, NewModel, NewPrice, NewProvider, Verification, secrets::SecretKey};
use proxy::{AnswerBody, Gateway, Proxy, Settings, SpoolSettings};
use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::upstream::Upstream;

pub(crate) const MODEL: &str = "small";
pub(crate) const CREDENTIAL: &str = "sk-upstream";
pub(crate) const INSTANCE: Uuid = Uuid::from_u128(7);
const POLL: Duration = Duration::from_millis(20);
/// A busy machine is no reason to refuse a call.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls at once.
const CROWD: usize = 200;

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) upstream: Upstream,
    pub(crate) proxy: Proxy,
    /// The proxy's, made once, since it reads the machine's certificates.
    pub(crate) gateway: Gateway,
    pub(crate) settings: Settings,
    pub(crate) account: AccountId,
    pub(crate) key: ApiKey,
    pub(crate) key_id: KeyId,
    pub(crate) now: DateTime<Utc>,
}

/// How the provider is set up.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) usage: UsageMode,
    pub(crate) on_disconnect: DisconnectPolicy,
    pub(crate) context_window: i64,
    pub(crate) default_output_hold: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { usage: UsageMode::Forced, on_disconnect: DisconnectPolicy::Drain, context_window: 8_192, default_output_hold: 1_000 }
    }
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        let mut ticks = interval(POLL);
        loop {
            ticks.tick().await;
            if let Some(found) = ask().await {
                return found;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("it happens before the deadline")
}

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// 0.001 per thousand prompt tokens, 0.002 per thousand completion tokens.
pub(crate) fn rates() -> Rates {
    Rates::plain(amount("0.001"), amount("0.002"))
}

impl World {
    pub(crate) async fn new(pool: &PgPool, credit: &str) -> Self {
        Self::with(pool, credit, Policy::default()).await
    }

    /// With no credit, and a model that costs nothing.
    pub(crate) async fn free(pool: &PgPool) -> Self {
        Self::build(pool, "0", Policy::default(), Rates::plain(Amount::ZERO, Amount::ZERO), settings()).await
    }

    pub(crate) async fn with(pool: &PgPool, credit: &str, policy: Policy) -> Self {
        Self::build(pool, credit, policy, rates(), settings()).await
    }

    /// With credit, and a price of its own.
    pub(crate) async fn priced(pool: &PgPool, credit: &str, policy: Policy, rates: Rates) -> Self {
        Self::build(pool, credit, policy, rates, settings()).await
    }

    /// With credit, and bounds of its own.
    pub(crate) async fn bounded(pool: &PgPool, policy: Policy, settings: Settings) -> Self {
        Self::build(pool, "1", policy, rates(), settings).await
    }

    async fn build(pool: &PgPool, credit: &str, policy: Policy, rates: Rates, settings: Settings) -> Self {
        let now = Utc::now();
        let secret = SecretKey::from_bytes([7; 32]);
        let address = Address::from((*pool.connect_options()).clone());
        let login = Login::derived(&address, &secret);
        Ledger::migrate(&address, now).await.unwrap();
        Ledger::prepare_login(&address, &login).await.unwrap();
        let ledger = Ledger::connect_patiently(&login, 20, PATIENCE);
        let upstream = Upstream::start().await;
        add_catalog(&ledger, &upstream.base_url, &secret, policy, rates, now).await;
        let (account, key, key_id) = add_customer(&ledger, "customer", credit, now).await;
        let proxy = Proxy::start(ledger.clone(), &ledger, secret, settings.clone()).await.unwrap();
        Self { ledger, upstream, gateway: proxy.gateway(), proxy, settings, account, key, key_id, now }
    }

    /// Moves the provider to another address, for a proxy that is started anew.
    pub(crate) async fn move_provider(&mut self, base_url: &str) {
        self.ledger.system().set_provider_url("loopback", base_url).await.unwrap();
        self.renew_proxy().await;
    }

    /// Puts a new proxy, which knows the catalog as it is, in the place of the old one.
    pub(crate) async fn renew_proxy(&mut self) {
        let proxy = self.another_proxy().await;
        self.gateway = proxy.gateway();
        std::mem::replace(&mut self.proxy, proxy).stop().await;
    }

    /// Sends a call whose script begins with `hold` two hundred times at once, to these in turn. What is admitted waits until all others are refused.
    /// Returns both. What is admitted has reached the upstream, and nothing else.
    pub(crate) async fn crowd(&self, gateways: &[Gateway], body: &str) -> (Vec<Response<AnswerBody>>, Vec<Response<AnswerBody>>) {
        self.upstream.shut_gate();
        let (before, refused) = (self.upstream.asked(), AtomicUsize::new(0));
        let calls = join_all((0..CROWD).map(|place| {
            let (gateway, request, refused) = (gateways[place % gateways.len()].clone(), self.request(body), &refused);
            async move {
                let response = gateway.answer(request).await;
                refused.fetch_add(usize::from(response.status() != StatusCode::OK), Ordering::SeqCst);
                response
            }
        }));
        let opened = async {
            let is_decided = || refused.load(Ordering::SeqCst) + self.upstream.asked() - before == CROWD;
            eventually(async || is_decided().then_some(())).await;
            self.upstream.open_gate();
        };
        let (calls, ()) = join(calls, opened).await;
        let (answered, refused): (Vec<_>, Vec<_>) = calls.into_iter().partition(|response| response.status() == StatusCode::OK);
        assert_eq!(answered.len(), self.upstream.asked() - before);
        (answered, refused)
    }

    /// One more proxy beside the world's, on the same books.
    pub(crate) async fn another_proxy(&self) -> Proxy {
        let settings = Settings { instance: Uuid::from_u128(rand::random()), ..settings() };
        Proxy::start(self.ledger.clone(), &self.ledger, SecretKey::from_bytes([7; 32]), settings).await.unwrap()
    }

    /// Ends the proxy and starts it anew, with this spool.
    pub(crate) async fn restart(self, spool: PathBuf) -> Self {
        // It keeps the spool open.
        drop(self.gateway);
        self.proxy.stop().await;
        let settings = Settings { spool: SpoolSettings { folder: spool, ..self.settings.spool }, ..self.settings };
        let proxy = Proxy::start(self.ledger.clone(), &self.ledger, SecretKey::from_bytes([7; 32]), settings.clone()).await.unwrap();
        Self { gateway: proxy.gateway(), proxy, settings, ..self }
    }

    /// From now on calls are those of one more customer, with this credit and no limits.
    pub(crate) async fn change_customer(&mut self, name: &str, credit: &str) {
        (self.account, self.key, self.key_id) = add_customer(&self.ledger, name, credit, Utc::now()).await;
    }

    /// The key of one more customer.
    pub(crate) async fn another_customer(&self, credit: &str) -> ApiKey {
        add_customer(&self.ledger, "another", credit, self.now).await.1
    }

    pub(crate) fn gateway(&self) -> Gateway {
        self.gateway.clone()
    }

    pub(crate) fn request(&self, body: impl Into<String>) -> Request<Body> {
        self.request_to("/v1/chat/completions", body)
    }

    pub(crate) fn request_to(&self, route: &str, body: impl Into<String>) -> Request<Body> {
        Request::post(route)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key.expose()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, "session=1")
            .body(Body::from(body.into()))
            .unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<AnswerBody> {
        self.gateway().answer(request).await
    }

    pub(crate) async fn post(&self, body: impl Into<String>) -> Response<AnswerBody> {
        self.send(self.request(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response<AnswerBody> {
        let request = Request::get(path).header("x-api-key", self.key.expose()).body(Body::empty()).unwrap();
        self.send(request).await
    }

    /// Serves on a port of its own, as production does.
    pub(crate) async fn serve(self) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let Self { ledger, upstream, proxy, settings, account, .. } = self;
        let mut serving = JoinSet::new();
        serving.spawn(proxy.serve(listener, shutdown.clone()));
        Served { ledger, upstream, account, address, shutdown, spool: settings.spool.folder, serving }
    }

    /// A call's receipt, as soon as it is posted.
    pub(crate) async fn detail(&self, call: CallId) -> CallDetail {
        detail(&self.ledger, self.account, call).await
    }

    /// What the account has once all of its calls are posted and nothing of it is leased any more. What is idle is asked for, to have it at once.
    pub(crate) async fn balance(&self) -> Amount {
        let balance = eventually(async || {
            self.ledger.meter().recall(&[self.account]).await.unwrap();
            Some(self.ledger.meter().balance(self.account, Utc::now()).await.unwrap()).filter(|balance| balance.reserved.is_zero())
        });
        balance.await.balance
    }

    /// Ends the proxy, so that everything that ran is in the books, and has the books checked.
    pub(crate) async fn stop(self) -> Ledger {
        self.proxy.stop().await;
        std::fs::remove_dir_all(&self.settings.spool.folder).unwrap();
        let proof = self.ledger.verify(&Verification::default(), |_| {}).await.unwrap();
        assert!(proof.holds(), "{proof:?}");
        self.ledger
    }
}

/// A proxy behind a port.
pub(crate) struct Served {
    pub(crate) ledger: Ledger,
    pub(crate) upstream: Upstream,
    pub(crate) account: AccountId,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    spool: PathBuf,
    serving: JoinSet<proxy::Result<()>>,
}

impl Served {
    /// A call's receipt, as soon as it is posted.
    pub(crate) async fn detail(&self, call: CallId) -> CallDetail {
        detail(&self.ledger, self.account, call).await
    }

    /// Ends the proxy, so that everything that ran is in the books, and has the books checked.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        self.serving.join_next().await.unwrap().unwrap().unwrap();
        std::fs::remove_dir_all(&self.spool).unwrap();
        let proof = self.ledger.verify(&Verification::default(), |_| {}).await.unwrap();
        assert!(proof.holds(), "{proof:?}");
    }
}

async fn detail(ledger: &Ledger, account: AccountId, call: CallId) -> CallDetail {
    eventually(async || ledger.meter().generation(account, call).await.ok()).await
}

pub(crate) fn settings() -> Settings {
    Settings {
        instance: INSTANCE,
        spool: SpoolSettings { folder: new_folder(), ..SpoolSettings::default() },
        console_url: "https://console.example.com/".to_owned(),
        body_bytes_max: 100_000,
        connect_timeout: PATIENCE,
        lease_timeout: PATIENCE,
        away_after: PATIENCE,
        ..Settings::default()
    }
}

/// One that is nobody's yet.
pub(crate) fn new_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("spools").join(Uuid::from_u128(rand::random()).to_string())
}

/// A chat request whose only message is `script`; `rest` are further members, each with a comma before it.
pub(crate) fn chat(script: &str, rest: &str) -> String {
    format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"{script}"}}]{rest}}}"#)
}

pub(crate) fn call_id(response: &Response<AnswerBody>) -> CallId {
    response.headers()["x-request-id"].to_str().unwrap().parse().unwrap()
}

pub(crate) async fn text(response: Response<AnswerBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

pub(crate) async fn json(response: Response<AnswerBody>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

async fn add_catalog(ledger: &Ledger, base_url: &str, secret: &SecretKey, policy: Policy, rates: Rates, now: DateTime<Utc>) {
    let system = ledger.system();
    let provider = NewProvider {
        id: ProviderId::new(now, rand::random()),
        name: "loopback",
        base_url,
        credential: Some(secret.seal(CREDENTIAL, "loopback", [1; 24]).unwrap()),
        usage_mode: policy.usage,
        on_disconnect: policy.on_disconnect,
        allow_private: true,
        hide_cost: false,
        apis: None,
        time_outs: TimeOuts::default(),
        now,
    };
    system.add_provider(provider).await.unwrap();
    for name in [MODEL, "unpriced"] {
        let model = NewModel {
            id: ModelId::new(now, rand::random()),
            name,
            provider: "loopback",
            upstream_name: "vendor/small",
            context_window: Tokens::from_sum(policy.context_window),
            default_output_hold: Tokens::from_sum(policy.default_output_hold),
            output_cap_field: OutputCapField::MaxTokens,
            bounds: ModelBounds::default(),
            now,
        };
        system.add_model(model).await.unwrap();
    }
    let price = NewPrice {
        id: PriceId::new(now, rand::random()),
        model: MODEL,
        kind: PriceKind::Sale,
        rates,
        effective_from: now - TimeDelta::days(1),
        actor: "test",
        now,
        service_tier: ServiceTier::Default,
    };
    system.import_price(price).await.unwrap();
}

async fn add_customer(ledger: &Ledger, name: &str, credit: &str, now: DateTime<Utc>) -> (AccountId, ApiKey, KeyId) {
    // However calls are spread by account, these ends keep all customers together.
    let mut random: [u8; 10] = rand::random();
    random[2..].fill(7);
    let (account, key, key_id) = (AccountId::new(now, random), ApiKey::from_random(rand::random()), KeyId::new(now, rand::random()));
    let customer = NewCustomer {
        account_id: account,
        account_name: name.to_owned(),
        grant_id: GrantId::new(now, rand::random()),
        user_id: UserId::new(now, rand::random()),
        email: format!("{name}@example.com"),
        password: "correct horse".to_owned(),
        is_demo: false,
        now,
    };
    ledger.sign_up(customer).await.unwrap();
    let owner = ledger.system().account(account);
    let project = ProjectId::first_of(account);
    owner
        .create_key(NewKey { id: key_id, secret: &key, name: "first", project, member: None, models: None, expires_at: None, now })
        .await
        .unwrap();
    top_up(ledger, account, amount(credit), "opening").await;
    (account, key, key_id)
}

pub(crate) async fn top_up(ledger: &Ledger, account: AccountId, amount: Amount, key: &str) {
    if amount > Amount::ZERO {
        let now = Utc::now();
        let money = MoneyIn { amount, idempotency_key: key, memo: "test", actor: "test", now };
        ledger.system().account(account).top_up(money).await.unwrap();
    }
}
