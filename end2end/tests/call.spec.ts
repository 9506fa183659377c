// `/calls/:id`: the receipt, which anyone can recompute.
import type { Page } from "@playwright/test";
import { randomUUID } from "node:crypto";
import { signUpAndPay } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { amount, cell, count, definition, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { ask, call, nanos, receipt, requestId } from "./gateway.ts";
import { recompute } from "./recompute.ts";

test("a receipt is sound", async ({ page }) => {
  await openNewest(page, "/calls?range=last-month");
  await expectSound(page);
});

test("it can be recomputed from its own lines, and says what the API says", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  // A prompt that was seen a moment ago comes from the upstream's cache, at a price of its own.
  const prompt = `${randomUUID()} ${"Tell me everything about turnstiles. ".repeat(40)}`;
  const ids = [await call(ready, key, prompt), await call(ready, key, prompt, { stream: true })];
  for (const [index, id] of ids.entries()) {
    await page.goto(`/calls/${id}`);
    const total = await recompute(page);
    const api = await receipt(ready, id, key);
    expect(total).toBe(nanos(api.amount));
    const { body } = await readTable(tableOf(page, "Item"));
    const cached = body.find((line) => line.Item === "Prompt tokens, read from cache");
    expect(count(cached?.Tokens ?? "0") > 0n, "tokens from the cache").toBe(index === 1);
    // What was not used is no line here.
    const used = api.lines.filter((line) => line.tokens > 0);
    expect(body.map((line) => [count(cell(line, "Tokens")), amount(cell(line, "Price per 1K"))])).toEqual(
      used.map((line) => [BigInt(line.tokens), nanos(line.per_1k)]),
    );
    for (const [term, tokens] of [
      ["Prompt tokens", api.usage.prompt_tokens],
      ["Completion tokens", api.usage.completion_tokens],
      ["Total tokens", api.usage.total_tokens],
    ] as const) {
      expect(count(await definition(page, term).innerText()), term).toBe(BigInt(tokens));
    }
    const raw = await page.getByRole("region", { name: "What the upstream sent" }).innerText();
    const { prompt_tokens, completion_tokens, total_tokens } = api.usage;
    expect(JSON.parse(raw)).toMatchObject({ prompt_tokens, completion_tokens, total_tokens });
  }
});

test("what was held is charged or given back", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  await page.goto(`/calls/${await call(ready, key)}`);
  const total = await recompute(page);
  const pairs = page.getByRole("article", { name: "Receipt" });
  const said = async (term: string) => amount(await definition(pairs, term).innerText());
  expect(await said("Paid from: Prepaid balance")).toBe(total);
  expect((await said("Held while it ran")) - (await said("Given back at its end"))).toBe(total);
});

test("a call is priced by the price of its day, not by today's", async ({ page }) => {
  const before = await pricesOfACall(page, 80);
  const after = await pricesOfACall(page, 20);
  expect(before).not.toEqual(after);
});

test("a client that left pays for what the upstream counted, and its receipt says so", async ({ page }) => {
  await openNewest(page, "/calls?range=last-month&status=client_left");
  await expect(page.getByText(/The client left before the end/)).toBeVisible();
  expect(await recompute(page)).toBeGreaterThan(0n);
  await expectSound(page);
});

test("a call that failed upstream costs nothing, and its receipt says why", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  const response = await ask(ready, key, "error 503");
  expect(response.status, await response.text()).toBe(503);
  await receipt(ready, requestId(response), key);
  await page.goto(`/calls/${requestId(response)}`);
  await expect(page.getByText(/The upstream failed before any output/)).toBeVisible();
  await expect(definition(page, "Status")).toHaveText("Upstream error (upstream answered 503)");
  await expect(page.getByText("No tokens were counted.")).toBeVisible();
  await expect(page.getByRole("table"), "nothing would stand in it").toHaveCount(0);
  await expect(definition(page, "Total")).toHaveText("$0.00");
  await expectSound(page);
});

test("a call never costs more than was held for it, and its receipt shows what it would have come to", async ({ page, context, ready }) => {
  const key = await signUpAndPay(page);
  // More than the model's window: an upstream that cannot count.
  await page.goto(`/calls/${await call(ready, key, "report 200000")}`);
  await expect(page.getByText(/more tokens than this call can have used/)).toBeVisible();
  const said = async (term: string) => amount((await definition(page, term).innerText()).replace("−", ""));
  expect(await said("Total")).toBe(await said("Held while it ran"));
  expect(await said("Total")).toBe((await said("Price")) - (await said("More than was held, not charged")));
  await expectSound(page);
  await page.goto("/calls");
  await expect(tableOf(page, "Time").getByText("numbers too high")).toBeVisible();

  await context.clearCookies();
  await signIn(page, "operator");
  await page.goto("/admin/customers?sort=created");
  await expect(page.getByText(/written off in 30 days: calls came to more than was held for them/)).toBeVisible();
  await expectSound(page);
});

