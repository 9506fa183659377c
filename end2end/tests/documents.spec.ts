// Receipts and statements: as pages, as files, and as the details on them are changed.
import type { APIResponse, Page } from "@playwright/test";
import { signUp, signUpAndPay, topUp } from "./accounts.ts";
import { definition, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { call } from "./gateway.ts";

/** The numbers on the list, newest first, once there are so many: a job issues them within seconds. */
async function numbers(page: Page, count: number): Promise<string[]> {
  const links = page.getByRole("rowheader").getByRole("link", { name: /^R-\d{4}-\d{6}$/ });
  await expect(async () => {
    await page.goto("/billing/documents");
    await expect(links).toHaveCount(count, { timeout: 1_000 });
  }).toPass();
  return links.allInnerTexts();
}

/** A file that is a PDF of this name. */
async function expectPdf(answer: APIResponse, name: string): Promise<void> {
  expect(answer.status()).toBe(200);
  expect(answer.headers()["content-type"]).toBe("application/pdf");
  expect(answer.headers()["content-disposition"]).toBe(`attachment; filename="${name}.pdf"`);
  expect((await answer.body()).subarray(0, 5).toString()).toBe("%PDF-");
}

test("a payment has its receipt within seconds, with the tax in it, as a page and as a file", async ({ page }) => {
  await signUp(page);
  await topUp(page, "25");
  await page.getByRole("link", { name: "Receipts, invoices and monthly statements" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Documents");
  const [number = ""] = await numbers(page, 1);
  await expectSound(page);
  await page.getByRole("link", { name: number, exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Receipt ${number}`);
  const sheet = page.getByRole("article", { name: `Receipt ${number}` });
  await expect(definition(sheet, "Net")).toHaveText("$20.83");
  await expect(definition(sheet, "VAT 20 %")).toHaveText("$4.17");
  await expect(definition(sheet, "Total paid")).toHaveText("$25.00");
  await expectSound(page);
  await page.goto("/billing");
  await page.getByRole("cell", { name: "Test payment" }).getByRole("link", { name: "Receipt" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Receipt ${number}`);
  const file = await page.getByRole("link", { name: "Download as PDF" }).getAttribute("href");
  await expectPdf(await page.request.get(file ?? ""), number);
});

test.describe("what is wrong", () => {
  test.use({ expectedNoise: [/status of 422/] });

  test("details are on what is issued afterwards, and what is wrong stands at its field", async ({ page }) => {
    const { name, email } = await signUp(page);
    await topUp(page, "5");
    const [before = ""] = await numbers(page, 1);
    await page.getByRole("link", { name: "Change billing details" }).click();
    await page.getByLabel("Name").fill("Łódź 東京 مثال");
    await page.getByRole("textbox", { name: /^Address/ }).fill("1 High Street\u202e, London");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("alert")).toContainText("characters that turn the direction of a text");
    await expect(page.getByRole("textbox", { name: /^Address/ })).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByLabel("Name")).toHaveValue("Łódź 東京 مثال");
    await expectSound(page);
    await page.getByRole("textbox", { name: /^Address/ }).fill("1 High Street, London");
    await page.getByRole("button", { name: "Save" }).dblclick();
    await expect(page.getByRole("status")).toContainText("on documents that are issued from now on");
    await topUp(page, "6");
    const [after = ""] = await numbers(page, 2);
    for (const [number, who] of [[after, `ToŁódź 東京 مثال1 High Street, London${email}`], [before, `To${name}${email}`]] as const) {
      await page.goto(`/billing/documents/${number}`);
      await expect(page.locator(".paper-parties > section").nth(1)).toHaveText(who);
      await expectPdf(await page.request.get(`/billing/documents/${number}.pdf`), number);
    }
  });
});

test("a month's statement says what calls and payments came to, on the page and in the file", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  await call(ready, key);
  await page.goto("/billing/documents");
  await tableOf(page, "Month").getByRole("rowheader").getByRole("link").first().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/^Statement of \w{3} \d{4}, so far$/);
  await expect(page.locator(".paper-parties > section")).toHaveText([/^From./, /^Account./]);
  const balance = (await readTable(tableOf(page, "What changed it"))).body;
  expect(balance.find((row) => row["What changed it"]?.startsWith("Top-up"))?.["Amount"]).toMatch(/^\+\$5\.0/);
  await expectSound(page);
  const csv = await page.getByRole("link", { name: "Download as CSV" }).getAttribute("href");
  const lines = (await (await page.request.get(csv ?? "")).text()).trimEnd().split("\r\n");
  expect(lines[0]).toBe("part,name,id,at,count,prompt_tokens,completion_tokens,total_tokens,amount_usd,tokens");
  expect(lines).toContain("change,top_up,,,1,,,,5,0");
  const pdf = await page.getByRole("link", { name: "Download as PDF" }).getAttribute("href");
  await expectPdf(await page.request.get(pdf ?? ""), csv?.replace(/.*\//, "statement-").replace(".csv", "") ?? "");
});

test("nobody finds another's documents, and an operator reads a customer's", async ({ page, context }) => {
  const { email } = await signUp(page);
  await topUp(page, "5");
  const [number = ""] = await numbers(page, 1);
  await context.clearCookies();
  await signUp(page);
  for (const path of [`/billing/documents/${number}`, `/billing/documents/${number}.pdf`, "/billing/documents/1", "/billing/statements/2020-01"]) {
    expect((await page.request.get(path)).status(), path).toBe(404);
  }
  await context.clearCookies();
  await signIn(page, "operator");
  await page.goto(`/admin/customers?search=${encodeURIComponent(email)}`);
  const path = await page.getByRole("rowheader").getByRole("link").first().getAttribute("href");
  await page.goto(`${path}/billing/documents`);
  await expect(page.getByRole("link", { name: "Change billing details" })).toHaveCount(0);
  await expectSound(page);
  await page.getByRole("link", { name: number, exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Receipt ${number}`);
  await expectPdf(await page.request.get(`${path}/billing/documents/${number}.pdf`), number);
  expect((await page.request.get("/billing/documents", { maxRedirects: 0 })).status()).not.toBe(200);
});

test("a document is printed as the seller's, without the console around it", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/billing/documents");
  await page.getByRole("link", { name: /^R-\d{4}-\d{6}$/ }).first().click();
  await expect(page.getByRole("article")).toBeVisible();
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await expect(page.locator(".masthead, .page-head, .colophon, .demo").filter({ visible: true })).toHaveCount(0);
  await expect(page.locator(".paper-title")).toBeVisible();
  await expect(page.getByRole("article")).toHaveCSS("background-color", "rgb(255, 255, 255)");
});
