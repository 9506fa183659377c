//! What Stripe's webhook does to the books, in this process: the route, the ledger, and a stand-in for Stripe.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use app::server::{Stripe, StripeSettings, webhooks};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::{AccountId, GrantId, PaymentId, UserId},
    money::Amount,
    payment::{Currency, PaymentState},
};
use futures_util::future::join_all;
use ledger::{Address, Ledger, NewCustomer, NewPayment, NewRefund, Verification};
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt;

use super::standin::{Fault, SECRET_KEY, Standin, WEBHOOK_SECRET, charge, dispute, event, signature};

/// A shop with one customer, and Stripe beside it.
pub(super) struct Shop {
    pub(super) ledger: Ledger,
    pub(super) standin: Standin,
    pub(super) stripe: Stripe,
    hooks: Router,
    pub(super) account: AccountId,
    serial: AtomicU8,
    pub(super) pool: PgPool,
}

pub(super) fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

impl Shop {
    pub(super) async fn open(pool: PgPool) -> Self {
        let ledger = Ledger::connect_as_owner(&Address::from((*pool.connect_options()).clone()), 8);
        let standin = Standin::start();
        let settings = StripeSettings {
            secret_key: SECRET_KEY.to_owned(),
            webhook_secrets: vec!["whsec_that_takes_its_place".to_owned(), WEBHOOK_SECRET.to_owned()],
            api_base: standin.url.clone(),
            smallest: amount("5"),
            largest: amount("10000"),
            answer_within: Duration::from_secs(5),
        };
        let stripe = Stripe::new(settings).expect("good settings");
        let hooks = webhooks(ledger.clone(), stripe.clone());
        let account = AccountId::new(Utc::now(), [1; 10]);
        let shop = Self { ledger, standin, stripe, hooks, account, serial: AtomicU8::new(2), pool };
        shop.open_account(account, "ada").await;
        shop
    }

    fn random(&self) -> [u8; 10] {
        [self.serial.fetch_add(1, Ordering::Relaxed); 10]
    }

    async fn open_account(&self, account_id: AccountId, name: &str) {
        let now = Utc::now();
        let new = NewCustomer {
            account_id,
            account_name: name.to_owned(),
            grant_id: GrantId::new(now, self.random()),
            user_id: UserId::new(now, self.random()),
            email: format!("{name}@example.com"),
            password: "a long password".to_owned(),
            is_demo: false,
            now,
        };
        self.ledger.system().create_account(new).await.expect("an account");
    }

    /// A payment for which Stripe has a page.
    async fn begin(&self, account: AccountId, credit: &str) -> (PaymentId, Value) {
        let (id, now) = (PaymentId::new(Utc::now(), self.random()), Utc::now());
        let new = NewPayment { id, amount: amount(credit), currency: Currency::USD, actor: "ada@example.com", now };
        self.ledger.system().account(account).begin_payment(new).await.expect("a payment");
        let session = format!("cs_test_{}", self.serial.load(Ordering::Relaxed));
        self.ledger.system().note_session(account, id, &session).await.expect("it is pending");
        let minor = Currency::USD.minor(amount(credit));
        let metadata = json!({"farebox_account": account, "farebox_payment": id});
        let object = json!({
            "id": session, "status": "complete", "payment_status": "paid", "amount_total": minor, "currency": "usd", "payment_intent": format!("pi_{session}"),
            "client_reference_id": account, "metadata": metadata, "intent_metadata": metadata
        });
        (id, object)
    }

    async fn send(&self, body: String, signature: String) -> StatusCode {
        let request = Request::post("/webhooks/stripe").header("stripe-signature", signature).body(Body::from(body)).expect("a request");
        self.hooks.clone().oneshot(request).await.expect("it answers").status()
    }

    /// Tells something, signed now.
    pub(super) async fn tell(&self, id: &str, kind: &str, object: &Value) -> StatusCode {
        let body = event(id, kind, object);
        let signature = signature(&body, WEBHOOK_SECRET, 0);
        self.send(body, signature).await
    }

    pub(super) async fn balance(&self, account: AccountId) -> Amount {
        self.ledger.system().account(account).balance(Utc::now()).await.expect("the books").balance
    }

    async fn state(&self, payment: PaymentId) -> (PaymentState, String) {
        let payment = self.ledger.system().account(self.account).payment(payment).await.expect("a payment");
        (payment.state, payment.problem.unwrap_or_default())
    }

