// Where Chromium is: $CHROMIUM_PATH, the system's, or Playwright's own. Set-up runs this file to see whether there is one, at first without packages.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const playwright = await import("@playwright/test").catch(() => undefined);
// Debian's headless shell is the same browser without its windows, and takes two thirds of its time.
const system = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"];
const candidates = [process.env.CHROMIUM_PATH, ...system, playwright?.chromium.executablePath()];

/** The path of an executable Chromium, or undefined where there is none. */
export const chromiumPath = candidates.find((path) => path && existsSync(path));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!chromiumPath) process.exit(1);
  console.log(chromiumPath);
}
