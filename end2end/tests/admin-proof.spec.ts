// `/admin/proof`: run by its button, and green; with the roots of the days that were sealed.
import type { Page } from "@playwright/test";
import { signUp } from "./accounts.ts";
import { cell, count, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { call } from "./gateway.ts";

/** How long a run may take on a busy machine. */
const RUN_MS_MAX = 90_000;

const runNow = (page: Page) => page.getByRole("button", { name: "Run it now" });
const green = (page: Page) => page.getByRole("status").filter({ hasText: /^Every figure holds: / });

test("run by its button it is green, claim by claim, and sound", async ({ page }) => {
  await signIn(page, "operator");
  await openIdle(page);
  const before = await green(page).allInnerTexts();
  let after = "";
  // Farebox may begin one of a day by itself just then.
  await expect(async () => {
    await runNow(page).click();
    await expect(page).toHaveURL(/\/admin\/proof(\?already=yes)?$/);
    await openIdle(page);
    after = await green(page).innerText({ timeout: 1_000 });
    expect(after).toMatch(/operator@demo\.example began it .* UTC: it covers everything\.$/);
  }).toPass({ timeout: 2 * RUN_MS_MAX });
  expect(before).not.toContain(after);
  const [, accounts, calls] = /^Every figure holds: ([\d,]+) accounts? and ([\d,]+) calls?, in .*, ended .* UTC\./.exec(after) ?? [];
  expect(count(accounts ?? "") > 0n && count(calls ?? "") > 0n, after).toBe(true);

  const { body } = await readTable(tableOf(page, "What must hold"));
  expect(body.length).toBeGreaterThan(20);
  expect(new Set(body.map((row) => row.Verdict))).toEqual(new Set(["holds"]));
  await expect(page.getByRole("heading", { name: "What disagrees" })).toHaveCount(0);
  await expectSound(page);
});

test("while it runs, the page brings itself up to date", { tag: "@script" }, async ({ page }) => {
  await signIn(page, "operator");
  await openIdle(page);
  await runNow(page).click();
  await expect(page).toHaveURL(/\/admin\/proof(\?already=yes)?$/);
  await expect(green(page)).toBeVisible({ timeout: RUN_MS_MAX });
});

test("one runs at a time, and whoever asks for a second is told so", async ({ page }) => {
  await signIn(page, "operator");
  const ask = () => page.request.post("/admin/proof", { form: {} });
  // The first may have ended before the second is asked for.
  await expect(async () => {
    const answers = await Promise.all([ask(), ask()]);
    for (const answer of answers) expect(answer.status()).toBe(200);
    expect(answers.map((answer) => new URL(answer.url()).search)).toContain("?already=yes");
  }).toPass({ timeout: RUN_MS_MAX });
});

test("each proxy says how it is, and what it has leased", async ({ page, ready }) => {
  await call(ready, ready.customer.key);
  await signIn(page, "operator");
  await page.goto("/admin/proof");
  const { body } = await readTable(tableOf(page, "Proxy"));
  expect(body.length).toBeGreaterThan(0);
  for (const row of body) {
    expect(cell(row, "Proxy")).toMatch(/^[0-9a-f]{8}-/);
    expect(cell(row, "State")).toMatch(/^serves calls since /);
    for (const figure of ["Running", "Accounts leased"]) expect(cell(row, figure)).toMatch(/^[\d,]+$/);
    expect(cell(row, "Not posted yet")).toMatch(/^(0|[\d,]+, since .*)$/);
    expect(cell(row, "Credit leased")).toMatch(/^(< )?\$\d/);
  }
});

test("every sealed day has its root", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/proof");
  const { body } = await readTable(tableOf(page, "Day"));
  expect(body.length).toBeGreaterThan(0);
  for (const row of body) {
    expect(cell(row, "Root")).toMatch(/^\d{4}-\d\d-\d\d:[0-9a-f]{64}$/);
    count(cell(row, "Accounts"));
  }
  await expect(page.getByText("farebox verify --against ROOT")).toBeVisible();
});

test("a root is copied by a button that says so", { tag: "@script" }, async ({ page, context, ready }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: ready.console_url });
  await signIn(page, "operator");
  await openIdle(page);
  const newest = tableOf(page, "Day").getByRole("row").nth(1);
  await newest.getByRole("button", { name: "Copy" }).click();
  await expect(newest.getByRole("status")).toHaveText("Copied");
  const root = await newest.locator("code").innerText();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(root);
});

test.describe("a customer", () => {
  test.use({ expectedNoise: [/status of 403/] });

  test("neither sees it nor runs it", async ({ page }) => {
    await signUp(page);
    await expect(page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Proof" })).toHaveCount(0);
    expect((await page.goto("/admin/proof"))?.status()).toBe(403);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Not allowed");
    expect((await page.request.post("/admin/proof", { form: {} })).status()).toBe(403);
  });
});

/** Opens the page when nothing is running: not this test's run, nor another's, nor Farebox's own of a day. */
async function openIdle(page: Page): Promise<void> {
  await expect(async () => {
    await page.goto("/admin/proof");
    await expect(runNow(page)).toBeVisible({ timeout: 1_000 });
  }).toPass({ timeout: RUN_MS_MAX });
}
