// The official SDKs work through the proxy by changing base URL and key, and pay exactly for what they saw.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import OpenAI from "openai";
import type { Ready } from "../ready.ts";
import { farebox } from "./command-line.ts";
import { expect, test } from "./fixtures.ts";
import { creditsAtRest, nanos, receipt, requestId, type Usage } from "./gateway.ts";

const run = promisify(execFile);
const model = "demo-mini";
const messages = [{ role: "user" as const, content: "Tell me a short story about a turnstile." }];

/** What an SDK saw of one call. */
interface Call {
  id: string;
  stream: boolean;
  text: string;
  usage: Usage;
}

// They compare the balance before and after: one at a time.
test.describe.configure({ mode: "default" });

/** Makes calls, then checks each one's receipt against what the SDK saw, and the sum of receipts against the balance. */
async function checkPaid(ready: Ready, calls: () => Promise<Call[]>): Promise<void> {
  const before = await creditsAtRest(ready);
  const made = await calls();
  const after = await creditsAtRest(ready);

  let spent = 0n;
  for (const call of made) {
    const got = await receipt(ready, call.id);
    expect(got).toMatchObject({ id: call.id, model, stream: call.stream, source: "upstream", status: "ok" });
    expect(got.usage).toMatchObject(call.usage);
    expect(call.text, "the answer has text").not.toBe("");
    expect(nanos(got.amount), "a call costs something").toBeGreaterThan(0n);
    expect(
      got.paid_by.reduce((sum, part) => sum + nanos(part.amount), 0n),
      "grants pay the whole amount",
    ).toBe(nanos(got.amount));
    spent += nanos(got.amount);
  }
  expect(nanos(before.balance) - nanos(after.balance), "the balance falls by the sum of receipts").toBe(spent);
  expect(nanos(after.reserved), "nothing stays held").toBe(nanos(before.reserved));
}

// A retry would be a second call: a failure shall fail the test instead.
const node = (ready: Ready, apiKey = ready.customer.key) =>
  new OpenAI({ baseURL: `${ready.proxy_url}/v1`, apiKey, maxRetries: 0 });

const counts = ({ prompt_tokens, completion_tokens, total_tokens }: Usage): Usage => ({
  prompt_tokens,
  completion_tokens,
  total_tokens,
});

async function whole(ready: Ready): Promise<Call> {
  const { data, response } = await node(ready).chat.completions.create({ model, messages }).withResponse();
  if (!data.usage) throw new Error("the completion carries no usage");
  const text = data.choices[0]?.message.content ?? "";
  return { id: requestId(response), stream: false, text, usage: counts(data.usage) };
}

async function streamed(ready: Ready): Promise<Call> {
  const { data, response } = await node(ready)
    .chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } })
    .withResponse();
  let text = "";
  let usage: Usage | undefined;
  for await (const chunk of data) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  if (!usage) throw new Error("the stream carried no usage");
  return { id: requestId(response), stream: true, text, usage: counts(usage) };
}

test("the Node SDK pays for what it saw", async ({ ready }) => {
  await checkPaid(ready, async () => [await whole(ready), await streamed(ready)]);
});

test("the Python SDK pays for what it saw", async ({ ready }) => {
  await checkPaid(ready, async () => {
    const { stdout } = await run(".venv/bin/python", ["tests/sdk.py", `${ready.proxy_url}/v1`, model], {
      env: { ...process.env, OPENAI_API_KEY: ready.customer.key },
    });
    return JSON.parse(stdout) as Call[];
  });
});

test("calls at the same time are each paid once", async ({ ready }) => {
  await checkPaid(ready, () => Promise.all(Array.from({ length: 8 }, (_, n) => (n % 2 ? whole : streamed)(ready))));
});

test("a stream that did not ask for usage shows none, and is metered all the same", async ({ ready }) => {
  const { data, response } = await node(ready)
    .chat.completions.create({ model, messages, stream: true })
    .withResponse();
  for await (const chunk of data) {
    expect(chunk).not.toHaveProperty("usage");
    expect(chunk.choices).not.toEqual([]);
  }
  const got = await receipt(ready, requestId(response));
  expect(got).toMatchObject({ source: "upstream", status: "ok" });
  expect(got.usage.total_tokens).toBe(got.usage.prompt_tokens + got.usage.completion_tokens);
  expect(got.usage.completion_tokens).toBeGreaterThan(0);
});

test("the models endpoint lists the demo's models", async ({ ready }) => {
  const { data } = await node(ready).models.list();
  expect(data.map(({ id }) => id)).toContain(model);
});

test("refusals reach the SDKs as their own errors", async ({ ready }) => {
  const create = (client: OpenAI, name: string) => client.chat.completions.create({ model: name, messages });
  await expect(create(node(ready), "no-such-model")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  await expect(create(node(ready, "sk-fb_wrong"), model)).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
});

/** The README's fenced blocks of a language, as somebody pastes them who listens elsewhere. */
async function readmeBlocks(language: string, ready: Ready): Promise<string[]> {
  const readme = await readFile("../README.md", "utf8");
  const blocks = readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"));
  return [...blocks].map(([, block]) => block?.replaceAll("http://127.0.0.1:8080", ready.proxy_url) ?? "");
}

test("the README's first calls work as pasted", async ({ ready }) => {
  const env = { ...process.env, FAREBOX_KEY: ready.customer.key };
  const curl = (await readmeBlocks("sh", ready)).find((block) => block.includes("curl "));
  const python = (await readmeBlocks("python", ready)).find((block) => block.includes("openai"));
  if (!curl || !python) throw new Error("the README no longer shows both");
  // The key is what differs from demo to demo.
  const { stdout: answer } = await run("bash", ["-ec", curl.replace(/^export FAREBOX_KEY=.*$/m, "")], { env });
  expect((JSON.parse(answer) as OpenAI.ChatCompletion).choices[0]?.message.content).toBeTruthy();
  expect((await run(".venv/bin/python", ["-c", python], { env })).stdout).not.toBe("");
});

test("the ledger's proof holds after all of it", async ({ ready }) => {
  await farebox(ready, "verify");
});
