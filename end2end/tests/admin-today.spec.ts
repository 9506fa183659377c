// `/admin`: the gateway's day at a glance.
import type { Page } from "@playwright/test";
import { signUpAndPay } from "./accounts.ts";
import { amount, count, headline, headlineNow } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { call, nanos, receipt } from "./gateway.ts";

const LABELS = ["Calls", "Revenue", "Provider cost", "Margin", "Written off", "Models without a price", "Payments to look at", "In quarantine", "Spool lag", "Last proof"];

test("each figure leads to its page, and all of it is sound", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Today");
  await expect(page.getByRole("term")).toHaveText(LABELS);
  await expectSound(page);
  for (const label of LABELS) {
    await page.goto("/admin");
    await page.getByRole("term").getByRole("link", { name: label }).click();
    await expect(page).toHaveURL(/\/admin\/(customers\?sort=spend|payments|pricing|proof)$/);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(/^(Customers|Payments|Prices|Proof)$/);
  }
});

test("a call is in the day's figures as soon as it is posted, and the margin is what is left", async ({ page, context, ready }) => {
  const key = await signUpAndPay(page);
  await context.clearCookies();
  await signIn(page, "operator");
  const before = await read(page);
  const charged = nanos((await receipt(ready, await call(ready, key), key)).amount);
  const after = await read(page);
  // Others call at the same time.
  expect(after.calls).toBeGreaterThan(before.calls);
  expect(after.revenue - before.revenue).toBeGreaterThanOrEqual(charged);
  expect(after.revenue - after.cost).toBe(after.margin);
});

/** The figures of one page, exactly. */
async function read(page: Page) {
  await page.goto("/admin");
  const money = async (label: string) => amount(await headlineNow(page, label));
  await expect(headline(page, "Calls")).toBeVisible();
  return {
    calls: count(await headlineNow(page, "Calls")),
    revenue: await money("Revenue"),
    cost: await money("Provider cost"),
    margin: await money("Margin"),
  };
}
