// What a customer's own program can ask of the proxy with its key.
import { expect } from "@playwright/test";
import type { Ready } from "../ready.ts";

/** Token counts, as OpenAI's SDKs and the receipt both spell them. */
export type Usage = Record<"prompt_tokens" | "completion_tokens" | "total_tokens", number>;

/** The receipt of one call: `GET /v1/generation`. Amounts are decimal strings. */
export interface Receipt {
  id: string;
  model: string;
  provider: string;
  /** The providers that were asked in vain before that one. */
  attempts: { provider: string; failure: string; http_status: number | null; took_ms: number; billed: boolean }[];
  stream: boolean;
  status: string;
  source: string;
  usage: Usage;
  lines: { bucket: string; tokens: number; per_1k: string; amount: string }[];
  amount: string;
  /** With its corrections. */
  cost: string;
  currency: string;
  paid_by: { grant: string; kind: string; amount: string }[];
}

/** The account's credit: `GET /v1/credits`. Amounts are decimal strings. */
export interface Credits {
  balance: string;
  reserved: string;
  available: string;
  /** How far below zero the balance may go; part of what is available. */
  lent: string;
  currency: string;
}

/** Asks a model, without an SDK; the answer is whatever the proxy says. */
export function ask(
  ready: Ready,
  key: string,
  content: string,
  more: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${ready.proxy_url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "demo-mini", messages: [{ role: "user", content }], ...more }),
  });
}

/** Makes a call that succeeds, reads its answer to the end, and returns its `x-request-id`. It is in the books then. */
export async function call(ready: Ready, key: string, content = "What is a farebox?", more = {}, headers = {}): Promise<string> {
  const response = await ask(ready, key, content, more, headers);
  expect(response.status, await response.text()).toBe(200);
  const id = requestId(response);
  await receipt(ready, id, key);
  return id;
}

/** The call's id, which every answer carries. */
export function requestId(response: Response): string {
  const id = response.headers.get("x-request-id");
  if (!id) throw new Error("the answer carries no x-request-id");
  return id;
}

/** The receipt of the call whose answer carried this `x-request-id`. */
export function receipt(ready: Ready, requestId: string, key = ready.customer.key): Promise<Receipt> {
  return get(ready, key, `/v1/generation?id=${encodeURIComponent(requestId)}`);
}

/** What a customer has left, the demo's own unless another one's key is given. */
export function credits(ready: Ready, key = ready.customer.key): Promise<Credits> {
  return get(ready, key, "/v1/credits");
}

/** The same, as soon as no call runs and the proxy has given back what it has idle. */
export async function creditsAtRest(ready: Ready, key = ready.customer.key): Promise<Credits> {
  let left = await credits(ready, key);
  await expect(async () => {
    left = await credits(ready, key);
    expect(nanos(left.reserved)).toBe(0n);
  }).toPass({ timeout: 60_000 });
  return left;
}

async function get<T>(ready: Ready, key: string, path: string): Promise<T> {
  const response = await fetch(ready.proxy_url + path, { headers: { authorization: `Bearer ${key}` } });
  expect(response.status, `${path}: ${response.statusText}`).toBe(200);
  return ((await response.json()) as { data: T }).data;
}

/** A decimal string in nano-units: money is compared as integers, never as floats. */
export function nanos(amount: string): bigint {
  const [, sign, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(amount) ?? [];
  if (whole === undefined) throw new Error(`"${amount}" is no amount with at most nine decimals`);
  const value = BigInt(whole + fraction.padEnd(9, "0"));
  return sign ? -value : value;
}
