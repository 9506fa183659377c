// What the scripted upstream says, before it is put into the shape of an API.

/** Tokens as the upstream counts them: all of the prompt, what of it came from a cache, and the completion. */
export interface Counts {
  input: number;
  cached: number;
  output: number;
}

/** A call of the one tool that there is. */
export interface ToolCall {
  name: string;
  input: Record<string, unknown>;
}

/** One answer: a text in pieces, or a call of a tool. */
export interface Answer {
  id: string;
  model: string;
  pieces: string[];
  tool?: ToolCall;
  counts: Counts;
}

export type Body = Record<string, unknown>;

/** One of the APIs: how an answer, a stream and an error look in it. */
export interface Api {
  /** Behind the provider's base URL. */
  path: string;
  /** Whether the request offers tools and brings no result of one yet. */
  wantsTool(request: Body): boolean;
  whole(answer: Answer, request: Body): unknown;
  /** A stream's events, each as its bytes. */
  events(answer: Answer, request: Body): string[];
  /** The body under an error's status. */
  error(status: number, message: string): unknown;
  /** An event that ends a stream with an error. */
  failure(message: string): string;
}

/** A server-sent event; without a name where the API gives none. */
export function event(data: unknown, name?: string): string {
  return `${name ? `event: ${name}\n` : ""}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
}

/** OpenAI's errors. */
export function openAiError(status: number, message: string): unknown {
  const code = { 400: "invalid_value", 401: "invalid_api_key" }[status] ?? null;
  return { error: { message, type: status < 500 ? "invalid_request_error" : "server_error", param: null, code } };
}
