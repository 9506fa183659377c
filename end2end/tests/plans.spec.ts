// A customer's plan and packages on `/billing`, and `/billing/plans`, where they are chosen and bought.
import { randomUUID } from "node:crypto";
import type { Page } from "@playwright/test";
import { signUp, topUp } from "./accounts.ts";
import { farebox } from "./command-line.ts";
import { definition, headline, readTable, tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";

test("a plan is looked at before it is bought, and a double click buys it once", async ({ page, ready }) => {
  const name = freshName();
  await farebox(ready, "plan", "set", name, "--fee", "2", "--allowance", "3", "--discount", "250");
  await signUp(page);
  await topUp(page, "5");
  await page.getByRole("link", { name: "Choose a plan or buy a package" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Plans and packages");
  await choose(page, name);
  const review = page.getByRole("region", { name: `Buy “${name}”?` });
  await expect(definition(review, "Charged now")).toHaveText("$2.00");
  await expect(definition(review, "Prepaid balance")).toHaveText("$5.00 → $3.00");
  await expect(definition(review, "Gives")).toHaveText("$3.00 a month of credit; beyond it the balance pays; 2.5 % off every call at the price list's prices");
  await expect(definition(review, "Then")).toContainText("It renews at");
  await expectSound(page);
  await review.getByRole("button", { name: "Buy for $2.00" }).dblclick();
  await expect(page).toHaveURL("/billing?plan=bought");
  await expect(page.getByRole("status")).toHaveText("It is bought. What you have now stands below.");
  await expect(headline(page, "Balance"), "3 of 5, and 3 of allowance").toHaveText("$6.00");
  await expect(definition(page, "Left of the allowance")).toHaveText("$3.00 of $3.00");
  const fees = (await readTable(tableOf(page, "When"))).body.filter((row) => row["Entry"]?.startsWith("Plan or package"));
  expect(fees.map((row) => row["Amount"])).toEqual(["−$2.00"]);
  await expectSound(page);
});

test("a dearer plan takes off what is left of the one before, a cheaper one follows, and can be thought better of", async ({ page, ready }) => {
  const [small, large] = [freshName(), freshName()];
  await farebox(ready, "plan", "set", small, "--fee", "2", "--allowance", "3");
  await farebox(ready, "plan", "set", large, "--fee", "10", "--allowance", "12");
  const { email } = await signUp(page);
  await topUp(page, "20");
  await farebox(ready, "plan", "buy", email, small);
  await page.goto("/billing/plans");
  await choose(page, large);
  const dearer = page.getByRole("region", { name: `Change to “${large}” now?` });
  await expect(definition(dearer, "Comes back")).toHaveText(new RegExp(`^Of ${small}: \\$1\\.99`));
  await expect(definition(dearer, "Charged now")).toHaveText(/^\$8\.00/);
  await expectSound(page);
  await dearer.getByRole("button", { name: /^Buy for/ }).click();
  await expect(definition(page, "Plan")).toHaveText(`${large}, version 1`);

  await page.getByRole("link", { name: "Change plan or buy a package" }).click();
  await choose(page, small);
  const cheaper = page.getByRole("region", { name: `Change to “${small}” when the month is over?` });
  await expect(definition(cheaper, "Charged now")).toHaveText("$0.00");
  await cheaper.getByRole("button", { name: "Change then" }).click();
  await expect(page.getByRole("status")).toContainText(`UTC on: ${small}. Until then nothing changes.`);
  await expect(definition(page, "What follows")).toContainText(`it is followed by ${small} for $2.00 a month.`);
  await page.getByRole("button", { name: `Keep ${large}` }).click();
  await expect(page.getByRole("status")).toContainText(`${large} stays, and renews at`);
  await expect(definition(page, "What follows")).toContainText("for $10.00, out of the balance");
});

test("a plan is ended once it was asked about by name, and kept again", async ({ page, ready }) => {
  const name = freshName();
  await farebox(ready, "plan", "set", name, "--fee", "1", "--allowance", "3");
  const { email } = await signUp(page);
  await topUp(page, "2");
  await farebox(ready, "plan", "buy", email, name);
  await page.goto("/billing");
  await page.getByRole("button", { name: `End ${name}` }).click();
  const question = page.getByRole("dialog", { name: `End ${name}` });
  await expect(question).toContainText("Until then nothing changes");
  await question.getByRole("button", { name: `End ${name}` }).click();
  await expect(page.getByRole("status")).toContainText(`${name} ends at`);
  await expect(definition(page, "What follows")).toContainText("It ends at");
  await expectSound(page);
  await page.getByRole("button", { name: `Keep ${name}` }).click();
  await expect(definition(page, "What follows")).toContainText("It renews at");
});

test("a package stands with what is left of it and when it ends", async ({ page, ready }) => {
  const name = freshName();
  await farebox(ready, "plan", "set", name, "--fee", "1", "--allowance", "5000", "--unit", "tokens", "--model", "demo-mini", "--days", "30");
  await signUp(page);
  await topUp(page, "2");
  await page.goto("/billing/plans");
  await choose(page, name);
  await page.getByRole("button", { name: "Buy for $1.00" }).click();
  const [row] = (await readTable(tableOf(page, "Package"))).body;
  expect(row).toMatchObject({ Package: name, Left: "5,000 tokens" });
  await expect(tableOf(page, "Package")).toContainText("for demo-mini");
  await expect(headline(page, "Balance")).toHaveText("$1.00");
});

test("what the balance does not cover says what is missing, and where it is had", async ({ page, ready }) => {
  const name = freshName();
  await farebox(ready, "plan", "set", name, "--fee", "7", "--allowance", "8");
  await signUp(page);
  await topUp(page, "5.5");
  await page.goto("/billing/plans");
  await choose(page, name);
  await expect(page.getByRole("alert")).toContainText("The balance lacks $1.50.");
  await expect(page.getByRole("button", { name: /^Buy/ })).toHaveCount(0);
  await expectSound(page);
  await page.getByRole("link", { name: "Top up first" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Billing");
});

test("how calls are paid is told in words, as the operator set it", async ({ page, ready }) => {
  const { email } = await signUp(page);
  await page.goto("/billing");
  await expect(definition(page, "Mode")).toContainText("Prepaid: calls are paid from the balance");
  await expect(definition(page, "Below zero")).toHaveText("The balance does not go below zero: nothing is lent.");
  await expect(definition(page, "Terms")).toContainText("Strict:");
  await expect(definition(page, "The next call")).toHaveText("Is refused unless it is free: nothing is available.");
  await farebox(ready, "account", "set", email, "--credit-line", "10", "--grace", "2", "--until", "2099-01-31", "--terms", "lenient");
  await page.reload();
  await expect(definition(page, "Mode")).toContainText("Postpaid:");
  await expect(definition(page, "Below zero")).toHaveText(
    "The balance may go down to −$12.00, $2.00 of it as a grace until 31 Jan 2099, 00:00 UTC. After that no call starts below −$10.00; what is owed stays owed.",
  );
  await expect(definition(page, "Grace")).toHaveText(/^Used this month; the next one can be given from 1 \w{3} \d{4} on\.$/);
  await expect(definition(page, "Terms")).toContainText("Lenient:");
  await expect(definition(page, "The next call")).toContainText("Starts if $12.00 cover it");
  await expectSound(page);
  await farebox(ready, "account", "set", email, "--mode", "quota");
  await page.reload();
  await expect(definition(page, "Mode")).toContainText("Quota:");
  await expect(definition(page, "The next call")).toContainText("no allowance is left");
});

test.describe("what is refused", () => {
  test.use({ expectedNoise: [/status of 4(09|03)/] });

  test("is a price that nobody has seen", async ({ page, ready }) => {
    const name = freshName();
    await farebox(ready, "plan", "set", name, "--fee", "1", "--allowance", "3");
    await signUp(page);
    await topUp(page, "5");
    await page.goto("/billing/plans");
    await choose(page, name);
    await farebox(ready, "plan", "set", name, "--fee", "4", "--allowance", "3");
    await page.getByRole("button", { name: "Buy for $1.00" }).click();
    await expect(page.getByRole("alert")).toContainText("Nothing was bought.");
    await expectSound(page);
    await page.goto("/billing");
    await expect(headline(page, "Balance")).toHaveText("$5.00");
  });

  test("is an operator, who has no account to buy for", async ({ page }) => {
    await signIn(page, "operator");
    expect((await page.goto("/billing/plans"))?.status()).toBe(403);
    const form = { once: randomUUID(), plan: randomUUID(), version: "1" };
    const sent = await page.request.post("/billing/plans", { form, headers: { "sec-fetch-site": "same-origin" } });
    expect(sent.status()).toBe(403);
  });
});

const freshName = () => `Plan ${randomUUID().slice(0, 8)}`;

async function choose(page: Page, name: string): Promise<void> {
  await page.getByRole("link", { name: `Choose ${name}` }).click();
  await expect(page.getByRole("heading", { name: new RegExp(`“${name}”`) })).toBeVisible();
}
