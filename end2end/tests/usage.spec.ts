// `/usage`: what was used, as figures, bars and tables that agree with each other and with every other page.
import type { Locator, Page } from "@playwright/test";
import { signUp, signUpAndPay } from "./accounts.ts";
import { amount, cell, column, definition, figure, headline, headlineNow, readTable, type Row, sum, tableOf } from "./figures.ts";
import { expect, expectNoSidewaysScroll, expectSound, hydrated, PHONE, signIn, test } from "./fixtures.ts";
import { call, nanos, receipt } from "./gateway.ts";

// A month that is over: its figures stand still while the tests run.
const LAST_MONTH = "/usage?range=last-month";
const FIGURES = ["Requests", "Prompt tokens", "Completion tokens", "Total tokens", "Cost"];

test("it is sound", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/usage");
  await expectSound(page);
});

test("cards, totals and sums of rows are the same figures", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  for (const noun of ["Model", "Key", "Project"]) {
    const { body, foot } = await readTable(tableOf(page, noun));
    expect(body.length, noun).toBeGreaterThan(1);
    for (const name of FIGURES) {
      const card = figure(await headlineNow(page, name));
      expect(card, name).toBeGreaterThan(0n);
      expect(figure(cell(foot, name)), `total of ${name} per ${noun}`).toBe(card);
      expect(sum(column(body, name)), `sum of ${name} per ${noun}`).toBe(card);
    }
  }
});

for (const [show, card] of [["requests", "Requests"], ["tokens", "Total tokens"]] as const) {
  for (const group of ["model", "key", "project", "none"]) {
    test(`bars of ${show} split by ${group} add up to the card`, async ({ page }) => {
      await signIn(page, "customer");
      await page.goto(`${LAST_MONTH}&show=${show}&group=${group}`);
      const { body, foot } = await barsAsTable(page);
      const parts = Object.keys(body[0] ?? {}).filter((name) => name !== "Day" && name !== "Total");
      for (const row of body) {
        if (parts.length > 0) expect(sum(parts.map((name) => figure(cell(row, name)))), cell(row, "Day")).toBe(figure(cell(row, "Total")));
      }
      for (const name of [...parts, "Total"]) expect(sum(column(body, name)), name).toBe(figure(cell(foot, name)));
      expect(figure(cell(foot, "Total"))).toBe(figure(await headlineNow(page, card)));
    });
  }
}

test("the bars' cost is the card's, to the last digit", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  const { body, foot } = await barsAsTable(page);
  expect(amount(cell(foot, "Total"))).toBe(amount(await headlineNow(page, "Cost")));
  expect(sum(column(body, "Total"))).toBe(amount(await headlineNow(page, "Cost")));
});

test("where nothing matches, it says so and leads back", async ({ page, ready }) => {
  await call(ready, await signUpAndPay(page));
  await page.goto("/usage?status=upstream_error");
  await expect(page.getByText("There are no calls in this range under these filters.")).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Show the last 30 days" }).click();
  await expect(page).toHaveURL("/usage");
  await expect(headline(page, "Requests")).toHaveText("1");
});

test("a call made now is the same figure on every page", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  const ids = [await call(ready, key), await call(ready, key, "And what is a turnstile?", { stream: true })];
  const receipts = await Promise.all(ids.map((id) => receipt(ready, id, key)));
  const cost = sum(receipts.map((one) => nanos(one.amount)));

  await page.goto("/usage");
  expect(figure(await headlineNow(page, "Requests"))).toBe(2n);
  expect(figure(await headlineNow(page, "Total tokens"))).toBe(sum(receipts.map((one) => BigInt(one.usage.total_tokens))));
  expect(amount(await headlineNow(page, "Cost"))).toBe(cost);

  await page.goto("/calls");
  expect(sum(column((await readTable(tableOf(page, "Time"))).body, "Cost"))).toBe(cost);

  await page.goto("/keys");
  expect(column((await readTable(tableOf(page, "Name"))).body, "Spent this month, so far")).toEqual([cost]);

  await page.goto("/billing");
  expect(amount(await headlineNow(page, "Balance"))).toBe(amount("$5.00") - cost);
});

test("whoever has not called yet is told how to begin", async ({ page }) => {
  await signUp(page);
  await expect(page.getByText(/^No calls yet/)).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Create a key" }).click();
  await expect(page).toHaveURL("/keys/new");
});

