// Stands between a client and the gateway, hands on every byte, and notes what a client cannot say of itself: how many requests it sent,
// which calls they became, and when it hung up.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** In JSON no line ends like this, so that each match is a request's own first line. */
const REQUEST = / HTTP\/1\.1\r\n/g;
const CALL = /\r\nx-request-id: (\S+)\r\n/gi;
/** Longer than what is looked for: a match may come in two pieces. */
const CARRY = 128;

/** Counts what matches in bytes that come in pieces, each match once. */
function scanner(pattern: RegExp, found: (match: RegExpExecArray) => void): (bytes: Buffer) => void {
  let carry = "";
  return (bytes) => {
    const text = carry + bytes.toString("latin1");
    let from = 0;
    for (const match of text.matchAll(pattern)) {
      found(match);
      // The line's end may begin the next header.
      from = match.index + match[0].length - 2;
    }
    carry = text.slice(Math.max(from, text.length - CARRY));
  };
}

export class Relay {
  readonly #server: Server = createServer((client) => this.#join(client));
  readonly #gateway: number;
  #sockets = new Set<Socket>();
  #left: Promise<unknown> = Promise.resolve();
  /** Since `forget`: requests, and the ids of the calls that were answered. */
  requests = 0;
  calls: string[] = [];

  /** Before the gateway that listens on this port of this machine. */
  constructor(gateway: number) {
    this.#gateway = gateway;
  }

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  /** The gateway's address, by way of here. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  forget(): void {
    this.requests = 0;
    this.calls = [];
  }

  /** When the client of the latest request has hung up, and the gateway knows it. */
  left(): Promise<unknown> {
    return this.#left;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #join(client: Socket): void {
    const gateway = connect(this.#gateway, "127.0.0.1");
    const left = once(gateway, "close");
    for (const socket of [client, gateway]) {
      this.#sockets.add(socket.setNoDelay());
      // A reset is followed by `close`, which is all that counts here.
      socket.on("error", () => undefined).on("close", () => this.#sockets.delete(socket));
    }
    const countRequest = scanner(REQUEST, () => {
      this.requests++;
      this.#left = left;
    });
    const noteCall = scanner(CALL, ([, id]) => this.calls.push(String(id)));
    client.on("data", countRequest).pipe(gateway);
    gateway.on("data", noteCall).pipe(client);
    client.on("close", () => gateway.end());
    gateway.on("close", () => client.destroy());
  }
}
