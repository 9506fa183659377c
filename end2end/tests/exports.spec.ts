// What pages list, as files: the same lines, the same sums, and nobody else's.
import { createKey, signUp, topUp } from "./accounts.ts";
import { amount, headlineNow, sum } from "./figures.ts";
import { expect, signIn, test } from "./fixtures.ts";
import { call } from "./gateway.ts";

const HEADINGS =
  "started_at,id,key,key_id,model,stream,outcome,usage_from,prompt_tokens,completion_tokens,total_tokens,cost_usd,cost_as_posted_usd,tokens_paid,latency_ms,first_byte_ms";
const LAST_MONTH = "range=last-month&model=demo-large";

test("the calls of a filter are downloaded whole, and add up to what Usage says of it", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto(`/usage?${LAST_MONTH}`);
  const [cost, requests] = [await headlineNow(page, "Cost"), await headlineNow(page, "Requests")];
  await page.goto(`/calls?${LAST_MONTH}`);
  const file = await page.getByRole("link", { name: "Download as CSV" }).getAttribute("href");
  const answer = await page.request.get(file ?? "");
  expect(answer.headers()["content-type"]).toBe("text/csv; charset=utf-8");
  const [said, headings, ...lines] = (await answer.text()).trimEnd().split("\r\n");
  expect(said).toMatch(/^# calls from \d{4}-\d\d-01T00:00:00.* filter: range=last-month&model=demo-large$/);
  expect(headings).toBe(HEADINGS);
  const cells = lines.map((line) => line.split(","));
  expect(cells.every((one) => one[4] === "demo-large")).toBe(true);
  expect(cells.length.toString()).toBe(requests.replaceAll(",", ""));
  expect(sum(cells.map((one) => amount(`$${one[11] ?? ""}`)))).toBe(amount(cost));
});

for (const [group, parts] of [["model", "model"], ["key", "key,key_id"], ["none", ""]] as const) {
  test(`the bars of Usage by ${group} are downloaded as they are shown, and add up to its figures`, async ({ page }) => {
    await signIn(page, "customer");
    await page.goto(`/usage?${LAST_MONTH}&group=${group}&step=day`);
    const [cost, tokens] = [await headlineNow(page, "Cost"), await headlineNow(page, "Total tokens")];
    const file = await page.getByRole("link", { name: "Download as CSV" }).getAttribute("href");
    const [said, headings = "", ...lines] = (await (await page.request.get(file ?? "")).text()).trimEnd().split("\r\n");
    expect(said).toMatch(/^# usage from \d{4}-\d\d-01T00:00:00.* per day; filter: range=last-month&model=demo-large&step=day/);
    expect(headings).toBe(["from", "to", parts, "requests", "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd"].filter(Boolean).join(","));
    const column = (name: string) => lines.map((line) => line.split(",")[headings.split(",").indexOf(name)] ?? "");
    expect(sum(column("cost_usd").map((text) => amount(`$${text}`)))).toBe(amount(cost));
    expect(sum(column("total_tokens").map(BigInt)).toString()).toBe(tokens.replaceAll(",", ""));
    expect(new Set(column("from")).size).toBeGreaterThan(20);
  });
}

test("the customers of a search are downloaded in the order of the list", async ({ page }) => {
  await signIn(page, "operator");
  await page.goto("/admin/customers?sort=spend&search=demo");
  const names = await page.getByRole("rowheader").getByRole("link").allInnerTexts();
  const file = await page.getByRole("link", { name: "Download as CSV" }).getAttribute("href");
  const [said, headings, ...lines] = (await (await page.request.get(file ?? "")).text()).trimEnd().split("\r\n");
  expect(said).toMatch(/^# customers at .*Z; filter: search=demo&sort=spend$/);
  expect(headings).toBe(
    "account_id,customer,owner,state,plan,since,balance_usd,reserved_usd,spent_30_days_usd,written_off_30_days_usd",
  );
  expect(lines.map((line) => line.split(",")[1])).toEqual(names);
  expect((await page.request.get("/admin/customers.csv?sort=up")).status()).toBe(400);
});

test("a journal is downloaded posting by posting, a name that looks like a formula as a name", async ({ page, context, ready }) => {
  const { email } = await signUp(page);
  await topUp(page, "5");
  await call(ready, await createKey(page, "=1+1"));
  await page.goto("/billing");
  const href = await page.getByRole("link", { name: "Download the journal as CSV" }).getAttribute("href");
  const journal = (await (await page.request.get(href ?? "")).text()).trimEnd().split("\r\n");
  expect(journal[0]).toBe("# postings; filter: none");
  expect(journal[1]).toBe("posting,at,posted_at,kind,what_for,by,calls,amount_usd,tokens,balance_after_usd");
  expect(journal[2]).toMatch(new RegExp(`^1,.*,top_up,Test payment,${email},,5,0,5$`));
  await expect.poll(async () => (await (await page.request.get("/calls.csv")).text()).trimEnd().split("\r\n").length).toBe(3);
  expect(await (await page.request.get("/calls.csv")).text()).toContain(",'=1+1,");

  await context.clearCookies();
  await signIn(page, "operator");
  await page.goto(`/admin/customers?search=${encodeURIComponent(email)}`);
  const path = await page.getByRole("rowheader").getByRole("link").first().getAttribute("href");
  const own = await (await page.request.get(`${path}/billing.csv`)).text();
  expect(own.trimEnd().split("\r\n")).toEqual(journal);
});
