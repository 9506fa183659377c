// `/billing`: balance, books and top-up. Money moves once, and every page says the same of it.
import type { Page } from "@playwright/test";
import type { Ready } from "../ready.ts";
import { createKey, signUp, signUpAndPay, topUp } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { amount, cell, column, count, definition, headline, headlineNow, readTable, sum, tableOf, type Row } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { ask, call, creditsAtRest, nanos, receipt } from "./gateway.ts";

const pay = (page: Page) => page.getByRole("button", { name: "Make a test payment" });

/** The journal's rows from here on, to its oldest. */
async function everyPage(page: Page): Promise<Row[]> {
  const rows = await journal(page);
  const older = page.getByRole("link", { name: "Older" });
  while ((await older.count()) > 0) {
    const next = await older.getAttribute("href");
    await page.goto(next ?? "");
    rows.push(...(await journal(page)));
  }
  return rows;
}

test("it is sound", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/billing");
  await expectSound(page);
});

test("a call lowers the balance by exactly its receipt", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  await page.goto("/billing");
  const before = amount(await headlineNow(page, "Balance"));
  const id = await call(ready, key, "What does a ride cost?", { stream: true });
  await page.reload();
  const cost = nanos((await receipt(ready, id, key)).amount);
  expect(cost).toBeGreaterThan(0n);
  expect(before - amount(await headlineNow(page, "Balance"))).toBe(cost);

  const [newest] = await journal(page);
  expect(newest?.Entry).toBe("Usage");
  expect(amount(cell(newest, "Amount"))).toBe(-cost);
  expect(cell(newest, "Balance after")).toBe(await headlineNow(page, "Balance"));
  expect(nanos((await creditsAtRest(ready, key)).balance)).toBe(amount(await headlineNow(page, "Balance")));
});

test("the calls of the running hour are one line, which is not posted yet", async ({ page, ready }) => {
  const hour = () => Math.floor(Date.now() / 3_600_000);
  let began: number;
  let key: string;
  let ids: string[];
  // Where the hour ends in the middle, another customer's whole hour is looked at.
  do {
    began = hour();
    await page.context().clearCookies();
    key = await signUpAndPay(page);
    ids = [await call(ready, key), await call(ready, key)];
    await page.goto("/billing");
  } while (hour() !== began);
  const costs = await Promise.all(ids.map(async (id) => nanos((await receipt(ready, id, key)).amount)));
  const [running, posted, ...rest] = await journal(page);
  expect(running?.["What for"]).toMatch(/^2 calls since \d\d:00: posted when the hour has ended$/);
  expect(amount(cell(running, "Amount"))).toBe(-sum(costs));
  expect(posted).toMatchObject({ Entry: "Top-up", "Balance after": "$5.00" });
  expect(rest).toEqual([]);
  await expect(tableOf(page, "When").getByText("No. 1", { exact: true })).toBeVisible();
  await expectSound(page);
});

test("the usage of a day opens to its hours, which add up to it", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/billing");
  const closed = await journal(page);
  const opener = tableOf(page, "When").locator("summary").first();
  const what = await opener.innerText();
  await opener.focus();
  await page.keyboard.press("Enter");
  await expect(tableOf(page, "When").locator(".folding").first().locator("tr").nth(1)).toBeVisible();
  await expectSound(page);

  const opened = await journal(page);
  const place = opened.findIndex((row) => row["What for"] === what);
  const [day, ...below] = opened.slice(place);
  const hours = below.slice(0, opened.length - closed.length);
  expect(hours.length).toBeGreaterThan(1);
  expect(sum(column(hours, "Amount"))).toBe(amount(cell(day, "Amount")));
  const calls = (row: Row | undefined) => count(cell(row, "What for").replace(/ calls?\b.*/, ""));
  expect(sum(hours.map(calls))).toBe(calls(day));
  expect(cell(hours[0], "Balance after")).toBe(cell(day, "Balance after"));
  await opener.click();
  expect(await journal(page)).toEqual(closed);
});

test("the journal's amounts lead from one balance to the next, over its pages", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/billing");
  const balance = amount(await headlineNow(page, "Balance"));
  const newest = await journal(page);
  await page.getByRole("link", { name: "Older" }).click();
  await expect(page.getByRole("link", { name: "Newest" })).toBeVisible();
  const rows = [...newest, ...(await journal(page))];

  expect(rows.length).toBeGreaterThan(newest.length);
  expect(amount(cell(rows[0], "Balance after"))).toBe(balance);
  for (const [place, row] of rows.slice(0, -1).entries()) {
    const before = amount(cell(rows[place + 1], "Balance after"));
    expect(before + amount(cell(row, "Amount")), cell(row, "When")).toBe(amount(cell(row, "Balance after")));
  }
});

