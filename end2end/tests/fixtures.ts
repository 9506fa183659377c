import { AxeBuilder } from "@axe-core/playwright";
import { expect, test as base, type BrowserContext, type Page } from "@playwright/test";
import { readReady, type Ready } from "../ready.ts";

export { expect } from "@playwright/test";

interface Options {
  /** Console messages that a test provokes on purpose, such as the browser's own line about a status of 404. */
  expectedNoise: RegExp[];
}

interface WorkerFixtures {
  /** Where the farebox under test listens, and who can sign in. */
  ready: Ready;
}

/** Playwright's `test` against the farebox of this run; with JavaScript on, a page that complains fails its test. */
export const test = base.extend<Options, WorkerFixtures>({
  expectedNoise: [[], { option: true }],

  ready: [async ({}, use) => use(readReady()), { scope: "worker" }],

  baseURL: async ({ ready }, use) => use(ready.console_url),

  context: async ({ context, baseURL }, use) => {
    if (baseURL) sayOrigin(context, new URL(baseURL).origin);
    await use(context);
  },

  page: async ({ page, javaScriptEnabled, expectedNoise }, use) => {
    const complaints: string[] = [];
    if (javaScriptEnabled) {
      page.on("pageerror", (error) => complaints.push(`uncaught: ${error.stack ?? error.message}`));
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) {
          complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
        }
      });
      await watchHydration(page);
    }
    await use(page);
    if (javaScriptEnabled) await hydrated(page);
    const unexpected = complaints.filter((line) => !expectedNoise.some((pattern) => pattern.test(line)));
    expect(unexpected, "the browser's console stays silent").toEqual([]);
  },
});

/** What a test sends by itself comes from the console, as its pages' forms do, unless it says where else it comes from. */
function sayOrigin({ request }: BrowserContext, origin: string): void {
  const post = request.post.bind(request);
  request.post = (url, options) => {
    const headers = options?.headers ?? {};
    const isSaid = "origin" in headers || "sec-fetch-site" in headers;
    return post(url, isSaid ? options : { ...options, headers: { ...headers, origin } });
  };
}

declare global {
  interface Window {
    /** Set once the wasm of the page has run. */
    fareboxHydrated?: true;
  }
}

/** Notes when the wasm takes over: hydration runs at once when it has been compiled, so one task later it is done. */
async function watchHydration(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const compile = WebAssembly.instantiateStreaming.bind(WebAssembly);
    WebAssembly.instantiateStreaming = async (source, imports) => {
      const wasm = await compile(source, imports);
      setTimeout(() => (window.fareboxHydrated = true));
      return wasm;
    };
  });
}

/** Waits until the page's script has taken over, if it has one. For claims about what only a script does. */
export async function hydrated(page: Page): Promise<void> {
  const isDone = () => window.fareboxHydrated || !document.querySelector("script[type=module]");
  await page.waitForFunction(isDone);
}

/** The people whom demo mode knows. */
export type Who = "customer" | "operator";

type Cookies = Awaited<ReturnType<BrowserContext["cookies"]>>;
/** By whose they are, of which console. */
const sessions = new Map<string, Cookies>();

/** Signs in through the form at `/login`, in a session of its own: for tests of signing in and out. */
export async function signInWithForm(page: Page, who: Who, ready = readReady()): Promise<void> {
  const { email, password } = ready[who];
  await page.goto("/login");
  await page.locator('input[name="email"]').fill(email);
  await page.locator('input[name="password"]').fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).not.toHaveURL(/\/login/);
  await page.waitForLoadState();
}

/** Signs in once per worker and shares that session, since password hashing is slow and sign-in is throttled.
 *  Leaves the page on the person's home. A test that signs out takes `signInWithForm` instead. */
export async function signIn(page: Page, who: Who, ready = readReady()): Promise<void> {
  const whose = `${who} of ${ready.console_url}`;
  const cookies = sessions.get(whose);
  if (cookies) {
    await page.context().addCookies(cookies);
    await page.goto("/");
    return;
  }
  await signInWithForm(page, who, ready);
  sessions.set(whose, await page.context().cookies());
}

/** How large a phone is, in CSS pixels. */
export const PHONE = { width: 390, height: 844 };

