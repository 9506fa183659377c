// Anthropic's messages, as the upstream speaks them.
import { event, type Answer, type Api, type Body } from "./api.ts";

/** Here what comes from a cache stands beside the rest of the prompt. */
const usage = ({ counts: { input, cached, output } }: Answer, output_tokens = output) => ({
  input_tokens: input - cached,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: cached,
  output_tokens,
  service_tier: "standard",
});

const block = ({ id, pieces, tool }: Answer) =>
  tool ? { type: "tool_use", id: `toolu_${id}`, name: tool.name, input: tool.input } : { type: "text", text: pieces.join("") };

const stopReason = ({ tool }: Answer) => (tool ? "tool_use" : "end_turn");

const message = (answer: Answer, said: Body): Body => ({
  id: `msg_${answer.id}`,
  type: "message",
  role: "assistant",
  model: answer.model,
  content: [],
  stop_reason: null,
  stop_sequence: null,
  ...said,
});

const error = (type: string, message: string) => ({ type: "error", error: { type, message }, request_id: null });

export const messages: Api = {
  path: "/v1/messages",

  wantsTool({ tools, messages }) {
    const blocks = (messages as Body[]).flatMap(({ content }) => (Array.isArray(content) ? (content as Body[]) : []));
    return Array.isArray(tools) && tools.length > 0 && !blocks.some(({ type }) => type === "tool_result");
  },

  whole: (answer) =>
    message(answer, { content: [block(answer)], stop_reason: stopReason(answer), usage: usage(answer) }),

  events(answer) {
    const { tool, pieces } = answer;
    const input = JSON.stringify(tool?.input);
    const deltas = tool
      ? ["", input.slice(0, 3), input.slice(3)].map((partial_json) => ({ type: "input_json_delta", partial_json }))
      : pieces.map((text) => ({ type: "text_delta", text }));
    const content_block = tool ? { ...block(answer), input: {} } : { type: "text", text: "" };
    const events: Body[] = [
      { type: "message_start", message: message(answer, { usage: usage(answer, 1) }) },
      { type: "content_block_start", index: 0, content_block },
      { type: "ping" },
      ...deltas.map((delta) => ({ type: "content_block_delta", index: 0, delta })),
      { type: "content_block_stop", index: 0 },
      { type: "message_delta", delta: { stop_reason: stopReason(answer), stop_sequence: null }, usage: usage(answer) },
      { type: "message_stop" },
    ];
    return events.map((data) => event(data, String(data.type)));
  },

  error: (status, message) => error(status === 401 ? "authentication_error" : "invalid_request_error", message),
  failure: (message) => event(error("overloaded_error", message), "error"),
};
