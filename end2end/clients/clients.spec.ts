// Client libraries, with their own defaults, work through the proxy as they would without it: what they show, what they throw, how often
// they ask, and that what they saw is what was paid for.
import { thrown, type Client, type Seen } from "./client.ts";
import { at, expect, test } from "./fixtures.ts";
import { cost, type Gateway } from "./gateway.ts";
import { clients as aiClients } from "./node/ai.ts";
import { clients as anthropicClients } from "./node/anthropic.ts";
import { clients as openAiClients } from "./node/openai.ts";
import { clients as pythonClients, PythonError } from "./python.ts";
import { VECTOR } from "./upstream/embeddings.ts";
import { MODELS, PIECES, TOOL } from "./upstream/server.ts";

/** The latest call is posted as the upstream counted it, and as the client saw it. */
async function expectReceipt(gateway: Gateway, status: string, seen?: Seen): Promise<void> {
  const { counts } = gateway.upstream.asked.at(-1)!;
  const { usage, ...receipt } = await gateway.receipt(gateway.relay.calls.at(-1)!);
  expect(receipt).toMatchObject({ status, source: "upstream" });
  expect(usage.flag).toBeNull();
  expect(usage.prompt_tokens).toBe(counts.input);
  expect(usage.buckets.cache_read ?? 0).toBe(counts.cached);
  if (seen?.vector === undefined) expect(usage.completion_tokens).toBe(counts.output);
  if (seen) expect(counts).toMatchObject(seen.counts);
}

/** What a call threw, which must have been sent so many times. */
async function expectThrown(gateway: Gateway, call: Promise<unknown>, what: string | number, tries = 1): Promise<string> {
  const seen = await call.then(
    (seen) => expect(seen, "it did not throw").toBeUndefined(),
    (error: unknown) => (error instanceof PythonError ? error.thrown : thrown(error)),
  );
  if (typeof what === "number") expect(seen?.status, seen?.message).toBe(what);
  else expect(seen?.classes, seen?.message).toContain(what);
  expect(gateway.relay.requests, "how often it was sent").toBe(tries);
  return seen!.message;
}

function check(client: Client): void {
  const { exceptions, whole, streamed, tool, toolStreamed, leave, giveUp } = client;

  test("answer", async ({ gateway }) => {
    const seen = await whole(at(gateway, MODELS.answers));
    expect(seen.vector ?? seen.text).toEqual(seen.vector ? VECTOR : PIECES.join(""));
    expect(gateway.relay.requests).toBe(1);
    await expectReceipt(gateway, "ok", seen);
  });

  if (streamed)
    test("stream", async ({ gateway }) => {
      const seen = await streamed(at(gateway, MODELS.answers));
      expect(seen.text).toBe(PIECES.join(""));
      expect(gateway.relay.requests).toBe(1);
      await expectReceipt(gateway, "ok", seen);
    });

  if (tool)
    test("tool", async ({ gateway }) => {
      const seen = await tool(at(gateway, MODELS.answers));
      expect(seen).toMatchObject({ tool: TOOL, text: PIECES.join("") });
      expect(gateway.relay.requests).toBe(2);
      await expectReceipt(gateway, "ok", seen);
    });

  if (toolStreamed)
    test("tool, streamed", async ({ gateway }) => {
      const seen = await toolStreamed(at(gateway, MODELS.answers));
      expect(seen.tool).toEqual(TOOL);
      await expectReceipt(gateway, "ok", seen);
    });

  test("wrong key", async ({ gateway }) => {
    await expectThrown(gateway, whole(at(gateway, MODELS.answers, "sk-fb_wrong")), exceptions.wrongKey);
  });

  test("unknown model", async ({ gateway }) => {
    await expectThrown(gateway, whole(at(gateway, "no-such-model")), exceptions.unknownModel);
  });

  test("no credit", async ({ gateway }) => {
    await expectThrown(gateway, whole(at(gateway, MODELS.answers, gateway.poorKey)), exceptions.noCredit, client.tries);
    expect(gateway.upstream.asked).toEqual([]);
  });

  test("refused by the upstream", async ({ gateway }) => {
    await expectThrown(gateway, whole(at(gateway, MODELS.refuses)), exceptions.refused);
    expect(await gateway.receipt(gateway.relay.calls.at(-1)!)).toMatchObject({ status: "upstream_error", amount: "0" });
  });

  test("the operator refused by the upstream", async ({ gateway }) => {
    await expectThrown(gateway, whole(at(gateway, MODELS.locks)), exceptions.upstreamLocked, client.tries);
  });

  if (streamed)
    test("error in the stream", async ({ gateway }) => {
      const message = await expectThrown(gateway, streamed(at(gateway, MODELS.breaks)), exceptions.brokenStream);
      expect(message).toContain("The script breaks off.");
      expect(await gateway.receipt(gateway.relay.calls.at(-1)!)).toMatchObject({ status: "upstream_error" });
    });

  if (leave)
    test("hang-up", async ({ gateway }) => {
      await leave(at(gateway, MODELS.waits));
      await gateway.relay.left();
      gateway.upstream.goOn();
      expect(gateway.relay.requests).toBe(1);
      await expectReceipt(gateway, "client_left");
    });

  if (giveUp)
    test("time-out", async ({ gateway }) => {
      const before = await gateway.spent();
      await expectThrown(gateway, giveUp(at(gateway, MODELS.waits)), exceptions.timeout!);
      await gateway.relay.left();
      gateway.upstream.goOn();
      // Nothing told it the call's id.
      const [asked] = gateway.upstream.asked;
      await expect.poll(() => gateway.spent()).toBe(before + cost(asked!.counts));
    });
}

const clients = [...openAiClients, ...anthropicClients, ...aiClients, ...pythonClients];
for (const client of clients) test.describe(client.name, () => check(client));
