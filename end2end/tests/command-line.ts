// What whoever administers the machine can ask of the database of the farebox under test.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fareboxPath, type Ready } from "../ready.ts";

const run = promisify(execFile);

/** Runs a command to its end, beside the farebox that serves. What it asks for is left empty. */
export function farebox(ready: Ready, ...args: string[]) {
  const running = run(fareboxPath, args, { env: { ...process.env, DATABASE_URL: ready.database_url } });
  running.child.stdin?.end();
  return running;
}
