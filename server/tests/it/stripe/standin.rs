//! Stripe, as far as Farebox knows it: pages for payments, what became of them, messages with a signature, and on demand everything that goes wrong.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) const SECRET_KEY: &str = "sk_test_of_the_stand_in";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_of_the_stand_in";

/// What goes wrong with the next request.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// It is not done, and the answer is this status.
    Status(u16),
    /// It is done, and the answer never comes.
    Silence,
    /// It is done, and the answer is that the stand-in has a fault.
    Lost,
    /// The card is declined, for this reason.
    Declined(&'static str),
}

/// It runs for as long as the tests do.
#[derive(Clone)]
pub(crate) struct Standin {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By their ids.
    sessions: BTreeMap<String, Value>,
    /// Payments that nobody was there for, by their ids.
    intents: BTreeMap<String, Value>,
    /// What was paid back, by its id.
    refunds: BTreeMap<String, Value>,
    /// The body and what it made, of each idempotency key.
    keys: HashMap<String, (String, String)>,
    faults: VecDeque<Fault>,
    /// Every request, by method and path.
    requests: Vec<String>,
    events: usize,
}

impl Standin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let standin = Self { url, state: Arc::default() };
        let its = standin.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let its = its.clone();
                thread::spawn(move || its.answer(stream));
            }
        });
        standin
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no request has panicked")
    }

    /// What goes wrong with the next requests, one after the other.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// How often something was asked for whose method and path begin so.
    pub(crate) fn asked(&self, begin: &str) -> usize {
        self.state().requests.iter().filter(|request| request.starts_with(begin)).count()
    }

    /// The sessions that there are, oldest first.
    pub(crate) fn sessions(&self) -> Vec<Value> {
        self.state().sessions.values().cloned().collect()
    }

    /// A session that is asked for in these words, under a key.
    pub(crate) fn make(&self, key: &str, body: &str) -> Value {
        self.state().create(&self.url, key, body).1
    }

    /// Somebody pays, by what takes its time or at once.
    pub(crate) fn complete(&self, session: &str, payment_status: &str) -> Value {
        let mut state = self.state();
        let found = state.sessions.get_mut(session).expect("a session");
        found["status"] = json!("complete");
        found["payment_status"] = json!(payment_status);
        found["payment_intent"] = json!(format!("pi_{session}"));
        found.clone()
    }

    /// Somebody saves a card on a page that is for that.
    pub(crate) fn save(&self, session: &str, method: &str) -> Value {
        let mut state = self.state();
        let found = state.sessions.get_mut(session).expect("a session");
        found["status"] = json!("complete");
        found["payment_status"] = json!("no_payment_required");
        found["customer"] = json!("cus_1");
        found["setup_intent"] = json!({"id": "seti_1", "payment_method": {"id": method, "card": {"brand": "visa", "last4": "4242"}}});
        found.clone()
    }

    /// The payments that nobody was there for, oldest first.
    pub(crate) fn intents(&self) -> Vec<Value> {
        self.state().intents.values().cloned().collect()
    }

    /// What was paid back, oldest first.
    pub(crate) fn refunds(&self) -> Vec<Value> {
        self.state().refunds.values().cloned().collect()
    }

    /// An event of a new id about an object.
    pub(crate) fn event(&self, kind: &str, object: &Value) -> String {
        let mut state = self.state();
        state.events += 1;
        event(&format!("evt_{}", state.events), kind, object)
    }

    fn answer(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        while let Some((first, headers, body)) = request(&mut stream) {
            let mut words = first.split(' ');
            let (method, path) = (words.next()?, words.next()?);
            let fault = {
                let mut state = self.state();
                state.requests.push(format!("{method} {path}"));
                state.faults.pop_front()
            };
            let (status, answer) = match fault {
                Some(Fault::Declined(code)) => {
                    (402, json!({"error": {"type": "card_error", "code": code, "message": "Your card was declined."}}))
                }
                Some(Fault::Status(status)) => (status, json!({"error": {"type": "api_error", "message": "A fault of the stand-in."}})),
                Some(Fault::Lost) => {
                    self.done(method, path, &headers, &body);
                    (500, json!({"error": {"type": "api_error", "message": "A fault of the stand-in."}}))
                }
                _ => self.done(method, path, &headers, &body),
            };
            if matches!(fault, Some(Fault::Silence)) {
                // Until whoever asked hangs up.
                let _ = stream.read(&mut [0]);
                return None;
            }
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).ok()?;
        }
        Some(())
    }

    fn done(&self, method: &str, path: &str, headers: &HashMap<String, String>, body: &str) -> (u16, Value) {
        let refused = |status, message: &str| (status, json!({"error": {"type": "invalid_request_error", "message": message}}));
        if headers.get("authorization").map(String::as_str) != Some(&format!("Bearer {SECRET_KEY}")) {
            return refused(401, "Invalid API Key provided");
        }
        if headers.get("stripe-version").is_none_or(String::is_empty) {
            return refused(400, "The tests want a version");
        }
        let path = path.split('?').next().unwrap_or_default();
        let mut state = self.state();
        let named = path.strip_prefix("/v1/").unwrap_or_default();
        match (method, named.rsplit_once('/').or(Some(("", named)))) {
            ("POST", Some(("checkout", "sessions"))) => {
                let Some(key) = headers.get("idempotency-key") else { return refused(400, "The tests want a key") };
                state.create(&self.url, key, body)
            }
            ("POST", Some(("", "payment_intents"))) => {
                let Some(key) = headers.get("idempotency-key") else { return refused(400, "The tests want a key") };
                state.charge(key, body)
            }
            ("GET", Some(("", "payment_intents"))) => {
                (200, json!({"object": "list", "data": state.intents.values().rev().collect::<Vec<_>>()}))
            }
            ("POST", Some(("", "refunds"))) => {
                let Some(key) = headers.get("idempotency-key") else { return refused(400, "The tests want a key") };
                state.refund(key, body)
            }
            ("POST", Some(("billing_portal", "sessions"))) => (200, json!({"url": format!("{}/portal", self.url)})),
            ("GET", Some(("payment_intents", id))) if state.intents.contains_key(id) => (200, state.intents[id].clone()),
            ("GET", Some(("checkout/sessions", id))) => state.sessions.get(id).map_or_else(
                || refused(404, "No such checkout.session"),
                |session| {
                    let mut session = session.clone();
                    if let Some(intent) = session["payment_intent"].as_str().map(str::to_owned) {
                        session["payment_intent"] = intent_of(&intent, &session);
                    }
                    (200, session)
                },
            ),
            ("GET", Some(("payment_intents", id))) => {
                let of = state.sessions.values().find(|session| session["payment_intent"] == id);
                of.map_or_else(|| refused(404, "No such payment_intent"), |session| (200, intent_of(id, session)))
            }
            _ => refused(404, "Unrecognized request URL"),
        }
    }
}