test("what is shown is in the address: it survives a reload, Back undoes it, and it can be shared", async ({ page, context }) => {
  await signIn(page, "customer");
  await page.goto("/usage");
  const range = page.getByRole("navigation", { name: "Range" });
  await expect(chosen(range)).toHaveText("30 days");

  await range.getByRole("link", { name: "Last month" }).click();
  await expect(page).toHaveURL(LAST_MONTH);
  await expect(chosen(range)).toHaveText("Last month");
  await page.getByRole("navigation", { name: "Split by" }).getByRole("link", { name: "Key" }).click();
  await expect(page).toHaveURL(`${LAST_MONTH}&group=key`);
  await expect(chosen(page.getByRole("navigation", { name: "Split by" }))).toHaveText("Key");
  await page.getByRole("navigation", { name: "Show" }).getByRole("link", { name: "Requests" }).click();
  await expect(page.getByRole("figure")).toContainText("Requests per day");
  const shown = await everything(page);

  await page.reload();
  expect(await everything(page)).toEqual(shown);
  const other = await context.newPage();
  await other.goto(page.url());
  expect(await everything(other)).toEqual(shown);

  await page.goBack();
  await page.goBack();
  await expect(page).toHaveURL(LAST_MONTH);
  await expect(page.getByRole("figure")).toContainText("Cost per day");
});

test("a filter narrows every figure, and can be cleared", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  const { body } = await readTable(tableOf(page, "Model"));
  const large = body.find((row) => row.Model === "demo-large");

  await page.getByText("Filters", { exact: true }).click();
  await page.getByLabel("Model", { exact: true }).selectOption("demo-large");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page).toHaveURL(/range=last-month.*model=demo-large/);
  for (const name of FIGURES) await expect(headline(page, name), name).toHaveText(cell(large, name));
  await expect(page.getByLabel("Model", { exact: true })).toHaveValue("demo-large");

  await page.getByRole("link", { name: "Clear" }).click();
  await expect(page).toHaveURL(LAST_MONTH);
});

test("a filter that the lists do not know is still the one that shows", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/usage?model=gone");
  await expect(page.getByLabel("Model", { exact: true })).toHaveValue("gone");
});

test("a step that is too short for the next range gives way to one that is not", async ({ page }) => {
  await signIn(page, "customer");
  const hours = "/usage?range=7d&step=hour";
  await page.goto(hours);
  await expect(page.getByRole("figure")).toContainText("Cost per hour");
  await page.getByRole("navigation", { name: "Range" }).getByRole("link", { name: "30 days" }).click();
  await expect(page.getByRole("figure")).toContainText("Cost per day");

  await page.goto(hours);
  await page.getByText("Custom range", { exact: true }).click();
  await page.getByLabel("First day").fill(day(330));
  await page.getByLabel("Last day").fill(day(0));
  await page.getByRole("button", { name: "Show range" }).click();
  await expect(page.getByRole("figure")).toContainText("Cost per month");
});

test("a row leads to its own figures, and these to their calls", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  const { body } = await readTable(tableOf(page, "Key"));
  const staging = body.find((row) => row.Key === "staging");
  await page.getByRole("link", { name: "staging" }).click();
  await expect(page.getByRole("figure")).toBeVisible();
  await expect(page).toHaveURL(/key=/);
  await expect(headline(page, "Requests")).toHaveText(cell(staging, "Requests"));

  await page.getByRole("link", { name: "See these calls one by one" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Calls");
  const keys = (await readTable(tableOf(page, "Time"))).body.map((row) => row.Key);
  expect(new Set(keys)).toEqual(new Set(["staging"]));
});

test("a project's row leads to its own figures", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  const { body } = await readTable(tableOf(page, "Project"));
  expect(body.map((row) => cell(row, "Project")).sort()).toEqual(["Default", "Research"]);
  const research = body.find((row) => row.Project === "Research");
  await page.getByRole("link", { name: "Research" }).click();
  await expect(page).toHaveURL(/project=/);
  for (const name of FIGURES) await expect(headline(page, name), name).toHaveText(cell(research, name));
  await expect(page.getByLabel("Project", { exact: true }).locator("option:checked")).toHaveText("Research");
});

