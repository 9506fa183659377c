// `/admin/customers`: found, looked at, given credit with a reason.
import type { BrowserContext, Page } from "@playwright/test";
import { randomUUID } from "node:crypto";
import { createKey, signUp, topUp, type Customer } from "./accounts.ts";
import { headline, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

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

test("credit is looked at whole before it is posted, and is in the customer's own journal with its reason", async ({ page, context }) => {
  const customer = await aCustomer(page);
  const own = await context.cookies();
  await openAsOperator(page, context, customer);
  await expectSound(page);
  await ask(page, "Give credit", "$3.50", "An apology for Tuesday");
  const review = page.getByRole("region", { name: `Give $3.50 to ${customer.name}?` });
  for (const words of [customer.name, customer.email, "$2.00 → $5.50", "An apology for Tuesday"]) await expect(review).toContainText(words);
  await expect(headline(page, "Balance"), "nothing is posted yet").toHaveText("$2.00");
  await expectSound(page);
  await review.getByRole("button", { name: "Give $3.50" }).click();
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
  await ask(page, "Give credit", "1", "Once");
  await page.getByRole("button", { name: "Give $1.00" }).dblclick();
  await expect(page.getByRole("status")).toContainText("posted");
  await page.reload();
  await expect(headline(page, "Balance")).toHaveText("$3.00");
});

test("what was to be posted can be left alone, or changed", async ({ page, context }) => {
  await openAsOperator(page, context, await aCustomer(page));
  await ask(page, "Take credit back", "1", "Too much");
  await page.getByRole("link", { name: "Do nothing" }).click();
  await expect(page.getByRole("heading", { name: /^Take/ })).toHaveCount(0);
  await expect(headline(page, "Balance")).toHaveText("$2.00");
  await ask(page, "Take credit back", "1", "Too much");
  await page.getByLabel("Amount in US dollars").fill("0.50");
  await page.getByRole("button", { name: "Review" }).click();
  await page.getByRole("button", { name: "Take $0.50 back" }).click();
  await expect(page.getByRole("status")).toHaveText("−$0.50 posted. The balance is now $1.50.");
});

test("a refund is an entry of its own", async ({ page, context }) => {
  await openAsOperator(page, context, await aCustomer(page));
  await ask(page, "Refund, paid out elsewhere", "2", "Account closed");
  await page.getByRole("button", { name: "Post the refund of $2.00" }).click();
  await expect(page.getByRole("status")).toHaveText("−$2.00 posted. The balance is now $0.00.");
  const [row] = (await readTable(tableOf(page, "When"))).body;
  expect(row?.Entry).toContain("Refund");
});

test.describe("what cannot be posted", () => {
  test.use({ expectedNoise: [/status of 422/] });

  test("names its amount and its reason, and takes back no more than is there", async ({ page, context }) => {
    await openAsOperator(page, context, await aCustomer(page));
    for (const { how, amount, reason, field, problem } of [
      { how: "Give credit", amount: "1.0000000001", reason: "Too exact", field: "Amount in US dollars", problem: /more than nine decimals/ },
      { how: "Give credit", amount: "a lot", reason: "Unclear", field: "Amount in US dollars", problem: /not a number/ },
      { how: "Give credit", amount: "0", reason: "Nothing", field: "Amount in US dollars", problem: /above zero/ },
      { how: "Give credit", amount: "-1", reason: "A sign", field: "Amount in US dollars", problem: /above zero/ },
      { how: "Give credit", amount: "1", reason: "  ", field: "Reason", problem: /Say why/ },
      { how: "Take credit back", amount: "2.01", reason: "Too much", field: "Amount in US dollars", problem: /Only \$2\.00 is available/ },
    ]) {
      await ask(page, how, amount, reason);
      await expect(page.getByLabel(field)).toHaveAccessibleDescription(problem);
      await expect(page.getByLabel("Amount in US dollars")).toHaveValue(amount);
      await expect(headline(page, "Balance")).toHaveText("$2.00");
    }
    await expectSound(page);
  });

  test("beyond the limit waits for the customer's name", async ({ page, context }) => {
    const customer = await aCustomer(page);
    await openAsOperator(page, context, customer);
    await ask(page, "Give credit", "1,000,000,000", "A slip of the hand");
    await expect(page.getByRole("region", { name: /^Give/ })).toContainText("$2.00 → $1,000,000,002.00");
    const name = page.getByLabel("The customer's name");
    await name.fill("Somebody else");
    await page.getByRole("button", { name: "Give $1,000,000,000.00" }).click();
    await expect(name).toHaveAccessibleDescription(/This is not the customer's name/);
    await expect(headline(page, "Balance")).toHaveText("$2.00");
    await expectSound(page);
    await name.fill(customer.name);
    await page.getByRole("button", { name: "Give $1,000,000,000.00" }).click();
    await expect(headline(page, "Balance")).toHaveText("$1,000,000,002.00");
  });
});

/** Fills in the form that moves money, and has it shown for review. */
async function ask(page: Page, how: string, amount: string, reason: string): Promise<void> {
  await page.getByLabel("What to do").selectOption(how);
  await page.getByLabel("Amount in US dollars").fill(amount);
  await page.getByLabel("Reason").fill(reason);
  await page.getByRole("button", { name: "Review" }).click();
}

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
