// `/keys`: made, shown once, used, revoked.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Page } from "@playwright/test";
import { createKey, shownKey, signUp, signUpAndPay, topUp } from "./accounts.ts";
import { readTable, tableOf } from "./figures.ts";
import { expect, expectSound, hydrated, signIn, test } from "./fixtures.ts";
import { ask, call } from "./gateway.ts";

const run = promisify(execFile);
const create = (page: Page) => page.getByRole("button", { name: "Create key" });

test("the list is sound", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/keys");
  await expectSound(page);
});

test("the form of a new key is sound, and so is the page that shows it", async ({ page, ready }) => {
  await signUp(page);
  await page.goto("/keys");
  await expect(page.getByText("There is no key yet")).toBeVisible();
  await expect(page.getByText(`${ready.proxy_url}/v1`)).toBeVisible();
  const credit = page.getByText("This account has no credit that is available");
  await expect(credit).toBeVisible();
  await expectSound(page);
  await page.getByRole("link", { name: "Create a key" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("New key");
  await expectSound(page);
  await createKey(page, "laptop");
  await expect(credit, "a key alone opens nothing").toBeVisible();
  await expectSound(page);
  // Choosing colours would load the page again, without the key.
  const colours = page.getByRole("form", { name: "Colours" });
  await expect(colours).toHaveCount(0);
  await page.getByRole("link", { name: "All keys" }).click();
  await expect(colours).toBeVisible();
});

test("a key is shown once and works; revoked, it no longer does", async ({ page, ready }) => {
  const key = await signUpAndPay(page);
  await call(ready, key);

  await page.goto("/keys");
  expect(await page.content()).not.toContain(key);
  const { body } = await readTable(tableOf(page, "Name"));
  expect(body).toHaveLength(1);
  expect(body[0]).toMatchObject({ Name: "end to end", Key: `sk-fb_…${key.slice(-4)}`, State: "Works" });
  expect(body[0]?.["Last used"]).not.toBe("never");

  const heads = () => page.locator("thead th").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().x));
  const before = await heads();
  await page.locator("summary", { hasText: "Revoke" }).click();
  await expect(page.getByText(/Calls with “end to end” are refused from then on/)).toBeVisible();
  expect(await heads(), "nothing else moves").toEqual(before);
  await expectSound(page);
  await page.getByRole("button", { name: "Revoke end to end for good" }).click();
  await expect(page.getByRole("status")).toContainText("“end to end” is revoked");
  expect((await readTable(tableOf(page, "Name"))).body[0]?.State).toMatch(/^Revoked /);
  await expect(page.locator("summary", { hasText: "Revoke" })).toHaveCount(0);

  // Credit is held under the same lock under which a key is revoked.
  expect((await ask(ready, key, "Hello")).status).toBe(401);
});

test("the snippets work as pasted, with the cheapest model", async ({ page }) => {
  await signUp(page);
  await topUp(page);
  await createKey(page);
  const snippet = (name: string) => page.getByRole("region", { name, exact: true }).innerText();
  for (const name of ["curl", "Python", "Node"]) expect(await snippet(name)).toContain('"demo-mini"');
  const answers = [
    run("bash", ["-c", await snippet("curl")]),
    run(".venv/bin/python", ["-c", await snippet("Python")]),
    run("node", ["--input-type=module", "--eval", await snippet("Node")]),
  ];
  for (const { stdout } of await Promise.all(answers)) expect(stdout.trim()).not.toBe("");
  await page.goto("/calls");
  expect((await readTable(tableOf(page, "Time"))).body.map((row) => row.Status)).toEqual(["OK", "OK", "OK"]);
});

test("a double click makes one key, and shows it", async ({ page, ready }) => {
  await signUp(page);
  await topUp(page);
  await page.goto("/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("twice");
  const once = await page.locator("input[name=once]").inputValue();
  await create(page).dblclick();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("“twice” is ready");
  await call(ready, await shownKey(page));
  await page.goto("/keys");
  expect((await readTable(tableOf(page, "Name"))).body).toHaveLength(1);

  // Once it is revoked, its form no longer says that it works.
  await page.locator("summary", { hasText: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke twice for good" }).click();
  await expect(page.getByRole("status")).toContainText("“twice” is revoked");
  const again = await page.request.post("/keys/new", { form: { once, name: "twice" } });
  expect(again.status()).toBe(409);
  expect(await again.text()).toContain("This form already made its key");
});

test("a key with a last day says until when it works", async ({ page }) => {
  await signUp(page);
  const day = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
  await page.goto("/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("for a week");
  await page.getByLabel("Last day").fill(day);
  await create(page).click();
  await expect(page.getByRole("status").filter({ hasText: /It works until .*, 00:00 UTC/ })).toBeVisible();
  await page.goto("/keys");
  expect((await readTable(tableOf(page, "Name"))).body[0]?.State).toMatch(/^Works until /);
});

test("the key is copied by a button that says so", { tag: "@script" }, async ({ page, context, ready }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: ready.console_url });
  await signUp(page);
  const key = await createKey(page);
  await page.getByRole("button", { name: "Copy the key" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Copied" })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(key);
});

test("a key that could not be copied is not said to be", { tag: "@script" }, async ({ page }) => {
  await page.addInitScript(() => {
    navigator.clipboard.writeText = () => Promise.reject(new Error("denied"));
  });
  await signUp(page);
  await createKey(page);
  await page.getByRole("button", { name: "Copy the key" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Not copied" })).toBeVisible();
});

test("where no script runs, no button promises to copy", async ({ page, javaScriptEnabled }) => {
  await signUp(page);
  await createKey(page);
  if (javaScriptEnabled) await hydrated(page);
  const buttons = page.getByRole("button", { name: /^Copy/ });
  await expect(buttons).toHaveCount(javaScriptEnabled ? 4 : 0);
});

test.describe("a key that cannot be", () => {
  // The browser's own lines: about the status, and about a date that it cannot put back into its field.
  test.use({ expectedNoise: [/status of 422|does not conform to the required format/] });

  test("needs a name", async ({ page }) => {
    await signUp(page);
    await page.goto("/keys/new");
    await page.getByLabel("Name", { exact: true }).fill("   ");
    await create(page).click();
    await expect(page.getByLabel("Name", { exact: true })).toHaveAccessibleDescription(/Write 1 to 100 characters\./);
    await expectSound(page);
    await page.getByLabel("Name", { exact: true }).fill("named");
    await create(page).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("“named” is ready");
  });

  for (const [day, problem] of [
    ["2020-01-01", "Choose a day that is still to come."],
    ["tomorrow", "This is not a date: write it like 2027-01-31."],
  ] as const) {
    test(`does not last until ${day}`, async ({ page }) => {
      await signUp(page);
      await page.goto("/keys/new");
      await page.getByLabel("Name", { exact: true }).fill("too late");
      // As a browser sends it that knows no date fields.
      await page.getByLabel("Last day").evaluate((field: HTMLInputElement) => {
        field.type = "text";
        field.removeAttribute("min");
      });
      await page.getByLabel("Last day").fill(day);
      await create(page).click();
      await expect(page.getByLabel("Last day")).toHaveAccessibleDescription(new RegExp(problem.replaceAll(".", "\\.")));
      await page.goto("/keys");
      await expect(page.getByText("There is no key yet")).toBeVisible();
    });
  }
});
