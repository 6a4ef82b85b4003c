import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** An alert as it arrived. */
export interface ReceivedAlert {
  readonly path: string;
  readonly headers: Record<string, string>;
  /** The header webhook-id. */
  readonly id: string;
  readonly rawBody: Buffer;
  readonly body: {
    readonly type: string;
    readonly timestamp: string;
    readonly data: {
      readonly job: { readonly name: string; readonly uid: string; readonly revision: number };
      readonly count: number;
      readonly message: string;
      readonly nominalTimes: readonly string[];
      readonly triggers: readonly { readonly id: string; readonly attempts: number }[];
    };
  };
}

/** A customer's endpoint for alerts: a real HTTP server that records what arrives, also what it refuses. */
export interface AlertReceiver {
  readonly url: string;
  /** Returns the alerts that arrived at a path so far. */
  alerts(path: string): readonly ReceivedAlert[];
  /** Returns the types of these alerts, in the order of arrival. */
  types(path: string): string[];
  /** Sets the status that requests to a path are answered with. Default: 204. */
  answer(path: string, status: number): void;
  /** Resolves when a path has got so many alerts. Rejects after `timeoutMs` (default 30,000). */
  waitFor(path: string, count: number, timeoutMs?: number): Promise<readonly ReceivedAlert[]>;
  stop(): Promise<void>;
}

/** Starts a receiver of alerts on a free port of the loopback address. */
export async function startAlertReceiver(): Promise<AlertReceiver> {
  const received: ReceivedAlert[] = [];
  const statuses = new Map<string, number>();
  const waiting = new Set<() => void>();
  const server = createServer(async (request, response) => {
    const path = request.url ?? "/";
    const rawBody = await buffer(request);
    const headers = request.headers as Record<string, string>;
    const body = JSON.parse(rawBody.toString());
    received.push({ path, headers, id: headers["webhook-id"] ?? "", rawBody, body });
    response.writeHead(statuses.get(path) ?? 204).end();
    for (const check of waiting) check();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const alerts = (path: string) => received.filter((alert) => alert.path === path);
  const types = (path: string) => alerts(path).map(({ body }) => body.type);
  return {
    url: `http://127.0.0.1:${port}`,
    alerts,
    types,
    answer: (path, status) => void statuses.set(path, status),
    waitFor: (path, count, timeoutMs = 30_000) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (alerts(path).length < count) return;
          clearTimeout(timer);
          waiting.delete(check);
          resolve(alerts(path));
        };
        const timer = setTimeout(() => {
          waiting.delete(check);
          const seen = types(path).join(", ") || "none";
          reject(new Error(`${path} has not got ${count} alerts within ${timeoutMs} ms; it got: ${seen}`));
        }, timeoutMs);
        waiting.add(check);
        check();
      }),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
