// Real servers behind the gateway: LiteLLM's proxy, and nginx that compresses what a provider says.
import type { Client } from "./client.ts";
import { at, expect, test } from "./fixtures.ts";
import type { Gateway } from "./gateway.ts";
import { freePort } from "./child.ts";
import { ANSWER, MOCKED } from "./litellm.ts";
import { clients as anthropicClients } from "./node/anthropic.ts";
import { clients as openAiClients } from "./node/openai.ts";
import { NGINX, nginx } from "./servers.ts";
import { MODELS, PIECES } from "./upstream/server.ts";

const [chat, responses, completions] = openAiClients as [Client, Client, Client];
const [messages] = anthropicClients as [Client];

type Ask = Client["whole"];

const both = (clients: Client[]): Ask[] => clients.flatMap(({ whole, streamed }) => [whole, streamed!]);

/** The clients get this text, and are charged for what they saw. */
async function expectMetered(gateway: Gateway, model: string, asks: Ask[], text: string): Promise<void> {
  for (const ask of asks) {
    const { text: said, counts } = await ask(at(gateway, model));
    expect(said).toBe(text);
    const { usage, ...receipt } = await gateway.receipt(gateway.relay.calls.at(-1)!);
    expect(receipt).toMatchObject({ status: "ok", source: "upstream" });
    expect(usage).toMatchObject({ prompt_tokens: counts.input, completion_tokens: counts.output });
  }
}

test.describe("LiteLLM's proxy", () => {
  test.beforeAll("it is a provider", async ({ gateway, litellm }) => {
    test.setTimeout(240_000);
    await gateway.addModels("litellm", await litellm.answers(), { [MOCKED]: MOCKED });
  });

  test("its answers and streams are metered as its clients see them", async ({ gateway }) => {
    // Mocked, it has no stream of messages.
    await expectMetered(gateway, MOCKED, [...both([chat, completions]), messages.whole], ANSWER);
  });

  test("a stream that did not ask for usage shows none, and no header of LiteLLM's passes", async ({ gateway }) => {
    const response = await fetch(`${gateway.relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: MOCKED, stream: true, messages: [{ role: "user", content: "What is a farebox?" }] }),
    });
    expect([...response.headers.keys()].filter((name) => name.includes("litellm"))).toEqual([]);
    const events = (await response.text()).split("\n\n").filter((event) => event.startsWith("data: {"));
    expect(events.length).toBeGreaterThan(2);
    for (const event of events) {
      const chunk: unknown = JSON.parse(event.slice("data: ".length));
      expect(chunk).toMatchObject({ choices: [{ index: 0 }] });
      expect(chunk).not.toHaveProperty("usage");
    }
    const receipt = await gateway.receipt(response.headers.get("x-request-id")!);
    expect(receipt).toMatchObject({ status: "ok", source: "upstream" });
  });
});

test("what an nginx compresses unasked is metered, and reaches the client as it was", async ({ gateway }) => {
  test.skip(!NGINX && !process.env.CI, "nginx is not installed");
  const [outer, inner] = [await freePort(), await freePort()];
  const provider = new URL(gateway.upstream.url).host;
  // The outer one asks for what its own client did not ask for.
  const server = await nginx(
    outer,
    `server { listen 127.0.0.1:${outer}; proxy_buffering off; location / { proxy_pass http://127.0.0.1:${inner}; proxy_http_version 1.1;
       proxy_set_header Accept-Encoding gzip; } }
     server { listen 127.0.0.1:${inner}; gzip on; gzip_min_length 0; gzip_proxied any; gzip_types application/json text/event-stream;
       location / { proxy_pass http://${provider}; } }`,
  );
  try {
    const direct = await fetch(`${server.url}/v1/nothing`, { method: "POST" });
    expect(direct.headers.get("content-encoding"), "it does compress").toBe("gzip");
    await gateway.addModels("compressing", `${server.url}/v1`, { compressed: MODELS.answers });
    await expectMetered(gateway, "compressed", both([chat, responses, completions, messages]), PIECES.join(""));
  } finally {
    await server.stop();
  }
});
