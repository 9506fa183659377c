// A farebox process on data of its own, in a folder that is gone when it has stopped.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, cpSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fareboxPath, readReady } from "./ready.ts";

// The first start makes a database cluster and, for a demo, 90 days of history.
const START_MS_MAX = 180_000;
// Longer than what farebox gives running calls, posting and PostgreSQL.
const STOP_MS_MAX = 200_000;

/** A farebox that answers. */
export interface Served {
  dataDir: string;
  /** The file that says where it listens. */
  ready: string;
  /** Stops it in order, and leaves what it logged in test-results. */
  stop(): Promise<void>;
}

/** Starts `farebox serve` on free ports and waits until everything answers. `name` is what its log is called. */
export async function serve(name: string, ...args: string[]): Promise<Served> {
  if (!existsSync(fareboxPath)) throw new Error(`${fareboxPath} is not there: run \`make build\` first`);

  const folder = mkdtempSync(join(tmpdir(), `${name}-e2e-`));
  // Started as root, farebox becomes another user, who must be able to enter here.
  chmodSync(folder, 0o755);
  const log = join(folder, `${name}.log`);
  const dataDir = join(folder, "data");
  const ready = join(dataDir, "ready.json");

  const addresses = ["--console-addr", "127.0.0.1:0", "--proxy-addr", "127.0.0.1:0"];
  const output = openSync(log, "a");
  const farebox = spawn(fareboxPath, ["serve", "--data-dir", dataDir, "--ready-file", ready, ...addresses, ...args], {
    env: ownEnvironment(),
    stdio: ["ignore", output, output],
  });
  closeSync(output);

  const stop = async () => {
    const how = await terminate(farebox);
    cpSync(log, `test-results/${name}.log`);
    rmSync(folder, { recursive: true, force: true });
    if (how !== "exit code 0") throw new Error(`farebox ended with ${how}; see test-results/${name}.log`);
  };

  try {
    await answers(farebox, ready);
  } catch (error) {
    const said = readFileSync(log, "utf8").slice(-4_000);
    await stop().catch(() => undefined);
    throw new Error(`${(error as Error).message}. It said:\n${said}`);
  }
  return { dataDir, ready, stop };
}

/** Without settings from the surroundings, which are another farebox's; least of all is its database ours to fill. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(DATABASE_URL|FAREBOX_)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

/** Waits until the ready file holds whole JSON; gives up when farebox ends or takes too long. */
async function answers(farebox: ChildProcess, ready: string): Promise<void> {
  const deadline = Date.now() + START_MS_MAX;
  while (Date.now() < deadline) {
    if (ended(farebox)) throw new Error("farebox ended before it was ready");
    try {
      readReady(ready);
      return;
    } catch {
      await delay(50);
    }
  }
  throw new Error(`farebox was not ready within ${START_MS_MAX / 1000} s`);
}

/** Asks farebox to stop, insists after a while, and says how it ended. */
async function terminate(farebox: ChildProcess): Promise<string> {
  if (!ended(farebox)) {
    const exit = once(farebox, "exit");
    farebox.kill("SIGTERM");
    const timer = setTimeout(() => farebox.kill("SIGKILL"), STOP_MS_MAX);
    await exit;
    clearTimeout(timer);
  }
  return farebox.signalCode ?? `exit code ${farebox.exitCode}`;
}

function ended(farebox: ChildProcess): boolean {
  return farebox.exitCode !== null || farebox.signalCode !== null;
}
