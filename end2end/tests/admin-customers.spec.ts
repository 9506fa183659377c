// `/admin/customers`: found, looked at, given credit with a reason.
import type { BrowserContext, Page } from "@playwright/test";
import { randomUUID } from "node:crypto";
import { createKey, freshEmail, signUp, topUp, type Customer } from "./accounts.ts";
import { column, definition, headline, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, hydrated, signIn, test } from "./fixtures.ts";
import { ask as askModel, call } from "./gateway.ts";

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
    const { body, foot } = await readTable(tableOf(page, "Customer"));
    expect(foot).toMatchObject({ Customer: "1 customer in all", Balance: "$2.00" });
    expect(body).toEqual([expect.objectContaining({ Customer: name, Owner: email, State: "Active", Balance: "$2.00" })]);
  }
  await page.getByLabel("Find by name or e-mail address").fill(randomUUID());
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page.getByText(/No name or address contains/)).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Every customer" }).click();
  await expect(page).toHaveURL("/admin/customers");
});

test("the keyboard stays on the link by which the list was sorted", { tag: "@script" }, async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/customers");
  await hydrated(page);
  for (const order of ["Newest", "Lowest balance"]) {
    const link = page.getByRole("navigation", { name: "Sort by" }).getByRole("link", { name: order });
    await link.press("Enter");
    await expect(link).toHaveAttribute("aria-current", "true");
    await expect(link).toBeFocused();
  }
});

test("the list is sorted and narrowed by links that keep each other", async ({ page, context, ready }) => {
  const { email } = await aCustomer(page);
  const key = await createKey(page);
  await call(ready, key);
  await becomeOperator(page, context);
  await page.goto("/admin/customers");
  await page.getByRole("navigation", { name: "Sort by" }).getByRole("link", { name: "Newest" }).click();
  await expect(page).toHaveURL("/admin/customers?sort=created");
  await expect(async () => {
    const { body } = await readTable(tableOf(page, "Customer"));
    expect(body.map((row) => row.Owner)).toContain(email);
  }).toPass();
  await page.getByRole("navigation", { name: "Sort by" }).getByRole("link", { name: "Highest spend" }).click();
  await expect(page).toHaveURL("/admin/customers?sort=spend");
  await expectSorted(page, "Spent in 30 days", (one, other) => one > other);
  await page.getByRole("navigation", { name: "Sort by" }).getByRole("link", { name: "Lowest balance" }).click();
  await expect(page).toHaveURL("/admin/customers?sort=balance");
  await expectSorted(page, "Balance", (one, other) => one < other);
  await page.getByRole("navigation", { name: "Show" }).getByRole("link", { name: "Suspended" }).click();
  await expect(page).toHaveURL("/admin/customers?only=suspended&sort=balance");
  await expect(page.getByRole("navigation", { name: "Show" }).locator("[aria-current]")).toHaveText("Suspended");
  await page.getByLabel("Find by name or e-mail address").fill(email);
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page).toHaveURL(`/admin/customers?${new URLSearchParams({ only: "suspended", sort: "balance", search: email }).toString()}`);
  await expect(page.getByText(/No name or address contains/)).toBeVisible();
  await expectSound(page);
});

