// `/admin/pricing`: what a model costs at another service tier than the default.
import { randomUUID } from "node:crypto";
import type { Page } from "@playwright/test";
import { farebox } from "./command-line.ts";
import { readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

const tiers = (page: Page) => page.getByRole("navigation", { name: "Service tier" });

test("a tier is chosen beside the model, and has a price of its own", async ({ page, ready }) => {
  // Without a price at the default nobody else sees it.
  const model = `t-${randomUUID().slice(0, 8)}`;
  await farebox(ready, "model", "add", model, "--provider", "demo", "--context-window", "8192", "--default-output-hold", "512");
  await signIn(page, "operator");
  await page.goto(`/admin/pricing?model=${model}`);
  await expect(tiers(page).getByRole("link")).toHaveText(["Default", "Flex", "Priority", "Scale", "Batch"]);
  await tiers(page).getByRole("link", { name: "Flex" }).click();
  await expect(page).toHaveURL(`/admin/pricing?model=${model}&service_tier=flex`);
  await expect(tiers(page).locator("[aria-current]")).toHaveText("Flex");
  await expect(page.getByText("Calls may ask for this tier once it has a price.")).toBeVisible();
  await expectSound(page);

  await page.getByLabel("Prompt tokens, per 1K", { exact: true }).fill("0.00007");
  await page.getByLabel("Completion tokens, per 1K", { exact: true }).fill("0.0003");
  await page.getByRole("button", { name: `Review price for ${model} at the flex tier` }).click();
  await expect(page.getByText(`Nobody has called ${model} at the flex tier in the last 30 days`)).toBeVisible();
  await expectSound(page);
  await page.getByRole("button", { name: `Publish price for ${model} at the flex tier` }).click();
  await expect(page.getByRole("status").first()).toContainText(`Published: the price of ${model} at the flex tier changes`);
  await expect(page).toHaveURL(new RegExp(`service_tier=flex&published=`));

  // What the command line says of it, and what it writes: another version of the same tier, which can be taken back.
  const later = ["--input", "0.00008", "--output", "0.0003", "--effective-from", "2099-01-01"];
  await farebox(ready, "price", "set", model, "--service-tier", "flex", ...later);
  await page.goto(`/admin/pricing?model=${model}&service_tier=flex`);
  const history = await readTable(tableOf(page, "In force from"));
  expect(history.body.map((row) => [row.State, row["Prompt, per 1K"]])).toEqual([
    ["scheduled", "$0.00008"],
    ["in force", "$0.00007"],
  ]);
  await page.getByText("Withdraw", { exact: true }).click();
  await page.getByRole("button", { name: /Withdraw the price from 1 Jan 2099/ }).click();
  await expect(page.getByRole("status").first()).toContainText(`Withdrawn: the price of ${model} at the flex tier does not change`);
  await expect(page).toHaveURL(new RegExp(`service_tier=flex&withdrawn=`));

  // The default has a history of its own, and the list has both below each other.
  await tiers(page).getByRole("link", { name: "Default" }).click();
  await expect(page.getByText("It never had a price.")).toBeVisible();
  await page.getByRole("link", { name: "All prices" }).click();
  const { body } = await readTable(tableOf(page, "Model"));
  const own = body.filter((row) => row.Model?.startsWith(model));
  expect(own.map((row) => [row.Model?.replaceAll(/\s+/g, " "), row["Prompt price, per 1K"]])).toEqual([
    [model, "–"],
    [`${model}, flex tier`, "$0.00007"],
  ]);
  await expectSound(page);
});

test.describe("a tier that nobody knows", () => {
  test.use({ expectedNoise: [/status of 404/] });

  test("has no page", async ({ page }) => {
    await signIn(page, "operator");
    const response = await page.goto("/admin/pricing?model=demo-large&service_tier=ultra");
    expect(response?.status()).toBe(404);
  });
});