test("a month of the journal leads from its opening to its closing balance, and its parts are all of it", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/billing");
  await page.getByLabel("Month").selectOption({ index: 2 });
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page).toHaveURL(/[?&]month=\d{4}-\d\d$/);
  const figures = async () =>
    Promise.all(["Opening balance", "Money in and out", "Usage", "Closing balance"].map(async (label) => amount(await headlineNow(page, label))));
  const [opening = 0n, moved = 0n, used = 0n, closing = 0n] = await figures();
  expect(opening + moved + used).toBe(closing);
  const all = await everyPage(page);
  expect([cell(all[0], "Balance after"), cell(all.at(-1), "Balance after")].map((text) => amount(text))).toEqual([closing, opening]);
  const moves = (rows: Row[]) => column(rows.filter((row) => cell(row, "Amount") !== ""), "Amount");
  expect(sum(moves(all))).toBe(closing - opening);

  for (const [part, expected] of [["Money in and out", moved], ["Usage", used]] as const) {
    await page.getByRole("navigation", { name: "Show" }).getByRole("link", { name: part }).click();
    await expect(page.getByRole("navigation", { name: "Show" }).locator("[aria-current]")).toHaveText(part);
    expect(await figures(), part).toEqual([opening, moved, used, closing]);
    expect(sum(moves(await everyPage(page))), part).toBe(expected);
    const file = await page.getByRole("link", { name: "Download the journal as CSV" }).getAttribute("href");
    const [said, headings = "", ...lines] = (await (await page.request.get(file ?? "")).text()).trimEnd().split("\r\n");
    expect(said).toMatch(/^# postings from \d{4}-\d\d-01T00:00:00.000Z to \d{4}-\d\d-01T00:00:00.000Z; filter: entries=\w+&month=\d{4}-\d\d$/);
    const at = headings.split(",").indexOf("amount_usd");
    expect(sum(lines.map((line) => amount(`$${line.split(",")[at]}`.replace("$-", "−$")))), part).toBe(expected);
  }
});

test("the journal is written in full, one decimal point below the other", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/billing");
  await tableOf(page, "When").locator("summary").first().click();
  for (const heading of ["Amount", "Balance after"]) {
    const written = await tableOf(page, "When")
      .locator(`[data-label="${heading}"] data.money:visible`)
      .evaluateAll((all) =>
        all.map((one) => {
          const text = [...one.childNodes].find((node) => node instanceof Text) as Text;
          const point = document.createRange();
          point.setStart(text, text.data.lastIndexOf("."));
          point.collapse(true);
          return { text: text.data, exact: one.getAttribute("title"), point: Math.round(point.getBoundingClientRect().x) };
        }),
      );
    expect(written.length, heading).toBeGreaterThan(1);
    for (const { text, exact } of written) expect(text.replace(/^\+/, ""), heading).toBe(exact);
    expect(new Set(written.map(({ point }) => point)).size, `${heading}: places of the point`).toBe(1);
  }
});

test("the credit that is listed is the balance", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/billing");
  const { body } = await readTable(tableOf(page, "Credit"));
  expect(sum(column(body, "Remaining"))).toBe(amount(await headlineNow(page, "Balance")));
});

test("a test payment says that it is one, and adds what was typed", async ({ page }) => {
  await signUp(page);
  await page.goto("/billing");
  await expect(page.getByText("Nothing has been posted yet.")).toBeVisible();
  await expectSound(page);
  await expect(page.getByLabel("Amount in US dollars")).toHaveAccessibleDescription(/no card, no money/);
  await page.getByLabel("Amount in US dollars").fill("12.34");
  await pay(page).click();
  await expect(page.getByRole("status")).toHaveText("$12.34 added. The balance is now $12.34.");
  await expect(headline(page, "Balance")).toHaveText("$12.34");
  await expect(headline(page, "Available")).toHaveText("$12.34");
  const [row] = await journal(page);
  expect(row).toMatchObject({ Entry: "Top-up", Amount: "$12.34", "Balance after": "$12.34" });
  expect(row?.["What for"]).toContain("Test payment");
});

test("a double click and a reload pay once", async ({ page }) => {
  await signUp(page);
  await page.goto("/billing");
  await pay(page).dblclick();
  await expect(page).toHaveURL(/done=/);
  await page.reload();
  await page.goto("/billing");
  await expect(headline(page, "Balance")).toHaveText("$25.00");
  expect(await journal(page)).toHaveLength(1);
});

