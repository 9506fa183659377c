// `/admin/pricing`: prices as the operator sets them, a version at a time.
import { randomInt, randomUUID } from "node:crypto";
import type { Locator, Page } from "@playwright/test";
import { amount, cell, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

const DEMO_LARGE = "/admin/pricing?model=demo-large";
const publish = (page: Page) => page.getByRole("button", { name: "Publish price for demo-large" });

/** A minute far ahead that no other test names: what is scheduled for it changes nobody's calls. */
function farAhead(): string {
  const minute = randomInt(20 * 365 * 24 * 60);
  return new Date(Date.UTC(new Date().getUTCFullYear() + 10, 0, 1) + minute * 60_000).toISOString().slice(0, 16);
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

test("each side of a price has an address and a form of its own", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/pricing");
  const { body } = await readTable(tableOf(page, "Model"));
  const large = body.find((row) => row.Model === "demo-large");
  const prompt = page.getByLabel("Prompt tokens, per 1K", { exact: true });
  await page.goto(DEMO_LARGE);
  expect(amount(`$${await prompt.inputValue()}`)).toBe(amount(cell(large, "Prompt price, per 1K")));
  await page.getByRole("navigation", { name: "Side" }).getByRole("link", { name: "Cost: what the provider charges" }).click();
  await expect(page).toHaveURL(`${DEMO_LARGE}&side=cost`);
  await expect(page.getByRole("button", { name: "Publish cost for demo-large" })).toBeVisible();
  expect(amount(`$${await prompt.inputValue()}`)).toBe(amount(cell(large, "Prompt cost, per 1K")));
  await expect(page.getByLabel("In force from, UTC")).toHaveValue("");
  await expectSound(page);

  const instant = farAhead();
  await fillIn(page, { instant, prompt: "0.0036", completion: "0.0141" });
  await page.getByRole("button", { name: "Publish cost for demo-large" }).click();
  await expect(page.getByRole("status")).toContainText("Published: the cost of demo-large changes");
  await expect(page).toHaveURL(/&side=cost&published=/);
  await expect(history(page, instant)).toContainText(/cost.*scheduled.*\$0\.0036.*\$0\.0141/s);
});

test("a form that comes again must say the same, its instant too", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto(DEMO_LARGE);
  const once = await page.locator("input[name=once]").inputValue();
  const send = (more: Record<string, string>) =>
    page.request.post(DEMO_LARGE, { form: { once, model: "demo-large", kind: "sale", prompt: "0.0045", completion: "0.024", ...more } });
  const effective = farAhead();
  expect(await (await send({ effective })).text()).toContain("Published: the price of demo-large");
  expect(await (await send({ effective })).text()).toContain("Published: the price of demo-large");
  const others: Record<string, string>[] = [{ effective: farAhead() }, { effective, prompt: "0.0046" }, { effective, kind: "cost" }];
  for (const other of others) expect((await send(other)).status(), JSON.stringify(other)).toBe(409);
  await page.reload();
  await expect(history(page, effective)).toHaveCount(1);
});

test("a refused form comes back with its model and its side, wherever it was sent", async ({ page }) => {
  await signIn(page, "operator");
  const form = { once: randomUUID(), model: "demo-large", kind: "cost", prompt: "cheap", completion: "1" };
  const answer = await page.request.post("/admin/pricing", { form });
  expect(answer.status()).toBe(422);
  const html = await answer.text();
  expect(html).toContain("Publish cost for demo-large");
  expect(html).toContain('value="cheap"');
  expect((await page.request.post("/admin/pricing", { form: { ...form, kind: "gift" } })).status()).toBe(400);
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
    { claim: "begins later than now", typed: { instant: "2026-01-01T00:00" }, field: "In force from, UTC", problem: "at least a minute ahead" },
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

interface Typed {
  instant: string;
  prompt: string;
  completion: string;
}

async function fill(page: Page, typed: Typed): Promise<void> {
  await page.goto(DEMO_LARGE);
  await fillIn(page, typed);
}

async function fillIn(page: Page, typed: Typed): Promise<void> {
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
