// `/admin/customers/:id/settings`: what an account's calls are paid from, looked at before it is set.
import type { BrowserContext, Page } from "@playwright/test";
import { randomUUID } from "node:crypto";
import { signUp, topUp } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { definition, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

test("settings are looked at term by term before they are set, and are the customer's and the log's then", async ({ page, context }) => {
  const customer = await signUp(page);
  await topUp(page, "2");
  const own = await context.cookies();
  await openSettings(page, context, customer.email);
  await expectSound(page);
  await page.getByLabel("What calls are paid from").selectOption({ label: "Postpaid: also what is lent" });
  await page.getByLabel(/^Credit line/).fill("$1,000");
  await page.getByLabel(/^Grace in US dollars/).fill("5");
  await page.getByLabel(/^Grace until/).fill("2099-01-31T12:00");
  await page.getByRole("button", { name: "Review" }).click();
  const review = page.getByRole("region", { name: `Set this for ${customer.name}?` });
  const { body } = await readTable(review.getByRole("table"));
  expect(body.map((row) => [row["Term"], row["From now on"]])).toEqual([
    ["Mode", "Postpaid: once the balance is used up, calls go on within what is lent to this account."],
    [
      "Below zero",
      "The balance may go down to −$1,005.00, $5.00 of it as a grace until 31 Jan 2099, 12:00 UTC. After that no call starts below −$1,000.00; what is owed stays owed.",
    ],
    ["Terms", "Unchanged"],
  ]);
  await expect(review).toContainText("The prepaid balance is $2.00.");
  await expectSound(page);
  await expect(definition(page, "Mode"), "nothing is set yet").toContainText("Prepaid");
  await review.getByRole("button", { name: "Set it" }).dblclick();
  await expect(page.getByRole("status")).toContainText("It is set");
  await expect(definition(page, "Mode")).toContainText("Postpaid");
  await expect(page.getByLabel(/^Grace until/), "the form has what is set").toHaveValue("2099-01-31T12:00");
  await expectSound(page);

  await page.getByLabel(/^Grace in US dollars/).fill("");
  await page.getByLabel(/^Grace until/).fill("");
  await page.getByRole("button", { name: "Review" }).click();
  await expect(review).toContainText("The balance may go down to −$1,000.00.");
  await expect(page.getByLabel(/^Grace in US dollars/), "what was emptied stays empty").toHaveValue("");
  await page.getByRole("link", { name: "Do nothing" }).click();
  await expect(page.getByLabel(/^Grace in US dollars/)).toHaveValue("5");

  await page.goto(`/admin/audit?${new URLSearchParams({ operation: "account.credit_line", object: customer.name }).toString()}`);
  expect((await readTable(tableOf(page, "When"))).body, "the double click set it once").toHaveLength(1);

  await context.clearCookies();
  await context.addCookies(own);
  await page.goto("/billing");
  await expect(definition(page, "Mode")).toContainText("Postpaid");
  await expect(definition(page, "The next call")).toContainText("Starts if $1,007.00 cover it");
});

test.describe("what cannot be set", () => {
  test.use({ expectedNoise: [/status of 4(22|09|03)/] });

  test("is a second grace in a month, which the page says", async ({ page, context, ready }) => {
    const { email } = await signUp(page);
    await farebox(ready, "account", "set", email, "--grace", "2", "--until", "2099-01-31");
    await farebox(ready, "account", "set", email, "--grace", "0");
    await openSettings(page, context, email);
    await expect(definition(page, "Grace")).toContainText("Used this month");
    await page.getByLabel(/^Grace in/).fill("1");
    await page.getByLabel(/^Grace until/).fill("2099-01-31T12:00");
    await page.getByRole("button", { name: "Review" }).click();
    await expect(page.getByLabel(/^Grace in/)).toHaveAccessibleDescription(/One was given this month already: the next can begin on 1 /);
    await expect(page.getByRole("button", { name: "Set it" })).toHaveCount(0);
    await expectSound(page);
  });

  test("is said at its field, and what was typed stays", async ({ page, context }) => {
    const { email } = await signUp(page);
    await openSettings(page, context, email);
    for (const { mode, lent, grace, until, field, problem } of [
      { mode: "prepaid", lent: "5", grace: "", until: "", field: /^Credit line/, problem: /lent nothing for good/ },
      { mode: "postpaid", lent: "", grace: "", until: "", field: /^Credit line/, problem: /needs a credit line/ },
      { mode: "postpaid", lent: "a lot", grace: "", until: "", field: /^Credit line/, problem: /not a number/ },
      { mode: "quota", lent: "", grace: "1", until: "2099-01-31T12:00", field: /^Grace in/, problem: /on quota is lent nothing/ },
      { mode: "prepaid", lent: "", grace: "1", until: "", field: /^Grace until/, problem: /has an end/ },
      { mode: "prepaid", lent: "", grace: "1", until: "2020-01-31T12:00", field: /^Grace in/, problem: /still to come/ },
    ]) {
      await page.getByLabel("What calls are paid from").selectOption(mode);
      await page.getByLabel(/^Credit line/).fill(lent);
      await page.getByLabel(/^Grace in/).fill(grace);
      await page.getByLabel(/^Grace until/).fill(until);
      await page.getByRole("button", { name: "Review" }).click();
      await expect(page.getByLabel(field)).toHaveAccessibleDescription(problem);
      await expect(page.getByLabel(/^Credit line/)).toHaveValue(lent);
      await expect(page.getByRole("button", { name: "Set it" })).toHaveCount(0);
    }
    await expectSound(page);
  });

  test("is what somebody else changed meanwhile", async ({ page, context, ready }) => {
    const { email } = await signUp(page);
    await openSettings(page, context, email);
    await page.getByLabel("What a call costs beyond").selectOption("lenient");
    await page.getByRole("button", { name: "Review" }).click();
    await farebox(ready, "account", "set", email, "--credit-line", "7");
    await page.getByRole("button", { name: "Set it" }).click();
    await expect(page.getByRole("alert")).toContainText("Somebody else has changed these settings meanwhile");
    await expect(definition(page, "Below zero")).toHaveText("The balance may go down to −$7.00.");
  });

  test("is anything by a customer", async ({ page }) => {
    await signUp(page);
    const path = `/admin/customers/${randomUUID()}/settings`;
    expect((await page.goto(path))?.status()).toBe(403);
    const sent = await page.request.post(path, { form: { mode: "prepaid" }, headers: { "sec-fetch-site": "same-origin" } });
    expect(sent.status()).toBe(403);
  });
});

async function openSettings(page: Page, context: BrowserContext, email: string): Promise<void> {
  await context.clearCookies();
  await signIn(page, "operator");
  await page.goto(`/admin/customers?search=${encodeURIComponent(email)}`);
  const customer = await page.getByRole("rowheader").getByRole("link").getAttribute("href");
  await page.goto(`${customer}/settings`);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Account settings of");
}
