// `/signup`, `/login`, `/logout`: who may see what, and how one gets in and out.
import type { Page } from "@playwright/test";
import { freshEmail, signUp } from "./accounts.ts";
import { expect, expectSound, signInWithForm, test } from "./fixtures.ts";

const signInButton = (page: Page) => page.getByRole("button", { name: "Sign in", exact: true });

test("the sign-in page is sound", async ({ page }) => {
  await page.goto("/login");
  await expectSound(page);
});

test("the sign-up page is sound", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("link", { name: "Sign up" }).first().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign up");
  await expectSound(page);
});

test("whoever signs up is signed in, to an account of their own", async ({ page }) => {
  const { name } = await signUp(page);
  await expect(page.getByRole("banner")).toContainText(name);
  await page.goto("/billing");
  await expect(page.getByText("Nothing has been posted yet.")).toBeVisible();
});

test("everyone lands where they belong", async ({ page }) => {
  await signInWithForm(page, "customer");
  await expect(page).toHaveURL("/usage");
  await page.goto("/dashboard");
  await expect(page).toHaveURL("/usage");
  await page.getByRole("button", { name: "Sign out" }).click();
  await signInWithForm(page, "operator");
  await expect(page).toHaveURL("/admin");
});

test("whoever signs out is out, also on the way back", async ({ page }) => {
  await signInWithForm(page, "customer");
  await page.goto("/billing");
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("status")).toHaveText("You are signed out.");
  await expect(page.getByRole("banner")).not.toContainText("Demo Customer");
  await page.goBack();
  await expect(page).toHaveURL(/\/login\?next=\/billing/);
});

test("a session that has ended opens nothing", async ({ page, context }) => {
  await signUp(page);
  const kept = await context.cookies();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("status")).toBeVisible();
  await context.addCookies(kept);
  await page.goto("/billing");
  await expect(page).toHaveURL(/\/login/);
});

test("each sign-in has a session of its own, which no script can read", async ({ page, context, ready }) => {
  const session = async () => {
    const cookies = (await context.cookies()).filter(({ name }) => name !== "theme");
    expect(cookies.filter(({ name }) => name !== "farebox" && !/^device-[0-9a-f]{16}$/.test(name))).toEqual([]);
    for (const cookie of cookies) expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Lax" });
    return cookies.find(({ name }) => name === "farebox")?.value;
  };
  await signUp(page);
  const first = await session();
  const { email, password } = ready.customer;
  await page.request.post("/login", { form: { email, password } });
  expect(await session()).not.toBe(first);
});

test("whoever is signed in is led past the sign-in", async ({ page }) => {
  await signUp(page);
  for (const path of ["/login", "/signup"]) {
    await page.goto(path);
    await expect(page).toHaveURL("/usage");
  }
  await page.goto("/login?next=/keys");
  await expect(page).toHaveURL("/keys");
});

test("a stranger is led to the sign-in, and from there to where they wanted to go", async ({ page, ready }) => {
  const wanted = "/calls?range=last-month&model=demo-mini";
  await page.goto(wanted);
  await expect(page).toHaveURL(/\/login\?next=/);
  await page.getByLabel("E-mail address").fill(ready.customer.email);
  await page.getByLabel("Password").fill(ready.customer.password);
  await signInButton(page).click();
  await expect(page).toHaveURL(wanted);
});

for (const path of ["/usage", "/calls", "/calls/0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f", "/billing", "/keys", "/keys/new", "/keys/account", "/admin", "/admin/pricing", "/admin/customers", "/admin/customers/new", "/admin/customers/0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f/usage", "/admin/proof"]) {
  test(`a stranger sees nothing of ${path}`, async ({ page }) => {
    await page.goto(path);
    await expect(page).toHaveURL(new RegExp(`/login\\?next=${path}$`));
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign in");
  });
}

for (const away of ["//farebox.invalid/", "/\\farebox.invalid/", "https://farebox.invalid/"]) {
  test(`a sign-in never leads away: ${away}`, async ({ page, ready }) => {
    await page.goto(`/login?next=${encodeURIComponent(away)}`);
    await page.getByLabel("E-mail address").fill(ready.customer.email);
    await page.getByLabel("Password").fill(ready.customer.password);
    await signInButton(page).click();
    await expect(page).toHaveURL("/usage");
  });
}

