// `/keys`: made, shown once, used, limited, revoked.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import type { Locator, Page } from "@playwright/test";
import { createKey, shownKey, signUp, signUpAndPay, topUp } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { amount, cell, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, hydrated, PHONE, signIn, test } from "./fixtures.ts";
import { ask, call, creditsAtRest, nanos, receipt } from "./gateway.ts";

const run = promisify(execFile);
const create = (page: Page) => page.getByRole("button", { name: "Create key" });

test("the list is sound", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/keys");
  await expectSound(page);
});

test("the form of a new key is sound, and so is the page that shows it", async ({ page, ready }) => {
  await signUp(page);
  await page.goto("/keys");
  await expect(page.getByText("There is no key yet")).toBeVisible();
  await expect(page.getByText(`${ready.proxy_url}/v1`)).toBeVisible();
  const credit = page.getByText("This account has no credit that is available");
  await expect(credit).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Create a key" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("New key");
  await expectSound(page);
  await createKey(page, "laptop");
  await expect(credit, "a key alone opens nothing").toBeVisible();
  await expectSound(page);
  // Choosing colours would load the page again, without the key.
  const colours = page.getByRole("form", { name: "Colours" });
  await expect(colours).toHaveCount(0);
  await page.getByRole("link", { name: "All keys" }).click();
  await expect(colours).toBeVisible();
});

test("a key is shown once and works; revoked, it no longer does", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  await call(ready, key);

  await page.goto("/keys");
  expect(await page.content()).not.toContain(key);
  const { body } = await readTable(tableOf(page, "Name"));
  expect(body).toHaveLength(1);
  await expect(tableOf(page, "Name").getByText(/^[0-9a-f-]+@e2e\.example$/), "whose it is").toBeVisible();
  expect(body[0]).toMatchObject({ Name: "end to end", Key: `sk-fb_…${key.slice(-4)}`, State: "Works" });
  expect(body[0]?.["Last used"]).not.toBe("never");

  const heads = () => page.locator("thead th").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().x));
  const before = await heads();
  await asks(page, "Revoke").click();
  await expect(page.getByText(/Calls with “end to end” are refused from then on/)).toBeVisible();
  expect(await heads(), "nothing else moves").toEqual(before);
  await expectSound(page);
  await page.getByRole("button", { name: "Revoke end to end for good" }).click();
  await expect(page.getByRole("status")).toContainText("“end to end” is revoked");
  expect((await readTable(tableOf(page, "Name"))).body[0]?.State).toMatch(/^Revoked /);
  await expect(asks(page, "Revoke")).toHaveCount(0);

  // Credit is held under the same lock under which a key is revoked.
  // Every proxy hears of it within a moment.
  await expect.poll(async () => (await ask(ready, key, "Hello")).status).toBe(401);
});

test("the snippets work as pasted, with the cheapest model", async ({ page }) => {
  await signUp(page);
  await topUp(page);
  await createKey(page);
  const snippet = (name: string) => page.getByRole("region", { name, exact: true }).innerText();
  for (const name of ["curl", "Python", "Node"]) expect(await snippet(name)).toContain('"demo-mini"');
  const answers = [
    run("bash", ["-c", await snippet("curl")]),
    run(".venv/bin/python", ["-c", await snippet("Python")]),
    run("node", ["--input-type=module", "--eval", await snippet("Node")]),
  ];
  for (const { stdout } of await Promise.all(answers)) expect(stdout.trim()).not.toBe("");
  // They are in the books within a moment.
  await expect(async () => {
    await page.goto("/calls");
    expect((await readTable(tableOf(page, "Time"))).body.map((row) => row.Status)).toEqual(["OK", "OK", "OK"]);
  }).toPass({ timeout: 20_000 });
});

