// `/admin/customers`: found, looked at, given credit with a reason.
import type { BrowserContext, Page } from "@playwright/test";
import { randomUUID } from "node:crypto";
import { createKey, signUp, topUp, type Customer } from "./accounts.ts";
import { headline, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

const post = (page: Page) => page.getByRole("button", { name: /^Post to / });

test("the list is sound", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/customers");
  await expectSound(page);
});

test("a customer is found by name and by address, and the search is in the address bar", async ({ page, context }) => {
  const { email, name } = await aCustomer(page);
  await becomeOperator(page, context);
  await page.goto("/admin/customers");
  for (const wanted of [name.toUpperCase(), email]) {
    await page.getByLabel("Find by name or e-mail address").fill(wanted);
    await page.getByRole("button", { name: "Find" }).click();
    await expect(page).toHaveURL(`/admin/customers?${new URLSearchParams({ search: wanted }).toString()}`);
    await expect(page.getByLabel("Find by name or e-mail address")).toHaveValue(wanted);
    const { body } = await readTable(tableOf(page, "Customer"));
    expect(body).toEqual([expect.objectContaining({ Customer: name, Owner: email, State: "Active", Balance: "$2.00" })]);
  }
  await page.getByLabel("Find by name or e-mail address").fill(randomUUID());
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page.getByText(/No name or address contains/)).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Every customer" }).click();
  await expect(page).toHaveURL("/admin/customers");
});

test("a long name widens no page, and is whole in its title", async ({ page, context }) => {
  const customer = await signUp(page, "W".repeat(80));
  await createKey(page, "W".repeat(100));
  await page.goto("/keys");
  await expectSound(page);
  await openAsOperator(page, context, customer);
  await expectSound(page);
  await page.goto(`/admin/customers?search=${encodeURIComponent(customer.email)}`);
  await expect(page.getByTitle(customer.name, { exact: true })).toBeVisible();
  await expectSound(page);
});

test("credit with a reason is in the customer's own journal", async ({ page, context }) => {
  const customer = await aCustomer(page);
  const own = await context.cookies();
  await openAsOperator(page, context, customer);
  await expectSound(page);
  await page.getByLabel("Amount in US dollars").fill("3.50");
  await page.getByLabel("Reason").fill("An apology for Tuesday");
  await post(page).click();
  await expect(page.getByRole("status")).toHaveText("+$3.50 posted. The balance is now $5.50.");
  await expect(headline(page, "Balance")).toHaveText("$5.50");

  await context.clearCookies();
  await context.addCookies(own);
  await page.goto("/billing");
  await expect(headline(page, "Balance")).toHaveText("$5.50");
  const [row] = (await readTable(tableOf(page, "When"))).body;
  expect(row).toMatchObject({ Amount: "$3.50", "Balance after": "$5.50" });
  expect(row?.["What for"]).toContain("An apology for Tuesday");
});

test("a double click gives credit once", async ({ page, context }) => {
  await openAsOperator(page, context, await aCustomer(page));
  await page.getByLabel("Amount in US dollars").fill("1");
  await page.getByLabel("Reason").fill("Once");
  await post(page).dblclick();
  await expect(page.getByRole("status")).toContainText("posted");
  await page.reload();
  await expect(headline(page, "Balance")).toHaveText("$3.00");
});

test.describe("credit that cannot be", () => {
  test.use({ expectedNoise: [/status of 422/] });

  test("names its amount and its reason, and takes back no more than is there", async ({ page, context }) => {
    await openAsOperator(page, context, await aCustomer(page));
    for (const { amount, reason, field, problem } of [
      { amount: "1.0000000001", reason: "Too exact", field: "Amount in US dollars", problem: /more than nine decimals/ },
      { amount: "a lot", reason: "Unclear", field: "Amount in US dollars", problem: /not a number/ },
      { amount: "0", reason: "Nothing", field: "Amount in US dollars", problem: /other than zero/ },
      { amount: "1", reason: "  ", field: "Reason", problem: /Say why/ },
      { amount: "-2.01", reason: "Too much", field: "Amount in US dollars", problem: /Only \$2\.00 is available/ },
    ]) {
      await page.getByLabel("Amount in US dollars").fill(amount);
      await page.getByLabel("Reason").fill(reason);
      await post(page).click();
      await expect(page.getByLabel(field)).toHaveAccessibleDescription(problem);
      await expect(page.getByLabel("Amount in US dollars")).toHaveValue(amount);
      await expect(headline(page, "Balance")).toHaveText("$2.00");
    }
    await expectSound(page);

    await page.getByLabel("Amount in US dollars").fill("-2");
    await page.getByLabel("Reason").fill("All of it");
    await post(page).click();
    await expect(page.getByRole("status")).toHaveText("−$2.00 posted. The balance is now $0.00.");
  });
});

/** A customer with $2.00. */
async function aCustomer(page: Page): Promise<Customer> {
  const customer = await signUp(page);
  await topUp(page, "2");
  return customer;
}

async function becomeOperator(page: Page, context: BrowserContext): Promise<void> {
  await context.clearCookies();
  await signIn(page, "operator");
}

async function openAsOperator(page: Page, context: BrowserContext, { name, email }: Customer): Promise<void> {
  await becomeOperator(page, context);
  await page.goto(`/admin/customers?search=${encodeURIComponent(email)}`);
  await page.getByRole("link", { name }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
}
