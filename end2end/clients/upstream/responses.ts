// OpenAI's Responses, as the upstream speaks them.
import { event, openAiError, type Answer, type Api, type Body } from "./api.ts";

const usage = ({ counts: { input, cached, output } }: Answer) => ({
  input_tokens: input,
  input_tokens_details: { cached_tokens: cached },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: input + output,
});

/** The one item of an answer: a message or a call of a tool. */
function item({ id, pieces, tool }: Answer, status: "in_progress" | "completed"): Body {
  const done = status === "completed";
  if (tool) {
    const text = done ? JSON.stringify(tool.input) : "";
    return { id: `fc_${id}`, type: "function_call", status, call_id: `call_${id}`, name: tool.name, arguments: text };
  }
  const content = done ? [part(pieces.join(""))] : [];
  return { id: `msg_${id}`, type: "message", status, role: "assistant", content };
}

const part = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] });

function response(answer: Answer, request: Body, status: "in_progress" | "completed"): Body {
  const done = status === "completed";
  return {
    id: `resp_${answer.id}`,
    object: "response",
    created_at: 1_790_000_000,
    status,
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? null,
    metadata: request.metadata ?? {},
    model: answer.model,
    output: done ? [item(answer, status)] : [],
    parallel_tool_calls: true,
    service_tier: done ? "default" : "auto",
    store: request.store ?? true,
    temperature: 1,
    tool_choice: request.tool_choice ?? "auto",
    tools: request.tools ?? [],
    top_p: 1,
    usage: done ? usage(answer) : null,
  };
}

/** The events between an item's beginning and its end. */
function parts(answer: Answer): Body[] {
  if (answer.tool) {
    const text = JSON.stringify(answer.tool.input);
    const at = { item_id: `fc_${answer.id}`, output_index: 0 };
    const delta = (delta: string) => ({ type: "response.function_call_arguments.delta", ...at, delta });
    const done = { type: "response.function_call_arguments.done", ...at, name: answer.tool.name, arguments: text };
    return [delta(text.slice(0, 3)), delta(text.slice(3)), done];
  }
  const text = answer.pieces.join("");
  const at = { item_id: `msg_${answer.id}`, output_index: 0, content_index: 0 };
  return [
    { type: "response.content_part.added", ...at, part: part("") },
    ...answer.pieces.map((delta) => ({ type: "response.output_text.delta", ...at, delta, logprobs: [] })),
    { type: "response.output_text.done", ...at, text, logprobs: [] },
    { type: "response.content_part.done", ...at, part: part(text) },
  ];
}

export const responses: Api = {
  path: "/v1/responses",

  wantsTool({ tools, input }) {
    const hasResult = Array.isArray(input) && (input as Body[]).some(({ type }) => type === "function_call_output");
    return Array.isArray(tools) && tools.length > 0 && !hasResult;
  },

  whole: (answer, request) => response(answer, request, "completed"),

  events(answer, request) {
    const events: Body[] = [
      { type: "response.created", response: response(answer, request, "in_progress") },
      { type: "response.in_progress", response: response(answer, request, "in_progress") },
      { type: "response.output_item.added", output_index: 0, item: item(answer, "in_progress") },
      ...parts(answer),
      { type: "response.output_item.done", output_index: 0, item: item(answer, "completed") },
      { type: "response.completed", response: response(answer, request, "completed") },
    ];
    return events.map((data, sequence_number) => event({ ...data, sequence_number }, String(data.type)));
  },

  error: openAiError,
  failure: (message) => event({ type: "error", code: "server_error", message, param: null, sequence_number: 9 }, "error"),
};
