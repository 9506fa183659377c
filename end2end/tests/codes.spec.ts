// Redemption codes: made by operators and shown once, redeemed by owners under Billing.
import { randomUUID } from "node:crypto";
import type { Page } from "@playwright/test";
import { signUp } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { headline, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

const code = (page: Page) => page.getByLabel("Code", { exact: true });
const redeem = (page: Page) => page.getByRole("button", { name: "Redeem" });

/** Makes codes on the command line, and returns them. */
async function make(ready: Parameters<typeof farebox>[0], ...args: string[]): Promise<{ name: string; codes: string[] }> {
  const name = `Codes ${randomUUID().slice(0, 8)}`;
  const { stdout } = await farebox(ready, "code", "new", name, ...args);
  const [head, ...lines] = stdout.trim().split("\n");
  expect(head).toBe("code,batch");
  return { name, codes: lines.map((line) => line.split(",")[0] ?? "") };
}

test("codes are looked at before they are made, shown once, and kept as a file", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/codes");
  const name = `Winter ${randomUUID().slice(0, 8)}`;
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Credit by each code, in US dollars").fill("10");
  await page.getByLabel("How many codes").fill("3");
  await page.getByLabel("Days that the credit lasts").fill("90");
  await page.getByRole("button", { name: "Review" }).click();
  const review = page.getByRole("region", { name: `Make the codes of “${name}”?` });
  await expect(review).toContainText("3 codes, one use each, one per account");
  await expect(review).toContainText("$30.00");
  await expectSound(page);
  await review.getByRole("button", { name: "Make the codes" }).dblclick();
  const shown = page.getByRole("textbox", { name: "The 3 codes" });
  const codes = (await shown.inputValue()).split("\n");
  expect(codes).toHaveLength(3);
  for (const each of codes) expect(each).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){4}[0-9A-HJKMNP-TV-Z]{4}$/);
  await expectSound(page);
  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download as CSV" }).click();
  const file = await (await downloading).createReadStream();
  let text = "";
  for await (const chunk of file) text += String(chunk);
  expect(text.split("\r\n")[0]).toBe("code,batch,amount,currency,uses,redeem_before");
  expect(text).toContain(codes[2]);

  await page.goto("/admin/codes");
  const { body } = await readTable(tableOf(page, "Batch"));
  expect(body.filter((row) => row["Batch"]?.includes(name)), "the double click made one batch").toHaveLength(1);
  await expect(page.getByText(codes[0] ?? "none")).toHaveCount(0);
});

test("an owner redeems a code however they type it, once", async ({ page, ready }) => {
  const { name, codes } = await make(ready, "--amount", "10", "--credit-days", "90");
  await signUp(page);
  await page.goto("/billing");
  await code(page).fill((codes[0] ?? "").toLowerCase().replaceAll("-", " "));
  await redeem(page).dblclick();
  await expect(page.getByRole("status")).toContainText(/\$10\.00 (added|had already been added)/);
  await expect(headline(page, "Balance")).toHaveText("$10.00");
  const [row] = (await readTable(tableOf(page, "When"))).body;
  expect(row?.["What for"]).toContain(`Code: ${name}`);
  await expectSound(page);
});

test("a batch that is revoked says so", async ({ page, ready }) => {
  const { name } = await make(ready, "--amount", "10");
  await signIn(page, "operator");
  await page.goto("/admin/codes");
  await page.getByRole("button", { name: `Revoke ${name}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke the batch" }).click();
  await expect(page.getByRole("status")).toContainText("is revoked");
  const { body } = await readTable(tableOf(page, "Batch"));
  expect(body.find((row) => row["Batch"]?.includes(name))?.["Until"]).toContain("Revoked");
  await expectSound(page);
});

test.describe("a code that gives nothing", () => {
  test.use({ expectedNoise: [/status of 4(22|29)/] });

  test("says why at its field, and what to do", async ({ page, ready, context }) => {
    const { codes } = await make(ready, "--amount", "5", "--count", "2", "--one-per-account");
    await signUp(page);
    await page.goto("/billing");
    for (const [typed, problem] of [
      ["ABCD-EFGH", /one of them is wrong or missing/],
      ["0000-0000-0000-0000-0000", /There is no such code: compare it/],
    ] as const) {
      await code(page).fill(typed);
      await redeem(page).click();
      await expect(code(page)).toHaveAccessibleDescription(problem);
      await expect(code(page)).toHaveValue(typed);
    }
    await expectSound(page);
    await code(page).fill(codes[0] ?? "");
    await redeem(page).click();
    await expect(headline(page, "Balance")).toHaveText("$5.00");
    await code(page).fill(codes[1] ?? "");
    await redeem(page).click();
    await expect(code(page)).toHaveAccessibleDescription(/of which each account may redeem one/);
    await context.clearCookies();
    await signUp(page);
    await page.goto("/billing");
    await code(page).fill(codes[0] ?? "");
    await redeem(page).click();
    await expect(code(page)).toHaveAccessibleDescription(/This code was used already/);
  });

  test("is guessed ten times and no more for a while", async ({ page }) => {
    await signUp(page);
    await page.goto("/billing");
    for (let turn = 0; turn < 11; turn += 1) {
      await code(page).fill("0000-0000-0000-0000-0000");
      await redeem(page).click();
      await expect(page.getByRole("alert")).toHaveCount(1);
    }
    await expect(page.getByRole("alert")).toContainText("Too many attempts. Try again in");
  });

  test("terms that cannot be are refused at their field", async ({ page }) => {
    await signIn(page, "operator");
    await page.goto("/admin/codes");
    await page.getByLabel("Name").fill("Winter");
    await page.getByLabel("Credit by each code, in US dollars").fill("0");
    await page.getByLabel("How many codes").fill("3");
    await page.getByRole("button", { name: "Review" }).click();
    await expect(page.getByLabel("Credit by each code, in US dollars")).toHaveAccessibleDescription(/Write an amount above 0/);
    await expectSound(page);
  });
});
