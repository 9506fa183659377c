// `/calls/:id` of a call whose first providers did not answer: each of them stands on its receipt.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { signUpAndPay } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { definition } from "./figures.ts";
import { expect, expectSound } from "./fixtures.ts";
import { call, receipt } from "./gateway.ts";
import { withItsOwnFarebox } from "./own-farebox.ts";
import { recompute } from "./recompute.ts";

// Models with a price are on everybody's price list.
const test = withItsOwnFarebox("tried-first");

test("the providers that were asked in vain are on the receipt, and cost nothing", async ({ page, ready }) => {
  const [model, away, busy] = ["model", "away", "<b>busy</b>"].map((name) => `${name} ${randomUUID()}`) as [string, string, string];
  const key = await signUpAndPay(page);
  const port = await overloaded();
  // Nobody listens at the first address, and nobody has time at the second.
  for (const [provider, address] of [[away, "127.0.0.1:9"], [busy, `127.0.0.1:${port}`]] as const) {
    await farebox(ready, "provider", "add", provider, "--base-url", `http://${address}/v1`, "--allow-private");
  }
  await farebox(ready, "model", "add", model, "--provider", away, "--context-window", "8192", "--default-output-hold", "512");
  await farebox(ready, "price", "set", model, "--input", "0.00015", "--output", "0.0006");
  await farebox(ready, "model", "fallback", model, "add", busy);
  await farebox(ready, "model", "fallback", model, "add", "demo", "--upstream-model", "demo-mini");

  let id = "";
  await expect(async () => {
    id = await call(ready, key, "What is a farebox?", { model });
  }, "the proxy knows of them within a second").toPass({ timeout: 30_000 });
  const { attempts, provider } = await receipt(ready, id, key);
  expect(provider).toBe("demo");
  expect(attempts).toMatchObject([
    { provider: away, http_status: null, billed: false },
    { provider: busy, http_status: 503, billed: false },
  ]);
  await page.goto(`/calls/${id}`);
  await expect(definition(page, "Tried first")).toHaveText([
    new RegExp(`^${away} — not reached after .+; not billed$`),
    new RegExp(`^${busy} — 503 after .+; not billed$`),
  ]);
  await expect(definition(page, "Status")).toHaveText(/^OK/);
  expect(await recompute(page), "the price of the model, whoever answered").toBeGreaterThan(0n);
  await expectSound(page);
});

/** Starts an upstream that refuses everything since it has too much to do, and says at which port. It ends with the tests. */
async function overloaded(): Promise<number> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(503, { "content-type": "application/json" }).end('{"error":{"message":"overloaded"}}');
  });
  server.listen(0, "127.0.0.1").unref();
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
