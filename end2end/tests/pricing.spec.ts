// `/pricing`: what anyone may know before they sign up.
import { amount } from "./figures.ts";
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

test("customers see it too", async ({ page }) => {
  await signIn(page, "customer");
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Pricing" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Pricing");
});
