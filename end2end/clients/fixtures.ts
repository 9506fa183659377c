import { test as base } from "@playwright/test";
import type { At } from "./client.ts";
import { Gateway } from "./gateway.ts";
import { LiteLlm } from "./litellm.ts";
import { stopPython } from "./python.ts";
import { MODELS } from "./upstream/server.ts";

export { expect } from "@playwright/test";

interface WorkerFixtures {
  /** A farebox of these tests' own, which has forgotten what the last test asked. */
  gateway: Gateway;
  /** LiteLLM's proxy, which takes long to start and does so beside the first tests. */
  litellm: LiteLlm;
}

export const test = base.extend<object, WorkerFixtures>({
  gateway: [
    async ({}, use) => {
      const gateway = await Gateway.start();
      await gateway.offers(...Object.values(MODELS));
      await use(gateway);
      stopPython();
      await gateway.stop();
    },
    { scope: "worker", timeout: 240_000 },
  ],

  litellm: [
    async ({}, use) => {
      const litellm = await LiteLlm.start();
      await use(litellm);
      await litellm.stop();
    },
    { scope: "worker", auto: true },
  ],
});

test.beforeEach(({ gateway }) => {
  gateway.relay.forget();
  gateway.upstream.forget();
});

/** Where a client of the paying customer calls a model. */
export const at = (gateway: Gateway, model: string, key = gateway.key): At => ({ baseUrl: gateway.relay.url, key, model });
