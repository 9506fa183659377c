// Accounts of a test's own, made as people make them: whatever a test spends, creates or revokes is nobody else's.
import { randomUUID } from "node:crypto";
import { expect, type Page } from "@playwright/test";

/** Somebody who signed up a moment ago. */
export interface Customer {
  email: string;
  password: string;
  /** Of the account. */
  name: string;
}

/** An address that nobody has yet. */
export function freshEmail(): string {
  return `${randomUUID()}@e2e.example`;
}

/** Opens an account and stays signed in as its owner. */
export async function signUp(page: Page, name?: string): Promise<Customer> {
  const email = freshEmail();
  const customer = { email, password: `password of ${email}`, name: name ?? `Account ${email.slice(0, 8)}` };
  await page.goto("/signup");
  await page.getByLabel("E-mail address").fill(customer.email);
  await page.getByLabel("Password").fill(customer.password);
  await page.getByLabel("Account name").fill(customer.name);
  await page.getByRole("button", { name: "Open an account" }).click();
  await expect(page).toHaveURL(/\/usage$/);
  return customer;
}

/** Adds credit by a test payment. */
export async function topUp(page: Page, units = "5.00"): Promise<void> {
  await page.goto("/billing");
  await page.getByLabel("Amount in US dollars").fill(units);
  await page.getByRole("button", { name: "Make a test payment" }).click();
  await expect(page.getByRole("status")).toContainText("added");
}

/** Creates a key and returns it, whole. */
export async function createKey(page: Page, name = "end to end"): Promise<string> {
  await page.goto("/keys/new");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Create key" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`“${name}” is ready`);
  return shownKey(page);
}

/** The key on the page that shows it once. */
export async function shownKey(page: Page): Promise<string> {
  const key = page.locator("code", { hasText: /^sk-fb_[0-9A-Za-z]{33}$/ });
  return key.innerText();
}

/** A new customer who can call at once; returns the key. */
export async function signUpAndPay(page: Page): Promise<string> {
  await signUp(page);
  await topUp(page);
  return createKey(page);
}
