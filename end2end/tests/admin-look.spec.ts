// `/admin/customers/ID/…`: a customer's pages as the customer sees them, which an operator reads and cannot change.
import type { BrowserContext, Page } from "@playwright/test";
import { createKey, signUp, topUp, type Customer } from "./accounts.ts";
import { headlineNow, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { call } from "./gateway.ts";
import type { Ready } from "../ready.ts";

const ways = (page: Page) => page.getByRole("navigation", { name: "Pages of this customer" });
const whose = (page: Page) => page.getByRole("complementary", { name: "Whose page this is" });

test("the tabs lead to all of a customer's pages and back, each says whose it is and has nothing to change", async ({ page, context, ready }) => {
  const { customer } = await busy(page, ready);
  const path = await look(page, context, customer);
  for (const [tab, where, heading] of [
    ["Usage", "/usage", "Usage"],
    ["Calls", "/calls", "Calls"],
    ["Keys", "/keys", "Keys"],
    ["Billing", "/billing", "Billing"],
    ["Customer", "", customer.name],
    ["Billing", "/billing", "Billing"],
  ] as const) {
    await ways(page).getByRole("link", { name: tab }).click();
    await expect(page).toHaveURL(path + where);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(heading);
    await expect(ways(page).locator("[aria-current=page]")).toHaveText(tab);
    if (tab === "Customer") continue;
    await expect(whose(page)).toContainText(`${customer.name} (${customer.email}), as the customer sees it.`);
    await expect(page).toHaveTitle(`${heading} of ${customer.name} · Farebox`);
    await expectReadOnly(page, path);
    await expectSound(page);
  }
});

test("what an operator sees is what the customer sees, to the last digit", async ({ page, context, ready }) => {
  const { customer, id } = await busy(page, ready);
  await page.goto("/usage");
  const cost = await headlineNow(page, "Cost");
  await page.goto("/calls");
  const calls = (await readTable(tableOf(page, "Time"))).body;
  await page.goto(`/calls/${id}`);
  const receipt = await page.getByRole("article", { name: "Receipt" }).innerText();
  await page.goto("/billing");
  const balance = await headlineNow(page, "Balance");
  const journal = (await readTable(tableOf(page, "When"))).body;

  const path = await look(page, context, customer);
  await page.goto(`${path}/usage`);
  expect(await headlineNow(page, "Cost")).toBe(cost);
  await page.getByRole("link", { name: "See these calls one by one" }).click();
  await expect(page).toHaveURL(`${path}/calls`);
  expect((await readTable(tableOf(page, "Time"))).body).toEqual(calls);
  await tableOf(page, "Time").getByRole("link").first().click();
  await expect(page).toHaveURL(`${path}/calls/${id}`);
  expect(await page.getByRole("article", { name: "Receipt" }).innerText()).toBe(receipt);
  await expectReadOnly(page, path);
  await expectSound(page);
  await page.goto(`${path}/billing`);
  expect(await headlineNow(page, "Balance")).toBe(balance);
  expect((await readTable(tableOf(page, "When"))).body).toEqual(journal);
});

test("a call is found by its id, a key leads to its usage and its limits, and all of it stays the customer's", async ({ page, context, ready }) => {
  const { customer, id } = await busy(page, ready);
  const path = await look(page, context, customer);
  await page.goto(`${path}/calls`);
  await page.getByLabel("Find a call by its request id").fill(id);
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page).toHaveURL(`${path}/calls/${id}`);
  await page.goto(`${path}/keys`);
  await page.getByRole("link", { name: "end to end", exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`^[^?]*${path}/usage\\?key=`));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Usage");
  await page.goto(`${path}/keys`);
  await page.getByRole("link", { name: "See settings of end to end" }).click();
  await expect(page).toHaveURL(new RegExp(`${path}/keys/[-0-9a-f]{36}$`));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Settings of “end to end”");
  await expectReadOnly(page, path);
  await expectSound(page);
  await page.getByRole("link", { name: "the limits of the account" }).click();
  await expect(page).toHaveURL(`${path}/keys/account`);
  await expectReadOnly(page, path);
});

