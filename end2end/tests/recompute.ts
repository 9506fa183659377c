import { expect, type Page } from "@playwright/test";
import { amount, cell, count, definition, readTable, tableOf } from "./figures.ts";

/** Decimals of an amount before its rounding. */
const EXACT_PLACES = 16;
const EXACT_PER_NANO = 10n ** 7n;

/** Does the sum with integers, as whoever doubts it would, and returns the total in nanos. */
export async function recompute(page: Page): Promise<bigint> {
  const { body } = await readTable(tableOf(page, "Item"));
  let exact = 0n;
  for (const line of body) {
    const charged = amount(cell(line, "Amount"), EXACT_PLACES);
    // Nanos per 1,000 tokens.
    const per1k = amount(cell(line, "Price per 1K"));
    expect(charged, cell(line, "Item")).toBe((count(cell(line, "Tokens")) * per1k * EXACT_PER_NANO) / 1000n);
    exact += charged;
  }
  // Half up, once, last.
  const total = (exact + EXACT_PER_NANO / 2n) / EXACT_PER_NANO;
  expect(amount(await definition(page, "Total").innerText())).toBe(total);
  return total;
}
