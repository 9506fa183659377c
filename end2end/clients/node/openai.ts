// The official `openai` library, by each of the APIs that it speaks.
import OpenAI from "openai";
import type { At, Client, Exceptions, Seen } from "../client.ts";
import type { Counts } from "../upstream/api.ts";

const open = ({ baseUrl, key }: At, more = {}) => new OpenAI({ baseURL: `${baseUrl}/v1`, apiKey: key, ...more });
const question = "What is a farebox?";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };

const exceptions: Exceptions = {
  wrongKey: "AuthenticationError",
  unknownModel: "NotFoundError",
  noCredit: "RateLimitError",
  refused: "BadRequestError",
  upstreamLocked: "InternalServerError",
  brokenStream: "APIError",
  timeout: "APIConnectionTimeoutError",
};

function counted(usage: OpenAI.CompletionUsage | undefined | null): Counts {
  if (!usage) throw new Error("no usage");
  const { prompt_tokens: input, completion_tokens: output, prompt_tokens_details: of } = usage;
  return { input, output, cached: of?.cached_tokens ?? 0 };
}

type Messages = OpenAI.ChatCompletionMessageParam[];
const messages: Messages = [{ role: "user", content: question }];
const tools: OpenAI.ChatCompletionTool[] = [{ type: "function", function: { name: "get_weather", parameters, strict: true } }];

async function chatWhole(at: At, more: { messages?: Messages; tools?: OpenAI.ChatCompletionTool[] } = {}) {
  const { choices, usage } = await open(at).chat.completions.create({ model: at.model, messages, ...more });
  return { message: choices[0]!.message, counts: counted(usage) };
}

/** By the library's own reader of streams, which puts the pieces together. */
async function chatStream(at: At, more: { tools?: OpenAI.ChatCompletionTool[] } = {}) {
  const stream = open(at).chat.completions.stream({
    model: at.model,
    messages,
    stream_options: { include_usage: true },
    ...more,
  });
  // Its sum leaves out what the totals consist of.
  const { prompt_tokens: input, completion_tokens: output } = await stream.totalUsage();
  return { message: (await stream.finalChatCompletion()).choices[0]!.message, counts: { input, output } };
}

function chatTool(message: OpenAI.ChatCompletionMessage) {
  const call = message.tool_calls?.[0];
  if (call?.type !== "function") throw new Error("no tool was called");
  return { id: call.id, seen: { name: call.function.name, input: JSON.parse(call.function.arguments) } };
}

const chat: Client = {
  name: "openai (Node) chat",
  exceptions,

  async whole(at) {
    const { message, counts } = await chatWhole(at);
    return { text: message.content ?? "", counts };
  },

  async streamed(at) {
    const stream = await open(at).chat.completions.create({
      model: at.model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    return { text, counts: counted(usage) };
  },

  async tool(at) {
    const { message } = await chatWhole(at, { tools });
    const { id, seen } = chatTool(message);
    const result = { role: "tool" as const, tool_call_id: id, content: "12 °C" };
    const last = await chatWhole(at, { tools, messages: [...messages, message, result] });
    return { tool: seen, text: last.message.content ?? "", counts: last.counts };
  },

  async toolStreamed(at) {
    const { message, counts } = await chatStream(at, { tools });
    return { tool: chatTool(message).seen, counts };
  },

  async leave(at) {
    const stream = await open(at).chat.completions.create({ model: at.model, messages, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  },

  giveUp: (at) => open(at, { timeout: 1_000, maxRetries: 0 }).chat.completions.create({ model: at.model, messages }),
};

const input = question;
const functions: OpenAI.Responses.Tool[] = [{ type: "function", name: "get_weather", parameters, strict: true }];

function response({ output_text: text, output, usage }: OpenAI.Responses.Response): Seen {
  if (!usage) throw new Error("no usage");
  const call = output.find((item) => item.type === "function_call");
  const tool = call && { name: call.name, input: JSON.parse(call.arguments) };
  const counts = { input: usage.input_tokens, output: usage.output_tokens, cached: usage.input_tokens_details.cached_tokens };
  return { ...(text && { text }), ...(tool && { tool }), counts };
}

const responses: Client = {
  name: "openai (Node) responses",
  exceptions: { ...exceptions, brokenStream: "Error" },
  whole: async (at) => response(await open(at).responses.create({ model: at.model, input })),

  async streamed(at) {
    let text = "";
    let seen: Seen | undefined;
    for await (const event of await open(at).responses.create({ model: at.model, input, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      // The library hands an error over like any event.
      if (event.type === "error") throw new Error(event.message);
      if (event.type === "response.completed") seen = response(event.response);
    }
    if (!seen) throw new Error("the stream did not complete");
    return { ...seen, text };
  },

  async tool(at) {
    const first = await open(at).responses.create({ model: at.model, input, tools: functions });
    const call = first.output.find((item) => item.type === "function_call");
    if (!call) throw new Error("no tool was called");
    const result = { type: "function_call_output" as const, call_id: call.call_id, output: "12 °C" };
    const history = [{ role: "user" as const, content: input }, call, result];
    const last = await open(at).responses.create({ model: at.model, input: history, tools: functions });
    return { ...response(last), tool: response(first).tool };
  },

  async toolStreamed(at) {
    return response(await open(at).responses.stream({ model: at.model, input, tools: functions }).finalResponse());
  },

  async leave(at) {
    const stream = await open(at).responses.create({ model: at.model, input, stream: true });
    for await (const event of stream) if (event.type === "response.output_text.delta") break;
  },
};

const completions: Client = {
  name: "openai (Node) completions",
  exceptions,

  async whole(at) {
    const { choices, usage } = await open(at).completions.create({ model: at.model, prompt: question });
    return { text: choices[0]!.text, counts: counted(usage) };
  },

  async streamed(at) {
    const stream_options = { include_usage: true };
    let text = "";
    let usage;
    for await (const chunk of await open(at).completions.create({ model: at.model, prompt: question, stream: true, stream_options })) {
      text += chunk.choices[0]?.text ?? "";
      usage = chunk.usage ?? usage;
    }
    return { text, counts: counted(usage) };
  },

  async leave(at) {
    const stream = await open(at).completions.create({ model: at.model, prompt: question, stream: true });
    for await (const _ of stream) break;
  },
};

const embeddings: Client = {
  name: "openai (Node) embeddings",
  exceptions,

  async whole(at) {
    const { data, usage } = await open(at).embeddings.create({ model: at.model, input: [question] });
    return { vector: data[0]!.embedding, counts: { input: usage.prompt_tokens } };
  },
};

export const clients = [chat, responses, completions, embeddings];
