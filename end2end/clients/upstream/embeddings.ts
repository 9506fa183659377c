// OpenAI's embeddings, as the upstream speaks them.
import { openAiError, type Api } from "./api.ts";

/** What every text is; each number is exact as a float of 32 bits. */
export const VECTOR = [0.5, -0.25, 1];

export const embeddings: Api = {
  path: "/v1/embeddings",
  wantsTool: () => false,

  whole({ model, counts: { input } }, { encoding_format, input: texts }) {
    const bytes = Buffer.from(Float32Array.from(VECTOR).buffer);
    const embedding = encoding_format === "base64" ? bytes.toString("base64") : VECTOR;
    const data = (Array.isArray(texts) ? texts : [texts]).map((_, index) => ({ object: "embedding", index, embedding }));
    return { object: "list", data, model, usage: { prompt_tokens: input, total_tokens: input } };
  },

  events: () => [],
  error: openAiError,
  failure: () => "",
};
