// OpenAI's completions, as the upstream speaks them.
import { event, openAiError, type Answer, type Api } from "./api.ts";
import { chat, usage } from "./chat.ts";

const envelope = ({ id, model }: Answer) => ({ id: `cmpl-${id}`, object: "text_completion", created: 1_790_000_000, model });
const choice = (text: string, finish_reason: string | null) => ({ index: 0, text, logprobs: null, finish_reason });

export const completions: Api = {
  path: "/v1/completions",
  wantsTool: () => false,

  whole(answer) {
    return { ...envelope(answer), choices: [choice(answer.pieces.join(""), "stop")], usage: usage(answer) };
  },

  events(answer, { stream_options }) {
    const asked = (stream_options as { include_usage?: boolean } | undefined)?.include_usage;
    const chunk = (choices: unknown[], usage: unknown) => event({ ...envelope(answer), choices, ...(asked && { usage }) });
    return [
      ...answer.pieces.map((text) => chunk([choice(text, null)], null)),
      chunk([choice("", "stop")], null),
      ...(asked ? [chunk([], usage(answer))] : []),
      event("[DONE]"),
    ];
  },

  error: openAiError,
  failure: chat.failure,
};
