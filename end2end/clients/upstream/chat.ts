// OpenAI's chat completions, as the upstream speaks them.
import { event, openAiError, type Answer, type Api, type Body } from "./api.ts";

const envelope = ({ id, model }: Answer, object: string) => ({ id: `chatcmpl-${id}`, object, created: 1_790_000_000, model });

export const usage = ({ counts: { input, cached, output } }: Answer) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
});

const toolCalls = ({ id, tool }: Answer) =>
  tool && [{ id: `call_${id}`, type: "function", function: { name: tool.name, arguments: JSON.stringify(tool.input) } }];

export const chat: Api = {
  path: "/v1/chat/completions",

  wantsTool({ tools, messages }) {
    return Array.isArray(tools) && !(messages as Body[]).some(({ role }) => role === "tool");
  },

  whole(answer) {
    const tool_calls = toolCalls(answer);
    const message = { role: "assistant", content: tool_calls ? null : answer.pieces.join(""), refusal: null, tool_calls };
    const finish_reason = tool_calls ? "tool_calls" : "stop";
    const choices = [{ index: 0, message, logprobs: null, finish_reason }];
    return { ...envelope(answer, "chat.completion"), choices, usage: usage(answer), service_tier: "default" };
  },

  events(answer, { stream_options }) {
    const asked = (stream_options as { include_usage?: boolean } | undefined)?.include_usage;
    const chunk = (choices: unknown[], more: object = asked ? { usage: null } : {}) =>
      event({ ...envelope(answer, "chat.completion.chunk"), choices, ...more });
    const choice = (delta: unknown, finish_reason: string | null = null) =>
      chunk([{ index: 0, delta, logprobs: null, finish_reason }]);

    const said = answer.pieces.map((content) => choice({ content }));
    const called = toolCalls(answer)?.flatMap(({ function: { name, arguments: text }, ...call }) => [
      choice({ tool_calls: [{ index: 0, ...call, function: { name, arguments: "" } }] }),
      ...[text.slice(0, 3), text.slice(3)].map((part) =>
        choice({ tool_calls: [{ index: 0, function: { arguments: part } }] }),
      ),
    ]);
    return [
      choice({ role: "assistant", content: called ? null : "", refusal: null }),
      ...(called ?? said),
      choice({}, called ? "tool_calls" : "stop"),
      ...(asked ? [chunk([], { usage: usage(answer) })] : []),
      event("[DONE]"),
    ];
  },

  error: openAiError,
  failure: (message) => event({ error: { message, type: "server_error", param: null, code: "server_error" } }),
};