test("the same form sent again pays once and says so; with another amount it is refused", async ({ page }) => {
  await signUp(page);
  await page.goto("/billing");
  const once = await page.locator("form", { hasText: "Amount" }).locator("input[name=once]").inputValue();
  const send = (units: string) => page.request.post("/billing", { form: { once, amount: units } });
  expect(await (await send("3")).text()).toContain("$3.00 added");
  expect(await (await send("3")).text()).toContain("counted once");
  const conflict = await send("4");
  expect(conflict.status()).toBe(409);
  expect(await conflict.text()).toContain("already sent with other contents");
  await page.reload();
  await expect(headline(page, "Balance")).toHaveText("$3.00");
});

test("a call without credit is refused, says where to top up, and goes on after it", async ({ page, ready }) => {
  await signUp(page);
  const key = await createKey(page);
  const refused = await ask(ready, key, "Hello");
  expect(refused.status).toBe(429);
  expect(refused.headers.get("x-should-retry")).toBe("false");
  const { error } = (await refused.json()) as { error: { code: string; type: string; message: string } };
  expect(error).toMatchObject({ code: "insufficient_quota", type: "insufficient_quota" });
  expect(error.message).toContain(`${ready.console_url}/billing`);

  await topUp(page, "1");
  await call(ready, key, "Hello");
});

test("what is lent is used below zero, and no further", async ({ page, ready }) => {
  const { email } = await signUp(page);
  const key = await createKey(page);
  // Enough for a short answer, and soon too little for another.
  const lent = 500_000n;
  await farebox(ready, "account", "set", email, "--credit-line", "0.0005");
  await page.goto("/billing");
  await expect(headline(page, "Balance")).toHaveText("$0.00");
  await expect(headline(page, "Available")).toHaveText("$0.0005");
  await expect(page.getByText("what new calls can use, $0.0005 lent included")).toBeVisible();

  const id = await call(ready, key);
  await creditsAtRest(ready, key);
  await page.reload();
  const balance = amount(await headlineNow(page, "Balance"));
  expect(balance).toBeLessThan(0n);
  expect(balance).toBe(-nanos((await receipt(ready, id, key)).amount));
  expect(amount(await headlineNow(page, "Available"))).toBe(lent + balance);
  await expectSound(page);

  const refused = await askUntilRefused(ready, key);
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({ error: { code: "insufficient_quota", type: "insufficient_quota" } });
  const left = await creditsAtRest(ready, key);
  expect(nanos(left.lent)).toBe(lent);
  expect(nanos(left.available), "an account is strict at first").toBeGreaterThanOrEqual(0n);
  expect(nanos(left.balance)).toBe(nanos(left.available) - lent);
});

test("a package of tokens pays whole calls, and is shown in tokens", async ({ page, ready }) => {
  const { email } = await signUp(page);
  const key = await createKey(page);
  await farebox(ready, "grant", "add", email, "1000000", "--unit", "tokens", "--kind", "package", "--reason", "Order 7");
  await page.goto("/keys");
  await expect(page.getByText("no credit that is available"), "there is a package").toHaveCount(0);
  const id = await call(ready, key);
  const { total_tokens: tokens } = (await receipt(ready, id, key)).usage;
  const grouped = (count: number) => count.toLocaleString("en-US");

  await page.goto("/billing");
  await expect(headline(page, "Balance")).toHaveText("$0.00");
  await expect(page.getByText("what new calls can use, beside the tokens below")).toBeVisible();
  const { body: credit } = await readTable(tableOf(page, "Credit"));
  expect(credit.map((row) => [cell(row, "Credit"), cell(row, "Remaining")])).toContainEqual([
    expect.stringContaining("Package"),
    `${grouped(1_000_000 - tokens)} tokens`,
  ]);
  const [running, given] = await journal(page);
  expect(cell(running, "Amount")).toBe(`−${grouped(tokens)} tokens`);
  expect([cell(given, "Amount"), cell(given, "Balance after")]).toEqual(["+1,000,000 tokens", "$0.00"]);
  await expectSound(page);

  await page.goto(`/calls/${id}`);
  await expect(page.getByText(`Paid with ${grouped(tokens)} tokens`)).toBeVisible();
  await expect(definition(page, "Total")).toHaveText("$0.00");
  await expectSound(page);
  await page.goto("/calls");
  await expect(tableOf(page, "Time").getByText("paid in tokens")).toBeVisible();
  await expectSound(page);

  await farebox(ready, "call", "credit", id, "--reason", "An apology");
  await page.goto(`/calls/${id}`);
  await expect(definition(page, "Cost by now")).toHaveText("0 tokens");
});

