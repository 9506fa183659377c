// Topping up on Stripe's page, for which a stand-in stands here: a farebox of these tests' own takes payments there.
import type { Page } from "@playwright/test";
import { readReady } from "../ready.ts";
import { serve } from "../serve.ts";
import { SECRET_KEY, Stripe, WEBHOOK_SECRET } from "../stripe.ts";
import { createKey, signUp } from "./accounts.ts";
import { headline, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, test as base } from "./fixtures.ts";
import { ask, call } from "./gateway.ts";

const test = base.extend<object, { shop: { stripe: Stripe; ready: string } }>({
  shop: [
    async ({}, use) => {
      const stripe = await new Stripe().start();
      const settings = ["--stripe-secret-key", SECRET_KEY, "--stripe-webhook-secret", WEBHOOK_SECRET, "--stripe-api-base", stripe.url];
      const { ready, stop } = await serve(`payments-${process.pid}`, "--demo", ...settings);
      stripe.tellTo = `${readReady(ready).console_url}/webhooks/stripe`;
      await use({ stripe, ready });
      await stop();
      stripe.stop();
    },
    { scope: "worker", timeout: 240_000 },
  ],
  ready: [async ({ shop }, use) => use(readReady(shop.ready)), { scope: "worker" }],
});

const goOn = (page: Page) => page.getByRole("button", { name: "Continue to Stripe" });
const pay = (page: Page) => page.getByRole("button", { name: "Pay", exact: true });
const field = (page: Page) => page.getByLabel("Amount in US dollars");

