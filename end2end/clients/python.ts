// The clients in Python: one process has them all, and is asked line by line.
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { At, Client, Exceptions, Seen, Thrown } from "./client.ts";

/** What a library in Python raised. */
export class PythonError extends Error {
  readonly thrown: Thrown;

  constructor(thrown: Thrown) {
    super(thrown.message);
    this.thrown = thrown;
  }
}

type Line = { seen: Seen } | { thrown: Thrown };

let python: { process: ChildProcess; lines: AsyncIterator<string> } | undefined;

async function call(client: string, method: string, at: At): Promise<Seen> {
  python ??= start();
  python.process.stdin?.write(`${JSON.stringify({ client, method, at })}\n`);
  const { value, done } = await python.lines.next();
  if (done) throw new Error("the Python clients have ended");
  const line = JSON.parse(value as string) as Line;
  if ("thrown" in line) throw new PythonError(line.thrown);
  return line.seen;
}

function start() {
  const process_ = spawn(".venv/bin/python", ["clients/python/serve.py"], {
    // At home it would first ask the internet what models cost.
    env: { ...process.env, LITELLM_LOCAL_MODEL_COST_MAP: "true" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  return { process: process_, lines: createInterface({ input: process_.stdout })[Symbol.asyncIterator]() };
}

/** Ends the process, if it runs. */
export function stopPython(): void {
  python?.process.stdin?.end();
  python = undefined;
}

/** What a client can do beside asking for a whole answer. */
type Ability = "streamed" | "tool" | "toolStreamed" | "leave" | "giveUp";

function client(name: string, exceptions: Exceptions, abilities: Ability[], more: Partial<Client> = {}): Client {
  const able = (method: Ability, called: string) =>
    abilities.includes(method) ? { [method]: (at: At) => call(name, called, at) } : {};
  return {
    name,
    exceptions,
    whole: (at) => call(name, "whole", at),
    ...able("streamed", "streamed"),
    ...able("tool", "tool"),
    ...able("toolStreamed", "tool_streamed"),
    ...able("leave", "leave"),
    ...able("giveUp", "give_up"),
    ...more,
  };
}

const ALL: Ability[] = ["streamed", "tool", "toolStreamed", "leave"];

/** Both official libraries call them the same. */
const OFFICIAL: Exceptions = {
  wrongKey: "AuthenticationError",
  unknownModel: "NotFoundError",
  noCredit: "RateLimitError",
  refused: "BadRequestError",
  upstreamLocked: "InternalServerError",
  brokenStream: "APIError",
  timeout: "APITimeoutError",
};

const LITELLM: Exceptions = { ...OFFICIAL, upstreamLocked: "BadGatewayError" };

export const clients: Client[] = [
  client("openai (Python) chat", OFFICIAL, [...ALL, "giveUp"]),
  client("openai (Python) responses", { ...OFFICIAL, brokenStream: "RuntimeError" }, ALL),
  client("openai (Python) completions", OFFICIAL, ["streamed", "leave"]),
  client("openai (Python) embeddings", OFFICIAL, []),
  client("anthropic (Python)", OFFICIAL, [...ALL, "giveUp"]),
  client("litellm (Python) openai", LITELLM, ALL),
  client("litellm (Python) anthropic", LITELLM, ALL),
  client("litellm (Python) embeddings", LITELLM, []),
  client("langchain-openai chat", OFFICIAL, ALL),
  client("langchain-openai responses", { ...OFFICIAL, brokenStream: "ValueError" }, ALL),
  client("langchain-anthropic", OFFICIAL, ALL),
  client("langchain-openai embeddings", OFFICIAL, []),
];
