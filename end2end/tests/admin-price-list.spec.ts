// `/admin/pricing/import`: a price list is sent, looked at, and published.
import { randomUUID } from "node:crypto";
import type { Page } from "@playwright/test";
import { farebox } from "./command-line.ts";
import { readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

const ADDRESS = "/admin/pricing/import";

/** A list in LiteLLM's format, in dollars per token. */
const litellm = (models: Record<string, unknown>) => ({
  name: "list.json",
  mimeType: "application/json",
  buffer: Buffer.from(JSON.stringify(models)),
});

const priced = (input: number, output: number, more = {}) => ({
  litellm_provider: "demo",
  input_cost_per_token: input,
  output_cost_per_token: output,
  ...more,
});

async function compare(page: Page, models: Record<string, unknown>, fields: Record<string, string> = {}): Promise<void> {
  await page.goto(ADDRESS);
  await page.getByLabel("Price list", { exact: true }).setInputFiles(litellm(models));
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label).fill(value);
  await page.getByRole("button", { name: "Compare" }).click();
  await page.waitForLoadState();
}

test("a list is compared first, and published as it was looked at", async ({ page, ready }) => {
  // Two models of its own, without a price that others would see; the list is as large as published ones are.
  const [first, slipped] = [`import-${randomUUID()}`, `slip-${randomUUID()}`];
  for (const model of [first, slipped]) {
    await farebox(ready, "model", "add", model, "--provider", "demo", "--context-window", "8192", "--default-output-hold", "512");
  }
  await farebox(ready, "price", "set", slipped, "--kind", "cost", "--input", "0.00015", "--output", "0.0006");
  const tier = { input_cost_per_token_above_200k_tokens: 3e-7, search_context_cost_per_query: { search_context_size_low: 0.03 } };
  const models = { [first]: priced(1.5e-7, 6e-7, tier), [slipped]: priced(0.15, 0.6), unsold: priced(1e-6, 1e-6, { large: "x".repeat(3_000_000) }) };

  await signIn(page, "operator");
  await page.goto("/admin/pricing");
  await page.getByRole("link", { name: "Import a price list" }).click();
  await expect(page).toHaveURL(ADDRESS);
  await expectSound(page);

  await compare(page, models, { "Only these models": `import-*, ${slipped}` });
  const rates = await readTable(tableOf(page, "Model"));
  expect(rates.body.map((row) => [row.Model, row.Side, row.Rate, row.Now, row.New, row["In force"]])).toEqual([
    [first, "cost", "Prompt tokens, per 1K", "–", "$0.00015", "at once"],
    [first, "cost", "Completion tokens, per 1K", "–", "$0.0006", "at once"],
    [first, "cost", "Prompt tokens, per 1K, from 200,001 prompt tokens on", "–", "$0.0003", "at once"],
    [first, "cost", "Completion tokens, per 1K, from 200,001 prompt tokens on", "–", "$0.0006", "at once"],
  ]);
  await expect(page.getByRole("row").filter({ hasText: slipped })).toContainText("0.00015 becomes 150, more than 3 times what it was");
  await expect(page.getByRole("row").filter({ hasText: "Not imported" })).toContainText("search_context_cost_per_query");
  await expect(page.getByText("In the list, and not sold here: unsold.")).toBeVisible();
  await expect(page.getByLabel("Only these models")).toHaveValue(`import-*, ${slipped}`);
  await expectSound(page);

  const publish = page.getByRole("button", { name: "Publish 1 price" });
  await publish.dblclick();
  await expect(page.getByRole("status")).toHaveText("Published: 1 price. Each is in the history of its model.");
  await expect(page).toHaveURL(`${ADDRESS}?published=1`);
  await page.goto(`/admin/pricing?model=${first}&side=cost`);
  await expect(page.getByRole("row").filter({ hasText: "by operator@demo.example" })).toHaveCount(1);
  await page.goto(`/admin/pricing?model=${slipped}&side=cost`);
  await expect(page.getByRole("row").filter({ hasText: "by operator@demo.example" })).toHaveCount(0);

  await compare(page, models, { "Models whose price may leap": slipped, "Only these models": slipped });
  await expect(page.getByRole("row").filter({ hasText: "Accepted: cost: Prompt tokens" })).toContainText(slipped);
  await expect(page.getByRole("button", { name: "Publish 1 price" })).toBeVisible();
  await farebox(ready, "price", "set", slipped, "--kind", "cost", "--input", "0.00016", "--output", "0.0006");
});

test.describe("a list that cannot be", () => {
  test.use({ expectedNoise: [/status of 4(09|22)/] });

  test("is refused where it is wrong", async ({ page }) => {
    await signIn(page, "operator");
    for (const [file, fields, label, problem] of [
      ["{", {}, "Price list", "This is not JSON"],
      [`{"a": {}}`, {}, "Price list", "This is in no format that is known here."],
      [`{"a": {"litellm_provider": "b"}}`, { "Only this provider of the list": "c" }, "Only this provider of the list", "no provider of this name"],
      [`{"a": {"litellm_provider": "b"}}`, { "Models whose price may leap": "nobody" }, "Models whose price may leap", "There is no model nobody."],
    ] as const) {
      await page.goto(ADDRESS);
      await page.getByLabel("Price list", { exact: true }).setInputFiles({ name: "a.json", mimeType: "application/json", buffer: Buffer.from(file) });
      for (const [name, value] of Object.entries(fields)) await page.getByLabel(name).fill(value);
      await page.getByRole("button", { name: "Compare" }).click();
      await expect(page.getByLabel(label)).toHaveAccessibleDescription(new RegExp(problem.replaceAll(".", "\\.")));
    }
    await expectSound(page);
  });

  test("is not published where somebody wrote a price meanwhile", async ({ page, ready }) => {
    const model = `raced-${randomUUID()}`;
    await farebox(ready, "model", "add", model, "--provider", "demo", "--context-window", "8192", "--default-output-hold", "512");
    await signIn(page, "operator");
    await compare(page, { [model]: priced(1.5e-7, 6e-7) });
    await farebox(ready, "price", "set", model, "--kind", "cost", "--input", "0.00016", "--output", "0.0006");
    await page.getByRole("button", { name: "Publish 1 price" }).click();
    await expect(page.getByRole("alert")).toContainText("Somebody wrote a price since this was compared, so that nothing was published.");
  });
});

test("only operators may send one", async ({ page }) => {
  const form = { list: litellm({}) };
  expect(new URL((await page.request.post(ADDRESS, { multipart: form })).url()).pathname).toBe("/login");
  await signIn(page, "customer");
  expect((await page.request.post(ADDRESS, { multipart: form })).status()).toBe(403);
});
