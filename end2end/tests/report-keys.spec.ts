// `/keys/reports`: keys that read usage and costs through the proxy, and nothing else.
import { createKey, signUp, topUp } from "./accounts.ts";
import { tableOf } from "./figures.ts";
import { expect, expectSound, signIn, test } from "./fixtures.ts";
import { call } from "./gateway.ts";

test("a report key is shown once, reads what the account used, and reads nothing once it is revoked", async ({ page, ready }) => {
  await signUp(page);
  await topUp(page, "5");
  await call(ready, await createKey(page, "laptop"));
  await page.goto("/keys/reports");
  await page.getByLabel("Name").fill("books");
  await page.getByRole("button", { name: "Create report key" }).click();
  const secret = await page.locator(".secret code").innerText();
  expect(secret).toMatch(/^rk-fb_\w{33}$/);
  await expectSound(page);

  const ask = () =>
    page.request.get(`${ready.proxy_url}/v1/organization/usage/completions?start_time=${Math.floor(Date.now() / 1_000) - 86_400}`, {
      headers: { authorization: `Bearer ${secret}` },
    });
  await expect
    .poll(async () => {
      const buckets = (await (await ask()).json()) as { data: { results: { num_model_requests: number }[] }[] };
      return buckets.data.flatMap((bucket) => bucket.results.map((result) => result.num_model_requests));
    })
    .toEqual([1]);

  await page.goto("/keys/reports");
  await expect(page.getByText(secret)).toHaveCount(0);
  await page.getByRole("button", { name: "Revoke books" }).click();
  await page.getByRole("button", { name: "for good" }).click();
  await expect(page.getByRole("status")).toContainText("is revoked");
  await expect(tableOf(page, "Name").getByText(/^Revoked/)).toBeVisible();
  expect((await ask()).status()).toBe(401);
});

test("it is sound", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/keys/reports");
  await expectSound(page);
});
