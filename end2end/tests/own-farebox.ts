import { readReady, type Ready } from "../ready.ts";
import { serve } from "../serve.ts";
import { test } from "./fixtures.ts";

/** The tests of a file on a demonstration of their own, for what would change figures that others look at. */
export const withItsOwnFarebox = (name: string) =>
  test.extend<object, { ready: Ready }>({
    ready: [
      async ({}, use) => {
        const { ready, stop } = await serve(`${name}-${process.pid}`, "--demo");
        await use(readReady(ready));
        await stop();
      },
      { scope: "worker", timeout: 240_000 },
    ],
  });
