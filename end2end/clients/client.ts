// What the tests ask of every client library, and what they learn from it.
import type { Counts, ToolCall } from "./upstream/api.ts";

/** Where to call, and as whom. */
export interface At {
  /** Of the gateway, with `/v1` where the library wants it to be there. */
  baseUrl: string;
  key: string;
  model: string;
}

/** What a library showed of one answer. `counts` are in the upstream's terms, however the library calls them. */
export interface Seen {
  text?: string;
  vector?: number[];
  tool?: ToolCall;
  counts: { [count in keyof Counts]?: number | undefined };
}

/** What a library threw. */
export interface Thrown {
  /** The error's class and those that it extends. */
  classes: string[];
  status?: number;
  message: string;
}

/** The exceptions of a library, by what went wrong: a class, or the status that its one class carries. */
export interface Exceptions {
  wrongKey: string | number;
  unknownModel: string | number;
  noCredit: string | number;
  refused: string | number;
  upstreamLocked: string | number;
  brokenStream: string;
  timeout?: string;
}

/** A library and one of the APIs that it speaks, with its own defaults for all that is not named here. What it has not is left out. */
export interface Client {
  name: string;
  exceptions: Exceptions;
  /** How often it sends a call that is refused for want of credit; a rule of the library's own where that is not once. */
  tries?: number;
  whole(at: At): Promise<Seen>;
  streamed?(at: At): Promise<Seen>;
  /** Has the tool called; then brings its result and gets a text. */
  tool?(at: At): Promise<Seen>;
  /** The same as a stream. */
  toolStreamed?(at: At): Promise<Seen>;
  /** Hangs up after the first text. */
  leave?(at: At): Promise<void>;
  /** Asks for a whole answer, and gives up after a second, once and for all. */
  giveUp?(at: At): Promise<unknown>;
}

/** What an error says of itself. */
export function thrown(error: unknown): Thrown {
  const classes: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = Object.getPrototypeOf(at)) classes.push(at.constructor.name, at.name);
  // One that was tried again says what the last try came to.
  const { status, statusCode } = ((error as { lastError?: unknown }).lastError ?? error) as { status?: number; statusCode?: number };
  return { classes, status: status ?? statusCode, message: (error as Error).message };
}