test("under a filter the usage page and the log have the same figures", async ({ page }) => {
  await signIn(page, "customer");
  // Days that are over: nothing is added to them.
  const week = `range=custom&from=${day(14)}&to=${day(8)}`;
  await page.goto("/usage");
  const research = await page.getByLabel("Project", { exact: true }).locator("option", { hasText: "Research" }).getAttribute("value");
  await page.goto(`/calls?${week}&tag=env&value=staging`);
  await tableOf(page, "Time").getByRole("rowheader").getByRole("link").first().click();
  const session = encodeURIComponent(await definition(page, "Session").innerText());

  for (const filter of [
    `project=${research}`,
    "client=curl+8",
    "user=user-17",
    `session=${session}`,
    "tag=team&value=research",
    "user=user-1&tag=env&status=ok",
  ]) {
    await page.goto(`/usage?${week}&${filter}`);
    const cards = new Map<string, bigint>();
    for (const name of FIGURES) cards.set(name, figure(await headlineNow(page, name)));
    const calls = await wholeLog(page, `/calls?${week}&${filter}`);
    expect(calls.length, filter).toBeGreaterThan(0);
    expect(BigInt(calls.length), filter).toBe(cards.get("Requests"));
    for (const [card, name] of [
      ["Prompt tokens", "Prompt"],
      ["Completion tokens", "Completion"],
      ["Total tokens", "Total tokens"],
      ["Cost", "Cost"],
    ] as const) {
      // Of a call that failed no tokens are reported.
      const reported = calls.filter((row) => row[name] !== "–");
      expect(sum(column(reported, name)), `${name}: ${filter}`).toBe(cards.get(card));
    }
  }
});

test("where there is one project, nothing is said of projects", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  const id = await call(ready, key);
  await page.goto("/keys");
  const limits = await page.getByRole("link", { name: "Change settings of end to end" }).getAttribute("href");
  for (const path of ["/usage", "/calls", `/calls/${id}`, "/keys", "/keys/new", limits ?? ""]) {
    await page.goto(path);
    await page.waitForLoadState();
    expect(await page.getByRole("main").textContent(), path).not.toMatch(/project/i);
  }
});

test("days without calls are bars of zero", async ({ page, ready }) => {
  await call(ready, await signUpAndPay(page));
  await page.goto("/usage?show=requests&range=7d");
  const { body, foot } = await barsAsTable(page);
  expect(column(body, "Total")).toEqual([0n, 0n, 0n, 0n, 0n, 0n, 1n]);
  expect(cell(foot, "Total")).toBe("1");
  await expect(page.getByText("The account is younger than the time before this range"), "nor is anything compared").toBeVisible();
});

test("a range without calls says so, and draws nothing", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/usage");
  await page.getByText("Custom range", { exact: true }).click();
  await page.getByLabel("First day").fill("2020-02-28");
  await page.getByLabel("Last day").fill("2020-03-01");
  await page.getByRole("button", { name: "Show range" }).click();
  await expect(page).toHaveURL(/range=custom.*from=2020-02-28&to=2020-03-01/);
  await expect(page.getByText("There are no calls in this range.")).toBeVisible();
  await expect(page.getByRole("figure")).toHaveCount(0);
});

test("a model's colour is the same whatever the range and the rank", async ({ page }) => {
  await signIn(page, "customer");
  const colours = async (query: string) => {
    await page.goto(`/usage?${query}`);
    const legend = page.locator(".chart-legend li").filter({ has: page.locator("[class^=hue-]") });
    await expect(legend.first()).toBeVisible();
    return legend.evaluateAll((all) => all.map((one) => [one.textContent, one.querySelector("rect")?.getAttribute("class")]));
  };
  const month = new Map(await colours("range=last-month") as [string, string][]);
  expect(new Set(month.values()).size).toBe(month.size);
  for (const query of ["range=7d", "range=30d&show=requests", "range=last-month&show=tokens"]) {
    for (const [model, colour] of await colours(query)) expect(colour, `${model}: ${query}`).toBe(month.get(model ?? "") ?? colour);
  }
});

test("a range that still runs says so", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/usage?range=7d");
  await expect(page.getByRole("main")).toContainText(/so far\. Times are UTC/);
  const { body } = await barsAsTable(page);
  expect(body.map((row) => cell(row, "Day").endsWith(", so far"))).toEqual([...Array<boolean>(6).fill(false), true]);
  await expect(page.getByRole("figure").getByRole("listitem").filter({ hasText: /^so far$/ })).toBeVisible();
  await page.goto(LAST_MONTH);
  await expect(page.getByRole("main")).not.toContainText("so far");
});

test("pointing at a bar shows its figures", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(`${LAST_MONTH}&show=requests`);
  const first = bars(page).first();
  await expect(first.getByText("Total")).toBeHidden();
  await first.hover();
  await expect(first.getByText("Total")).toBeVisible();
  // The pointer can go on to them, as it must where somebody sees only a part of the screen at once.
  await first.getByText("Total").hover();
  await expect(first.getByText("Total")).toBeVisible();
  const { body } = await barsAsTable(page);
  await expect(first).toContainText(cell(body[0], "Total"));
});

test("on a phone the figures of a bar stay on the screen", async ({ page }) => {
  await page.setViewportSize(PHONE);
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  for (const bar of [bars(page).first(), bars(page).last()]) {
    await bar.hover();
    await expect(bar.getByText("Total")).toBeInViewport({ ratio: 1 });
    await expectNoSidewaysScroll(page);
  }
});

