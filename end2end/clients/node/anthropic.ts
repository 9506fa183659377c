// The official `@anthropic-ai/sdk`.
import Anthropic from "@anthropic-ai/sdk";
import type { At, Client, Seen } from "../client.ts";

const open = ({ baseUrl, key }: At, more = {}) => new Anthropic({ baseURL: baseUrl, apiKey: key, ...more });
const messages: Anthropic.MessageParam[] = [{ role: "user", content: "What is a farebox?" }];
const tools: Anthropic.Tool[] = [
  { name: "get_weather", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
];
const request = ({ model }: At) => ({ model, max_tokens: 512, messages });

function seen({ content, usage }: Anthropic.Message): Seen {
  const text = content.map((block) => (block.type === "text" ? block.text : "")).join("");
  const call = content.find((block) => block.type === "tool_use");
  const tool = call && { name: call.name, input: call.input as Record<string, unknown> };
  const cached = usage.cache_read_input_tokens ?? 0;
  const input = usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0);
  return { ...(text && { text }), ...(tool && { tool }), counts: { input, cached, output: usage.output_tokens } };
}

const anthropic: Client = {
  name: "anthropic (Node)",
  exceptions: {
    wrongKey: "AuthenticationError",
    unknownModel: "NotFoundError",
    noCredit: "RateLimitError",
    refused: "BadRequestError",
    upstreamLocked: "InternalServerError",
    brokenStream: "APIError",
    timeout: "APIConnectionTimeoutError",
  },

  whole: async (at) => seen(await open(at).messages.create(request(at))),
  streamed: async (at) => seen(await open(at).messages.stream(request(at)).finalMessage()),
  toolStreamed: async (at) => seen(await open(at).messages.stream({ ...request(at), tools }).finalMessage()),

  async tool(at) {
    const { content } = await open(at).messages.create({ ...request(at), tools });
    const call = content.find((block) => block.type === "tool_use");
    if (!call) throw new Error("no tool was called");
    const result: Anthropic.ToolResultBlockParam = { type: "tool_result", tool_use_id: call.id, content: "12 °C" };
    const history: Anthropic.MessageParam[] = [
      ...messages,
      { role: "assistant", content },
      { role: "user", content: [result] },
    ];
    const last = seen(await open(at).messages.create({ ...request(at), tools, messages: history }));
    return { ...last, tool: { name: call.name, input: call.input as Record<string, unknown> } };
  },

  async leave(at) {
    const stream = await open(at).messages.create({ ...request(at), stream: true });
    for await (const event of stream) if (event.type === "content_block_delta") break;
  },

  giveUp: (at) => open(at, { timeout: 1_000, maxRetries: 0 }).messages.create(request(at)),
};

export const clients = [anthropic];