test("what bounds the account stands beside its credit, with what is left and when it begins anew", async ({ page, ready }) => {
  const { email } = await signUp(page);
  const key = await createKey(page);
  await topUp(page);
  await page.goto("/billing");
  await expect(page.getByRole("heading", { name: "Limits" })).toHaveCount(0);
  await farebox(ready, "limit", "set", email, "3", "--per", "month");
  await farebox(ready, "limit", "set", email, "500", "--per", "ever", "--unit", "requests");
  const { amount: charged } = await receipt(ready, await call(ready, key), key);
  const limits = async () => {
    await page.goto("/billing");
    const { body } = await readTable(tableOf(page, "Limit"));
    return ["$3.00 per month", "500 requests"].map((name) => body.find((row) => cell(row, "Limit").includes(name)));
  };
  // What the proxy has ready for a call to come is nobody else's for some seconds.
  await expect.poll(async () => cell((await limits())[1], "Left")).toBe("499");
  const [month, ever] = await limits();
  expect(amount(cell(month, "Left"))).toBeLessThan(3_000_000_000n);
  expect(amount(cell(month, "Used")) > 0n || nanos(charged) === 0n).toBe(true);
  expect(cell(month, "Begins anew")).toMatch(/^1 \w{3} \d{4}, 00:00 UTC$/);
  expect([cell(ever, "Used"), cell(ever, "Begins anew")]).toEqual(["1", "never"]);
  await expect(page.getByRole("link", { name: "Limits of the account" })).toBeVisible();
  await expectSound(page);
});

test("an account on quota is told that its balance pays for no call", async ({ page, ready }) => {
  const { email } = await signUp(page);
  const key = await createKey(page);
  await topUp(page);
  await farebox(ready, "account", "set", email, "--mode", "quota");
  await page.goto("/billing");
  await expect(definition(page, "Mode")).toContainText("plans, packages and promotional credit alone");
  await expect(headline(page, "Balance")).toHaveText("$5.00");
  await expect(headline(page, "Available")).toHaveText("$0.00");
  await expectSound(page);
  // What is known of a key may be a second old.
  const refused = await askUntilRefused(ready, key);
  expect(refused.status).toBe(429);
  expect(((await refused.json()) as { error: { message: string } }).error.message).toContain("ask for more");
  await farebox(ready, "grant", "add", email, "2", "--kind", "plan", "--reason", "December");
  await call(ready, key);
});

test.describe("an amount that cannot be", () => {
  test.use({ expectedNoise: [/status of 422/] });

  for (const { typed, problem } of [
    { typed: "0.0000000001", problem: "This has more than nine decimals." },
    { typed: "-5", problem: "Write an amount above zero." },
    { typed: "0", problem: "Write an amount above zero." },
    { typed: "ten", problem: "This is not a number: write it like 12.50 or 1,250.00." },
    { typed: "1,5", problem: "This is not a number: write it like 12.50 or 1,250.00." },
    { typed: "99999999999", problem: "This is too large." },
    { typed: "10000.01", problem: "A test payment is at most 10,000." },
  ]) {
    test(`is refused at its field, and stays there: ${typed}`, async ({ page }) => {
      await signUp(page);
      await page.goto("/billing");
      const field = page.getByLabel("Amount in US dollars");
      await field.fill(typed);
      const answer = page.waitForResponse((response) => response.request().method() === "POST");
      await pay(page).click();
      expect((await answer).status()).toBe(422);
      await expect(field).toHaveAccessibleDescription(new RegExp(problem.replaceAll(".", "\\.")));
      await expect(field).toHaveAttribute("aria-invalid", "true");
      await expect(field).toHaveValue(typed);
      await expect(headline(page, "Balance")).toHaveText("$0.00");

      await field.fill("7");
      await pay(page).click();
      await expect(page.getByRole("status")).toContainText("$7.00 added");
    });
  }
});

/** The lines of the journal on the page, newest first, with the hours of days that are open. */
async function journal(page: Page): Promise<Row[]> {
  return (await readTable(tableOf(page, "When"))).body;
}

/** Asks for one answer after another, each read to its end, until there is none. */
async function askUntilRefused(ready: Ready, key: string): Promise<Response> {
  for (;;) {
    const response = await ask(ready, key, "And another one?");
    if (!response.ok) return response;
    await response.text();
  }
}