test("arrow keys move between the bars, and Escape hides their figures", { tag: "@script" }, async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  await hydrated(page);
  const [last, before] = [bars(page).last(), bars(page).nth(-2)];
  await last.focus();
  await expect(last.getByText("Total")).toBeVisible();
  await page.keyboard.press("ArrowLeft");
  await expect(before).toBeFocused();
  await expect(before.getByText("Total")).toBeVisible();
  await expect(last.getByText("Total")).toBeHidden();
  await page.keyboard.press("Escape");
  await expect(before.getByText("Total")).toBeHidden();
  await page.keyboard.press("ArrowRight");
  await expect(last).toBeFocused();
  await expect(last.getByText("Total")).toBeVisible();
  await page.keyboard.press("Home");
  await expect(bars(page).first()).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByText("Show as a table"), "Tab leaves the bars").toBeFocused();
  await page.keyboard.press("Shift+Tab");
  await expect(bars(page).first(), "and comes back to where one was").toBeFocused();
});

test.describe("an address that makes no sense", () => {
  // The browser's own lines: about the status, and about a date that it cannot put back into its field.
  test.use({ expectedNoise: [/status of 400|does not conform to the required format/] });

  for (const { query, field, problem } of [
    { query: "range=custom&from=2026-02-30&to=2026-03-01", field: "First day", problem: "is not a date" },
    { query: "range=custom&from=2026-03-02&to=2026-03-01", field: "Last day", problem: "The last day is before the first" },
    { query: "status=fine", field: "Status", problem: '"fine" is not one of' },
    { query: "key=mine", field: "Key", problem: "Is not the id of a key" },
    { query: "project=mine", field: "Project", problem: "Is not the id of a project" },
    { query: "user=a%09b", field: "End user", problem: "Has control characters in it" },
    { query: "session=a%09b", field: "Session", problem: "Has control characters in it" },
    { query: "client=a%09b", field: "Client", problem: "Has control characters in it" },
    { query: "value=red", field: "Tag", problem: "Name the tag whose value this is" },
    { query: "tag=colour&value=a%09b", field: "Tag value", problem: "Has control characters in it" },
  ]) {
    test(`says so at ${field}: ${query}`, async ({ page }) => {
      await signIn(page, "customer");
      const response = await page.goto(`/usage?${query}`);
      expect(response?.status()).toBe(400);
      const at = page.getByLabel(field, { exact: true });
      await expect(at).toBeVisible();
      await expect(at).toHaveAttribute("aria-invalid", "true");
      await expect(at).toHaveAccessibleDescription(new RegExp(problem));
      // The others differ in one line.
      if (field === "First day") await expectSound(page);
      await page.getByRole("link", { name: "7 days" }).click();
      await expect(page.getByRole("figure")).toBeVisible();
    });
  }

  test("says so above the form when no field is at fault", async ({ page }) => {
    await signIn(page, "customer");
    for (const query of ["range=yesterday", "group=colour", "show=nonsense", "range=custom&from=2020-01-01&to=2026-01-01&step=hour"]) {
      const response = await page.goto(`/usage?${query}`);
      expect(response?.status(), query).toBe(400);
      await expect(page.getByRole("alert"), query).toBeVisible();
    }
  });
});

/** The date of so many days ago. */
function day(ago: number): string {
  return new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
}

/** Every call of a log, over all its pages. */
async function wholeLog(page: Page, path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (let next: string | null = path; next; ) {
    await page.goto(next);
    rows.push(...(await readTable(tableOf(page, "Time"))).body);
    const older = page.getByRole("link", { name: "Older" });
    next = (await older.count()) > 0 ? await older.getAttribute("href") : null;
  }
  return rows;
}

function bars(page: Page): Locator {
  return page.getByRole("figure").getByRole("list", { name: /arrow keys/ }).getByRole("listitem");
}

/** The chart's own table. */
async function barsAsTable(page: Page) {
  const summary = page.getByText("Show as a table");
  await summary.click();
  return readTable(page.getByRole("region", { name: / as a table$/ }).getByRole("table"));
}

function chosen(tabs: Locator): Locator {
  return tabs.locator("[aria-current]");
}

async function everything(page: Page) {
  await expect(page.getByRole("figure")).toBeVisible();
  await page.waitForLoadState();
  const cards = await page.locator("dl.figures").innerText();
  const tables = await Promise.all(["Model", "Key"].map((noun) => readTable(tableOf(page, noun))));
  return { cards, tables, current: await page.locator("main [aria-current]").allInnerTexts() };
}
