// On paper: what can be read stays, what can only be pressed goes.
import type { Page } from "@playwright/test";
import { signUpAndPay } from "./accounts.ts";
import { expect, signIn, test } from "./fixtures.ts";
import { call } from "./gateway.ts";

/** What nobody can press on paper, and what is no part of what is printed. */
const GONE = ".skip, .demo, nav, .person, form, .filter-bar, .tab-row, .pager, .looking, button, .button";

/** What of it is shown all the same. */
const shown = (page: Page, selector: string) =>
  page.locator(selector).evaluateAll((all) => all.filter((one) => one.getClientRects().length > 0).map((one) => one.outerHTML.slice(0, 120)));

for (const path of ["/usage", "/calls", "/keys", "/keys/account", "/billing", "/pricing"]) {
  test(`${path} is printed without what can only be pressed`, async ({ page }) => {
    await signIn(page, "customer");
    await page.goto(path);
    expect((await shown(page, GONE)).length, "on the screen it is there").toBeGreaterThan(3);
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    expect(await shown(page, GONE)).toEqual([]);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.locator("body"), "ink on white, whatever the theme").toHaveCSS("background-color", "rgb(255, 255, 255)");
    const [ink] = await page.locator("h1").evaluateAll((all) => all.map((one) => getComputedStyle(one).color));
    expect(ink).toBe("rgb(27, 30, 34)");
  });
}

test("a heading whose section is nothing but a form goes with it", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/billing");
  await expect(page.getByRole("heading", { name: "Top up" })).toBeVisible();
  await page.emulateMedia({ media: "print" });
  await expect(page.getByRole("heading", { name: "Top up" })).toBeHidden();
  await expect(page.getByRole("heading", { name: "Journal" })).toBeVisible();
});

test("a receipt is printed as one: its sheet first and as wide as receipts are, what explains it below", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  await page.goto(`/calls/${await call(ready, key)}`);
  await page.getByRole("button", { name: "Dark" }).click();
  await expect(page.getByRole("button", { name: "Dark" })).toHaveAttribute("aria-pressed", "true");
  // A sheet of A4 between its margins, in CSS pixels.
  await page.setViewportSize({ width: 688, height: 1000 });
  await page.emulateMedia({ media: "print" });
  expect(await shown(page, GONE)).toEqual([]);
  const sheet = page.getByRole("article", { name: "Receipt" });
  await expect(sheet).toHaveCSS("background-color", "rgb(255, 255, 255)");
  await expect(sheet).toHaveCSS("border-top-width", "0px");
  const [receipt, particulars] = await Promise.all([sheet.boundingBox(), page.locator(".particulars").boundingBox()]);
  if (!receipt || !particulars) throw new Error("both are printed");
  expect(particulars.y).toBeGreaterThanOrEqual(receipt.y + receipt.height);
  expect(receipt.width).toBeLessThanOrEqual(576);
  const middle = receipt.x + receipt.width / 2;
  expect(Math.abs(middle - 688 / 2)).toBeLessThan(2);
});
