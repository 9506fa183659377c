// nginx and Caddy before the gateway, by the README's own blocks.
import type { Child } from "./child.ts";
import { at, expect, test } from "./fixtures.ts";
import { clients } from "./node/openai.ts";
import { CADDY, caddyByTheReadme, NGINX, nginxByTheReadme } from "./servers.ts";
import { MODELS, PIECES } from "./upstream/server.ts";

const chat = clients[0]!;

function check(name: string, path: string | undefined, start: (behind: string) => Promise<Child>): void {
  test.describe(`${name} in front`, () => {
    test.skip(!path && !process.env.CI, `${name} is not installed`);

    test("answers and streams are metered as the client sees them", async ({ gateway }) => {
      const server = await start(new URL(gateway.relay.url).host);
      try {
        for (const ask of [chat.whole, chat.streamed!]) {
          const { text, counts } = await ask({ ...at(gateway, MODELS.answers), baseUrl: server.url });
          expect(text).toBe(PIECES.join(""));
          expect(gateway.upstream.asked.at(-1)!.counts).toMatchObject(counts);
        }
      } finally {
        await server.stop();
      }
    });

    test("a stream comes as it is spoken, and the gateway knows that its client has left", async ({ gateway }) => {
      const server = await start(new URL(gateway.relay.url).host);
      try {
        // It returns at the first text, while the upstream waits in the middle.
        await chat.leave!({ ...at(gateway, MODELS.waits), baseUrl: server.url });
        await gateway.relay.left();
        gateway.upstream.goOn();
        expect(await gateway.receipt(gateway.relay.calls.at(-1)!)).toMatchObject({ status: "client_left", source: "upstream" });
      } finally {
        await server.stop();
      }
    });

    test("a large request is the gateway's to refuse", async ({ gateway }) => {
      const server = await start(new URL(gateway.relay.url).host);
      try {
        const response = await fetch(`${server.url}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${gateway.key}`, "content-type": "application/json" },
          body: JSON.stringify({ model: MODELS.answers, messages: [{ role: "user", content: "farebox ".repeat(1_000_000) }] }),
        });
        expect(await response.json()).toMatchObject({ error: { code: "context_length_exceeded" } });
      } finally {
        await server.stop();
      }
    });
  });
}

check("nginx", NGINX, nginxByTheReadme);
check("Caddy", CADDY, caddyByTheReadme);
