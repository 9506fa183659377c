import type { Reporter, TestCase } from "@playwright/test/reporter";

const MARKS = { expected: "yes", flaky: "yes", unexpected: "NO", skipped: "skipped" };

/** Prints which client can do what through the proxy. */
export default class Table implements Reporter {
  readonly #rows = new Map<string, Map<string, string>>();

  onTestEnd(test: TestCase): void {
    if (!test.location.file.endsWith("clients.spec.ts")) return;
    const client = test.parent.title;
    const row = this.#rows.get(client) ?? new Map<string, string>();
    this.#rows.set(client, row.set(test.title, MARKS[test.outcome()]));
  }

  onEnd(): void {
    if (this.#rows.size === 0) return;
    const behaviours = [...new Set([...this.#rows.values()].flatMap((row) => [...row.keys()]))];
    console.log(`| client | ${behaviours.join(" | ")} |\n|${"---|".repeat(behaviours.length + 1)}`);
    for (const [client, row] of this.#rows) {
      console.log(`| ${client} | ${behaviours.map((behaviour) => row.get(behaviour) ?? "–").join(" | ")} |`);
    }
  }

  printsToStdio(): boolean {
    return true;
  }
}
