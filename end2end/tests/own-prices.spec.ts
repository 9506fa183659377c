// `/admin/customers/:id/prices`: what one customer has agreed to pay, looked at before it is set; and what the customer sees of it.
import type { BrowserContext, Page } from "@playwright/test";
import { randomUUID } from "node:crypto";
import { signUp } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

const MODEL = "demo-mini";

test("a price is looked at rate by rate before it is set, is the customer's then, and ends", async ({ page, context, ready }) => {
  const customer = await signUp(page);
  const own = await context.cookies();
  await openPrices(page, context, customer.email);
  await expect(page.getByText("This customer pays what everyone pays.")).toBeVisible();
  await expectSound(page);
  await page.getByLabel("Model").selectOption(MODEL);
  await page.getByLabel("Prices per").selectOption("1M");
  await page.getByRole("button", { name: "Choose" }).click();
  await expect(page.getByText("Filled with what everyone pays now.")).toBeVisible();
  const before = Number(await page.getByLabel("Prompt tokens, per 1M", { exact: true }).inputValue());
  expect(before).toBeGreaterThan(0);
  await expectSound(page);
  const agreed = (before * 0.8).toFixed(6).replace(/\.?0+$/, "");
  await page.getByLabel("Prompt tokens, per 1M", { exact: true }).fill(agreed);
  await page.getByRole("button", { name: "Review" }).click();
  const review = page.getByRole("region", { name: `Set this price of ${MODEL} for ${customer.name}?` });
  await expect(review).toContainText("From a minute after it is set on, until you end it. Nothing is set yet.");
  await expect(review.getByRole("row", { name: /^Prompt/ }).first()).toContainText("÷1.25");
  await expectSound(page);
  await review.getByRole("button", { name: "Set it" }).dblclick();
  await expect(page.getByRole("status")).toContainText("It is set.");
  const { body } = await readTable(tableOf(page, "Model"));
  expect(body.map((row) => row["Until"]), "the double click set it once").toEqual(["further notice"]);
  await expectSound(page);

  await page.goto(`/admin/audit?${new URLSearchParams({ operation: "price.own", object: MODEL }).toString()}`);
  await expect(page.getByRole("row").filter({ hasText: customer.name }).first()).toBeVisible();

  // What the customer sees of it.
  const operators = await context.cookies();
  await context.clearCookies();
  await context.addCookies(own);
  await page.goto("/pricing");
  const mine = page.locator("section", { has: page.getByRole("heading", { name: "Prices agreed with you" }) });
  await expect(mine.getByRole("row", { name: new RegExp(`^${MODEL}`) })).toContainText(`$${agreed} per 1M`);
  await expectSound(page);
  await context.clearCookies();
  await page.goto("/pricing");
  await expect(mine, "it is nobody else's").toHaveCount(0);

  await context.addCookies(operators);
  await openPrices(page, context, customer.email);
  await page.getByRole("button", { name: `End the price of ${MODEL} for ${customer.name}` }).click();
  await page.getByRole("button", { name: "End it" }).click();
  await expect(page.getByRole("status")).toContainText("It ends within a minute");
  await expect(page.getByRole("button", { name: /^End the price/ })).toHaveCount(0);
  const { stdout } = await farebox(ready, "price", "own", "list", customer.email, "--json");
  expect(JSON.parse(stdout)).toMatchObject([{ model: MODEL, ends_at: expect.any(String) as unknown }]);
});

test.describe("what cannot be set", () => {
  test.use({ expectedNoise: [/status of 4(22|09|03|04)/] });

  test("is said at its field, and what was typed stays", async ({ page, context }) => {
    const customer = await signUp(page);
    const path = await openPrices(page, context, customer.email);
    await page.goto(`${path}?model=${MODEL}`);
    const prompt = page.getByLabel("Prompt tokens, per 1K", { exact: true });
    const everyones = await prompt.inputValue();
    for (const [typed, problem] of [
      ["cheap", /not a number/],
      ["-1", /below zero|negative/],
      ["", /Write a price/],
    ] as const) {
      await prompt.fill(typed);
      await prompt.evaluate((field: HTMLInputElement) => (field.form!.noValidate = true));
      await page.getByRole("button", { name: "Review" }).click();
      await expect(prompt).toHaveAccessibleDescription(problem);
      await expect(prompt).toHaveValue(typed);
      await expect(page.getByRole("button", { name: "Set it" })).toHaveCount(0);
    }
    await prompt.fill(everyones);
    await page.getByLabel(/^In force from/).fill("2020-01-31T12:00");
    await page.getByRole("button", { name: "Review" }).click();
    await expect(page.getByLabel(/^In force from/)).toHaveAccessibleDescription(/at least a minute ahead/);
    await expectSound(page);
  });

  test("is a leap without the model's name", async ({ page, context }) => {
    const customer = await signUp(page);
    const path = await openPrices(page, context, customer.email);
    await page.goto(`${path}?model=${MODEL}`);
    const prompt = page.getByLabel("Prompt tokens, per 1K", { exact: true });
    await prompt.fill((Number(await prompt.inputValue()) * 1_000).toFixed(6));
    await page.getByRole("button", { name: "Review" }).click();
    const named = page.getByLabel(/^To set this, write the model's name/);
    await named.fill("demo");
    await page.getByRole("button", { name: "Set it" }).click();
    await expect(page.getByLabel(/^To set this/)).toHaveAccessibleDescription(/exactly as it stands above/);
    await expectSound(page);
    await page.getByLabel(/^To set this/).fill(MODEL);
    await page.getByRole("button", { name: "Set it" }).click();
    await expect(page.getByRole("status")).toContainText("It is set.");
  });

  test("is what somebody else wrote meanwhile", async ({ page, context, ready }) => {
    const customer = await signUp(page);
    const path = await openPrices(page, context, customer.email);
    await page.goto(`${path}?model=${MODEL}`);
    const [prompt, completion] = [await page.getByLabel("Prompt tokens, per 1K", { exact: true }).inputValue(), await page.getByLabel("Completion tokens, per 1K", { exact: true }).inputValue()];
    await page.getByRole("button", { name: "Review" }).click();
    await farebox(ready, "price", "own", "set", customer.email, MODEL, "--input", prompt, "--output", completion);
    await page.getByRole("button", { name: "Set it" }).click();
    await expect(page.getByRole("alert")).toContainText("Somebody else has written a price");
    await expect(tableOf(page, "Model").getByRole("row")).toHaveCount(2);
  });

  test("is anything by a customer", async ({ page }) => {
    await signUp(page);
    const path = `/admin/customers/${randomUUID()}/prices`;
    expect((await page.goto(path))?.status()).toBe(403);
    const sent = await page.request.post(path, { form: { model: MODEL }, headers: { "sec-fetch-site": "same-origin" } });
    expect(sent.status()).toBe(403);
  });
});

async function openPrices(page: Page, context: BrowserContext, email: string): Promise<string> {
  await context.clearCookies();
  await signIn(page, "operator");
  await page.goto(`/admin/customers?search=${encodeURIComponent(email)}`);
  const customer = await page.getByRole("rowheader").getByRole("link").getAttribute("href");
  await page.goto(`${customer}/prices`);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Prices of");
  return `${customer}/prices`;
}
