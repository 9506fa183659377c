// `/admin/plans`: what is sold, in which versions, who has it, and how another version is written.
import { randomUUID } from "node:crypto";
import type { BrowserContext, Page } from "@playwright/test";
import { createKey, signUp, topUp } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { ask } from "./gateway.ts";

test("a plan is looked at whole before it is sold, and stands on the list", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/plans");
  await page.getByRole("link", { name: "New plan or package" }).click();
  await expect(page).toHaveURL("/admin/plans/new");
  await expectSound(page);
  const name = await fillIn(page, { fee: "$1,020", allowance: "25", discount: "2.5" });
  await page.getByRole("button", { name: "Review" }).click();
  const review = page.getByRole("region", { name: `Sell the plan “${name}”?` });
  const terms = await readTable(review.getByRole("table"));
  expect(terms.body).toContainEqual({ Term: "Fee", Now: "Not sold", "From now on": "$1,020.00 a month" });
  expect(terms.body).toContainEqual({ Term: "Discount on calls", Now: "Not sold", "From now on": "2.5 %" });
  await expectSound(page);
  await page.reload();
  await expect(review, "the address has all of it").toBeVisible();
  await review.getByRole("button", { name: "Sell it" }).dblclick();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
  await expect(page.getByRole("status")).toHaveText("Version 1 is written. It is sold from now on.");
  await expectSound(page);

  await page.getByRole("link", { name: "All plans" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Plans");
  const { body } = await readTable(tableOf(page, "Name"));
  const sold = body.filter((row) => row["Name"]?.includes(name));
  expect(sold, "the double click sold it once").toEqual([
    expect.objectContaining({ Fee: "$1,020.00", Allowance: "$25.00", "Discount on calls": "2.5 %", Accounts: "0" }),
  ]);
  await expectSound(page);
});

test("a new version says what it changes, and whoever has the older one keeps it", async ({ page, context, ready }) => {
  const name = freshName();
  await farebox(ready, "plan", "set", name, "--fee", "2", "--allowance", "3");
  const customer = await signUp(page);
  await topUp(page, "5");
  await farebox(ready, "plan", "buy", customer.email, name);
  await becomeOperator(page, context);
  await open(page, name);
  await page.getByLabel(/^Fee in US dollars/).fill("4");
  await page.getByRole("button", { name: "Review" }).click();
  const review = page.getByRole("region", { name: `Write version 2 of “${name}”?` });
  const { body } = await readTable(review.getByRole("table"));
  expect(body).toContainEqual({ Term: "Fee", Now: "$2.00 a month", "From now on": "$4.00 a month" });
  expect(body).toContainEqual({ Term: "Allowance", Now: "$3.00 a month", "From now on": "Unchanged" });
  await expect(review).toContainText("Whoever has version 1 or an older one keeps it");
  await expectSound(page);
  await review.getByRole("button", { name: "Write version 2" }).click();
  await expect(page.getByRole("status")).toContainText("Version 2 is written.");
  expect((await readTable(tableOf(page, "Version"))).body.map((row) => row["Fee"])).toEqual(["$4.00", "$2.00"]);
  expect((await readTable(tableOf(page, "Customer"))).body).toEqual([
    expect.objectContaining({ Customer: customer.name, Version: "1", "What follows": "The same, for another month" }),
  ]);
  await page.goto("/admin/plans");
  const sold = page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
  await sold.getByRole("link", { name: "1", exact: true }).click();
  await page.getByRole("link", { name: customer.name }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(customer.name);
});

test("a package has days instead of months, and is written in tokens", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/plans/new");
  await page.getByRole("link", { name: "A package, once" }).click();
  await expect(page).toHaveURL("/admin/plans/new?kind=package");
  await expect(page.getByLabel("Days that it lasts")).toBeVisible();
  await expect(page.getByLabel(/^Discount/)).toHaveCount(0);
  await page.getByLabel("Days that it lasts").fill("30");
  await page.getByLabel("Counted in").selectOption("Tokens, which pay for whole calls");
  await page.getByLabel("Models that it pays for").fill("demo-mini");
  const name = await fillIn(page, { fee: "9", allowance: "1,000,000" });
  await page.getByRole("button", { name: "Review" }).click();
  await expect(page.getByRole("region", { name: `Sell the package “${name}”?` })).toContainText("1,000,000 tokens once");
  await page.getByRole("button", { name: "Sell it" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
  const [version] = (await readTable(tableOf(page, "Version"))).body;
  expect(version).toMatchObject({ Lasts: "30 days, once", Fee: "$9.00" });
  expect(version?.["Written"]).toMatch(/\d{2}:\d{2}$/);
});

test("what a plan bounds is written with it, is the customer's to see and nobody's to remove, and binds", async ({ page, context, ready }) => {
  await signIn(page, "operator");
  await page.goto("/admin/plans/new");
  await page.getByLabel(/^Requests a minute/).fill("1");
  await page.getByLabel(/^US dollars a month, at most/).fill("$50");
  const name = await fillIn(page, { fee: "2", allowance: "3" });
  await page.getByRole("button", { name: "Review" }).click();
  const review = page.getByRole("region", { name: `Sell the plan “${name}”?` });
  expect((await readTable(review.getByRole("table"))).body).toContainEqual({
    Term: "Limits",
    Now: "Not sold",
    "From now on": "1 request per minute, $50.00 per month",
  });
  await review.getByRole("button", { name: "Sell it" }).click();
  await expect(tableOf(page, "Version").getByText("at most 1 request per minute, $50.00 per month")).toBeVisible();
  await expectSound(page);

  await context.clearCookies();
  const { email } = await signUp(page);
  await topUp(page, "5");
  const key = await createKey(page);
  await farebox(ready, "plan", "buy", email, name);
  for (const path of ["/billing", "/keys/account"]) {
    await page.goto(path);
    const limits = tableOf(page, "Limit").getByRole("row");
    for (const words of ["1 request per minute", "$50.00 per month"]) {
      await expect(limits.filter({ hasText: words })).toContainText("comes with the plan");
    }
    await expect(page.getByRole("button", { name: /^Remove/ })).toHaveCount(0);
    await expectSound(page);
  }
  // Two calls may begin in two minutes, three in one after the other do not.
  const answers = await Promise.all([1, 2, 3].map(async () => (await ask(ready, key, "Hello")).status));
  expect(answers).toContain(429);
});

test.describe("what cannot be written", () => {
  test.use({ expectedNoise: [/status of 4(22|09|03)/] });

  test("is said at its field, and what was typed stays", async ({ page }) => {
    await signIn(page, "operator");
    await page.goto("/admin/plans/new");
    for (const { field, text, problem } of [
      { field: /^Fee in US dollars/, text: "much", problem: /not a number/ },
      { field: /^Allowance/, text: "0", problem: /above zero/ },
      { field: /^Discount/, text: "2.505", problem: /two decimals at most/ },
      { field: /^Requests a minute/, text: "0", problem: /above zero/ },
      { field: /^Tokens a minute/, text: "1.5", problem: /whole number/ },
      { field: /^Models/, text: "no-such-model", problem: /There is no model no-such-model/ },
    ]) {
      await fillIn(page, { fee: "20", allowance: "25" });
      await page.getByLabel(field).fill(text);
      await page.getByRole("button", { name: "Review" }).click();
      await expect(page.getByLabel(field)).toHaveAccessibleDescription(problem);
      await expect(page.getByLabel(field)).toHaveValue(text);
      await expect(page.getByRole("button", { name: "Sell it" })).toHaveCount(0);
      await page.getByLabel(field).fill("");
    }
    await expectSound(page);
  });

  test("is what somebody else changed meanwhile", async ({ page, ready }) => {
    const name = freshName();
    await farebox(ready, "plan", "set", name, "--fee", "2", "--allowance", "3");
    await signIn(page, "operator");
    await open(page, name);
    await page.getByLabel(/^Fee in US dollars/).fill("4");
    await page.getByRole("button", { name: "Review" }).click();
    await farebox(ready, "plan", "set", name, "--fee", "2", "--allowance", "8");
    await page.getByRole("button", { name: "Write version 2" }).click();
    await expect(page.getByRole("alert")).toContainText("A newer version than the one that you saw was written meanwhile");
    await expect(page.getByLabel(/^Fee in US dollars/)).toHaveValue("4");
    await expectSound(page);
    await page.getByRole("button", { name: "Review" }).click();
    await expect(page.getByRole("region", { name: `Write version 3 of “${name}”?` })).toContainText("$8.00 a month");
  });

  test("is anything by a customer", async ({ page }) => {
    await signUp(page);
    for (const path of ["/admin/plans", "/admin/plans/new"]) {
      expect((await page.goto(path))?.status(), path).toBe(403);
      await expect(page.getByText(/belongs to those who run this gateway/)).toBeVisible();
    }
    const form = { once: randomUUID(), name: freshName(), kind: "plan", fee: "1", allowance: "1", seen: "0" };
    const sent = await page.request.post("/admin/plans/new", { form, headers: { "sec-fetch-site": "same-origin" } });
    expect(sent.status()).toBe(403);
  });
});

const freshName = () => `Plan ${randomUUID().slice(0, 8)}`;

/** Fills in what a plan or a package must have, and returns its name. */
async function fillIn(page: Page, { fee, allowance, discount }: { fee: string; allowance: string; discount?: string }): Promise<string> {
  const name = freshName();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel(/^Fee in US dollars/).fill(fee);
  await page.getByLabel(/^Allowance/).fill(allowance);
  if (discount) await page.getByLabel(/^Discount/).fill(discount);
  return name;
}

async function open(page: Page, name: string): Promise<void> {
  await page.goto("/admin/plans");
  await page.getByRole("link", { name, exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
}

async function becomeOperator(page: Page, context: BrowserContext): Promise<void> {
  await context.clearCookies();
  await signIn(page, "operator");
}
