import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** What `farebox serve --demo --ready-file` writes once everything answers. */
export interface Ready {
  console_url: string;
  /** Without `/v1`. */
  proxy_url: string;
  database_url: string;
  customer: { email: string; password: string; key: string };
  operator: { email: string; password: string };
}

/** The binary under test. */
export const fareboxPath = resolve(
  process.env.FAREBOX ?? `${process.env.CARGO_TARGET_DIR ?? "../target"}/release/farebox`,
);

/** The ready file of the farebox that this run uses; global setup sets it for the workers. */
export function readReady(path = process.env.FAREBOX_READY): Ready {
  if (!path) throw new Error("FAREBOX_READY is not set: run the tests with `make e2e`");
  return JSON.parse(readFileSync(path, "utf8")) as Ready;
}
