import { defineConfig, devices, type Project } from "@playwright/test";
import { chromiumPath } from "./chromium.mjs";

/** Every page spec runs twice: as people with and without JavaScript see it. Each looks at its pages in light and in dark. */
const pages: Project[] = [true, false].map((javaScriptEnabled) => ({
  name: javaScriptEnabled ? "js" : "no-js",
  testIgnore: "sdk.spec.ts",
  // What only a script can do is claimed only where one runs.
  grepInvert: javaScriptEnabled ? [] : /@script/,
  // The SDK specs compare balances: nothing else may spend meanwhile.
  dependencies: ["sdk"],
  use: { javaScriptEnabled, contextOptions: { reducedMotion: "reduce" } },
}));

export default defineConfig({
  testDir: "tests",
  globalSetup: "./farebox.ts",
  forbidOnly: Boolean(process.env.CI),
  fullyParallel: true,
  workers: 2,
  // Looking at a long page with axe takes tens of seconds on a busy machine.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  reporter: [["list"], ["./clients/table.ts"], ["./summary.ts"]],
  use: {
    ...devices["Desktop Chrome"],
    // A trace of every action takes a third of the run: `make e2e ARGS='billing --trace on'` makes one where it is wanted.
    screenshot: "only-on-failure",
    launchOptions: {
      ...(chromiumPath && { executablePath: chromiumPath }),
      args: [
        // Chromium refuses to run its sandbox as root, which containers often are.
        ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        // Nothing but the pages under test goes over the network.
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    { name: "sdk", testMatch: "sdk.spec.ts" },
    // One farebox, whose requests are counted one test after the other.
    { name: "clients", testDir: "clients", fullyParallel: false, workers: 1 },
    ...pages,
  ],
});