impl State {
    /// Pays back: the same key with the same body is the same refund.
    fn refund(&mut self, key: &str, body: &str) -> (u16, Value) {
        if let Some((first, id)) = self.keys.get(key) {
            let error = json!({"error": {"type": "idempotency_error", "message": "Keys can only be used with the same parameters."}});
            return if first == body { (200, self.refunds[id].clone()) } else { (400, error) };
        }
        let fields = form(body);
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let id = format!("re_{}", self.refunds.len() + 1);
        let refund = json!({
            "id": id, "object": "refund", "status": "succeeded", "payment_intent": field("payment_intent"),
            "amount": field("amount").parse::<i64>().unwrap_or_default(), "metadata": {"farebox_refund": field("metadata[farebox_refund]")},
        });
        self.refunds.insert(id.clone(), refund.clone());
        self.keys.insert(key.to_owned(), (body.to_owned(), id));
        (200, refund)
    }

    /// Charges a card that was saved: the same key with the same body is the same payment.
    fn charge(&mut self, key: &str, body: &str) -> (u16, Value) {
        if let Some((first, id)) = self.keys.get(key) {
            let error = json!({"error": {"type": "idempotency_error", "message": "Keys can only be used with the same parameters."}});
            return if first == body { (200, self.intents[id].clone()) } else { (400, error) };
        }
        let fields = form(body);
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        if field("payment_method") == "pm_removed" {
            return (
                400,
                json!({"error": {"type": "invalid_request_error", "message": "The payment method was detached from its customer."}}),
            );
        }
        let id = format!("pi_auto_{}", self.intents.len() + 1);
        let amount = field("amount").parse::<i64>().unwrap_or_default();
        let metadata: HashMap<_, _> = ["farebox_account", "farebox_payment", "farebox_auto"]
            .into_iter()
            .map(|name| (name, field(&format!("metadata[{name}]"))))
            .collect();
        let intent = json!({
            "id": id, "object": "payment_intent", "status": "succeeded", "amount": amount, "amount_received": amount, "currency": field("currency"),
            "customer": field("customer"), "payment_method": field("payment_method"), "off_session": field("off_session"), "metadata": metadata,
        });
        self.intents.insert(id.clone(), intent.clone());
        self.keys.insert(key.to_owned(), (body.to_owned(), id));
        (200, intent)
    }

