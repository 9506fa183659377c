// What surrounds every page: the way around, on any screen, and the choice of colours.
import type { Page } from "@playwright/test";
import { expect, expectNoSidewaysScroll, hydrated, PHONE, signIn, test, type Who } from "./fixtures.ts";

const WAYS: Record<Who, { name: string; path: string; heading: string }[]> = {
  customer: [
    { name: "Usage", path: "/usage", heading: "Usage" },
    { name: "Calls", path: "/calls", heading: "Calls" },
    { name: "Keys", path: "/keys", heading: "Keys" },
    { name: "Billing", path: "/billing", heading: "Billing" },
    { name: "Pricing", path: "/pricing", heading: "Pricing" },
  ],
  operator: [
    { name: "Today", path: "/admin", heading: "Today" },
    { name: "Customers", path: "/admin/customers", heading: "Customers" },
    { name: "Prices", path: "/admin/pricing", heading: "Prices" },
    { name: "Plans", path: "/admin/plans", heading: "Plans" },
    { name: "Payments", path: "/admin/payments", heading: "Payments" },
    { name: "Codes", path: "/admin/codes", heading: "Codes" },
    { name: "Audit", path: "/admin/audit", heading: "Audit" },
    { name: "Proof", path: "/admin/proof", heading: "Proof" },
    { name: "Pricing", path: "/pricing", heading: "Pricing" },
  ],
};

const main = (page: Page) => page.getByRole("navigation", { name: "Main" });

for (const who of ["customer", "operator"] as const) {
  for (const device of ["desktop", "phone"]) {
    test(`the ${who} finds every page on a ${device}`, async ({ page }) => {
      if (device === "phone") await page.setViewportSize(PHONE);
      await signIn(page, who);
      await expect(main(page).getByRole("link")).toHaveText(WAYS[who].map(({ name }) => name));
      for (const { name, path, heading } of WAYS[who]) {
        const link = main(page).getByRole("link", { name });
        await expect(link).toBeInViewport({ ratio: 1 });
        await link.click();
        await expect(page).toHaveURL(path);
        await expect(page.getByRole("heading", { level: 1 })).toHaveText(heading);
        await expect(main(page).locator("[aria-current=page]")).toHaveText(name);
        await expect(page).toHaveTitle(`${heading} · Farebox`);
        if (device === "phone") await expectNoSidewaysScroll(page);
      }
    });
  }
}

test("a stranger finds the prices, the sign-in and the sign-up", async ({ page }) => {
  await page.setViewportSize(PHONE);
  await page.goto("/");
  await expect(main(page).getByRole("link")).toHaveText(["Pricing"]);
  const banner = page.getByRole("banner");
  await expect(banner.getByRole("link", { name: "Sign in" })).toBeInViewport({ ratio: 1 });
  await expect(banner.getByRole("link", { name: "Sign up" })).toBeInViewport({ ratio: 1 });
});

test("whatever a finger presses is large enough", async ({ page }) => {
  await page.setViewportSize(PHONE);
  await signIn(page, "customer");
  for (const path of ["/usage", "/keys", "/keys/account", "/billing"]) {
    await page.goto(path);
    const small = await page
      .locator("nav a, main a.button, button, summary, select, input:not([type=hidden])")
      .filter({ visible: true })
      .evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 24).map((one) => one.outerHTML));
    expect(small, path).toEqual([]);
  }
});

test("the first press of Tab offers the way to the content", async ({ page }) => {
  await page.goto("/pricing");
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  await expect(skip).toBeFocused();
  await expect(skip).toBeInViewport();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL("/pricing#content");
});

