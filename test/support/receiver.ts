import http from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it arrived, complete. */
export interface ReceivedRequest {
  /** The webhook-id. */
  readonly id: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawBody: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: JSON, looked into by assertions.
  readonly body: any;
  /** Name of the job. */
  readonly job: string;
  /** The nominal time in the body, epoch milliseconds. */
  readonly nominalMs: number;
  /** When its last byte arrived, epoch milliseconds. */
  readonly arrivedMs: number;
}

/** What an endpoint answers. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A customer's endpoint: a real HTTP server that keeps every request. */
export interface Receiver {
  readonly url: string;
  readonly requests: readonly ReceivedRequest[];
  /** Says what a path answers to its first, second, … request; a promise that never resolves is a dead endpoint. */
  answer(path: string, answer: (number: number) => Answer | Promise<Answer>): void;
  /**
   * Resolves with the first truthy value of `look`, asked now and after each request. Throws after `limitMs`
   * (default 20,000): a bound, not a pace.
   */
  waitFor<T>(look: (requests: readonly ReceivedRequest[]) => T, limitMs?: number): Promise<NonNullable<T>>;
  stop(): Promise<void>;
}

/** Starts a receiver on a free port of this machine. Paths without an answer of their own get 204. */
export async function startReceiver(): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const answers = new Map<string, (number: number) => Answer | Promise<Answer>>();
  const looks = new Set<() => void>();
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? "/";
    requests.push(toReceived(request, path, Buffer.concat(chunks)));
    const number = requests.filter((each) => each.path === path).length;
    for (const look of looks) look();
    const { status, headers = {}, body = "" } = (await answers.get(path)?.(number)) ?? { status: 204 };
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer: (path, answer) => answers.set(path, answer),
    waitFor: (look, limitMs = 20_000) =>
      new Promise((found, fail) => {
        const end = (settle: () => void) => {
          looks.delete(check);
          clearTimeout(limit);
          settle();
        };
        const check = () => {
          const value = look(requests);
          if (value) end(() => found(value));
        };
        const limit = setTimeout(() => {
          end(() => fail(new Error(`Not seen within ${limitMs} ms, after ${requests.length} requests.`)));
        }, limitMs);
        looks.add(check);
        check();
      }),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function toReceived(request: http.IncomingMessage, path: string, rawBody: Buffer): ReceivedRequest {
  const body = parse(rawBody);
  return {
    id: String(request.headers["webhook-id"]),
    path,
    headers: request.headers,
    rawBody,
    body,
    job: body?.data?.job?.name ?? "",
    nominalMs: Date.parse(body?.data?.nominalTime ?? ""),
    arrivedMs: Date.now(),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: as above.
function parse(rawBody: Buffer): any {
  try {
    return JSON.parse(rawBody.toString());
  } catch {
    return undefined;
  }
}
