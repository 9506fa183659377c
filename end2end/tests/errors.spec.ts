// What is not there, not allowed, or not a request at all: a clear word, the right status, and nothing done.
import { randomUUID } from "node:crypto";
import type { Page } from "@playwright/test";
import { freshEmail, signUp } from "./accounts.ts";
import { headline, tableOf } from "./figures.ts";
import { expect, expectSound, hydrated, signIn, test } from "./fixtures.ts";

test.use({ expectedNoise: [/status of 4\d\d/] });

/** Opens a page and says how it answered. */
async function open(page: Page, path: string) {
  const response = await page.goto(path);
  const heading = await page.getByRole("heading", { level: 1 }).innerText();
  return { status: response?.status(), heading };
}

test("an address without a page says so, and leads back", async ({ page }) => {
  expect(await open(page, "/no/such/page")).toEqual({ status: 404, heading: "Not found" });
  await expectSound(page);
  await page.getByRole("link", { name: "Go to the start" }).click();
  await expect(page).toHaveURL("/pricing");
});

test("an unknown call is not found", async ({ page }) => {
  await signIn(page, "customer");
  for (const id of [randomUUID(), "0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f", "nonsense", "%00"]) {
    expect(await open(page, `/calls/${id}`), id).toEqual({ status: 404, heading: "Not found" });
    await expect(page).toHaveTitle("Not found · Farebox");
  }
  await expectSound(page);
});

test("whose session has ended is led to the sign-in, and from there back", { tag: "@script" }, async ({ page, context }) => {
  await signIn(page, "customer");
  await hydrated(page);
  await context.clearCookies();
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Billing" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Signed out");
  await expect(page).toHaveTitle("Signed out · Farebox");
  await page.getByRole("main").getByRole("link", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/login\?next=\/billing$/);
});

test("somebody else's call is as unknown as none", async ({ page, context }) => {
  await signIn(page, "customer");
  await page.goto("/calls");
  const href = await tableOf(page, "Time").getByRole("rowheader").getByRole("link").first().getAttribute("href");
  await context.clearCookies();
  await signUp(page);

  expect(await open(page, `/calls/${randomUUID()}`)).toEqual({ status: 404, heading: "Not found" });
  const unknown = await page.getByRole("main").innerText();
  expect(await open(page, href ?? "")).toEqual({ status: 404, heading: "Not found" });
  expect(await page.getByRole("main").innerText()).toBe(unknown);
});

test("an unknown customer and an unknown model are not found", async ({ page }) => {
  await signIn(page, "operator");
  const nobodys = ["/usage", "/calls", "/keys", "/keys/account", "/billing"].map((path) => `/admin/customers/${randomUUID()}${path}`);
  for (const path of [`/admin/customers/${randomUUID()}`, "/admin/customers/nonsense", "/admin/customers/nonsense/usage", "/admin/pricing?model=nonsense", ...nobodys]) {
    expect(await open(page, path), path).toEqual({ status: 404, heading: "Not found" });
  }
});

test("a page of the journal that never was says so", async ({ page }) => {
  await signIn(page, "customer");
  for (const before of ["yesterday", "0", "-1", randomUUID()]) {
    expect((await open(page, `/billing?before=${before}`)).status, before).toBe(400);
    await expect(page.getByRole("alert")).toContainText("Start again from the first one");
  }
  await expectSound(page);
  expect(await open(page, "/billing?before=999999999999")).toEqual({ status: 404, heading: "Not found" });
  expect((await open(page, "/billing?before=1")).status).toBe(200);
  await expect(page.getByText("There are no older entries.")).toBeVisible();
});

test("a character that cannot be stored is nobody's outage", async ({ page, context }) => {
  await signUp(page);
  for (const path of ["/usage?model=%00", "/calls?model=%00"]) expect((await open(page, path)).status, path).toBe(400);
  const key = await page.request.post("/keys/new", { form: { once: randomUUID(), name: "lap\u0000top" } });
  expect(key.status()).toBe(422);
  await context.clearCookies();
  await signIn(page, "operator");
  expect((await open(page, "/admin/customers?search=%00")).status).toBe(400);
  const form = { email: "nobody\u0000@e2e.example", password: "long enough to be one" };
  for (const path of ["/login", "/signup"]) expect((await page.request.post(path, { form })).status(), path).toBe(422);
});

test("customers have no business on the operator's pages", async ({ page }) => {
  await signUp(page);
  expect(await open(page, "/admin")).toEqual({ status: 403, heading: "Not allowed" });
  await expectSound(page);
  const once = randomUUID();
  const forms: [string, Record<string, string>][] = [
    ["/admin/pricing", { once, model: "demo-mini", kind: "sale", prompt: "0", completion: "0", effective: "2040-01-01T00:00" }],
    [`/admin/customers/${randomUUID()}`, { once, how: "credit", amount: "1", reason: "for me", confirmed: "yes" }],
    [`/admin/customers/${randomUUID()}`, { from: "suspended", state: "active" }],
    ["/admin/customers/new", { once, name: "Mine", email: "mine@e2e.example" }],
    ["/admin/proof", {}],
  ];
  for (const [path, form] of forms) expect((await page.request.post(path, { form })).status(), path).toBe(403);
});

test("the operator acts for no customer", async ({ page }) => {
  await signIn(page, "operator");
  expect(await open(page, "/usage")).toEqual({ status: 403, heading: "Not allowed" });
  await expectSound(page);
});

