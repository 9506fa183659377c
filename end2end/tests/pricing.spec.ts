// `/pricing`: what anyone may know before they sign up.
import { randomUUID } from "node:crypto";
import { farebox } from "./command-line.ts";
import { amount, cell, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

test("it is sound, and needs no sign-in", async ({ page }) => {
  await page.goto("/");
  await expect(page).toHaveURL("/pricing");
  await expectSound(page);
});

test("every model has its prices per 1K and per 1M tokens, which are the same prices", async ({ page }) => {
  await page.goto("/pricing");
  for (const model of ["demo-mini", "demo-large"]) {
    const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: model }) });
    for (const heading of ["Prompt, per 1K tokens", "Completion, per 1K tokens"]) {
      const text = await row.locator(`[data-label="${heading}"]`).innerText();
      const [, per1k = "", per1m = ""] = /^(\$[\d.,]+)\s*(\$[\d.,]+) per 1M$/.exec(text) ?? [];
      expect(amount(per1k), `${model}: ${text}`).toBeGreaterThan(0n);
      expect(amount(per1m), `${model}: ${text}`).toBe(amount(per1k) * 1000n);
    }
    // A scheduled price of the model may say so too.
    await expect(row.getByText(/Prompt tokens, read from cache: \$[\d.]+ per 1K \(\$[\d.]+ per 1M\)/).first()).toBeVisible();
  }
});

test("what calls cost the gateway is nobody's business", async ({ page }) => {
  await page.goto("/pricing");
  // What demo-mini and demo-large cost per 1K, prompt and completion.
  for (const cost of ["0.0004", "0.0016", "0.0035", "0.014"]) {
    expect(await page.content()).not.toMatch(new RegExp(`${cost.replace(".", "\\.")}(?!\\d)`));
  }
  await expect(page.getByRole("main")).not.toContainText(/margin/i);
});

test("the search is in the address and finds by model and by provider", async ({ page }) => {
  await page.goto("/pricing");
  const models = page.getByRole("rowheader").getByRole("code");
  const search = page.getByLabel("Find a model or a provider");
  await search.fill("LARGE");
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page).toHaveURL("/pricing?search=LARGE");
  await expect(search).toHaveValue("LARGE");
  await expect(models).toHaveText(["demo-large"]);
  await page.goBack();
  await expect(models).toHaveCount(2);

  await search.fill("nothing like it");
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page.getByText("No model or provider contains “nothing like it”.")).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Every model" }).click();
  await expect(models).toHaveCount(2);
});

test("plans and packages stand beside the prices", async ({ page, ready }) => {
  const [plan, hidden] = [`Plan ${randomUUID().slice(0, 8)}`, `Plan ${randomUUID().slice(0, 8)}`];
  await farebox(ready, "plan", "set", plan, "--fee", "9", "--allowance", "5000000", "--unit", "tokens", "--model", "demo-mini");
  await farebox(ready, "plan", "set", hidden, "--fee", "9", "--allowance", "10", "--hidden");
  await page.goto("/pricing");
  const { body } = await readTable(tableOf(page, "Name"));
  expect(body.filter((row) => row["Name"] === plan)).toEqual([expect.objectContaining({ Fee: "$9.00", "Beyond it": "The balance pays" })]);
  await expect(page.getByText(hidden)).toHaveCount(0);
  await expectSound(page);
});

test("a bill is estimated from what is typed, without a plan and with each", async ({ page, ready }) => {
  const plan = `Plan ${randomUUID().slice(0, 8)}`;
  await farebox(ready, "plan", "set", plan, "--fee", "9", "--allowance", "10");
  await page.goto("/pricing");
  await page.getByLabel("Model", { exact: true }).selectOption("demo-mini");
  await page.getByLabel("Prompt tokens a month").fill("100,000,000");
  await page.getByLabel("Completion tokens a month").fill("1 000 000");
  await page.getByRole("button", { name: "Estimate" }).click();
  await expect(page).toHaveURL(/model1=demo-mini&prompt1=100%2C000%2C000&completion1=1\+000\+000/);
  const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "demo-mini" }) }).first();
  const rate = async (heading: string) => amount((await row.locator(`[data-label="${heading}"] .rate`).innerText()).trim());
  const cost = 100_000n * (await rate("Prompt, per 1K tokens")) + 1_000n * (await rate("Completion, per 1K tokens"));
  const { body } = await readTable(tableOf(page, "Way to pay"));
  const way = (name: string) => body.find((one) => one["Way to pay"] === name);
  expect(amount(cell(way("Without a plan"), "A month"))).toBe(cost);
  const beyond = cost > 10_000_000_000n ? cost - 10_000_000_000n : 0n;
  expect(amount(cell(way(plan), "Calls beyond the allowance"))).toBe(beyond);
  expect(amount(cell(way(plan), "A month"))).toBe(9_000_000_000n + beyond);
  await expectSound(page);
  await page.reload();
  await expect(page.getByLabel("Prompt tokens a month").first(), "the address has all of it").toHaveValue("100,000,000");
  await page.getByLabel("Model", { exact: true }).nth(1).selectOption("demo-large");
  await page.getByLabel("Prompt tokens a month").nth(1).fill("1000000");
  await page.getByRole("button", { name: "Estimate" }).click();
  await expect(page.getByLabel("Model", { exact: true })).toHaveCount(3);
  const more = (await readTable(tableOf(page, "Way to pay"))).body;
  expect(amount(cell(more[0], "A month"))).toBeGreaterThan(cost);
});

test.describe("an estimate that cannot be", () => {
  test.use({ expectedNoise: [/status of 400/] });

  test("is said at its field", async ({ page }) => {
    await page.goto("/pricing?model1=demo-mini&prompt1=many");
    await expect(page.getByLabel("Prompt tokens a month").first()).toHaveAccessibleDescription(/Write a whole number/);
    await expect(page.getByLabel("Prompt tokens a month").first()).toHaveValue("many");
    await expectSound(page);
  });
});

test("customers see it too", async ({ page }) => {
  await signIn(page, "customer");
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Pricing" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Pricing");
});
