// A stand-in for Stripe: it makes pages for payments, says what became of them, and tells the gateway, signed as Stripe signs.
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const SECRET_KEY = "sk_test_end_to_end";
export const WEBHOOK_SECRET = "whsec_end_to_end_tests";

interface Session {
  id: string;
  mode: string;
  status: "open" | "complete";
  payment_status: "paid" | "unpaid";
  payment_intent: string | null;
  success_url: string;
  cancel_url: string;
  [field: string]: unknown;
}

/** How the next payments go: they are paid and told of, or take their time, as a bank transfer does. */
export type Pace = "at once" | "later";

export class Stripe {
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  /** By their ids. */
  readonly sessions = new Map<string, Session>();
  readonly #byKey = new Map<string, string>();
  /** What saved cards were charged, by the key of each. */
  readonly charges = new Map<string, Record<string, unknown>>();
  /** Whether saved cards are declined. */
  declines = false;
  #events = 0;
  /** Where the gateway hears of them. */
  tellTo = "";

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** What took its time has arrived. */
  async arrive(id: string): Promise<void> {
    const session = this.#session(id);
    session.payment_status = "paid";
    await this.#tell("checkout.session.async_payment_succeeded", session);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.url);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = new URLSearchParams(Buffer.concat(chunks).toString());
    const [, page, id = ""] = /^\/(pay|v1\/checkout\/sessions)\/?(\w*)$/.exec(pathname) ?? [];
    const json = (value: unknown) => response.setHeader("content-type", "application/json").end(JSON.stringify(value));
    if (page === "v1/checkout/sessions" && request.headers.authorization === `Bearer ${SECRET_KEY}`) {
      json(id ? this.#session(id) : this.#create(String(request.headers["idempotency-key"]), body));
    } else if (pathname === "/v1/payment_intents" && request.method === "POST") {
      const intent = this.#charge(String(request.headers["idempotency-key"]), body);
      if (!intent) response.statusCode = 402;
      json(intent ?? { error: { type: "card_error", code: "card_declined", message: "Your card was declined." } });
    } else if (pathname === "/v1/billing_portal/sessions") {
      json({ url: `${this.url}/portal` });
    } else if (pathname === "/portal") {
      response.setHeader("content-type", "text/html; charset=utf-8").end(
        '<!doctype html><html lang="en"><title>Portal</title><link rel="icon" href="data:,"><h1>Cards and receipts</h1>',
      );
    } else if (pathname === "/v1/refunds") {
      json({ id: "re_1", object: "refund", status: "succeeded" });
      await this.#refunded(body.get("payment_intent") ?? "", Number(body.get("amount")));
    } else if (page === "pay" && request.method === "POST" && this.#session(id).mode === "setup") {
      const session = this.#session(id);
      const card = { id: `pm_${id}`, card: { brand: "visa", last4: "4242" } };
      Object.assign(session, { status: "complete", payment_status: "no_payment_required", customer: `cus_${id}`, setup_intent: { payment_method: card } });
      response.writeHead(303, { location: session.success_url.replace("{CHECKOUT_SESSION_ID}", id) }).end();
    } else if (page === "pay" && this.#session(id).mode === "setup") {
      response.setHeader("content-type", "text/html; charset=utf-8").end(
        `<!doctype html><html lang="en"><title>Save</title><link rel="icon" href="data:,"><h1>Save a card</h1><form method="post"><button>Save</button></form>`,
      );
    } else if (page === "pay" && request.method === "POST") {
      const session = this.#session(id);
      Object.assign(session, { status: "complete", payment_intent: `pi_${id}` });
      session.payment_status = searchParams.get("pace") === "later" ? "unpaid" : "paid";
      await this.#tell("checkout.session.completed", session);
      response.writeHead(303, { location: session.success_url }).end();
    } else if (page === "pay") {
      const { amount_total, cancel_url } = this.#session(id);
      response.setHeader("content-type", "text/html; charset=utf-8").end(
        `<!doctype html><html lang="en"><title>Pay</title><link rel="icon" href="data:,"><h1>Pay ${String(amount_total)} cents</h1>
         <form method="post"><button>Pay</button></form>
         <form method="post" action="?pace=later"><button>Pay by bank transfer</button></form><a href="${cancel_url.replaceAll("&", "&amp;")}">Back</a>`,
      );
    } else {
      response.writeHead(404).end();
    }
  }

  #session(id: string): Session {
    const session = this.sessions.get(id);
    if (!session) throw new Error(`there is no session ${id}`);
    return session;
  }

  /** The same key is the same session. */
  #create(key: string, body: URLSearchParams): Session {
    const known = this.#byKey.get(key);
    if (known) return this.#session(known);
    const id = `cs_test_${this.sessions.size + 1}`;
    const field = (name: string) => body.get(name) ?? "";
    const session: Session = {
      id,
      mode: field("mode"),
      status: "open",
      payment_status: "unpaid",
      payment_intent: null,
      amount_total: Number(field("line_items[0][price_data][unit_amount]")),
      currency: field("line_items[0][price_data][currency]"),
      client_reference_id: field("client_reference_id"),
      metadata: {
        farebox_account: field("metadata[farebox_account]"),
        farebox_payment: field("metadata[farebox_payment]"),
      },
      success_url: field("success_url"),
      cancel_url: field("cancel_url"),
      url: `${this.url}/pay/${id}`,
    };
    this.sessions.set(id, session);
    this.#byKey.set(key, id);
    return session;
  }

  /** Charges a saved card; the same key is the same charge. Undefined of one that is declined. */
  #charge(key: string, body: URLSearchParams): Record<string, unknown> | undefined {
    const known = this.charges.get(key);
    if (known ?? this.declines) return known;
    const metadata = Object.fromEntries(
      ["account", "payment", "auto"].map((name) => [`farebox_${name}`, body.get(`metadata[farebox_${name}]`)]),
    );
    const amount = Number(body.get("amount"));
    const intent = { id: `pi_auto_${this.charges.size + 1}`, status: "succeeded", amount_received: amount, currency: body.get("currency"), metadata };
    this.charges.set(key, intent);
    return intent;
  }

  /** Tells that so much of a payment was paid back. */
  async #refunded(intent: string, amount: number): Promise<void> {
    const charge = { id: `ch_${intent}`, payment_intent: intent, amount_refunded: amount, currency: "usd", metadata: {} };
    await this.#tell("charge.refunded", charge);
  }

  /** Somebody pays by a link that is none of the gateway's. */
  async payForNobody(cents: number): Promise<string> {
    const id = `cs_test_nobody${cents}`;
    const session = { id, mode: "payment", status: "complete", payment_status: "paid", amount_total: cents, currency: "usd", metadata: {} };
    await this.#tell("checkout.session.completed", session);
    return id;
  }

  async #tell(type: string, object: object): Promise<void> {
    const body = JSON.stringify({ id: `evt_${++this.#events}`, object: "event", type, livemode: false, data: { object } });
    const at = Math.floor(Date.now() / 1000);
    const signature = createHmac("sha256", WEBHOOK_SECRET).update(`${at}.${body}`).digest("hex");
    const headers = { "content-type": "application/json", "stripe-signature": `t=${at},v1=${signature}` };
    const answer = await fetch(this.tellTo, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(`the gateway answers ${answer.status} to ${type}`);
  }
}