test("an account is opened for somebody, whose password is shown once, and they sign in with it", async ({ page, context }) => {
  await signIn(page, "operator");
  await page.goto("/admin/customers");
  await page.getByRole("link", { name: "New customer" }).click();
  await expect(page).toHaveURL("/admin/customers/new");
  await expectSound(page);
  const email = freshEmail();
  await page.getByLabel("Account name").fill("Opened & Co");
  await page.getByLabel("E-mail address of its owner").fill(email);
  await page.getByRole("button", { name: "Open the account" }).dblclick();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("“Opened & Co” has an account");
  const password = await page.locator(".secret code").innerText();
  expect(password).toMatch(/^[0-9a-f]{20}$/);
  await expectSound(page);
  await page.getByRole("link", { name: "Its page" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Opened & Co");
  await page.goto(`/admin/audit?object=Opened&operation=account.open`);
  const [line] = (await readTable(tableOf(page, "When"))).body;
  expect(line).toMatchObject({ "What was done": "Open an account" });
  expect(line?.Who).toContain("operator@demo.example");
  expect(await page.content()).not.toContain(password);
  await context.clearCookies();
  await page.goto("/login");
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).toHaveURL("/usage");
});

test("a suspended customer's next call is refused, and taken again when it is resumed; a closed one's, too", async ({ page, context, ready }) => {
  const customer = await aCustomer(page);
  const key = await createKey(page);
  await call(ready, key);
  await openAsOperator(page, context, customer);
  const answer = async () => {
    const response = await askModel(ready, key, "Hello");
    const body = (await response.json()) as { error?: { code: string } };
    return body.error?.code ?? response.status;
  };
  const choose = async (label: string) => {
    await page.getByRole("button", { name: `${label}: ${customer.name}` }).click();
    const question = page.getByRole("dialog", { name: `${label}: ${customer.name}` });
    await expect(question).toContainText(customer.name);
    await question.getByRole("button", { name: label, exact: true }).click();
  };
  await page.getByRole("button", { name: `Suspend the account: ${customer.name}` }).click();
  await expect(page.getByRole("dialog")).toContainText("Calls that run end as they would, and are charged.");
  await expectSound(page);
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();

  await choose("Suspend the account");
  await expect(page.getByText("This account is suspended: its calls are refused.")).toBeVisible();
  await expect.poll(answer).toBe("account_suspended");
  await choose("Resume the account");
  await expect(page.getByRole("status")).toContainText("The account is active");
  await expect.poll(answer).toBe(200);
  await choose("Close the account");
  await expect(page.getByText(/This account is closed/)).toBeVisible();
  await expect.poll(answer).toBe("account_closed");
  await expectSound(page);
  await page.goto(`/admin/customers?only=closed&search=${encodeURIComponent(customer.email)}`);
  expect((await readTable(tableOf(page, "Customer"))).body).toEqual([expect.objectContaining({ State: "Closed" })]);
  await page.goto(`/admin/audit?operation=account.state&object=${encodeURIComponent(customer.name)}`);
  const changes = (await readTable(tableOf(page, "When"))).body.map((row) => row["Before → after"]);
  expect(changes).toEqual(["state active → closed", "state suspended → active", "state active → suspended"]);
});

test("what somebody else has set meanwhile stays", async ({ page, context }) => {
  await openAsOperator(page, context, await aCustomer(page));
  const path = new URL(page.url()).pathname;
  await page.request.post(path, { form: { from: "active", state: "closed" } });
  const answer = await page.request.post(path, { form: { from: "active", state: "suspended" } });
  expect(await answer.text()).toContain("Somebody had changed the account&#x27;s state meanwhile".replace("&#x27;", "'"));
  await page.goto(path);
  await expect(page.getByText(/This account is closed/)).toBeVisible();
  await expect(page.getByRole("button", { name: /^Suspend/ })).toHaveCount(0);
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

test("a bank transfer is credited once, stands under Payments, and has a receipt; what goes back of it, a credit note", async ({ page, context }) => {
  const customer = await signUp(page);
  const own = await context.cookies();
  await openAsOperator(page, context, customer);
  const reference = `RF18 ${randomUUID()}`;
  const credit = async (amount: string) => {
    await page.getByLabel("Bank reference").fill(reference);
    await ask(page, "Credit a bank transfer", amount, "Invoice 12");
  };
  await credit("120");
  const review = page.getByRole("region", { name: `Credit a bank transfer of $120.00 to ${customer.name}?` });
  for (const words of [reference, "$0.00 → $120.00", "Invoice 12", "a receipt is issued of it"]) await expect(review).toContainText(words);
  await expectSound(page);
  await review.getByRole("button", { name: "Credit $120.00" }).dblclick();
  await expect(page.getByRole("status")).toContainText("The balance is now $120.00.");

  await page.goto("/admin/payments?show=credited");
  const row = page.getByRole("row").filter({ hasText: customer.name });
  await expect(row).toContainText("Bank transfer");
  await row.getByRole("rowheader").getByRole("link").click();
  await expect(definition(page.locator("main"), "Bank reference")).toHaveText(reference);
  await expectSound(page);
  await page.getByLabel("Amount in US dollars").fill("60");
  await page.getByLabel("Bank reference").fill(`${reference} back`);
  await page.getByLabel("Who sent it back").selectOption("We did");
  await page.getByLabel("Reason").fill("Paid twice");
  await page.getByRole("button", { name: "Review" }).click();
  const back = page.getByRole("region", { name: "Note that $60.00 went back?" });
  for (const words of [`${reference} back`, "Who sent it back: We did", "Paid twice"]) await expect(back).toContainText(words);
  await expectSound(page);
  await page.getByRole("button", { name: "Take $60.00 out of the balance" }).dblclick();
  await expect(page.getByRole("status")).toContainText("It is out of the balance");
  await expect(definition(page.locator("main"), "Can be paid back")).toHaveText("$60.00");

  await context.clearCookies();
  await context.addCookies(own);
  await page.goto("/billing");
  await expect(headline(page, "Balance")).toHaveText("$60.00");
  await expect(async () => {
    await page.goto("/billing/documents");
    await expect(page.getByRole("rowheader").getByRole("link", { name: /^[RC]-/ })).toHaveCount(2, { timeout: 1_000 });
  }).toPass();
  await page.getByRole("rowheader").getByRole("link", { name: /^R-/ }).click();
  await expect(definition(page.locator("main"), "VAT 20 %")).toHaveText("$20.00");
  await expect(page.locator("main")).toContainText(reference);
});

test.describe("what cannot be posted", () => {
  test.use({ expectedNoise: [/status of 422/] });

  test("a transfer without a reference, or that was credited before, is said at its field", async ({ page, context }) => {
    await openAsOperator(page, context, await aCustomer(page));
    const reference = randomUUID();
    await ask(page, "Credit a bank transfer", "5", "Invoice 13");
    await expect(page.getByLabel("Bank reference")).toHaveAccessibleDescription(/what the bank calls the transfer/);
    await page.getByLabel("Bank reference").fill(reference);
    await ask(page, "Credit a bank transfer", "5", "Invoice 13");
    await page.getByRole("button", { name: "Credit $5.00" }).click();
    await expect(headline(page, "Balance")).toHaveText("$7.00");
    await page.getByLabel("Bank reference").fill(reference.toUpperCase());
    await ask(page, "Credit a bank transfer", "5", "Invoice 13");
    await expect(page.getByLabel("Bank reference")).toHaveAccessibleDescription(/was credited before/);
    await ask(page, "Give credit", "5", "Invoice 13");
    await expect(page.getByLabel("Bank reference")).toHaveAccessibleDescription(/Only a bank transfer has one/);
    await expect(headline(page, "Balance")).toHaveText("$7.00");
    await expectSound(page);
  });

  test("an account for an address that has one is said at its field, and a name that is none, too", async ({ page, ready }) => {
    await signIn(page, "operator");
    await page.goto("/admin/customers/new");
    await page.getByLabel("Account name").fill("Again");
    await page.getByLabel("E-mail address of its owner").fill(ready.customer.email);
    await page.getByRole("button", { name: "Open the account" }).click();
    await expect(page.getByLabel("E-mail address of its owner")).toHaveAccessibleDescription(/signs in with this address already/);
    await page.getByLabel("Account name").fill("W".repeat(81));
    await page.getByLabel("E-mail address of its owner").fill(freshEmail());
    await page.getByRole("button", { name: "Open the account" }).click();
    await expect(page.getByLabel("Account name")).toHaveAccessibleDescription(/1 to 80 characters/);
    await expectSound(page);
  });

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

/** Once what was asked for is there, a column's figures stand in this order, and are not all alike. */
async function expectSorted(page: Page, name: string, isBefore: (one: bigint, other: bigint) => boolean): Promise<void> {
  await expect(async () => {
    const figures = column((await readTable(tableOf(page, "Customer"))).body, name);
    expect(new Set(figures).size).toBeGreaterThan(1);
    expect(figures).toEqual([...figures].sort((one, other) => (one === other ? 0 : isBefore(one, other) ? -1 : 1)));
  }).toPass();
}

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