/** Where desktops are small, between a phone's cards and a wide table, in CSS pixels. */
const SMALL_DESKTOPS = [800, 1024];

/** What every page owes its reader: it says that this is a demo, what it is, nothing on it is in anybody's way, and whatever the screen, it
 *  scrolls in one direction only. */
export async function expectSound(page: Page): Promise<void> {
  await page.waitForLoadState();
  // Dimmed while another is asked for.
  await expect(page.locator(".page[aria-busy=true]")).toHaveCount(0);
  await expect(page).toHaveTitle(/^\S.* · Farebox$/);
  await expect(page.getByRole("complementary", { name: "Demo" })).toBeVisible();
  await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
  await expectAccessible(page);

  const desktop = page.viewportSize();
  for (const width of SMALL_DESKTOPS) {
    await page.setViewportSize({ width, height: 768 });
    await expectNoSidewaysScroll(page);
  }
  await page.setViewportSize(PHONE);
  await expectNoSidewaysScroll(page);
  // Colours are the same as on a desktop.
  await expectNoFindings(page, [{ colorScheme: "light", without: COLOURS }]);
  if (desktop) await page.setViewportSize(desktop);
}

/** Nothing reaches beyond the right edge. What does is named, since a screenshot rarely shows it. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  await page.waitForLoadState();
  const overhang = await page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= window.innerWidth) return [];
    const isWide = (element: Element) => element.getBoundingClientRect().right > window.innerWidth + 1;
    const widest = [...document.body.querySelectorAll("*")].filter(isWide).map((element) => element.outerHTML.slice(0, 120));
    return [`${root.scrollWidth} px wide`, ...widest.slice(0, 5)];
  });
  expect(overhang, `${page.url()} at ${page.viewportSize()?.width} px`).toEqual([]);
}

/** axe finds nothing against WCAG 2.2 AA on the page as it stands, in light and in dark. */
export async function expectAccessible(page: Page): Promise<void> {
  // Only colours differ from theme to theme.
  await expectNoFindings(page, [
    { colorScheme: "dark" },
    { colorScheme: "light", only: COLOURS },
  ]);
}

/** What axe looks for, and in which theme. */
interface Look {
  colorScheme: "light" | "dark";
  only?: string;
  without?: string;
}

const COLOURS = "color-contrast";

async function expectNoFindings(page: Page, looks: Look[]): Promise<void> {
  const scripted = test.info().project.use.javaScriptEnabled !== false;
  const subject = scripted ? page : await scriptableCopy(page);
  const findings: string[] = [];
  for (const { colorScheme, only, without } of looks) {
    await subject.emulateMedia({ colorScheme });
    const axe = new AxeBuilder({ page: subject }).options({ preload: false, resultTypes: ["violations"] });
    // Our pages have no frames: axe need not open a page of its own to gather what it found in them.
    axe.setLegacyMode();
    if (only) axe.withRules(only);
    else axe.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]);
    if (without) axe.disableRules(without);
    const { violations } = await axe.analyze();
    const inWords = violations.flatMap(({ id, help, nodes }) =>
      nodes.map((node) => `${colorScheme}: ${id}: ${help}\n  ${node.html}\n  ${node.failureSummary ?? ""}`),
    );
    findings.push(...inWords);
  }
  if (subject !== page) await subject.context().close();
  expect(findings, `axe on ${page.url()}`).toEqual([]);
}

/** axe needs timers, which stand still where JavaScript is off: it looks at a copy of the page as it was rendered,
 *  with styles but without the page's own scripts, so that nothing hydrates. */
async function scriptableCopy(page: Page): Promise<Page> {
  const browser = page.context().browser();
  if (!browser) throw new Error("the page belongs to no browser");
  const context = await browser.newContext({
    javaScriptEnabled: true,
    viewport: page.viewportSize(),
    storageState: await page.context().storageState(),
  });
  const copy = await context.newPage();
  const url = page.url().split("#")[0] ?? "";
  const body = await page.content();
  await copy.route("**", (route) => {
    if (route.request().url() === url) return route.fulfill({ contentType: "text/html; charset=utf-8", body });
    return route.request().resourceType() === "stylesheet" ? route.continue() : route.abort();
  });
  await copy.goto(url);
  return copy;
}
