import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { type TriggerFired, verify } from "../../sdk/webhook.ts";

/** A webhook as the receiver got it. */
export interface ReceivedRequest {
  /** The path, with the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: Buffer;
  readonly body: { readonly type: string; readonly timestamp: string; readonly data: TriggerFired };
  /** The header webhook-id. */
  readonly id: string;
  /** The job's name. */
  readonly job: string;
  /** The nominal fire time, in epoch milliseconds. */
  readonly nominalMs: number;
  /** When its headers had arrived, in epoch milliseconds. */
  readonly arrivedMs: number;
}

/** The answer to a request. */
export interface ReceiverAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

type Truthy<T> = Exclude<T, undefined | null | false>;

/** A customer's endpoint: a real HTTP server that records the requests it gets. */
export interface Receiver {
  /** The URL of the server, without a slash at the end. */
  readonly url: string;
  /** The webhooks so far, in the order of arrival. */
  readonly requests: readonly ReceivedRequest[];
  /** Descriptions of the requests that were no trigger.fired document, or not signed by a secret. Each got the answer 400. */
  readonly strays: readonly string[];
  /** Sets how requests to a path are answered from now on. `number` counts the path's requests, from 1. Default: 204. */
  answer(path: string, choose: (number: number) => ReceiverAnswer | Promise<ReceiverAnswer>): void;
  /**
   * Resolves with the first result of `find` that is not undefined, null or false. Calls `find` now and after each
   * request. Rejects with its error, or after `timeoutMs` (default 30,000).
   */
  waitFor<T>(find: (requests: readonly ReceivedRequest[]) => T, timeoutMs?: number): Promise<Truthy<T>>;
  /** Closes the server and all its connections. */
  stop(): Promise<void>;
}

/** Settings of a receiver. */
export interface ReceiverOptions {
  /** If set, each request must be signed with one of these secrets. */
  readonly secrets?: readonly string[];
}

/** Starts a receiver on a free port of the loopback address. */
export async function startReceiver({ secrets }: ReceiverOptions = {}): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const strays: string[] = [];
  const choices = new Map<string, (number: number) => ReceiverAnswer | Promise<ReceiverAnswer>>();
  const counts = new Map<string, number>();
  const waiting = new Set<() => void>();
  let checking = false;
  const checkSoon = () => {
    // One check for all requests of one turn of the event loop, because a condition may look at thousands of requests.
    if (checking) return;
    checking = true;
    setImmediate(() => {
      checking = false;
      for (const check of waiting) check();
    });
  };
  const receive = async (request: IncomingMessage): Promise<ReceiverAnswer> => {
    const arrivedMs = Date.now();
    const path = request.url ?? "/";
    const number = (counts.get(path) ?? 0) + 1;
    counts.set(path, number);
    const rawBody = await buffer(request);
    try {
      if (secrets !== undefined) verify(rawBody, request.headers, secrets);
      requests.push(toReceived(path, request.headers, rawBody, arrivedMs));
    } catch (error) {
      strays.push(`${request.method} ${path}: ${String(error)}`);
      return { status: 400 };
    } finally {
      checkSoon();
    }
    return choices.get(path)?.(number) ?? { status: 204 };
  };
  const server = createServer((request, response) => {
    receive(request).then(
      (answer) => send(response, answer),
      () => response.destroy(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    strays,
    answer: (path, choose) => {
      choices.set(path, choose);
    },
    waitFor: (find, timeoutMs = 30_000) => waitFor(waiting, () => find(requests), timeoutMs, requests),
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function toReceived(
  path: string,
  headers: IncomingHttpHeaders,
  rawBody: Buffer,
  arrivedMs: number,
): ReceivedRequest {
  const body = JSON.parse(rawBody.toString()) as ReceivedRequest["body"];
  const { job, nominalTime } = body.data;
  const id = String(headers["webhook-id"]);
  return { path, headers, rawBody, body, id, job: job.name, nominalMs: Date.parse(nominalTime), arrivedMs };
}

function send(response: ServerResponse, { status, headers, body }: ReceiverAnswer): void {
  response.writeHead(status, headers).end(body);
}

function waitFor<T>(
  waiting: Set<() => void>,
  find: () => T,
  timeoutMs: number,
  requests: readonly ReceivedRequest[],
): Promise<Truthy<T>> {
  return new Promise((done, fail) => {
    const finish = () => {
      waiting.delete(check);
      clearTimeout(timer);
    };
    const check = () => {
      try {
        const found = find();
        if (found === undefined || found === null || found === false) return;
        finish();
        done(found as Truthy<T>);
      } catch (error) {
        finish();
        fail(error);
      }
    };
    const timer = setTimeout(() => {
      finish();
      fail(
        new Error(
          `The condition was not met within ${timeoutMs} ms; ${requests.length} requests have arrived.`,
        ),
      );
    }, timeoutMs);
    waiting.add(check);
    check();
  });
}
