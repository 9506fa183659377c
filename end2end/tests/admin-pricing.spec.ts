// `/admin/pricing`: prices as the operator sets them, a version at a time.
import { randomInt, randomUUID } from "node:crypto";
import { mkdir, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Locator, Page } from "@playwright/test";
import { amount, cell, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

const DEMO_LARGE = "/admin/pricing?model=demo-large";
const review = (page: Page) => page.getByRole("button", { name: "Review price for demo-large" });
const publish = (page: Page) => page.getByRole("button", { name: "Publish price for demo-large" });
const prompt = (page: Page) => page.getByLabel("Prompt tokens, per 1K", { exact: true });
const completion = (page: Page) => page.getByLabel("Completion tokens, per 1K", { exact: true });

// A price is refused if another one of its model was written meanwhile: the tests with a script and those without take turns.
test.describe.configure({ mode: "default" });
// Of this run: its workers have one parent.
const TURN = join(tmpdir(), `prices-of-demo-large-${process.ppid}`);
let hasTurn = false;
test.beforeEach(async () => {
  test.setTimeout(480_000);
  const take = () => mkdir(TURN).then(() => true, () => false);
  await expect.poll(async () => (hasTurn = await take()), { timeout: 360_000 }).toBe(true);
});
test.afterEach(async () => {
  if (hasTurn) await rmdir(TURN);
  hasTurn = false;
});

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
  // Other tests add models.
  const own = body.filter((row) => cell(row, "Model").startsWith("demo-"));
  expect(own.map((row) => row.Model)).toEqual(["demo-large", "demo-mini"]);
  for (const row of own) {
    for (const tokens of ["Prompt", "Completion"]) {
      const [price, cost, margin] = ["price", "cost", "margin"].map((side) => amount(cell(row, `${tokens} ${side}, per 1K`)));
      expect(margin, `${cell(row, "Model")}: ${tokens}`).toBe(price! - cost!);
    }
  }
});

test("a price is reviewed, published for later, stands in the history, and is announced to everyone", async ({ page }) => {
  await signIn(page, "operator");
  const instant = farAhead();
  await fill(page, { instant, prompt: "0.0042", completion: "0.021" });
  await review(page).click();
  await expectSound(page);
  const { body } = await readTable(tableOf(page, "Rate, per 1K tokens"));
  expect(body.find((row) => row["Rate, per 1K tokens"] === "Prompt tokens")?.New).toBe("$0.0042");
  const sample = body.find((row) => row["Rate, per 1K tokens"]?.startsWith("A call of 1,000 prompt and 500 completion tokens"));
  expect(sample?.New).toBe("$0.0147");
  await expect(page.getByRole("heading", { name: "The last 30 days at these rates" })).toBeVisible();
  const replay = await readTable(tableOf(page, "Sum"));
  expect(replay.body.map((row) => row.Sum)).toEqual(["Revenue", "Provider cost", "Margin"]);
  expect(replay.body[0]?.["As it was"]).toMatch(/^\$[\d,]+\.\d+$/);
  await expect(page.getByRole("heading", { name: "Whom it changes most" })).toBeVisible();
  await expect(history(page, instant)).toHaveCount(0);
  await publish(page).click();
  await expect(done(page)).toContainText("Published: the price of demo-large changes");
  await expect(done(page)).toContainText("prompt $0.0042, completion $0.021 per 1K tokens");
  await expect(prompt(page)).toHaveValue("0.0042");
  await expect(page.getByText("Filled with the price that is scheduled for")).toBeVisible();

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
  await page.goto(DEMO_LARGE);
  await page.getByRole("navigation", { name: "Side" }).getByRole("link", { name: "Cost: what the provider charges" }).click();
  await expect(page).toHaveURL(`${DEMO_LARGE}&side=cost`);
  await expect(page.getByRole("button", { name: "Review cost for demo-large" })).toBeVisible();
  await expect(page.getByLabel("In force from, UTC")).toHaveValue("");
  await expectSound(page);

  const instant = farAhead();
  await fillIn(page, { instant, prompt: "0.0036", completion: "0.0141" });
  await page.getByRole("button", { name: "Review cost for demo-large" }).click();
  await page.getByRole("button", { name: "Publish cost for demo-large" }).click();
  await expect(done(page)).toContainText("Published: the cost of demo-large changes");
  await expect(page).toHaveURL(/&side=cost&published=/);
  await expect(history(page, instant)).toContainText(/cost.*scheduled.*\$0\.0036.*\$0\.0141/s);
});