test("a call that is given back shows why, what it costs by now, and its entry in the journal", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  const id = await call(ready, key);
  const { amount: charged } = await receipt(ready, id, key);
  await farebox(ready, "call", "credit", id, "0.00001", "--reason", "An apology <b>for</b> Tuesday");

  await page.goto(`/calls/${id}`);
  const left = nanos(charged) - 10_000n;
  expect(amount(await definition(page, "Total").innerText()), "its receipt stays as it was").toBe(nanos(charged));
  expect(amount(await definition(page, "Cost by now").innerText())).toBe(left);
  await expect(page.getByText(/^Given back, .*: An apology <b>for<\/b> Tuesday$/)).toBeVisible();
  await expect(definition(page, "In the journal")).toHaveText(/^Usage of \d+ \w+ \d{4}, \d\d:00 to \d\d:00 UTC(: posted when it has ended)?$/);
  await expect(definition(page, "Credit in the journal")).toHaveText(/^No\. \d+$/);
  await expectSound(page);
  expect(nanos((await receipt(ready, id, key)).cost)).toBe(left);

  await page.goto("/calls");
  await expect(tableOf(page, "Time").getByText("corrected")).toBeVisible();
  await page.goto("/billing");
  // The call itself is in the running hour, above.
  const { body } = await readTable(tableOf(page, "When"));
  expect(body.find((row) => row.Entry === "Credit for a call")).toMatchObject({ Amount: "$0.00001" });
  await farebox(ready, "call", "credit", id, "--reason", "The rest");
  await page.goto("/usage?range=today");
  await expect(page.getByText("$0.00").first()).toBeVisible();
});

test("what the client says of a call is on its receipt, and leads to the calls of which it said the same", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  const session = `run ${"x".repeat(200)}`;
  const id = await call(ready, key, "What is a farebox?", {}, {
    "user-agent": "curl/8.5.0",
    "x-farebox-end-user": "<b>user & 1</b>",
    "x-farebox-session": session,
    "x-farebox-tags": JSON.stringify({ team: "search" }),
  });
  const plain = await call(ready, key);
  const lines = { Client: "curl 8", "End user": "<b>user & 1</b>", Session: session, Tag: "team: search" };

  await page.goto(`/calls/${id}`);
  await expect(page.getByRole("heading", { name: "What the client said" })).toBeVisible();
  for (const [term, words] of Object.entries(lines)) await expect(definition(page, term)).toHaveText(words);
  await expectSound(page);
  for (const term of Object.keys(lines)) {
    await page.goto(`/calls/${id}`);
    await definition(page, term).getByRole("link").click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Calls");
    await expect(page.getByText("Filters (1)", { exact: true }), term).toBeVisible();
    const found = tableOf(page, "Time").getByRole("rowheader").getByRole("link");
    await expect(found, term).toHaveCount(1);
    await expect(found, term).toHaveAttribute("href", `/calls/${id}`);
    await expect(page.getByLabel("Session", { exact: true }), term).toHaveValue(term === "Session" ? session : "");
  }

  await page.goto(`/calls/${plain}`);
  await expect(definition(page, "Client")).not.toHaveText("curl 8");
  for (const term of ["End user", "Session", "Tag"]) await expect(definition(page, term), term).toHaveCount(0);
});

test("the project of a call stands with its key, and leads to the project's calls", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/keys");
  const { body } = await readTable(tableOf(page, "Name"));
  const projects = Object.fromEntries(body.map((row) => [cell(row, "Name"), cell(row, "Project")]));
  await openNewest(page, "/calls?range=last-month");
  const project = projects[await definition(page, "Key").innerText()] ?? "";
  await expect(definition(page, "Project")).toHaveText(project);
  await definition(page, "Project").getByRole("link").click();
  await expect(page).toHaveURL(/\/calls\?.*project=/);
  await expect(page.getByLabel("Project", { exact: true }).locator("option:checked")).toHaveText(project);
});

/** Opens the first call of a log that the demo's customer sees. */
async function openNewest(page: Page, log: string): Promise<void> {
  await signIn(page, "customer");
  await page.goto(log);
  await tableOf(page, "Time").getByRole("rowheader").getByRole("link").first().click();
  await expect(page.getByRole("article", { name: "Receipt" })).toBeVisible();
}

/** What a call to one model paid per 1K that many days ago; the demo's prices changed 40 days ago. */
async function pricesOfACall(page: Page, daysAgo: number): Promise<Record<string, string>> {
  const day = new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10);
  await openNewest(page, `/calls?range=custom&from=${day}&to=${day}&model=demo-mini&status=ok`);
  await recompute(page);
  const { body } = await readTable(tableOf(page, "Item"));
  const plain = body.filter((line) => !line.Item?.includes("cache"));
  return Object.fromEntries(plain.map((line) => [cell(line, "Item"), cell(line, "Price per 1K")]));
}