test.describe("what does not open", () => {
  test.use({ expectedNoise: [/status of 4(01|22|29)/] });

  test("a wrong password and an unknown address are told apart by nobody", async ({ page, ready }) => {
    const said: string[] = [];
    for (const email of [ready.customer.email, freshEmail()]) {
      await page.goto("/login");
      await page.getByLabel("E-mail address").fill(email);
      await page.getByLabel("Password").fill("not the password");
      const answer = page.waitForResponse((response) => response.request().method() === "POST");
      await signInButton(page).click();
      expect((await answer).status()).toBe(401);
      said.push(await page.getByRole("alert").innerText());
      await expect(page.getByLabel("E-mail address")).toHaveValue(email);
      await expect(page.getByLabel("Password")).toHaveValue("");
      expect(await page.content()).not.toContain("not the password");
    }
    expect(said[0]).toContain("wrong");
    expect(said[1]).toBe(said[0]);
    await expectSound(page);
  });

  test("guessing is slowed down, and says for how long", async ({ page }) => {
    const form = { email: freshEmail(), password: "a guess" };
    for (let guess = 1; guess <= 10; guess++) expect((await page.request.post("/login", { form })).status()).toBe(401);

    await page.goto("/login");
    await page.getByLabel("E-mail address").fill(form.email);
    await page.getByLabel("Password").fill(form.password);
    const answer = page.waitForResponse((response) => response.request().method() === "POST");
    await signInButton(page).click();
    expect((await answer).status()).toBe(429);
    const seconds = Number((await answer).headers()["retry-after"]);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(15 * 60);
    const minutes = Math.ceil(seconds / 60);
    await expect(page.getByRole("alert")).toHaveText(`Too many attempts. Try again in ${minutes} minute${minutes === 1 ? "" : "s"}.`);
    await expectSound(page);
  });

  test("guesses of others shut nobody out of a browser in which they have signed in", async ({ page, context, playwright, baseURL }) => {
    const { email, password } = await signUp(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    const stranger = await playwright.request.newContext({ baseURL, extraHTTPHeaders: { origin: baseURL ?? "" } });
    const guess = { form: { email, password: "a guess" } };
    await expect(async () => expect((await stranger.post("/login", guess)).status()).toBe(429)).toPass({ timeout: 60_000, intervals: [0] });
    await stranger.dispose();

    await page.goto("/login");
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password").fill(password);
    await signInButton(page).click();
    await expect(page).toHaveURL("/usage");
    // Without the cookie it is a stranger's.
    await page.getByRole("button", { name: "Sign out" }).click();
    await context.clearCookies({ name: /^device-/ });
    expect((await page.request.post("/login", { form: { email, password } })).status()).toBe(429);
  });

  test("an address that is taken, with another password", async ({ page, ready }) => {
    await page.goto("/signup");
    await page.getByLabel("E-mail address").fill(ready.customer.email);
    await page.getByLabel("Password").fill("a password of my own");
    await page.getByRole("button", { name: "Open an account" }).click();
    await expect(page.getByLabel("E-mail address")).toHaveAccessibleDescription(/No account can be opened with this address/);
    await expect(page.getByLabel("Password")).toHaveValue("");
    await expectSound(page);
  });

  for (const { claim, email, password, field, problem } of [
    { claim: "a password that is too short", email: freshEmail(), password: "short", field: "Password", problem: /characters/ },
    { claim: "what is no address", email: "nobody@", password: "long enough to be one", field: "E-mail address", problem: /like name@example\.com/ },
  ]) {
    test(claim, async ({ page }) => {
      await page.goto("/signup");
      // As a browser sends it that checks no addresses.
      await page.getByLabel("E-mail address").evaluate((input: HTMLInputElement) => (input.type = "text"));
      await page.getByLabel("E-mail address").fill(email);
      await page.getByLabel("Password").fill(password);
      const answer = page.waitForResponse((response) => response.request().method() === "POST");
      await page.getByRole("button", { name: "Open an account" }).click();
      expect((await answer).status()).toBe(422);
      await expect(page.getByLabel(field)).toHaveAccessibleDescription(problem);
      await expect(page.getByLabel(field)).toHaveAttribute("aria-invalid", "true");
    });
  }
});

test("whoever signs up twice with the same password is simply signed in", async ({ page }) => {
  const { email, password, name } = await signUp(page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goto("/signup");
  await page.getByLabel("E-mail address").fill(email.toUpperCase());
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Open an account" }).dblclick();
  await expect(page).toHaveURL("/usage");
  await expect(page.getByRole("banner")).toContainText(name);
});
