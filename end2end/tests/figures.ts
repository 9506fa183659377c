// Reads figures off a page as the integers that they stand for: money is compared exactly, never as floats.
import { expect, type Locator, type Page } from "@playwright/test";

/** Nano-units, in which every amount is whole. */
const NANO_PLACES = 9;

/** A written amount, such as "−$1,234.50", in units of 10^-places. */
export function amount(text: string, places = NANO_PLACES): bigint {
  const [, sign, whole, fraction = ""] = /^([−+]?)\$([\d,]+)(?:\.(\d+))?$/.exec(text.trim()) ?? [];
  if (whole === undefined || fraction.length > places) throw new Error(`"${text}" is no exact amount`);
  const value = BigInt(whole.replaceAll(",", "") + fraction.padEnd(places, "0"));
  return sign === "−" ? -value : value;
}

/** A written count, such as "12,345". */
export function count(text: string): bigint {
  if (!/^\d{1,3}(,\d{3})*$/.test(text.trim())) throw new Error(`"${text}" is no exact count`);
  return BigInt(text.replaceAll(",", ""));
}

/** An amount or a count, whichever it is. */
export function figure(text: string): bigint {
  return text.includes("$") ? amount(text) : count(text);
}

export function sum(figures: bigint[]): bigint {
  return figures.reduce((total, one) => total + one, 0n);
}

/** What a list of pairs says about this term. */
export function definition(scope: Page | Locator, term: string): Locator {
  return scope.locator("dl > div").filter({ has: exactTerm(scope, term) }).getByRole("definition");
}

/** A headline figure in full: where the large digits are rounded, the exact ones stand below them. */
export function headline(page: Page, label: string): Locator {
  const card = page.locator("dl.figures > div").filter({ has: exactTerm(page, label) });
  return card.locator(".figure-value, .figure-exact").last();
}

/** Its text as it stands now: for pages that are there whole. After a choice on a page, `toHaveText` waits for the next one's. */
export async function headlineNow(page: Page, label: string): Promise<string> {
  await page.waitForLoadState();
  return headline(page, label).innerText();
}

function exactTerm(scope: Page | Locator, term: string): Locator {
  return pageOf(scope).getByRole("term").filter({ hasText: new RegExp(`^${term.replace(/[.()]/g, "\\$&")}$`) });
}

/** What a locator is filtered by is looked up within each match, not within the scope. */
function pageOf(scope: Page | Locator): Page {
  return "page" in scope ? scope.page() : scope;
}

/** A table's cells by their column's heading, without the small print below them. Money is given in full, as its cell has it for whoever points
 *  at it. */
export type Row = Record<string, string>;

/** The table whose first column bears this heading. */
export function tableOf(scope: Page | Locator, firstColumn: string): Locator {
  return scope.getByRole("table").filter({
    has: pageOf(scope).locator("thead th:first-child").filter({ hasText: new RegExp(`^${firstColumn}$`) }),
  });
}

/** The rows of one table that are shown, with its line of totals if it has one. */
export async function readTable(table: Locator): Promise<{ body: Row[]; foot: Row | undefined }> {
  // A document that is still arriving has half a table.
  await table.page().waitForLoadState();
  await expect(table).toHaveCount(1);
  return table.evaluate((element) => {
    const heads = [...element.querySelectorAll("thead th")].map((head) => head.textContent?.trim() ?? "");
    const text = (cell: Element) => {
      const copy = cell.cloneNode(true) as Element;
      for (const note of copy.querySelectorAll(".by")) note.remove();
      return copy.querySelector("data.money")?.getAttribute("title") ?? copy.textContent?.trim() ?? "";
    };
    const rows = (part: string) =>
      [...element.querySelectorAll<HTMLTableRowElement>(`${part} tr`)]
        .filter((row) => getComputedStyle(row).display !== "none")
        .map((row) => Object.fromEntries([...row.cells].map((cell, column) => [heads[column] ?? "", text(cell)])));
    return { body: rows("tbody"), foot: rows("tfoot")[0] };
  });
}

/** A column's figures, top to bottom. */
export function column(rows: Row[], name: string): bigint[] {
  return rows.map((row) => figure(cell(row, name)));
}

/** A cell that must be there. */
export function cell(row: Row | undefined, name: string): string {
  const text = row?.[name];
  if (text === undefined) throw new Error(`there is no column "${name}"`);
  return text;
}