test("a double click makes one key, and shows it", async ({ page, ready }) => {
  await signUp(page);
  await topUp(page);
  await page.goto("/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("twice");
  const once = await page.locator("input[name=once]").inputValue();
  await create(page).dblclick();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("“twice” is ready");
  await call(ready, await shownKey(page));
  await page.goto("/keys");
  expect((await readTable(tableOf(page, "Name"))).body).toHaveLength(1);

  // Once it is revoked, its form no longer says that it works.
  await asks(page, "Revoke").click();
  await page.getByRole("button", { name: "Revoke twice for good" }).click();
  await expect(page.getByRole("status")).toContainText("“twice” is revoked");
  const again = await page.request.post("/keys/new", { form: { once, name: "twice" } });
  expect(again.status()).toBe(409);
  expect(await again.text()).toContain("This form already made its key");
});

test("a key with a last day says until when it works", async ({ page }) => {
  await signUp(page);
  const day = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
  await page.goto("/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("for a week");
  await page.getByLabel("Last day").fill(day);
  await create(page).click();
  await expect(page.getByRole("status").filter({ hasText: /It works until .*, 00:00 UTC/ })).toBeVisible();
  await page.goto("/keys");
  expect((await readTable(tableOf(page, "Name"))).body[0]?.State).toMatch(/^Works until /);
});

test("a key calls the models that it is for, and no others", async ({ page, ready }) => {
  await signUp(page);
  await topUp(page);
  await page.goto("/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("notebooks");
  await expect(page.getByLabel("Models")).toHaveAccessibleDescription(/empty means every model\. .*demo-mini/);
  await page.getByLabel("Models").fill("demo-large");
  await create(page).click();
  await expect(page.getByRole("status").filter({ hasText: "It may call demo-large and no other model." })).toBeVisible();
  await expectSound(page);
  const key = await shownKey(page);
  const refused = await ask(ready, key, "Hello", { model: "demo-mini" });
  expect(refused.status).toBe(403);
  expect(await refused.text()).toContain('it may call \\"demo-large\\"');
  await call(ready, key, "Hello", { model: "demo-large" });

  await page.goto("/keys");
  await expect(tableOf(page, "Name").getByText("Only demo-large")).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Change settings of notebooks" }).click();
  await expect(page.getByText("This key may call demo-large.")).toBeVisible();
  await page.getByLabel("Models that it may call").fill("demo-mini, demo-large");
  await page.getByRole("button", { name: "Change the models" }).click();
  await expect(page.getByRole("status")).toContainText("The models of the key are changed");
  await expectSound(page);
  await expect(async () => expect((await ask(ready, key, "Hello", { model: "demo-mini" })).status).toBe(200)).toPass({ timeout: 20_000 });
  await page.getByLabel("Models that it may call").fill("");
  await page.getByRole("button", { name: "Change the models" }).click();
  await expect(page.getByText("This key may call every model")).toBeVisible();
});

test("answers to a key tell their cost where its page says so", async ({ page, ready }) => {
  await signUp(page);
  await topUp(page);
  const key = await createKey(page, "editor");
  const answer = async () => JSON.parse(await (await ask(ready, key, "Hello")).text()) as { usage: { cost?: string } };
  expect((await answer()).usage.cost).toBeUndefined();
  await page.goto("/keys");
  await openLimits(page, "“editor”");
  await expect(page.getByText("Answers do not tell what the call cost.")).toBeVisible();
  await page.getByRole("button", { name: "Tell the cost in answers" }).click();
  await expect(page.getByRole("status")).toContainText("Answers to calls with this key tell their cost");
  await expect(page.getByText("Answers tell what the call cost, as usage.cost")).toBeVisible();
  await expectSound(page);
  await expect(async () => expect((await answer()).usage.cost).toMatch(/^0\.\d+$/)).toPass({ timeout: 20_000 });
  await page.getByRole("button", { name: "Leave the cost out" }).click();
  await expect(page.getByText("Answers do not tell what the call cost.")).toBeVisible();
  await expect(async () => expect((await answer()).usage.cost).toBeUndefined()).toPass({ timeout: 20_000 });
});

test("where there are several projects, a new key is put into one, and each key names its own", async ({ page, ready }) => {
  const { email } = await signUp(page);
  await createKey(page, "laptop");
  await farebox(ready, "project", "add", email, "Research");
  await page.goto("/keys/new");
  await expect(page.getByLabel("Project", { exact: true }).locator("option:checked")).toHaveText("Default");
  await page.getByLabel("Project", { exact: true }).selectOption("Research");
  await page.getByLabel("Name", { exact: true }).fill("notebooks");
  await expectSound(page);
  await create(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("“notebooks” is ready");
  await createKey(page, "script");

  await page.goto("/keys");
  const { body } = await readTable(tableOf(page, "Name"));
  const projects = Object.fromEntries(body.map((row) => [cell(row, "Name"), cell(row, "Project")]));
  expect(projects).toEqual({ laptop: "Default", notebooks: "Research", script: "Default" });
  await expectSound(page);
  await openLimits(page, "“notebooks”");
  await expect(page.getByText("The key is in the project Research.")).toBeVisible();
  await expectSound(page);
});

test("the key is copied by a button that says so", { tag: "@script" }, async ({ page, context, ready }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: ready.console_url });
  await signUp(page);
  const key = await createKey(page);
  await page.getByRole("button", { name: "Copy the key" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Copied" })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(key);
});

test("a key that could not be copied is not said to be", { tag: "@script" }, async ({ page }) => {
  await page.addInitScript(() => {
    navigator.clipboard.writeText = () => Promise.reject(new Error("denied"));
  });
  await signUp(page);
  await createKey(page);
  await page.getByRole("button", { name: "Copy the key" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Not copied" })).toBeVisible();
});

test("where no script runs, no button promises to copy", async ({ page, javaScriptEnabled }) => {
  await signUp(page);
  await createKey(page);
  if (javaScriptEnabled) await hydrated(page);
  const buttons = page.getByRole("button", { name: /^Copy/ });
  await expect(buttons).toHaveCount(javaScriptEnabled ? 4 : 0);
});

test.describe("a key that cannot be", () => {
  // The browser's own lines: about the status, and about a date that it cannot put back into its field.
  test.use({ expectedNoise: [/status of 422|does not conform to the required format/] });

  test("needs a name", async ({ page }) => {
    await signUp(page);
    await page.goto("/keys/new");
    await page.getByLabel("Name", { exact: true }).fill("   ");
    await create(page).click();
    await expect(page.getByLabel("Name", { exact: true })).toHaveAccessibleDescription(/Write 1 to 100 characters\./);
    await expectSound(page);
    await page.getByLabel("Name", { exact: true }).fill("named");
    await create(page).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("“named” is ready");
  });

  test("calls no model that is not there", async ({ page }) => {
    await signUp(page);
    await page.goto("/keys/new");
    await page.getByLabel("Name", { exact: true }).fill("for nothing");
    await page.getByLabel("Models").fill("demo-mini, of-nobody");
    await create(page).click();
    await expect(page.getByLabel("Models")).toHaveAccessibleDescription(/There is no model of-nobody/);
    await expect(page.getByLabel("Models")).toHaveValue("demo-mini, of-nobody");
    await expectSound(page);
    await page.goto("/keys");
    await expect(page.getByText("There is no key yet")).toBeVisible();
  });

  test("is in no project that is not there", async ({ page }) => {
    await signUp(page);
    await page.goto("/keys/new");
    const once = await page.locator("input[name=once]").inputValue();
    for (const project of ["mine", randomUUID()]) {
      const refused = await page.request.post("/keys/new", { form: { once, name: "stray", project } });
      expect(refused.status(), project).toBe(422);
      expect(await refused.text(), project).toContain("There is no such project");
    }
    await page.goto("/keys");
    await expect(page.getByText("There is no key yet")).toBeVisible();
  });

  for (const [day, problem] of [
    ["2020-01-01", "Choose a day that is still to come."],
    ["tomorrow", "This is not a date: write it like 2027-01-31."],
  ] as const) {
    test(`does not last until ${day}`, async ({ page }) => {
      await signUp(page);
      await page.goto("/keys/new");
      await page.getByLabel("Name", { exact: true }).fill("too late");
      // As a browser sends it that knows no date fields.
      await page.getByLabel("Last day").evaluate((field: HTMLInputElement) => {
        field.type = "text";
        field.removeAttribute("min");
      });
      await page.getByLabel("Last day").fill(day);
      await create(page).click();
      await expect(page.getByLabel("Last day")).toHaveAccessibleDescription(new RegExp(problem.replaceAll(".", "\\.")));
      await page.goto("/keys");
      await expect(page.getByText("There is no key yet")).toBeVisible();
    });
  }
});

test("a key's limit is set, given another amount, and removed", async ({ page }) => {
  await signUp(page);
  await createKey(page, "laptop");
  await openLimits(page, "“laptop”");
  await expect(page.getByText("This key has no limit. One keeps it from using more than it should")).toBeVisible();
  await expectSound(page);

  await setLimit(page, { amount: "1", unit: "Requests", window: "Per minute" });
  await expect(page.getByRole("status")).toHaveText("The limit is set: 1 request per minute.");
  const limits = async () => (await readTable(tableOf(page, "Limit"))).body;
  const one = { Limit: "1 request per minute", Used: "0", "Reserved now": "0", Left: "1", "At its end": "Calls are refused" };
  expect(await limits()).toEqual([expect.objectContaining(one)]);
  expect(cell((await limits())[0], "Begins anew")).toMatch(/^\d{1,2} \w{3} \d{4}, \d{2}:\d{2} UTC$/);
  await expectSound(page);

  await setLimit(page, { amount: "3", unit: "Requests", window: "Per minute" });
  await expect(page.getByRole("status")).toHaveText("The limit is set: 3 requests per minute.");
  expect(await limits()).toEqual([expect.objectContaining({ Limit: "3 requests per minute", Left: "3" })]);
  await setLimit(page, { amount: "0.5", unit: "Dollars", window: "In all", end: "Calls go on" });
  await expect(page.getByRole("status")).toHaveText("The limit is set: $0.50 in all.");
  expect(await limits()).toEqual([
    expect.objectContaining({ Limit: "3 requests per minute" }),
    expect.objectContaining({ Limit: "$0.50 in all", "Begins anew": "never", "At its end": "Calls go on" }),
  ]);

  await page.goto("/keys");
  await expect(tableOf(page, "Name")).toContainText("0 of 3 requests this minute");
  await expect(tableOf(page, "Name")).toContainText("$0.00 of $0.50 in all (soft)");
  await expectSound(page);

  await openLimits(page, "“laptop”");
  await asks(page, "Remove").first().click();
  await page.getByRole("button", { name: "Remove the limit of 3 requests per minute" }).click();
  await expect(page.getByRole("status")).toHaveText("The limit is removed: it bounds no call any more.");
  expect(await limits()).toEqual([expect.objectContaining({ Limit: "$0.50 in all" })]);
});

test("what calls take is counted by the limits of their key and of the account, and a used-up one refuses", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  await openLimits(page, "“end to end”");
  await setLimit(page, { amount: "1", unit: "Requests", window: "In all" });
  await expect(page.getByRole("status")).toHaveText("The limit is set: 1 request in all.");
  await openLimits(page, "the account");
  await expect(page.getByText("The account has no limit.")).toBeVisible();
  await setLimit(page, { amount: "1", unit: "Dollars", window: "Per month" });
  await expect(page.getByRole("status")).toHaveText("The limit is set: $1.00 per month.");

  const id = await call(ready, key);
  const cost = nanos((await receipt(ready, id, key)).amount);
  await creditsAtRest(ready, key);
  await page.reload();
  const [row] = (await readTable(tableOf(page, "Limit"))).body;
  expect(amount(cell(row, "Used"))).toBe(cost);
  expect(amount(cell(row, "Reserved now"))).toBe(0n);
  expect(amount(cell(row, "Left"))).toBe(amount("$1.00") - cost);
  await page.goto("/keys");
  await expect(tableOf(page, "Name")).toContainText("1 of 1 request in all");
  expect((await ask(ready, key, "Hello")).status).toBe(429);
});

test("a limit of a part of the account says whose it is, and a project's stands with its keys too", async ({ page, ready }) => {
  const { email } = await signUp(page);
  await createKey(page, "laptop");
  const set = (...args: string[]) => farebox(ready, "limit", "set", email, "--unit", "requests", ...args);
  await set("9", "--per", "day", "--project", "Default");
  await set("4", "--per", "ever", "--run", `nightly ${"x".repeat(200)}`);
  await set("8", "--per", "day", "--member", email);
  await page.goto("/keys");
  await expect(page.getByRole("listitem").filter({ hasText: "0 of 9 requests today" })).toContainText("of the project Default");
  await expectSound(page);

  const row = (limit: string) => tableOf(page, "Limit").getByRole("row").filter({ hasText: limit });
  await openLimits(page, "the account");
  await expect(row("9 requests per day")).toContainText("of the project Default");
  await expect(row("4 requests in all")).toContainText("of the run nightly x");
  await expect(row("4 requests in all").getByRole("link", { name: /^nightly x/ })).toHaveAttribute("href", /^\/calls\?session=nightly\+x/);
  // The command line sets them as the operator.
  await expect(row("9 requests per day")).toContainText("set by the operator");
  await expect(asks(page, "Remove")).toHaveCount(0);
  await expectSound(page);

  await openLimits(page, "“laptop”");
  await setLimit(page, { amount: "7", unit: "Requests", window: "Per day" });
  await expect(page.getByRole("status")).toHaveText("The limit is set: 7 requests per day.");
  await expect(row("9 requests per day")).toContainText("of the project Default");
  await expect(row("8 requests per day"), "who made the key is its member").toContainText(`of the member ${email}`);
  await expect(row("4 requests in all"), "a run need not be this key's").toHaveCount(0);
  await expect(asks(row("7 requests per day"), "Remove")).toBeVisible();
  await expect(asks(page, "Remove")).toHaveCount(1);
});

test("only one question is open at a time, and Escape or a press elsewhere closes it", async ({ page }) => {
  await signUp(page);
  await createKey(page, "first");
  await createKey(page, "second");
  await page.goto("/keys");
  const question = (name: string) => page.getByText(`Calls with “${name}” are refused from then on`);
  const ask = (name: string) => page.getByRole("button", { name: `Revoke ${name}`, exact: true });
  await ask("first").click();
  await expect(question("first")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(question("first")).toBeHidden();

  await ask("first").press("Enter");
  await expect(question("first")).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Revoke first for good" }), "the keyboard leads into it").toBeFocused();
  await page.getByRole("heading", { level: 1 }).click();
  await expect(question("first")).toBeHidden();

  await ask("first").focus();
  await page.keyboard.press("Enter");
  await ask("second").focus();
  await page.keyboard.press("Enter");
  await expect(question("second")).toBeVisible();
  await expect(question("first")).toBeHidden();
  const [row, box] = [await ask("second").boundingBox(), await question("second").boundingBox()];
  expect(Math.abs((row?.y ?? 0) - (box?.y ?? 0)), "it lies by its button").toBeLessThan(150);
});

test("a question has room for its words, however narrow the window", async ({ page }) => {
  await signUp(page);
  await createKey(page, "first");
  for (const width of [PHONE.width, 768, 1280]) {
    await page.setViewportSize({ width, height: PHONE.height });
    await page.goto("/keys");
    await asks(page, "Revoke").click();
    const button = page.getByRole("button", { name: "Revoke first for good" });
    await expect(button).toBeInViewport({ ratio: 1 });
    const [question, answer] = [await page.getByRole("dialog").boundingBox(), await button.boundingBox()];
    expect(question?.width, `${width} wide`).toBeGreaterThan(300);
    expect(answer?.height, "its button is one line").toBeLessThan(50);
    expect(await button.innerText()).toBe("Revoke first for good");
  }
});

test("a long name neither breaks a key nor a day into lines, nor moves anything", async ({ page }) => {
  await signUp(page);
  await createKey(page, "a");
  await page.goto("/keys");
  const heads = () => page.locator("thead th").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().x));
  const before = await heads();
  await createKey(page, "production-".repeat(5));
  await page.goto("/keys");
  expect(await heads(), "whatever is in the columns").toEqual(before);
  const rows = await page.locator("td.code code, td.moment time").evaluateAll((all) => all.map((one) => one.getClientRects().length));
  expect(rows.length).toBeGreaterThan(2);
  expect(new Set(rows), "lines of each").toEqual(new Set([1]));
});

test("a revoked key keeps its limits, and no form", async ({ page }) => {
  await signUp(page);
  await createKey(page, "laptop");
  await openLimits(page, "“laptop”");
  await setLimit(page, { amount: "10", unit: "Dollars", window: "Per month" });
  await expect(page.getByRole("status")).toHaveText("The limit is set: $10.00 per month.");
  await page.goto("/keys");
  await asks(page, "Revoke").click();
  await page.getByRole("button", { name: "Revoke laptop for good" }).click();
  await page.getByRole("link", { name: "See settings of laptop" }).click();
  await expect(page.getByText("This key is revoked")).toBeVisible();
  await expect(page.getByRole("rowheader", { name: "$10.00 per month" })).toBeVisible();
  await expect(page.getByRole("main").locator("form")).toHaveCount(0);
  await expectSound(page);
});

test.describe("a limit that cannot be", () => {
  test.use({ expectedNoise: [/status of 422/] });

  test("is told at its field, and what was typed stays", async ({ page }) => {
    await signUp(page);
    await createKey(page, "laptop");
    await openLimits(page, "“laptop”");
    for (const { typed, unit, problem } of [
      { typed: "a lot", unit: "Dollars", problem: /This is not a number/ },
      { typed: "1.0000000001", unit: "Dollars", problem: /more than nine decimals/ },
      { typed: "1.5", unit: "Requests", problem: /This is not a whole number/ },
      { typed: "-1", unit: "Tokens", problem: /Write a number from 0 on\./ },
    ]) {
      await setLimit(page, { amount: typed, unit, window: "Per week", end: "Calls go on" });
      await expect(page.getByLabel("Amount")).toHaveAccessibleDescription(problem);
      await expect(page.getByLabel("Amount")).toHaveValue(typed);
      await expect(page.getByLabel("Of what")).toHaveValue(unit === "Dollars" ? "money" : unit.toLowerCase());
      await expect(page.getByLabel("Over what time")).toHaveValue("week");
      await expect(page.getByLabel("At its end")).toHaveValue("soft");
    }
    await expectSound(page);
    await expect(page.getByText("This key has no limit.")).toBeVisible();
  });
});

/** The buttons that ask first. */
function asks(within: Page | Locator, what: "Revoke" | "Remove"): Locator {
  return within.locator("button[popovertarget]", { hasText: what });
}

/** Goes to the limits of a key, by its name in quotes, or of the account. */
async function openLimits(page: Page, whose: string): Promise<void> {
  await page.goto("/keys");
  const [link, heading] = whose === "the account" ? ["Set limits of", "Limits of"] : ["Change settings of", "Settings of"];
  await page.getByRole("link", { name: `${link} ${whose.replaceAll(/[“”]/g, "")}` }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`${heading} ${whose}`);
}

interface Limit {
  amount: string;
  unit: string;
  window: string;
  end?: string;
}

/** Fills in the form of the page that is open, and sends it. */
async function setLimit(page: Page, { amount, unit, window, end = "Calls are refused" }: Limit): Promise<void> {
  await page.getByLabel("Amount").fill(amount);
  await page.getByLabel("Of what").selectOption(unit);
  await page.getByLabel("Over what time").selectOption(window);
  await page.getByLabel("At its end").selectOption(end);
  await page.getByRole("button", { name: "Set the limit" }).click();
}
