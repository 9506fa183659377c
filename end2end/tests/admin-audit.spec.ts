// `/admin/audit`: what was changed, by whom, from where; narrowed, paged, and as a file.
import type { Page } from "@playwright/test";
import { signUp, topUp } from "./accounts.ts";
import { readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

test("a top-up is in the log with who made it, from where, and the balance before and after", async ({ page, context }) => {
  const { email, name } = await signUp(page);
  await topUp(page, "2");
  await becomeOperator(page, context);
  await page.goto(`/admin/audit?who=${encodeURIComponent(email)}&operation=money.top_up`);
  const { body } = await readTable(tableOf(page, "When"));
  expect(body).toHaveLength(1);
  const [row] = body;
  expect(row?.Who).toContain(email);
  await expect(page.getByRole("cell", { name: email })).toContainText("from 127.0.0.1");
  expect(row).toMatchObject({ "What was done": "Top up", "To what": name });
  expect(row?.["Before → after"]).toMatch(/balance 0 → 2/);
  await expectSound(page);
  await page.getByRole("link", { name }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
});

test("it is narrowed by its form, and the choice is in the address", async ({ page, context }) => {
  const { email } = await signUp(page);
  await becomeOperator(page, context);
  await page.goto("/admin/audit");
  await expectSound(page);
  await page.getByLabel("Who").fill(email);
  await page.getByLabel("What was done").selectOption("Open an account");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page).toHaveURL(`/admin/audit?${new URLSearchParams({ who: email, operation: "account.open" }).toString()}`);
  expect((await readTable(tableOf(page, "When"))).body).toHaveLength(1);
  await page.getByLabel("First day").fill("2099-01-01");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page.getByText(/No line matches/)).toBeVisible();
  await expectSound(page);
});

test("a whole log comes as a file with the same lines, and no cell of it is a formula", async ({ page, context }) => {
  const { email } = await signUp(page, "=1+1");
  await becomeOperator(page, context);
  await page.goto(`/admin/audit?who=${encodeURIComponent(email)}`);
  const { body } = await readTable(tableOf(page, "When"));
  const address = await page.getByRole("link", { name: "Download as CSV" }).getAttribute("href");
  const answer = await page.request.get(address ?? "");
  expect(answer.headers()["content-type"]).toBe("text/csv; charset=utf-8");
  expect(answer.headers()["content-disposition"]).toContain("audit.csv");
  const lines = (await answer.text()).trimEnd().split("\r\n");
  expect(lines[0]).toBe("at,operation,who,address,account_id,object_id,object,before,after,id");
  expect(lines.slice(1)).toHaveLength(body.length);
  expect(lines[1]).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z,account\\.open,${email},127\\.0\\.0\\.1,.*,'=1\\+1,`));
});

test.describe("what is not there for everybody", () => {
  test.use({ expectedNoise: [/status of 40[03]|does not conform to the required format/] });

  test("no customer reads the log, on its page or as a file", async ({ page }) => {
    await signUp(page);
    const answer = await page.goto("/admin/audit");
    expect(answer?.status()).toBe(403);
    await expect(page.getByText(/belongs to those who run this gateway/)).toBeVisible();
    expect((await page.request.get("/admin/audit.csv")).status()).toBe(403);
  });

  test("a day that is none is said at its field", async ({ page }) => {
    await signIn(page, "operator");
    await page.goto("/admin/audit?from=2026-02-30");
    await expect(page.getByLabel("First day")).toHaveAccessibleDescription(/is not a date/);
    await expectSound(page);
  });
});

async function becomeOperator(page: Page, context: { clearCookies: () => Promise<void> }): Promise<void> {
  await context.clearCookies();
  await signIn(page, "operator");
}
