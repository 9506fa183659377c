// A farebox of its own with the scripted upstream behind it and a relay before it, two customers, and what their clients can ask.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { fareboxPath, readReady } from "../ready.ts";
import { ownEnvironment, serve, type Served } from "../serve.ts";
import { nanos } from "../tests/gateway.ts";
import { Relay } from "./relay.ts";
import type { Counts } from "./upstream/api.ts";
import { CREDENTIAL, MODELS, Upstream } from "./upstream/server.ts";

const run = promisify(execFile);

/** A change at the command line is known to a running proxy within a second; a machine may be slow. */
const KNOWN_MS_MAX = 30_000;

/** What a token costs, in nano-units of the currency. */
const PRICES = { input: 150_000n, cached: 75_000n, output: 600_000n };
/** The same per 1,000 tokens, in units. */
const RATES = ["--input", "0.15", "--cache-read", "0.075", "--output", "0.6"];

/** One call's receipt, as far as the tests look. */
export interface Receipt {
  status: string;
  source: string;
  model: string;
  amount: string;
  usage: { prompt_tokens: number | null; completion_tokens: number | null; buckets: Record<string, number | null>; flag: string | null };
}

/** What so many tokens cost, in nano-units. */
export function cost({ input, cached, output }: Counts): bigint {
  return BigInt(input - cached) * PRICES.input + BigInt(cached) * PRICES.cached + BigInt(output) * PRICES.output;
}

export class Gateway {
  readonly #served: Served;
  readonly upstream: Upstream;
  readonly relay: Relay;
  readonly proxyUrl: string;
  /** Of a customer who has paid. */
  key = "";
  /** Of one who has not. */
  poorKey = "";

  private constructor(served: Served, proxyUrl: string, upstream: Upstream, relay: Relay) {
    this.#served = served;
    this.proxyUrl = proxyUrl;
    this.upstream = upstream;
    this.relay = relay;
  }

  static async start(): Promise<Gateway> {
    const upstream = await new Upstream().start();
    const served = await serve("clients", "--only", "proxy");
    const { proxy_url } = readReady(served.ready);
    const relay = await new Relay(Number(new URL(proxy_url).port)).start();
    const gateway = new Gateway(served, proxy_url, upstream, relay);
    await gateway.#add("scripted", upstream.url, Object.fromEntries(Object.values(MODELS).map((model) => [model, model])));
    gateway.key = await gateway.#addCustomer("Paying");
    await gateway.#farebox("account", "credit", "Paying", "1000", "--reason", "first payment");
    gateway.poorKey = await gateway.#addCustomer("Poor");
    return gateway;
  }

  /** Adds models of a provider at this address, each with what that calls it, and waits until they can be called. */
  async addModels(provider: string, baseUrl: string, models: Record<string, string>): Promise<void> {
    await this.#add(provider, baseUrl, models);
    await this.offers(...Object.keys(models));
  }

  async #add(provider: string, baseUrl: string, models: Record<string, string>): Promise<void> {
    await this.#farebox("provider", "add", provider, "--base-url", baseUrl, "--allow-private", "--credential-env", "SECRET");
    const sizes = ["--context-window", "128000", "--default-output-hold", "1024"];
    for (const [model, upstreamName] of Object.entries(models)) {
      await this.#farebox("model", "add", model, "--provider", provider, "--upstream-name", upstreamName, ...sizes);
      await this.#farebox("price", "set", model, ...RATES);
    }
  }

  async #addCustomer(name: string): Promise<string> {
    await this.#farebox("account", "create", name, "--email", `${name}@e2e.example`, "--password-env", "SECRET");
    const { key } = (await this.#farebox("key", "create", name, "--name", "clients")) as { key: string };
    return key;
  }

  /** What the paying customer's key has spent so far, in nano-units. */
  async spent(): Promise<bigint> {
    const { data } = (await this.get("/v1/key")) as { data: { usage: { ever: string } } };
    return nanos(data.usage.ever);
  }

  /** Waits until these models can be called. */
  async offers(...models: string[]): Promise<void> {
    const deadline = Date.now() + KNOWN_MS_MAX;
    for (;;) {
      const { data } = (await this.get("/v1/models")) as { data?: { id: string }[] };
      const ids = data?.map(({ id }) => id) ?? [];
      if (models.every((model) => ids.includes(model))) return;
      if (Date.now() > deadline) throw new Error(`the proxy offers ${ids.join(", ")} and not all of ${models.join(", ")}`);
      await delay(50);
    }
  }

  /** The receipt of a call. One whose client has left is posted when the upstream has said what it counted. */
  async receipt(call: string): Promise<Receipt> {
    const deadline = Date.now() + KNOWN_MS_MAX;
    for (;;) {
      const { data } = (await this.get(`/v1/generation?id=${call}`)) as { data?: Receipt };
      if (data) return data;
      if (Date.now() > deadline) throw new Error(`the call ${call} has no receipt`);
    }
  }

  async get(path: string): Promise<unknown> {
    const response = await fetch(this.proxyUrl + path, { headers: { authorization: `Bearer ${this.key}` } });
    return response.json();
  }

  async stop(): Promise<void> {
    try {
      const { faults } = (await this.#farebox("verify")) as { faults: unknown[] };
      if (faults.length > 0) throw new Error(`farebox verify: ${JSON.stringify(faults)}`);
    } finally {
      this.relay.stop();
      this.upstream.stop();
      await this.#served.stop();
    }
  }

  /** Runs a command to its end; returns what it printed. */
  async #farebox(...args: string[]): Promise<unknown> {
    // A password that is long enough, too.
    const env = { ...ownEnvironment(), SECRET: CREDENTIAL };
    const { stdout } = await run(fareboxPath, [...args, "--json", "--data-dir", this.#served.dataDir], { env });
    return JSON.parse(stdout);
  }
}
