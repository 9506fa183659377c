import type { FullResult, Reporter, TestCase } from "@playwright/test/reporter";

/** Ends a run with one plain line of counts, for people and for programs that read logs. */
export default class Summary implements Reporter {
  readonly #tests = new Map<string, TestCase>();

  onTestEnd(test: TestCase): void {
    this.#tests.set(test.id, test);
  }

  onEnd(_result: FullResult): void {
    // `--list` runs none.
    if (this.#tests.size === 0) return;
    const count = (...outcomes: ReturnType<TestCase["outcome"]>[]) =>
      [...this.#tests.values()].filter((test) => outcomes.includes(test.outcome())).length;
    console.log(
      `e2e: ${count("expected", "flaky")} passed, ${count("unexpected")} failed, ${count("skipped")} skipped`,
    );
  }

  printsToStdio(): boolean {
    return true;
  }
}
