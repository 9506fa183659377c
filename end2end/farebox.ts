// Global setup: one `farebox serve --demo` on fresh data for the whole run, stopped in order at its end.
import { serve } from "./serve.ts";

/** Starts farebox and returns what stops it. With `FAREBOX_READY` set, uses the farebox that wrote that file. */
export default async function start(): Promise<(() => Promise<void>) | undefined> {
  if (process.env.FAREBOX_READY) return undefined;
  const { ready, stop } = await serve("farebox", "--demo");
  process.env.FAREBOX_READY = ready;
  return stop;
}
