// A provider on this machine that answers by a script, and remembers what it was asked and what it counted.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import type { Answer, Api, Body, Counts } from "./api.ts";
import { chat } from "./chat.ts";
import { completions } from "./completions.ts";
import { embeddings } from "./embeddings.ts";
import { messages } from "./messages.ts";
import { responses } from "./responses.ts";

/** What each model does with a call. */
export const MODELS = {
  /** Answers, by calling a tool where it is offered one. */
  answers: "scripted-answers",
  /** Refuses the request. */
  refuses: "scripted-refuses",
  /** Refuses the gateway's credential. */
  locks: "scripted-locks",
  /** Ends its stream with an error after some text. */
  breaks: "scripted-breaks",
  /** Waits in the middle of its stream, or before an answer, until it is told to go on. */
  waits: "scripted-waits",
} as const;

/** The one tool of every request that has tools. */
export const TOOL = { name: "get_weather", input: { city: "Köln" } };
export const PIECES = ["A farebox ", "takes ", "the fare: ", "“1 €”."];
export const CREDENTIAL = "sk-upstream";

const APIS: Api[] = [chat, completions, embeddings, messages, responses];

/** A request that reached the upstream, and what it counted for it. */
export interface Asked {
  model: string;
  counts: Counts;
}

export class Upstream {
  readonly #server: Server = createServer((request, response) => {
    this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  #waiting: (() => void)[] = [];
  #number = 0;
  /** Since `forget`. */
  asked: Asked[] = [];

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  /** What a provider's base URL is. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  forget(): void {
    this.goOn();
    this.asked = [];
  }

  /** Lets streams that wait go on to their end. */
  goOn(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const said: Buffer[] = [];
    for await (const part of request) said.push(part as Buffer);
    const api = APIS.find(({ path }) => path === request.url);
    if (!api) return reply(response, 404, chat.error(404, `there is no ${request.url}`));
    const credential = api === messages ? request.headers["x-api-key"] : request.headers.authorization?.replace("Bearer ", "");
    const body = JSON.parse(Buffer.concat(said).toString()) as Body;
    const answer = this.#answer(api, body);
    this.asked.push(answer);
    if (answer.model === MODELS.locks || credential !== CREDENTIAL) {
      return reply(response, 401, api.error(401, `Incorrect API key provided: ${credential}.`));
    }
    if (answer.model === MODELS.refuses) return reply(response, 400, api.error(400, "The script refuses this."));
    if (!body.stream) {
      if (answer.model === MODELS.waits) await this.#word();
      return reply(response, 200, api.whole(answer, body));
    }
    await this.#stream(response, api.events(answer, body), api, answer.model);
  }

  /** Waits until it is told to go on. */
  #word(): Promise<void> {
    return new Promise((resume) => this.#waiting.push(resume));
  }

  /** Each answer has counts that no other has, and keeps to the smallest cap that an API has by itself: completions end after 16 tokens. */
  #answer(api: Api, body: Body): Answer {
    const number = ++this.#number;
    const counts = { input: 20 + number, cached: api === embeddings || api === completions ? 0 : 5, output: 3 + (number % 13) };
    const tool = api.wantsTool(body) ? TOOL : undefined;
    return { id: String(number).padStart(8, "0"), model: String(body.model), pieces: PIECES, tool, counts };
  }

  async #stream(response: ServerResponse, events: string[], api: Api, model: string): Promise<void> {
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
    const middle = events.findIndex((event) => event.includes(JSON.stringify(PIECES[1]).slice(1, -1))) + 1;
    response.write(events.slice(0, middle).join(""));
    if (model === MODELS.breaks) return void response.end(api.failure("The script breaks off."));
    if (model === MODELS.waits) await this.#word();
    // Event by event, as a model speaks.
    for (const event of events.slice(middle)) response.write(event);
    response.end();
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