test("filters and ranges stay on the customer's page", async ({ page, context, ready }) => {
  const { customer } = await busy(page, ready);
  const path = await look(page, context, customer);
  await page.goto(`${path}/usage`);
  await page.getByRole("navigation", { name: "Range" }).getByRole("link", { name: "Today" }).click();
  await expect(page).toHaveURL(`${path}/usage?range=today`);
  await page.goto(`${path}/usage?range=today`);
  await page.getByText("Filters", { exact: true }).click();
  await page.getByLabel("Model").selectOption("demo-mini");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page).toHaveURL(new RegExp(`${path}/usage\\?.*model=demo-mini`));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Usage");
});

test("that an operator looked is in the audit log, once an hour", async ({ page, context, ready }) => {
  const { customer } = await busy(page, ready);
  const path = await look(page, context, customer);
  for (const where of ["/usage", "/keys", "/billing"]) await page.goto(path + where);
  await whose(page).getByRole("link", { name: "audit log" }).click();
  await expect(page).toHaveURL(/\/admin\/audit\?object=/);
  const lines = (await readTable(tableOf(page, "When"))).body.filter((row) => row["What was done"] === "Look at a customer's pages");
  expect(lines).toHaveLength(1);
  expect(lines[0]?.Who).toContain("operator@demo.example");
});

test.describe("what is not there for everybody", () => {
  test.use({ expectedNoise: [/status of 40[34]/] });

  test("no customer sees another one's pages, nor their own in this way", async ({ page, context, ready }) => {
    const { customer, id } = await busy(page, ready);
    const path = await look(page, context, customer);
    const pages = ["/usage", "/calls", `/calls/${id}`, "/keys", "/keys/account", "/billing"];
    await page.goto(`${path}/keys`);
    const limits = await page.getByRole("link", { name: "See settings of end to end" }).getAttribute("href");
    await context.clearCookies();
    await signUp(page);
    for (const where of [...pages.map((where) => path + where), limits ?? ""]) {
      expect((await page.goto(where))?.status(), where).toBe(403);
      await expect(page.getByText(/belongs to those who run this gateway/)).toBeVisible();
    }
    expect((await page.goto(`/calls/${id}`))?.status(), "another's call stays unknown").toBe(404);
    expect((await page.goto(`/keys/${(limits ?? "").split("/").at(-1)}`))?.status(), "and another's key").toBe(404);
  });

  test("one customer's call is unknown among another's", async ({ page, context, ready }) => {
    const { id } = await busy(page, ready);
    await context.clearCookies();
    const other = await signUp(page);
    const path = await look(page, context, other);
    expect((await page.goto(`${path}/calls/${id}`))?.status()).toBe(404);
  });
});

/** A customer with one key and one call. */
async function busy(page: Page, ready: Ready): Promise<{ customer: Customer; id: string }> {
  const customer = await signUp(page);
  await topUp(page);
  return { customer, id: await call(ready, await createKey(page)) };
}

/** Opens a customer as an operator; returns where that is. */
async function look(page: Page, context: BrowserContext, { email, name }: Customer): Promise<string> {
  await context.clearCookies();
  await signIn(page, "operator");
  await page.goto(`/admin/customers?search=${encodeURIComponent(email)}`);
  await page.getByRole("link", { name, exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
  return new URL(page.url()).pathname;
}

/** No form of the page changes anything, and no way out of it leads to a page that operators have no account for. */
async function expectReadOnly(page: Page, path: string): Promise<void> {
  const forms = await page.getByRole("main").locator("form").evaluateAll((all) => all.map((form) => [(form as HTMLFormElement).method, form.getAttribute("action")]));
  expect(forms.filter(([method]) => method !== "get")).toEqual([]);
  const ways = await page.getByRole("main").locator("a").evaluateAll((all) => all.map((link) => link.getAttribute("href") ?? ""));
  const out = [...ways, ...forms.map(([, action]) => action ?? "")].filter((way) => !way.startsWith(path) && !way.startsWith("/admin/audit?"));
  expect(out).toEqual([]);
}
