// `/admin/pricing`: prices as the operator sets them, a version at a time.
import { randomInt } from "node:crypto";
import type { Locator, Page } from "@playwright/test";
import { amount, cell, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

const DEMO_LARGE = "/admin/pricing?model=demo-large";
const publish = (page: Page) => page.getByRole("button", { name: "Publish for demo-large" });

/** A minute far ahead that no other test names: what is scheduled for it changes nobody's calls. */
function farAhead(): string {
  const minute = randomInt(20 * 365 * 24 * 60);
  return new Date(Date.UTC(2040, 0, 1) + minute * 60_000).toISOString().slice(0, 16);
}

test("the list is sound", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/pricing");
  await expectSound(page);
});

test("a model's page is sound", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/pricing");
  await page.getByRole("link", { name: "demo-large" }).click();
  await expect(page).toHaveURL(DEMO_LARGE);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("demo-large");
  await expectSound(page);
});

test("the margin is the price less the cost", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/pricing");
  const { body } = await readTable(tableOf(page, "Model"));
  expect(body.map((row) => row.Model)).toEqual(["demo-large", "demo-mini"]);
  for (const row of body) {
    for (const tokens of ["Prompt", "Completion"]) {
      const [price, cost, margin] = ["price", "cost", "margin"].map((side) => amount(cell(row, `${tokens} ${side}, per 1K`)));
      expect(margin, `${cell(row, "Model")}: ${tokens}`).toBe(price! - cost!);
    }
  }
});

test("a price is published for later, stands in the history, and is announced to everyone", async ({ page }) => {
  await signIn(page, "operator");
  const instant = farAhead();
  await fill(page, { instant, prompt: "0.0042", completion: "0.021" });
  await publish(page).click();
  await expect(page.getByRole("status")).toContainText("Published: the price of demo-large changes");

  const version = history(page, instant);
  await expect(version).toHaveCount(1);
  await expect(version).toContainText(/price.*scheduled.*\$0\.0042.*\$0\.021/s);
  await expect(version).toContainText("by operator@demo.example");
  const written = await version.getByRole("rowheader").innerText();

  await page.goto("/pricing");
  await expect(page.getByText(`From ${written} UTC: prompt $0.0042, completion $0.021 per 1K tokens`)).toBeVisible();
  await expect(page.getByRole("main")).not.toContainText("operator@demo.example");
});

test("a double click publishes once", async ({ page }) => {
  await signIn(page, "operator");
  const instant = farAhead();
  await fill(page, { instant, prompt: "0.0043", completion: "0.022" });
  await publish(page).dblclick();
  await expect(page.getByRole("status")).toContainText("Published");
  await expect(history(page, instant)).toHaveCount(1);
});

test.describe("a price that cannot be", () => {
  // The browser's own lines: about the status, and about a date that it cannot put back into its field.
  test.use({ expectedNoise: [/status of 422|does not conform to the required format/] });

  for (const { claim, typed, field, problem } of [
    { claim: "is not below zero", typed: { prompt: "-1" }, field: "Prompt tokens, per 1K", problem: "A price cannot be below zero." },
    {
      claim: "has at most nine decimals",
      typed: { completion: "0.0000000001" },
      field: "Completion tokens, per 1K",
      problem: "This has more than nine decimals.",
    },
    { claim: "is a number", typed: { prompt: "cheap" }, field: "Prompt tokens, per 1K", problem: "This is not a number" },
    { claim: "begins at a date", typed: { instant: "tomorrow" }, field: "In force from, UTC", problem: "This is no date and time" },
    { claim: "begins later than now", typed: { instant: "2026-01-01T00:00" }, field: "In force from, UTC", problem: "at least 10 seconds ahead" },
  ]) {
    test(claim, async ({ page }) => {
      await signIn(page, "operator");
      const good = { instant: farAhead(), prompt: "0.0044", completion: "0.023" };
      const all = { ...good, ...typed };
      await fill(page, all);
      const answer = page.waitForResponse((response) => response.request().method() === "POST");
      await publish(page).click();
      expect((await answer).status()).toBe(422);

      const at = page.getByLabel(field);
      await expect(at).toHaveAccessibleDescription(new RegExp(problem.replaceAll(".", "\\.")));
      await expect(at).toHaveAttribute("aria-invalid", "true");
      await expect(page.getByLabel("Prompt tokens, per 1K")).toHaveValue(all.prompt);
      await expect(page.getByLabel("Completion tokens, per 1K")).toHaveValue(all.completion);
      await expectSound(page);
      await expect(history(page, good.instant)).toHaveCount(0);
    });
  }

  test("is written down", async ({ page }) => {
    await signIn(page, "operator");
    await fill(page, { instant: farAhead(), prompt: " ", completion: "0.023" });
    await publish(page).click();
    await expect(page.getByLabel("Prompt tokens, per 1K")).toHaveAccessibleDescription(/Write a price; zero means free\./);
  });
});

async function fill(page: Page, typed: { instant: string; prompt: string; completion: string }): Promise<void> {
  await page.goto(DEMO_LARGE);
  const instant = page.getByLabel("In force from, UTC");
  // As a browser sends it that knows no date fields.
  await instant.evaluate((field: HTMLInputElement) => (field.type = "text"));
  await instant.fill(typed.instant);
  await page.getByLabel("Prompt tokens, per 1K").fill(typed.prompt);
  await page.getByLabel("Completion tokens, per 1K").fill(typed.completion);
}

/** The version that begins at this minute. */
function history(page: Page, minute: string): Locator {
  return page.getByRole("row").filter({ has: page.locator(`th time[datetime^="${minute}"]`) });
}
