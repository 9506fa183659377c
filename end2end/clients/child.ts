// Programs that listen on a port of this machine: they are started, waited for and stopped here.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** LiteLLM takes a minute and more on a machine that has other things to do. */
const START_MS_MAX = 240_000;

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A program with a folder of its own, which is gone when it has stopped. */
export class Child {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #port: number;
  #said = "";

  /** `arguments_` gets the path of a file with this configuration. The program runs in its folder, and has its home there. */
  constructor(port: number, config: string, command: string, arguments_: (file: string) => string[]) {
    this.#port = port;
    this.#folder = mkdtempSync(join(tmpdir(), "farebox-child-"));
    const file = join(this.#folder, "config");
    writeFileSync(file, config);
    const env = { ...process.env, HOME: this.#folder, XDG_DATA_HOME: this.#folder, XDG_CONFIG_HOME: this.#folder };
    this.#process = spawn(command, arguments_(file), { cwd: this.#folder, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const output of [this.#process.stdout, this.#process.stderr]) {
      output?.on("data", (said: Buffer) => (this.#said = (this.#said + said.toString()).slice(-4_000)));
    }
    this.#process.on("error", (error) => (this.#said += error.message));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Waits until it takes connections. */
  async answers(): Promise<this> {
    const deadline = Date.now() + START_MS_MAX;
    for (;;) {
      const socket = connect(this.#port, "127.0.0.1");
      const isOpen = await once(socket, "connect").then(() => true, () => false);
      socket.destroy();
      if (isOpen) return this;
      if (this.#hasEnded() || Date.now() > deadline) throw new Error(`${this.#process.spawnfile} does not listen. It said:\n${this.#said}`);
      await delay(50);
    }
  }

  async stop(): Promise<void> {
    if (!this.#hasEnded()) {
      const exit = once(this.#process, "exit");
      this.#process.kill("SIGKILL");
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #hasEnded(): boolean {
    return this.#process.pid === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null;
  }
}