    pub(super) async fn expect_proven(&self) {
        let proof = self.ledger.verify(&Verification { at_once: 1, ..Verification::default() }, |_| {}).await.expect("a proof");
        assert!(proof.holds(), "{:#?}", proof.faults);
    }
}

const COMPLETED: &str = "checkout.session.completed";

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_webhook_replayed_a_hundred_times_credits_once(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let (payment, session) = shop.begin(shop.account, "25").await;
    let told = join_all((0..100).map(|_| shop.tell("evt_1", COMPLETED, &session))).await;
    assert!(told.iter().all(|status| *status == StatusCode::OK), "{told:?}");
    for kind in ["checkout.session.async_payment_succeeded", COMPLETED] {
        assert_eq!(shop.tell(&format!("evt {kind}"), kind, &session).await, StatusCode::OK);
    }
    assert_eq!((shop.balance(shop.account).await, shop.state(payment).await.0), (amount("25"), PaymentState::Credited));
    assert_eq!(shop.standin.asked(""), 0, "Stripe was not asked for what it told");
    shop.expect_proven().await;
}

/// Before what they follow on, a refund and a dispute have Stripe asked for that; a dispute names neither account nor payment.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn webhooks_out_of_order_end_the_same(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let client = async |first_told: &str| {
        let id = PaymentId::new(Utc::now(), shop.random());
        let new = NewPayment { id, amount: amount("25"), currency: Currency::USD, actor: "ada", now: Utc::now() };
        shop.ledger.system().account(shop.account).begin_payment(new).await.expect("a payment");
        let body = format!(
            "line_items[0][price_data][unit_amount]=2500&line_items[0][price_data][currency]=usd&client_reference_id={0}&metadata[farebox_account]={0}\
             &metadata[farebox_payment]={id}&payment_intent_data[metadata][farebox_account]={0}&payment_intent_data[metadata][farebox_payment]={id}",
            shop.account
        );
        let session = shop.standin.make(&id.to_string(), &body);
        let name = session["id"].as_str().expect("an id").to_owned();
        shop.ledger.system().note_session(shop.account, id, &name).await.expect("it is pending");
        let session = shop.standin.complete(&name, "paid");
        let object = if first_told == "charge.refunded" { charge(&session, 2_500) } else { dispute(&session, "needs_response") };
        assert_eq!(shop.tell(&format!("first {name}"), first_told, &object).await, StatusCode::OK);
        assert_eq!(shop.tell(&format!("later {name}"), COMPLETED, &session).await, StatusCode::OK);
        assert_eq!(shop.balance(shop.account).await, Amount::ZERO, "{first_told}");
        session
    };
    client("charge.refunded").await;
    let session = client("charge.dispute.created").await;
    assert_eq!(shop.tell("won", "charge.dispute.closed", &dispute(&session, "won")).await, StatusCode::OK);
    assert_eq!(shop.tell("late", "charge.dispute.funds_withdrawn", &dispute(&session, "under_review")).await, StatusCode::OK);
    assert_eq!(shop.balance(shop.account).await, amount("25"));
    shop.expect_proven().await;
}

