// Vercel's `ai`, with its providers for compatible servers, for OpenAI (by Responses) and for Anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import type { LanguageModel, LanguageModelUsage, ToolSet } from "ai";
import type { At, Client, Exceptions, Seen } from "../client.ts";

const prompt = "What is a farebox?";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false } as const;
const described = { description: "The weather of a city.", inputSchema: jsonSchema<{ city: string }>(parameters) };

/** It has one class for all of them. */
const exceptions: Exceptions = {
  wrongKey: 401,
  unknownModel: 404,
  noCredit: 429,
  refused: 400,
  upstreamLocked: 502,
  brokenStream: "Error",
};

function seen(said: { text: string; toolCalls: { toolName: string; input: unknown }[] }, usage: LanguageModelUsage): Seen {
  const call = said.toolCalls[0];
  const counts = { input: usage.inputTokens, output: usage.outputTokens, cached: usage.inputTokenDetails.cacheReadTokens };
  return {
    ...(said.text && { text: said.text }),
    ...(call && { tool: { name: call.toolName, input: call.input as Record<string, unknown> } }),
    counts,
  };
}

/** Text is one of its events, and so is an error. */
async function read(model: LanguageModel, tools?: ToolSet): Promise<Seen> {
  let failed: unknown;
  const result = streamText({ model, prompt, tools, onError: ({ error }) => void (failed ??= error) });
  await result.consumeStream();
  if (failed) throw failed instanceof Error ? failed : new Error((failed as { message?: string }).message ?? JSON.stringify(failed));
  return seen({ text: await result.text, toolCalls: await result.toolCalls }, await result.usage);
}

function client(name: string, open: (at: At) => LanguageModel, maxRetries?: number): Client {
  return {
    name,
    exceptions,
    tries: 1 + (maxRetries ?? 2),

    async whole(at) {
      const result = await generateText({ model: open(at), prompt, maxRetries });
      return seen(result, result.usage);
    },

    streamed: (at) => read(open(at)),
    toolStreamed: (at) => read(open(at), { get_weather: tool(described) }),

    async tool(at) {
      const get_weather = tool({ ...described, execute: async () => "12 °C" });
      const result = await generateText({ model: open(at), prompt, tools: { get_weather }, stopWhen: stepCountIs(2) });
      const { toolCalls } = result.steps[0]!;
      return seen({ text: result.text, toolCalls }, result.usage);
    },

    async leave(at) {
      const leaving = new AbortController();
      for await (const _ of streamText({ model: open(at), prompt, abortSignal: leaving.signal }).textStream) leaving.abort();
    },
  };
}

const compatible = ({ baseUrl, key }: At) =>
  createOpenAICompatible({ name: "farebox", baseURL: `${baseUrl}/v1`, apiKey: key, includeUsage: true });

const embeddings: Client = {
  name: "ai (Node) compatible, embeddings",
  exceptions,

  async whole(at) {
    const { embedding, usage } = await embed({ model: compatible(at).embeddingModel(at.model), value: prompt, maxRetries: 0 });
    return { vector: embedding, counts: { input: usage.tokens } };
  },
};

export const clients = [
  // Whatever has status 429 or 5xx it sends three times: its own rule, over which an answer has no power.
  client("ai (Node) compatible", (at) => compatible(at)(at.model)),
  // The rule is the same for all of them, and takes six seconds.
  client("ai (Node) openai", (at) => createOpenAI({ baseURL: `${at.baseUrl}/v1`, apiKey: at.key })(at.model), 0),
  client("ai (Node) anthropic", (at) => createAnthropic({ baseURL: `${at.baseUrl}/v1`, apiKey: at.key })(at.model), 0),
  embeddings,
];
