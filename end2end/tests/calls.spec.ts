// `/calls`: the log.
import { randomUUID } from "node:crypto";
import type { Page } from "@playwright/test";
import { signUp, signUpAndPay } from "./accounts.ts";
import { amount, cell, count, definition, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { call, nanos, receipt } from "./gateway.ts";

const LAST_MONTH = "/calls?range=last-month";
/** Calls on a page. */
const PAGE = 50;

test("it is sound", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/calls");
  await expectSound(page);
});

test("a call that has just ended is in it, as the API has it", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  const id = await call(ready, key, "What is a turnstile?", { stream: true });
  const { usage, amount: charged } = await receipt(ready, id, key);
  await page.goto("/calls");
  const { body } = await readTable(tableOf(page, "Time"));
  expect(body).toHaveLength(1);
  expect(body[0]).toMatchObject({ Key: "end to end", Model: "demo-mini", Streaming: "Yes", Status: "OK" });
  expect(count(cell(body[0], "Prompt"))).toBe(BigInt(usage.prompt_tokens));
  expect(count(cell(body[0], "Completion"))).toBe(BigInt(usage.completion_tokens));
  expect(count(cell(body[0], "Total tokens"))).toBe(BigInt(usage.total_tokens));
  expect(amount(cell(body[0], "Cost"))).toBe(nanos(charged));
});

test("Older goes back in time without a gap or a repetition, Newest returns", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  const newest = await ids(page);
  await page.getByRole("link", { name: "Older" }).click();
  await expect(page).toHaveURL(/range=last-month&before=/);
  await expect(page.getByRole("link", { name: "Newest" })).toBeVisible();
  const older = await ids(page);

  expect(new Set([...newest, ...older]).size).toBe(2 * PAGE);
  // An id begins with its call's start.
  expect([...newest, ...older]).toEqual([...newest, ...older].sort().reverse());

  await page.reload();
  expect(await ids(page)).toEqual(older);
  await page.getByRole("link", { name: "Newest" }).click();
  await expect(page).toHaveURL(LAST_MONTH);
  await expect.poll(() => ids(page)).toEqual(newest);
});

test("filters hold for every row, and live in the address", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  await page.getByText("Filters", { exact: true }).click();
  await page.getByLabel("Key", { exact: true }).selectOption("staging");
  await page.getByLabel("Model", { exact: true }).selectOption("demo-mini");
  await page.getByLabel("Status", { exact: true }).selectOption("Client left");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page).toHaveURL(/range=last-month&key=[0-9a-f-]+&model=demo-mini&status=client_left/);
  await page.reload();
  const { body } = await readTable(tableOf(page, "Time"));
  expect(body.length).toBeGreaterThan(0);
  for (const row of body) {
    expect(row).toMatchObject({ Key: "staging", Model: "demo-mini", Streaming: "Yes", Status: "Client left" });
  }
  await page.getByRole("link", { name: "Clear" }).click();
  await expect(page).toHaveURL(LAST_MONTH);
});

test("what clients said is offered, and narrows the log to the calls of which they said it", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  await page.getByText("Filters", { exact: true }).click();
  for (const field of ["user", "tag", "value"]) {
    expect(await page.locator(`#field-${field}-known option`).count(), field).toBeGreaterThan(1);
  }
  await expect(page.getByLabel("Session", { exact: true })).toHaveValue("");
  await page.getByLabel("End user", { exact: true }).fill("user-17");
  await page.getByLabel("Tag", { exact: true }).fill("env");
  await page.getByLabel("Tag value", { exact: true }).fill("production");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page).toHaveURL(`${LAST_MONTH}&user=user-17&tag=env&value=production`);
  // A tag and its value are one filter.
  await expect(page.getByText("Filters (2)", { exact: true })).toBeVisible();
  await expect(page.getByLabel("Tag value", { exact: true })).toHaveValue("production");
  await expectSound(page);

  const [newest = "", ...rest] = await ids(page);
  for (const id of [newest, rest.at(-1) ?? newest]) {
    await page.goto(`/calls/${id}`);
    await expect(definition(page, "End user")).toHaveText("user-17");
    await expect(definition(page, "Tag").filter({ hasText: /^env: production$/ })).toBeVisible();
  }
});

test("a filter that nothing matches says what to do", async ({ page }) => {
  await signUp(page);
  await page.goto("/calls");
  await expect(page.getByText(/No call matches/)).toBeVisible();
  await expectSound(page);
});

test("a request id leads to its receipt", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(LAST_MONTH);
  const [id = ""] = await ids(page);
  await page.getByLabel("Find a call by its request id").fill(` ${id} `);
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page).toHaveURL(`/calls/${id}`);
  await expect(page.getByRole("article", { name: "Receipt" })).toContainText(id);
});

test.describe("what cannot be found", () => {
  test.use({ expectedNoise: [/status of 40[04]/] });

  test("an unknown request id is 404 at its field", async ({ page }) => {
    await signIn(page, "customer");
    const response = await page.goto(`/calls?id=${randomUUID()}`);
    expect(response?.status()).toBe(404);
    await expect(page.getByLabel("Find a call by its request id")).toHaveAccessibleDescription(/None of this account's calls/);
    await expectSound(page);
  });

  test("what is no request id is 400 at its field", async ({ page }) => {
    await signIn(page, "customer");
    const response = await page.goto("/calls?id=chatcmpl-1");
    expect(response?.status()).toBe(400);
    const field = page.getByLabel("Find a call by its request id");
    await expect(field).toHaveAccessibleDescription(/no request id/);
    await expect(field).toHaveValue("chatcmpl-1");
  });

  test("a bad filter is 400 at its field, and the rest stays usable", async ({ page }) => {
    await signIn(page, "customer");
    const response = await page.goto("/calls?stream=maybe");
    expect(response?.status()).toBe(400);
    await expect(page.getByLabel("Streaming", { exact: true })).toHaveAccessibleDescription("Is yes or no.");
    await page.getByRole("link", { name: "Today" }).click();
    await expect(page).toHaveURL("/calls?range=today");
  });

  test("a filter that is corrected keeps its range, and so does whatever else stood in the address", async ({ page }) => {
    await signIn(page, "customer");
    const response = await page.goto(`${LAST_MONTH}&status=ok&value=production`);
    expect(response?.status()).toBe(400);
    await page.getByLabel("Tag", { exact: true }).fill("env");
    await page.getByRole("button", { name: "Apply" }).click();
    await expect(page).toHaveURL(`${LAST_MONTH}&status=ok&tag=env&value=production`);
    await expect(tableOf(page, "Time")).toBeVisible();
  });

  test("a page of the log that never was is 400", async ({ page }) => {
    await signIn(page, "customer");
    // The second is an id, but of no call: it says nothing of when it was.
    for (const before of ["yesterday", randomUUID()]) {
      const response = await page.goto(`/calls?before=${before}`);
      expect(response?.status(), before).toBe(400);
      await expect(page.getByRole("alert")).toContainText("start again from the first page");
    }
  });
});

/** The ids of the calls on the page, top to bottom. */
async function ids(page: Page): Promise<string[]> {
  await page.waitForLoadState();
  const links = tableOf(page, "Time").getByRole("rowheader").getByRole("link");
  await expect(links.first()).toBeVisible();
  return links.evaluateAll((all) => all.map((link) => link.getAttribute("href")?.split("/").at(-1) ?? ""));
}