/// Stripe tells it again until it is taken; what it says of nobody's payment is taken for nothing.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_message_that_cannot_be_taken_yet_is_not_acknowledged(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let (_, session) = shop.begin(shop.account, "25").await;
    // Stripe knows nothing of this session: it cannot be asked whether it is paid.
    assert_eq!(shop.tell("refund", "charge.refunded", &charge(&session, 100)).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shop.tell("paid", COMPLETED, &session).await, StatusCode::OK);
    assert_eq!(shop.tell("refund", "charge.refunded", &charge(&session, 100)).await, StatusCode::OK);
    assert_eq!(shop.balance(shop.account).await, amount("24"));
    let nobodys = json!({"id": "du_x", "payment_intent": "pi_x", "amount": 5, "currency": "usd", "status": "needs_response"});
    for (kind, object) in [
        ("charge.dispute.created", nobodys),
        ("customer.created", json!({"id": "cus_1"})),
        (COMPLETED, json!({"id": "cs_x", "payment_status": "paid"})),
    ] {
        assert_eq!(shop.tell(kind, kind, &object).await, StatusCode::OK, "{kind}");
    }
    assert_eq!(shop.tell("unreadable", COMPLETED, &json!({"id": 7})).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shop.balance(shop.account).await, amount("24"));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_forged_and_an_expired_webhook_are_refused(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let (payment, session) = shop.begin(shop.account, "25").await;
    let body = event("evt_1", COMPLETED, &session);
    let good = signature(&body, WEBHOOK_SECRET, 0);
    let old = signature(&body, WEBHOOK_SECRET, 301);
    let of_another = signature(&event("evt_2", COMPLETED, &session), WEBHOOK_SECRET, 0);
    let unscheme = good.replace("v1=", "v0=");
    for forged in [String::new(), signature(&body, "whsec_of_somebody_else", 0), old, of_another, unscheme, "t=1,v1=00".to_owned()] {
        assert_eq!(shop.send(body.clone(), forged.clone()).await, StatusCode::BAD_REQUEST, "{forged}");
    }
    assert_eq!(shop.send(format!("{body} "), good.clone()).await, StatusCode::BAD_REQUEST, "a letter more");
    let live = body.replace(r#""livemode":false"#, r#""livemode":true"#);
    let signed = signature(&live, WEBHOOK_SECRET, 0);
    assert_eq!(shop.send(live, signed).await, StatusCode::OK, "taken, and left alone: it is of another mode");
    assert_eq!((shop.balance(shop.account).await, shop.state(payment).await.0), (Amount::ZERO, PaymentState::Pending));
    let rotated = signature(&body, "whsec_that_takes_its_place", 0);
    assert_eq!(shop.send(body, rotated).await, StatusCode::OK, "either secret will do while they change");
    assert_eq!(shop.balance(shop.account).await, amount("25"));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn another_accounts_a_wrong_amount_and_a_wrong_currency_are_held(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let bob = AccountId::new(Utc::now(), [99; 10]);
    shop.open_account(bob, "bob").await;
    let with = |session: &Value, name: &str, value: Value| {
        let mut session = session.clone();
        session[name] = value;
        session
    };
    let wrong: [(&str, Value, &str); 4] = [
        ("amount_total", json!(2_400), "24 USD was paid where 25 USD was to be"),
        ("currency", json!("jpy"), "2500 JPY was paid where 25 USD was to be"),
        ("client_reference_id", json!(bob), "another account or payment"),
        ("metadata", json!({"farebox_account": bob, "farebox_payment": bob}), "another account or payment"),
    ];
    for (number, (name, value, problem)) in wrong.into_iter().enumerate() {
        let (payment, session) = shop.begin(shop.account, "25").await;
        assert_eq!(shop.tell(&format!("evt_{number}"), COMPLETED, &with(&session, name, value)).await, StatusCode::OK);
        let (state, found) = shop.state(payment).await;
        assert!(state == PaymentState::Held && found.contains(problem), "{found}");
    }
    // A session that nobody noted, which names Bob and the payment of somebody else.
    let (_, session) = shop.begin(shop.account, "25").await;
    let mut stolen = with(&session, "id", json!("cs_unknown"));
    stolen["client_reference_id"] = json!(bob);
    stolen["metadata"]["farebox_account"] = json!(bob);
    assert_eq!(shop.tell("stolen", COMPLETED, &stolen).await, StatusCode::OK);
    assert_eq!((shop.balance(shop.account).await, shop.balance(bob).await), (Amount::ZERO, Amount::ZERO));
    assert_eq!(shop.ledger.system().operator().payments(false, 10).await.expect("a list").len(), 4);
    shop.expect_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn completed_but_unpaid_is_credited_when_it_is_paid(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let (payment, mut session) = shop.begin(shop.account, "25").await;
    session["payment_status"] = json!("unpaid");
    assert_eq!(shop.tell("evt_1", COMPLETED, &session).await, StatusCode::OK);
    assert_eq!((shop.balance(shop.account).await, shop.state(payment).await.0), (Amount::ZERO, PaymentState::Pending));
    session["payment_status"] = json!("paid");
    assert_eq!(shop.tell("evt_2", "checkout.session.async_payment_succeeded", &session).await, StatusCode::OK);
    assert_eq!(shop.balance(shop.account).await, amount("25"));
    let (failed, mut session) = shop.begin(shop.account, "50").await;
    session["payment_status"] = json!("unpaid");
    assert_eq!(shop.tell("evt_3", "checkout.session.async_payment_failed", &session).await, StatusCode::OK);
    assert_eq!((shop.balance(shop.account).await, shop.state(failed).await.0), (amount("25"), PaymentState::Ended));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_refund_that_fails_is_shown_to_an_operator(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let (payment, session) = shop.begin(shop.account, "25").await;
    shop.tell("paid", COMPLETED, &session).await;
    shop.tell("refunded", "charge.refunded", &charge(&session, 1_000)).await;
    let refund = json!({"id": "re_1", "payment_intent": session["payment_intent"], "amount": 1_000, "currency": "usd", "status": "failed"});
    assert_eq!(shop.tell("failed", "refund.failed", &refund).await, StatusCode::OK);
    let (state, problem) = shop.state(payment).await;
    assert!(state == PaymentState::Credited && problem.contains("a refund of 10 USD failed (re_1)"), "{problem}");
    assert_eq!(shop.balance(shop.account).await, amount("15"));
    shop.expect_proven().await;
}

/// It is done, and nobody hears of it: in the same words it is the same refund, and once Stripe has said so it is not asked for again.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_refund_whose_answer_was_lost_is_asked_for_again_and_is_one(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let (payment, session) = shop.begin(shop.account, "25").await;
    shop.tell("paid", COMPLETED, &session).await;
    let operator = shop.ledger.system().operator();
    let id = PaymentId::new(Utc::now(), shop.random()).uuid();
    let new = NewRefund { id, payment, amount: amount("10"), reason: "asked for", actor: "root@example.com" };
    operator.begin_refund(new).await.expect("so much is left");
    let look = async || shop.stripe.look_at_pending(&shop.ledger, TimeDelta::zero()).await.expect("the books answer");
    shop.standin.fail([Fault::Lost; 3]);
    look().await;
    assert_eq!((shop.standin.asked("POST /v1/refunds"), shop.standin.refunds().len()), (3, 1));
    assert!(!operator.begin_refund(new).await.expect("the same again").is_taken);
    for _ in 0..2 {
        look().await;
        assert_eq!((shop.standin.asked("POST /v1/refunds"), shop.standin.refunds().len()), (4, 1));
    }
    assert!(operator.begin_refund(new).await.expect("the same again").is_taken);
    let refund = shop.standin.refunds().remove(0);
    assert_eq!((&refund["amount"], &refund["payment_intent"]), (&json!(1_000), &session["payment_intent"]));
    assert_eq!(operator.payment(payment).await.expect("a payment").left, 1_500);
}

/// A lost message, and one that came while nothing ran: Stripe is asked, and each is credited once.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_nobody_told_is_found_by_asking(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let (payment, _) = shop.begin(shop.account, "25").await;
    let body = format!(
        "line_items[0][price_data][unit_amount]=2500&line_items[0][price_data][currency]=usd&client_reference_id={0}&metadata[farebox_account]={0}&metadata[farebox_payment]={payment}",
        shop.account
    );
    let session = shop.standin.make("a key", &body)["id"].as_str().expect("an id").to_owned();
    let rename = "update payments set session = $1";
    sqlx::query(rename).bind(&session).execute(&shop.pool).await.expect("the payment is known by it");
    let look = async || shop.stripe.look_at_pending(&shop.ledger, TimeDelta::zero()).await.expect("the books answer");
    look().await;
    assert_eq!(shop.state(payment).await.0, PaymentState::Pending);
    shop.standin.complete(&session, "paid");
    shop.standin.fail([Fault::Status(500), Fault::Status(503), Fault::Status(429)]);
    look().await;
    assert_eq!(shop.state(payment).await.0, PaymentState::Pending, "it could not be asked");
    for _ in 0..2 {
        look().await;
        assert_eq!((shop.balance(shop.account).await, shop.state(payment).await.0), (amount("25"), PaymentState::Credited));
    }
    shop.expect_proven().await;
}

/// Nobody ever saw its page.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_payment_whose_page_was_never_made_ends(pool: PgPool) {
    let shop = Shop::open(pool).await;
    let begin = async |now: DateTime<Utc>| {
        let id = PaymentId::new(now, shop.random());
        let new = NewPayment { id, amount: amount("25"), currency: Currency::USD, actor: "ada", now };
        shop.ledger.system().account(shop.account).begin_payment(new).await.expect("a payment");
        id
    };
    let (old, new) = (begin(Utc::now() - TimeDelta::hours(4)).await, begin(Utc::now()).await);
    shop.stripe.look_at_pending(&shop.ledger, TimeDelta::zero()).await.expect("the books answer");
    assert_eq!((shop.state(old).await.0, shop.state(new).await.0), (PaymentState::Ended, PaymentState::Pending));
    assert_eq!(shop.standin.asked(""), 0);
}