test("going from page to page loads no page whole", { tag: "@script" }, async ({ page }) => {
  await signIn(page, "customer");
  await hydrated(page);
  let loads = 0;
  page.on("load", () => loads++);
  await main(page).getByRole("link", { name: "Calls" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Calls");
  await expect(page.getByRole("main"), "the keyboard goes along").toBeFocused();
  await main(page).getByRole("link", { name: "Billing" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Billing");
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Calls");
  expect(loads).toBe(0);
});

test("the page that is left stays, and is seen to be old, until the next one is there", { tag: "@script" }, async ({ page }) => {
  await signIn(page, "customer");
  await hydrated(page);
  let answer = () => {};
  const asked = new Promise<void>((resolve) => (answer = resolve));
  await page.route("**/api/page", async (route) => {
    await asked;
    await route.continue();
  });
  await main(page).getByRole("link", { name: "Keys" }).click();
  await expect(page.getByRole("main")).toHaveClass("is-asking");
  await expect(page.getByRole("heading", { level: 1 }), "the page before").toHaveText("Usage");
  await expect(page.locator(".page")).toHaveCSS("opacity", "0.5");
  answer();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Keys");
  await expect(page.getByRole("main")).not.toHaveClass("is-asking");
  await expect(page).toHaveURL("/keys");
  await expect(page.getByRole("main"), "the keyboard goes along").toBeFocused();
});

test("Back leads to where on the page one was, and a reload too", { tag: "@script" }, async ({ page }) => {
  await page.setViewportSize(PHONE);
  await signIn(page, "customer");
  await page.goto("/calls?range=last-month");
  await hydrated(page);
  const place = () => page.evaluate(() => Math.round(window.scrollY));
  await page.locator("tbody tr").nth(12).getByRole("link").first().scrollIntoViewIfNeeded();
  const link = page.locator("tbody tr").nth(12).getByRole("link").first();
  await link.evaluate((one) => one.scrollIntoView({ block: "center" }));
  const before = await place();
  expect(before).toBeGreaterThan(1_000);
  // It is kept when scrolling has ended, which takes a hand some moments and a test none.
  await expect.poll(() => page.evaluate(() => Math.round(Number(history.state)))).toBe(before);
  await link.click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Receipt");
  await expect.poll(place, "a page begins at its top").toBe(0);
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Calls");
  await expect.poll(place).toBe(before);
  await page.reload();
  await expect.poll(place).toBe(before);
});

test("the way to the page that is open asks for it anew", { tag: "@script" }, async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/calls");
  await hydrated(page);
  const load = page.waitForEvent("load");
  await main(page).getByRole("link", { name: "Calls" }).click();
  await load;
  await expect(page).toHaveURL("/calls");
});

test("a choice on a page leaves the page where it is", { tag: "@script" }, async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/usage?range=last-month");
  await hydrated(page);
  const tab = page.getByRole("navigation", { name: "Show" }).getByRole("link", { name: "Requests" });
  await tab.evaluate((link) => link.scrollIntoView({ block: "start" }));
  const before = await page.evaluate(() => window.scrollY);
  expect(before).toBeGreaterThan(0);
  await tab.click();
  await expect(page.getByRole("figure")).toContainText("Requests per day");
  expect(await page.evaluate(() => window.scrollY)).toBe(before);
});

for (const system of ["light", "dark"] as const) {
  test(`colours follow a ${system} system until they are chosen, and the choice lasts`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: system });
    await page.goto("/pricing");
    const bySystem = await ground(page);
    expect(isDark(bySystem)).toBe(system === "dark");

    const other = system === "dark" ? "Light" : "Dark";
    await page.getByRole("button", { name: other }).click();
    await expect(page.getByRole("button", { name: other })).toHaveAttribute("aria-pressed", "true");
    const chosen = await ground(page);
    expect(isDark(chosen)).toBe(other === "Dark");
    await page.reload();
    expect(await ground(page)).toBe(chosen);
    await page.goto("/login");
    expect(await ground(page)).toBe(chosen);

    await page.getByRole("button", { name: "System" }).click();
    await expect(page.getByRole("button", { name: "System" })).toHaveAttribute("aria-pressed", "true");
    expect(await ground(page)).toBe(bySystem);
  });
}

test("choosing colours leads back to the same page", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/usage?range=last-month&group=key");
  await page.getByRole("button", { name: "Dark" }).click();
  await expect(page.getByRole("button", { name: "Dark" })).toHaveAttribute("aria-pressed", "true");
  await expect(page).toHaveURL("/usage?range=last-month&group=key");
});

/** The page's background, as its red, green and blue. */
async function ground(page: Page): Promise<string> {
  await page.waitForLoadState();
  const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(colour).toMatch(/^rgb\(/);
  return colour;
}

/** Whether a colour is nearer to black than to white. */
function isDark(colour: string): boolean {
  const parts = colour.match(/\d+/g) ?? [];
  return parts.every((part) => Number(part) < 128);
}

test("where colours are the reader's own, only the way that is open is marked, and triangles stay triangles", async ({ page }) => {
  await signIn(page, "customer");
  await page.emulateMedia({ forcedColors: "active" });
  const borders = await main(page)
    .getByRole("link")
    .evaluateAll((all) => all.map((one) => getComputedStyle(one).borderBottomColor === getComputedStyle(document.body).backgroundColor));
  expect(borders, "unseen").toEqual([false, true, true, true, true]);
  const triangle = await page.locator("summary").first().evaluate((one) => {
    const { clipPath, backgroundColor } = getComputedStyle(one, "::before");
    return { clipPath, isSeen: backgroundColor !== getComputedStyle(document.body).backgroundColor };
  });
  expect(triangle).toEqual({ clipPath: expect.stringContaining("polygon"), isSeen: true });
});

test("the headline figures are never one alone below the others", async ({ page }) => {
  await signIn(page, "customer");
  for (const width of [660, 780, 880, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    const rows = await page.locator(".figure").evaluateAll((all) => {
      const tops = all.map((one) => Math.round(one.getBoundingClientRect().y));
      return [...new Set(tops)].map((top) => tops.filter((other) => other === top).length);
    });
    expect(rows, `${width} px`).toEqual(width > 900 ? [5] : [1, 4]);
  }
});
