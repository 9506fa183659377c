// LiteLLM's proxy as an upstream, which answers by itself what a model would say.
import { resolve } from "node:path";
import { Child, freePort } from "./child.ts";
import { CREDENTIAL } from "./upstream/server.ts";

/** What it calls its model, and what that says. */
export const MOCKED = "mocked";
export const ANSWER = "A farebox takes the fare.";

const CONFIG = `
model_list:
  - model_name: ${MOCKED}
    litellm_params: { model: openai/${MOCKED}, api_key: none, mock_response: "${ANSWER}" }
general_settings:
  master_key: ${CREDENTIAL}
`;

export class LiteLlm {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Has it start; whoever needs it awaits `answers`. */
  static async start(): Promise<LiteLlm> {
    const port = await freePort();
    const bin = resolve(".venv/bin");
    // At home it would first ask the internet what models cost.
    const local = ["LITELLM_LOCAL_MODEL_COST_MAP=true", "LITELLM_TELEMETRY=False"];
    const listen = ["--host", "127.0.0.1", "--port", String(port)];
    const start = (file: string) => [...local, `${bin}/python`, `${bin}/litellm`, "--config", file, ...listen];
    return new LiteLlm(new Child(port, CONFIG, "env", start));
  }

  /** Its address, once it answers there. */
  async answers(): Promise<string> {
    return `${(await this.#child.answers()).url}/v1`;
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}