test("a form that comes again must say the same, its instant too", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto(DEMO_LARGE);
  const [once, base, revision] = await Promise.all(
    ["once", "base", "revision"].map((name) => page.locator(`input[name=${name}]`).first().inputValue()),
  );
  const asked = { once: once!, base: base!, revision: revision!, step: "publish", model: "demo-large", kind: "sale", prompt: "0.0045" };
  const send = (more: Record<string, string>) =>
    page.request.post(DEMO_LARGE, { form: { ...asked, completion: "0.024", named: "demo-large", ...more } });
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
  const form = { once: randomUUID(), base: "", revision: "0", step: "review", model: "demo-large", kind: "cost", prompt: "cheap", completion: "1" };
  const answer = await page.request.post("/admin/pricing", { form });
  expect(answer.status()).toBe(422);
  const html = await answer.text();
  expect(html).toContain("Review cost for demo-large");
  expect(html).toContain('value="cheap"');
  expect((await page.request.post("/admin/pricing", { form: { ...form, kind: "gift" } })).status()).toBe(400);
  const { base: _, ...baseless } = { ...form, prompt: "1" };
  expect((await page.request.post("/admin/pricing", { form: baseless })).status()).toBe(400);
});

test("a double click publishes once", async ({ page }) => {
  await signIn(page, "operator");
  const instant = farAhead();
  await fill(page, { instant, prompt: "0.0043", completion: "0.022" });
  await review(page).click();
  await publish(page).dblclick();
  await expect(done(page)).toContainText("Published");
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
      await review(page).click();
      expect((await answer).status()).toBe(422);

      const at = page.getByLabel(field, { exact: field !== "In force from, UTC" });
      await expect(at).toHaveAccessibleDescription(new RegExp(problem.replaceAll(".", "\\.")));
      await expect(at).toHaveAttribute("aria-invalid", "true");
      await expect(prompt(page)).toHaveValue(all.prompt);
      await expect(completion(page)).toHaveValue(all.completion);
      await expectSound(page);
      await expect(history(page, good.instant)).toHaveCount(0);
    });
  }

  test("is written down", async ({ page }) => {
    await signIn(page, "operator");
    await fill(page, { instant: farAhead(), prompt: " ", completion: "0.023" });
    await review(page).click();
    await expect(prompt(page)).toHaveAccessibleDescription(/Write a price; zero means free\./);
  });
});