test("a balance that is too low is topped up on Stripe's page, and the next call passes", async ({ page, ready, shop }) => {
  await signUp(page);
  const key = await createKey(page);
  const refused = await ask(ready, key, "What is a farebox?");
  expect(refused.status).toBe(429);
  expect(((await refused.json()) as { error: { code: string } }).error.code).toBe("insufficient_quota");

  await page.goto("/billing");
  await expect(page.getByText("Stripe's test mode: no card is charged")).toBeVisible();
  await expect(field(page)).toHaveAccessibleDescription(/From \$5\.00 to \$10,000\.00\. You pay on Stripe's page/);
  await expectSound(page);
  await field(page).fill("12.34");
  await goOn(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Pay 1234 cents");
  expect(page.url()).toContain(shop.stripe.url);
  await pay(page).click();

  await expect(page).toHaveURL(/\/billing\?payment=/);
  await expect(page.getByRole("status")).toHaveText("$12.34 added. The balance is now $12.34.");
  await expect(headline(page, "Balance")).toHaveText("$12.34");
  await expectSound(page);
  const [row] = (await readTable(tableOf(page, "When"))).body;
  expect(row).toMatchObject({ Entry: "Top-up", Amount: "$12.34", "Balance after": "$12.34" });
  expect(row?.["What for"]).toContain("Stripe payment");
  await call(ready, key);
});

test("a usual amount is one click, and a double click is one payment", async ({ page, shop }) => {
  await signUp(page);
  await page.goto("/billing");
  const before = shop.stripe.sessions.size;
  await page.getByRole("button", { name: "Pay $25.00" }).dblclick();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Pay 2500 cents");
  expect(shop.stripe.sessions.size).toBe(before + 1);
  await pay(page).click();
  await expect(headline(page, "Balance")).toHaveText("$25.00");
  await page.reload();
  await expect(headline(page, "Balance")).toHaveText("$25.00");
});

test("what is not confirmed yet is not called paid, and looks again", async ({ page, shop, javaScriptEnabled }) => {
  await signUp(page);
  await page.goto("/billing");
  await field(page).fill("20");
  await goOn(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Pay 2000 cents");
  const session = new URL(page.url()).pathname.split("/").at(-1) ?? "";
  await page.getByRole("button", { name: "Pay by bank transfer" }).click();
  await expect(page.getByText("The payment of $20.00 is not confirmed yet.")).toBeVisible();
  await expect(headline(page, "Balance")).toHaveText("$0.00");
  await expectSound(page);
  await shop.stripe.arrive(session);
  if (javaScriptEnabled) await expect(page.getByText("$20.00 added.")).toBeVisible();
  else await page.getByRole("link", { name: "Look again" }).click();
  await expect(page.getByRole("status")).toHaveText("$20.00 added. The balance is now $20.00.");
});

test("whoever comes back without paying is told so, and starts again", async ({ page }) => {
  await signUp(page);
  await page.goto("/billing");
  await page.getByRole("button", { name: "Pay $10.00" }).click();
  await page.getByRole("link", { name: "Back" }).click();
  await expect(page.getByText("The payment of $10.00 was not completed, and nothing was added.")).toBeVisible();
  await expect(headline(page, "Balance")).toHaveText("$0.00");
  await page.getByRole("button", { name: "Pay $10.00" }).click();
  await pay(page).click();
  await expect(headline(page, "Balance")).toHaveText("$10.00");
});

test.describe("an amount that cannot be", () => {
  test.use({ expectedNoise: [/status of 422/] });

  test("is refused at its field, and stays there", async ({ page }) => {
    await signUp(page);
    await page.goto("/billing");
    for (const [typed, problem] of [
      ["4.99", "Write an amount from 5 to 10000."],
      ["5.001", "in whole cents"],
      ["ten", "This is not a number"],
    ] as const) {
      await field(page).fill(typed);
      await goOn(page).click();
      await expect(field(page)).toHaveAccessibleDescription(new RegExp(problem));
      await expect(field(page)).toHaveValue(typed);
    }
  });
});

test("an account is topped up by a saved card, and a declined one stops it and says how to go on", async ({ page, shop }) => {
  await signUp(page);
  await page.goto("/billing");
  await page.getByRole("link", { name: "Set up auto top-up" }).click();
  await expect(page).toHaveURL("/billing/auto-top-up");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Auto top-up");
  await expectSound(page);
  await page.getByLabel("When the balance is below, in US dollars").fill("5");
  await page.getByLabel("Pay, in US dollars").fill("20");
  await page.getByLabel("At most in a month, in US dollars").fill("50");
  await page.getByRole("button", { name: "Turn on and save a card at Stripe" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Save a card");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page).toHaveURL(/\/billing\/auto-top-up\?setup=cs_test_/);
  await expect(page.getByText("Stripe keeps it: visa ending in 4242.")).toBeVisible();
  await expectSound(page);
  await expect
    .poll(
      async () => {
        await page.goto("/billing");
        return headline(page, "Balance").textContent();
      },
      { timeout: 30_000 },
    )
    .toBe("$20.00");
  await expect(page.getByText("When the balance is below $5.00, $20.00 is paid by visa ending in 4242.")).toBeVisible();
  const [row] = (await readTable(tableOf(page, "When"))).body;
  expect(row?.["What for"]).toContain("Stripe payment");
  await expectSound(page);

  // The next payment is declined: more is wanted than there is.
  shop.stripe.declines = true;
  await page.goto("/billing/auto-top-up");
  await page.getByLabel("When the balance is below, in US dollars").fill("30");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("status")).toHaveText("It is on, as it stands below.");
  const stopped = page.getByRole("alert").filter({ hasText: "Auto top-up has stopped on" });
  await expect
    .poll(
      async () => {
        await page.goto("/billing");
        return stopped.count();
      },
      { timeout: 30_000 },
    )
    .toBe(1);
  await expect(stopped).toContainText("Your card was declined. Nothing is paid until you turn it on again in its settings, or save another card there.");
  await expectSound(page);
  shop.stripe.declines = false;
  await page.getByRole("button", { name: "Cards and receipts at Stripe" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Cards and receipts");
});

test("operators pay back a part of a payment, and find what is nobody's", async ({ page, context, shop, ready }) => {
  const customer = await signUp(page);
  await page.goto("/billing");
  await page.getByRole("button", { name: "Pay $25.00" }).click();
  await pay(page).click();
  await expect(headline(page, "Balance")).toHaveText("$25.00");
  const nobodys = await shop.stripe.payForNobody(777);
  await context.clearCookies();
  await page.goto("/login");
  await page.locator('input[name="email"]').fill(ready.operator.email);
  await page.locator('input[name="password"]').fill(ready.operator.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).not.toHaveURL(/\/login/);

  await page.goto("/admin");
  await page.getByRole("link", { name: /Payments to look at/ }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Payments");
  await expect(page.getByText(nobodys)).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Credited" }).click();
  const line = page.getByRole("row", { name: new RegExp(customer.name) });
  await expect(line).toContainText("$25.00");
  await line.getByRole("rowheader").getByRole("link").click();
  const amount = page.getByLabel("Amount in US dollars");
  await expect(amount).toHaveValue("25");
  await amount.fill("10");
  await page.getByLabel("Reason").fill("as we agreed");
  await page.getByRole("button", { name: "Review" }).click();
  const review = page.getByRole("region", { name: "Have Stripe pay $10.00 back?" });
  await expect(review).toContainText("as we agreed");
  await expectSound(page);
  await review.getByRole("button", { name: "Pay $10.00 back" }).click();
  await expect(page.getByRole("status")).toContainText("Stripe is asked to pay it back.");
  await expect(page.getByText("$15.00", { exact: true })).toBeVisible();
  await expectSound(page);

  await page.goto(`/admin/payments?payment=${nobodys}`);
  await page.getByLabel("Reason").fill("paid back at Stripe");
  await page.getByRole("button", { name: "Review" }).click();
  await page.getByRole("region", { name: "Dismiss it?" }).getByRole("button", { name: "Dismiss it" }).click();
  await expect(page.getByRole("status")).toHaveText("It is dismissed.");
  await expect(page.getByText(nobodys)).toHaveCount(0);
});

test.describe("terms of an auto top-up that cannot be", () => {
  test.use({ expectedNoise: [/status of 422/] });

  test("are refused at their field, and stay there", async ({ page }) => {
    await signUp(page);
    await page.goto("/billing/auto-top-up");
    const [amount, cap] = ["Pay, in US dollars", "At most in a month, in US dollars"].map((label) => page.getByLabel(label));
    await amount?.fill("20");
    await cap?.fill("10");
    await page.getByRole("button", { name: "Turn on and save a card at Stripe" }).click();
    await expect(cap as NonNullable<typeof cap>).toHaveAccessibleDescription(/Write no less than what is paid at once/);
    await expect(cap as NonNullable<typeof cap>).toHaveValue("10");
    await expectSound(page);
  });
});