test("somebody else's key cannot be revoked", async ({ page, context }) => {
  await signIn(page, "customer");
  await page.goto("/keys");
  const revoke = await page.locator("input[name=revoke]").first().inputValue();
  await context.clearCookies();
  await signUp(page);
  expect((await page.request.post("/keys", { form: { revoke } })).status()).toBe(404);
  await context.clearCookies();
  await signIn(page, "customer");
  await page.goto("/keys");
  await expect(page.locator(`input[name=revoke][value="${revoke}"]`)).toHaveCount(1);
});

test("somebody else's key has no limits to be seen, set or removed", async ({ page, context }) => {
  await signIn(page, "customer");
  await page.goto("/keys");
  const others = await page.getByRole("link", { name: /^Change settings of / }).first().getAttribute("href");
  await context.clearCookies();
  await signUp(page);
  for (const path of [others ?? "", `/keys/${randomUUID()}`, "/keys/nonsense"]) {
    expect(await open(page, path), path).toEqual({ status: 404, heading: "Not found" });
    const form = { capacity: "1", unit: "requests", window: "minute", hardness: "hard" };
    expect((await page.request.post(path, { form })).status(), path).toBe(404);
  }
  await expectSound(page);
  expect((await page.request.post("/keys/account", { form: { remove: randomUUID() } })).status()).toBe(404);
});

test("a form from another site does nothing", async ({ page }) => {
  await signUp(page);
  await page.goto("/billing");
  const once = await page.locator("form", { hasText: "Amount" }).locator("input[name=once]").inputValue();
  for (const [header, value] of [
    ["origin", "https://farebox.invalid"],
    ["sec-fetch-site", "cross-site"],
    ["sec-fetch-site", "same-site"],
  ] as const) {
    const answer = await page.request.post("/billing", { form: { once, amount: "5" }, headers: { [header]: value } });
    expect(answer.status(), `${header}: ${value}`).toBe(403);
  }
  // Nor does one that does not say where it is from, as every browser does.
  expect((await page.request.post("/billing", { form: { once, amount: "5" }, headers: { origin: "" } })).status()).toBe(403);
  await page.reload();
  await expect(headline(page, "Balance")).toHaveText("$0.00");
});

test("nothing is done by following a link", async ({ page }) => {
  await signUp(page);
  for (const path of ["/logout", "/theme"]) {
    expect(await open(page, path), path).toEqual({ status: 405, heading: "That cannot be done" });
    await expectSound(page);
  }
  expect((await page.request.post("/usage", { form: {} })).status()).toBe(405);
  await page.goto("/usage");
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
});

test("a form that is none is refused", async ({ page }) => {
  await signUp(page);
  const json = await page.request.post("/billing", { data: { once: randomUUID(), amount: "5" } });
  expect(json.status()).toBe(415);
  const incomplete = await page.request.post("/billing", { form: { amount: "5" } });
  expect(incomplete.status()).toBe(400);
  expect(await incomplete.text()).toContain("The form is incomplete");
  const large = await page.request.post("/billing", { form: { amount: "5".repeat(100_000) } });
  expect(large.status()).toBe(413);
  await page.goto("/billing");
  await expect(headline(page, "Balance")).toHaveText("$0.00");
});

test("what is no request of the console's own API is refused without a word of its insides", async ({ page }) => {
  await signUp(page);
  const send = (path: string, type: string, body: string) =>
    page.request.post(path, { headers: { "content-type": type }, data: Buffer.from(body) });
  for (const answer of [
    await send("/api/page", "application/json", "{"),
    await send("/api/page", "application/json", '{"address": 5}'),
    await send("/api/page", "text/plain", "query"),
  ]) {
    expect(answer.status()).toBeGreaterThanOrEqual(400);
    expect(answer.status()).toBeLessThan(500);
    expect(await answer.text()).not.toMatch(/serde|expected|column \d|panicked/i);
  }
  expect((await page.request.post("/api/no-such-thing", { data: {} })).status()).toBe(404);
  await page.context().clearCookies();
  expect((await page.request.post("/api/page", { data: { address: { page: "usage", account: "", id: "", query: "" } } })).status()).toBe(401);
});

test("an address is not a way to write on a page", async ({ page }) => {
  await page.goto(`/login?next=${encodeURIComponent('/"><script>document.title="caught"</script>')}`);
  await expect(page).toHaveTitle("Sign in · Farebox");
  await page.goto(`/pricing?search=${encodeURIComponent("<img src=x onerror=\"document.title='caught'\">")}`);
  await expect(page.getByText(/No model or provider contains “<img/)).toBeVisible();
  await expect(page.getByRole("img")).toHaveCount(0);
  await expect(page).toHaveTitle("Pricing · Farebox");
});

test("pages may not be framed, and run no script but their own", async ({ page }) => {
  const response = await page.goto("/pricing");
  const policy = response?.headers()["content-security-policy"] ?? "";
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).toContain("default-src 'self'");
  expect(policy).not.toContain("unsafe-inline");
  expect(await page.locator("[style]").count(), "no inline style").toBe(0);
});

for (const { claim, name, problem } of [
  { claim: "is too long", name: "n".repeat(81), problem: /Write 1 to 80 characters\./ },
  { claim: "turns the text around it", name: "\u202EecilA", problem: /turn the direction of a text\./ },
]) {
  test(`a sign-up whose name ${claim} is refused at its field`, async ({ page }) => {
    await page.goto("/signup");
    await page.getByLabel("E-mail address").fill(freshEmail());
    await page.getByLabel("Password").fill("long enough to be one");
    await page.getByLabel("Account name").fill(name);
    await page.getByRole("button", { name: "Open an account" }).click();
    await expect(page.getByLabel("Account name")).toHaveAccessibleDescription(problem);
  });
}
