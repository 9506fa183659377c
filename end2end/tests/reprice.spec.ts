// `/admin/pricing/reprice`: what would go back of past calls by another price, looked at customer by customer before it is posted.
import type { Page } from "@playwright/test";
import { randomUUID } from "node:crypto";
import { createKey, signUp, topUp } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { amount, definition, headline, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn } from "./fixtures.ts";
import { ask, call } from "./gateway.ts";
import { withItsOwnFarebox } from "./own-farebox.ts";
import type { Ready } from "../ready.ts";

// Models with a price are on everybody's price list.
const test = withItsOwnFarebox("reprice");

/** A model of the test's own, which costs too much, and whose next price is the half. */
async function aModel(ready: Ready): Promise<string> {
  const model = `dear-${randomUUID()}`;
  const bounds = ["--context-window", "8192", "--default-output-hold", "64"];
  await farebox(ready, "model", "add", model, "--provider", "demo", "--upstream-name", "demo-mini", ...bounds);
  await farebox(ready, "price", "set", model, "--input", "0.02", "--output", "0.04");
  await farebox(ready, "price", "set", model, "--input", "0.01", "--output", "0.02", "--effective-from", "2099-01-01");
  return model;
}

/** A customer who has called it so often. */
async function aCaller(page: Page, ready: Ready, model: string, calls: number): Promise<string> {
  const { name } = await signUp(page);
  await topUp(page, "20");
  const key = await createKey(page);
  await expect.poll(async () => (await ask(ready, key, "Hello", { model })).status).toBe(200);
  for (let made = 1; made < calls; made += 1) await call(ready, key, "Hello", { model });
  await page.goto("/calls");
  await expect(async () => {
    await page.reload();
    expect((await readTable(tableOf(page, "Time"))).body).toHaveLength(calls);
  }).toPass();
  return name;
}

test("what goes back is seen customer by customer, posted once, and in each customer's journal", async ({ page, context, ready }) => {
  test.slow();
  const model = await aModel(ready);
  const less = await aCaller(page, ready, model, 1);
  await context.clearCookies();
  const more = await aCaller(page, ready, model, 3);
  const own = await context.cookies();
  await page.goto("/billing");
  const before = amount(await headline(page, "Balance").innerText());

  await context.clearCookies();
  await signIn(page, "operator", ready);
  await page.goto(`/admin/pricing?model=${model}`);
  await page.getByRole("link", { name: "Charge past calls anew" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(model);
  await expectSound(page);
  await page.getByLabel(/^Calls that began from/).fill("2026-01-01T00:00");
  await page.getByLabel("Charged by").selectOption({ label: await option(page, /2099/) });
  await page.getByLabel("Note").fill("It was twice too dear");
  await page.getByRole("button", { name: "See what goes back" }).click();
  const review = page.getByRole("region", { name: /^Give .* back to 2 customers\?$/ });
  const { body } = await readTable(review.getByRole("table"));
  expect(body.map((row) => row["Customer"]?.split("\n")[0]), "who gets most stands first").toEqual([
    expect.stringContaining(more),
    expect.stringContaining(less),
  ]);
  expect(body.map((row) => row["Calls that cost less"])).toEqual(["3", "1"]);
  await expect(review).toContainText("Nothing is posted yet.");
  await expectSound(page);
  const looked = async (field: string) => review.locator(`input[name="${field}"]`).inputValue();
  const form = { model, from: await looked("from"), to: await looked("to"), price: await looked("price"), note: await looked("note"), seen: "0" };
  const tooMuch = await page.request.post("/admin/pricing/reprice", { form, headers: { "sec-fetch-site": "same-origin" } });
  expect(tooMuch.status(), "no more is posted than was looked at").toBe(409);
  await review.getByRole("button", { name: /^Give .* back$/ }).dblclick();
  await expect(page.getByRole("status")).toContainText("It is posted");
  await expect(page.getByRole("region", { name: "Nothing goes back" })).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "the audit log" }).click();
  for (const name of [more, less]) {
    await expect(page.getByRole("row").filter({ hasText: name }), "the double click posted it once").toHaveCount(1);
  }

  await context.clearCookies();
  await context.addCookies(own);
  await page.goto("/billing");
  const back = amount(await headline(page, "Balance").innerText()) - before;
  expect(back > 0n).toBe(true);
  // The open hour stands above what was posted.
  const row = (await readTable(tableOf(page, "When"))).body.find((one) => one["What for"]?.includes("It was twice too dear"));
  expect(amount(row?.["Amount"] ?? "")).toBe(back);
});

test.describe("what cannot be posted", () => {
  test.use({ expectedNoise: [/status of 4(22|03|04)/] });

  test("is said at its field, and what was typed stays", async ({ page, ready }) => {
    const model = await aModel(ready);
    await signIn(page, "operator", ready);
    await page.goto(`/admin/pricing/reprice?model=${model}`);
    for (const { from, to, note, field, problem } of [
      { from: "2026-01-02T00:00", to: "2026-01-01T00:00", note: "Why", field: /^Calls that began from/, problem: /begins after its end/ },
      { from: "2026-01-02T00:00", to: "2099-01-01T00:00", note: "Why", field: /^And before/, problem: /Only past calls/ },
      { from: "2026-01-02T00:00", to: "", note: " ", field: /^Note/, problem: /Say why/ },
    ]) {
      await page.getByLabel(/^Calls that began from/).fill(from);
      await page.getByLabel(/^And before/).fill(to);
      await page.getByLabel("Note").fill(note);
      await page.getByRole("button", { name: "See what goes back" }).click();
      await expect(page.getByLabel(field)).toHaveAccessibleDescription(problem);
      await expect(page.getByLabel(/^Calls that began from/)).toHaveValue(from);
      await expect(page.getByRole("region", { name: /back/ })).toHaveCount(0);
    }
    await expectSound(page);
    await page.getByLabel("Note").fill("Nobody has called it");
    await page.getByRole("button", { name: "See what goes back" }).click();
    const review = page.getByRole("region", { name: "Nothing goes back" });
    await expect(definition(review, "Goes back")).toHaveText("$0.00 for 0 calls");
    await expect(review.getByRole("button")).toHaveCount(0);
    expect((await page.goto("/admin/pricing/reprice?model=no-such-model"))?.status()).toBe(404);
  });

  test("is anything by a customer", async ({ page }) => {
    await signUp(page);
    expect((await page.goto("/admin/pricing/reprice?model=demo-mini"))?.status()).toBe(403);
    const sent = await page.request.post("/admin/pricing/reprice", { form: { model: "demo-mini" }, headers: { "sec-fetch-site": "same-origin" } });
    expect(sent.status()).toBe(403);
  });
});

/** The label of the price that fits. */
async function option(page: Page, pattern: RegExp): Promise<string> {
  const labels = await page.getByLabel("Charged by").getByRole("option").allInnerTexts();
  return labels.find((label) => pattern.test(label)) ?? "";
}