test.describe("a price that is to be looked at twice", () => {
  test.use({ expectedNoise: [/status of (409|422)/] });

  test("is published only by whoever writes the model's name", async ({ page }) => {
    await signIn(page, "operator");
    const instant = farAhead();
    await fill(page, { instant, prompt: "4.2", completion: "0.021" });
    await review(page).click();
    await expect(page.getByText("more than 3 times what it was").first()).toBeVisible();
    await expectSound(page);
    const name = page.getByLabel("To publish this, write the model's name: demo-large");
    await name.fill("demo-mini");
    await publish(page).click();
    await expect(name).toHaveAccessibleDescription(/Write the model's name exactly/);
    await expect(history(page, instant)).toHaveCount(0);
    await name.fill("demo-large");
    await publish(page).click();
    await expect(done(page)).toContainText("prompt $4.20");
    await withdraw(page, instant);
  });

  test("is told of what somebody else did meanwhile, and goes on from there", async ({ page }) => {
    await signIn(page, "operator");
    const [first, second] = [farAhead(), farAhead()];
    await page.goto(DEMO_LARGE);
    const seen = { prompt: await prompt(page).inputValue(), completion: await completion(page).inputValue() };
    await fillIn(page, { instant: second, prompt: seen.prompt, completion: `${seen.completion}1` });

    const other = await page.context().newPage();
    await fill(other, { instant: first, prompt: `${seen.prompt}1`, completion: seen.completion });
    await review(other).click();
    await publish(other).click();
    await expect(done(other)).toContainText("Published");

    const answer = page.waitForResponse((response) => response.request().method() === "POST");
    await review(page).click();
    expect((await answer).status()).toBe(409);
    await expect(page.getByRole("row", { name: /^Prompt tokens \$/ })).toContainText("changed meanwhile");
    await expect(page.getByRole("row", { name: /^Completion tokens \$/ })).toContainText("changed by you");
    await expectSound(page);
    await expect(prompt(page)).toHaveValue(`${seen.prompt}1`);
    await expect(completion(page)).toHaveValue(`${seen.completion}1`);
    await review(page).click();
    await publish(page).click();
    await expect(done(page)).toContainText("Published");
    await withdraw(page, second);
    await withdraw(page, first);
    await other.close();
  });
});

test("a scheduled price is withdrawn, stays in the history, and can be had again", async ({ page }) => {
  await signIn(page, "operator");
  const instant = farAhead();
  await fill(page, { instant, prompt: "0.0047", completion: "0.02" });
  await review(page).click();
  await publish(page).click();
  await withdraw(page, instant);
  await expect(history(page, instant)).toContainText("withdrawn");
  await history(page, instant).getByRole("link", { name: "Restore this version" }).click();
  await expect(prompt(page)).toHaveValue("0.0047");
  await expect(page.getByText("Filled with the price that was withdrawn before")).toBeVisible();
});

test("rates are written per million too, tiers are kept, and the exact price is what is published", async ({ page }) => {
  await signIn(page, "operator");
  const instant = farAhead();
  await page.goto(DEMO_LARGE);
  await page.getByRole("navigation", { name: "Unit" }).getByRole("link", { name: "per 1M tokens" }).click();
  await expect(page).toHaveURL(`${DEMO_LARGE}&per=1M`);
  const field = page.getByLabel("In force from, UTC");
  await field.evaluate((input: HTMLInputElement) => (input.type = "text"));
  await field.fill(instant);
  await page.getByLabel("Prompt tokens, per 1M", { exact: true }).fill("$4.600001");
  await page.getByLabel("Completion tokens, per 1M", { exact: true }).fill("23");
  await page.getByText("Another price for long prompts").click();
  await page.getByLabel("Tier 1: from how many prompt tokens").fill("200,000");
  await page.getByLabel("Tier 1: prompt tokens, per 1M").fill("9");
  await page.getByLabel("Tier 1: prompt tokens read from cache, per 1M").fill("4");
  await page.getByLabel("Tier 1: completion tokens, per 1M").fill("30");
  await expectSound(page);
  await review(page).click();
  await publish(page).click();
  await expect(done(page)).toContainText("prompt $0.004600001, completion $0.023 per 1K tokens");
  await expect(done(page)).toContainText("From 200,000 prompt tokens: prompt $0.009, completion $0.03 per 1K");
  await expect(page.getByLabel("Tier 1: from how many prompt tokens")).toHaveValue("200000");
  await expect(page.getByText("Another price for long prompts")).toBeVisible();
  await withdraw(page, instant);
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
  await prompt(page).fill(typed.prompt);
  await completion(page).fill(typed.completion);
}

/** What was just done; the form's own sample call is a status too. */
function done(page: Page): Locator {
  return page.locator(".notice-good");
}

/** Withdraws the version that begins at this minute. */
async function withdraw(page: Page, instant: string): Promise<void> {
  const row = history(page, instant);
  await row.getByText("Withdraw", { exact: true }).click();
  await row.getByRole("button", { name: /^Withdraw the price/ }).click();
  await expect(done(page)).toContainText("Withdrawn: the price of demo-large does not change at");
}

/** The version that begins at this minute. */
function history(page: Page, minute: string): Locator {
  return page.getByRole("row").filter({ has: page.locator(`th time[datetime^="${minute}"]`) });
}