    /// The same key with the same body is the same session; with another, it is refused.
    fn create(&mut self, url: &str, key: &str, body: &str) -> (u16, Value) {
        if let Some((first, id)) = self.keys.get(key) {
            return match first == body {
                true => (200, self.sessions[id].clone()),
                false => (
                    400,
                    json!({"error": {"type": "idempotency_error", "message": "Keys for idempotent requests can only be used with the same parameters."}}),
                ),
            };
        }
        let fields: HashMap<String, String> = form(body);
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let metadata = |begin: &str| {
            let named =
                fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(begin)?.strip_suffix(']')?.to_owned(), json!(value))));
            Value::Object(named.collect())
        };
        let id = format!("cs_test_{}", self.sessions.len() + 1);
        let session = json!({
            "id": id, "object": "checkout.session", "livemode": false, "mode": field("mode"), "status": "open", "payment_status": "unpaid",
            "amount_total": field("line_items[0][price_data][unit_amount]").parse::<i64>().unwrap_or_default(),
            "currency": field("line_items[0][price_data][currency]"), "client_reference_id": field("client_reference_id"),
            "success_url": field("success_url"), "cancel_url": field("cancel_url"), "expires_at": field("expires_at"),
            "metadata": metadata("metadata["), "intent_metadata": metadata("payment_intent_data[metadata]["), "payment_intent": null,
            "url": format!("{url}/pay/{id}"),
        });
        self.sessions.insert(id.clone(), session.clone());
        self.keys.insert(key.to_owned(), (body.to_owned(), id));
        (200, session)
    }
}

fn intent_of(id: &str, session: &Value) -> Value {
    let status = if session["payment_status"] == "paid" { "succeeded" } else { "processing" };
    json!({"id": id, "object": "payment_intent", "status": status, "metadata": session["intent_metadata"]})
}

/// What was charged for a session, of which so much was paid back.
pub(crate) fn charge(session: &Value, refunded: i64) -> Value {
    json!({
        "id": format!("ch_{}", session["id"].as_str().unwrap_or_default()), "object": "charge", "amount": session["amount_total"],
        "amount_refunded": refunded, "currency": session["currency"], "payment_intent": session["payment_intent"], "metadata": session["intent_metadata"],
    })
}

/// A dispute of all of it.
pub(crate) fn dispute(session: &Value, status: &str) -> Value {
    json!({
        "id": format!("du_{}", session["id"].as_str().unwrap_or_default()), "object": "dispute", "amount": session["amount_total"],
        "currency": session["currency"], "payment_intent": session["payment_intent"], "status": status, "metadata": {},
    })
}

/// An event, as it is sent.
pub(crate) fn event(id: &str, kind: &str, object: &Value) -> String {
    json!({"id": id, "object": "event", "api_version": "2025-08-27.basil", "type": kind, "livemode": false, "data": {"object": object}})
        .to_string()
}

/// The header of a body that is sent now, or was so many seconds ago.
pub(crate) fn signature(body: &str, secret: &str, seconds_ago: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default();
    let at = i64::try_from(now).unwrap_or_default() - seconds_ago;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(format!("{at}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

/// The first line, the headers by their names in small letters, and the body; `None` when there is no other request.
fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, HashMap<String, String>, String)> {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|bytes| *bytes > 0).map(|_| line.trim().to_owned())
    };
    let first = line()?;
    let mut headers = HashMap::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    stream.read_exact(&mut body).ok()?;
    Some((first, headers, String::from_utf8(body).ok()?))
}

fn form(body: &str) -> HashMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut letters = text.bytes();
        while let Some(letter) = letters.next() {
            bytes.push(match letter {
                b'+' => b' ',
                b'%' => {
                    let hex = [letters.next().unwrap_or_default(), letters.next().unwrap_or_default()];
                    u8::from_str_radix(&String::from_utf8_lossy(&hex), 16).unwrap_or_default()
                }
                other => other,
            });
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}
