import { Redis } from "ioredis";
import type { Logger } from "../../mesh/logger.ts";

/** A connection to the managed Redis. It opens itself again whenever it is lost. */
export interface Connection {
  readonly client: Redis;
  /** Resolves with true as soon as commands can be sent, or with false when `signal` is aborted before. */
  untilReady(signal: AbortSignal): Promise<boolean>;
  /**
   * Waits for an answer. If none comes within `limitMs`, or until `signal` is aborted, it rejects with a NoAnswerError.
   * A server that did not answer for `limitMs` is taken for dead: the connection is then opened again.
   */
  answer<T>(asked: Promise<T>, signal: AbortSignal, limitMs?: number): Promise<T>;
  /**
   * Tells whether an answer is overdue for which nobody waits any more. Nothing should be sent then: it would pile up in
   * this process.
   */
  isStalled(): boolean;
  close(): void;
}

/** The server did not answer in time. What was asked may have been done. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

/** There is no connection, so nothing was sent. */
export class NotConnectedError extends Error {
  override readonly name = "NotConnectedError";
}

const CONNECT_LIMIT_MS = 2_000;
const MAX_RETRY_PAUSE_MS = 1_000;
/** How long an answer may take. */
const ANSWER_LIMIT_MS = 5_000;
/** An answer that is later than this is overdue, whenever the caller has lost patience. */
const OVERDUE_MS = 500;
const REPORT_EVERY_MS = 10_000;

/** Opens a connection. It logs when it fails, at most every 10 s, and when it works again. */
export function connect(url: string, name: string, logger: Logger): Connection {
  const client = new Redis(url, {
    connectionName: `easycron-${name}`,
    // RESP2 has all that is used here, and every server and proxy knows it.
    protocol: 2,
    enableReadyCheck: false,
    // Nothing waits in ioredis for a connection, and nothing is sent again by it: how often a message is sent is decided
    // by the dispatcher.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_LIMIT_MS,
    disconnectTimeout: 100,
    retryStrategy: (times) =>
      Math.min(50 * 2 ** Math.min(times, 10), MAX_RETRY_PAUSE_MS) * (0.8 + 0.4 * Math.random()),
  });
  limitLogin(client);
  // Each call that waits for the connection listens to it. The service bounds how many do.
  client.setMaxListeners(0);
  const stopReporting = reportTrouble(client, name, logger);
  // When all clients together need too much memory (maxmemory-clients), the server closes those of customers, not ours. A
  // server that does not know or allow this closes the largest.
  client.on("ready", () => {
    client.client("NO-EVICT", "ON").catch(() => undefined);
  });

  let overdue = 0;

  return {
    client,
    isStalled: () => overdue > 0,
    untilReady: async (signal) => {
      if (isReady(client)) return true;
      return new Promise((resolve) => {
        const settle = (ready: boolean) => () => {
          client.off("ready", onReady);
          signal.removeEventListener("abort", onAbort);
          resolve(ready);
        };
        const onReady = settle(true);
        const onAbort = settle(false);
        if (signal.aborted) return resolve(false);
        client.on("ready", onReady);
        signal.addEventListener("abort", onAbort, { once: true });
      });
    },
    answer: (asked, signal, limitMs = ANSWER_LIMIT_MS) =>
      new Promise((resolve, reject) => {
        const askedMs = performance.now();
        let isOverdue = false;
        const giveUp = () => {
          reject(new NoAnswerError("Redis did not answer in time."));
          if (isOverdue || performance.now() - askedMs < OVERDUE_MS) return;
          isOverdue = true;
          overdue += 1;
        };
        // This timer goes on when the caller has given up, so that the connection does not stay silent for ever.
        const tooLate = setTimeout(() => {
          giveUp();
          client.disconnect(true);
        }, limitMs);
        if (signal.aborted) giveUp();
        signal.addEventListener("abort", giveUp, { once: true });
        asked.then(resolve, reject).finally(() => {
          clearTimeout(tooLate);
          signal.removeEventListener("abort", giveUp);
          if (isOverdue) overdue -= 1;
        });
      }),
    close: () => {
      stopReporting();
      client.disconnect();
    },
  };
}

// ioredis limits the time for the TCP connection only. A server, or something before it, that accepts the connection and
// then says nothing would be waited for without end.
function limitLogin(client: Redis): void {
  let tooLate: NodeJS.Timeout | undefined;
  const stop = () => clearTimeout(tooLate);
  client.on("connect", () => {
    stop();
    tooLate = setTimeout(() => client.disconnect(true), CONNECT_LIMIT_MS);
  });
  client.on("ready", stop);
  client.on("close", stop);
}

function isReady(client: Redis): boolean {
  return client.status === "ready" && client.stream.writable;
}

/** Logs the errors of a connection. ioredis emits one for each try to connect, and throws if nobody listens. */
function reportTrouble(client: Redis, name: string, logger: Logger): () => void {
  let reportedMs = Number.NEGATIVE_INFINITY;
  let isDown = false;
  let isClosing = false;
  const report = (err: unknown) => {
    if (isClosing) return;
    isDown = true;
    const nowMs = performance.now();
    if (nowMs - reportedMs < REPORT_EVERY_MS) return;
    reportedMs = nowMs;
    logger.warn({ err, connection: name }, "the managed Redis cannot be reached; trying again");
  };
  client.on("error", report);
  client.on("close", () => report(new Error("The connection was closed.")));
  client.on("ready", () => {
    if (isDown) logger.info({ connection: name }, "connected to the managed Redis again");
    isDown = false;
    reportedMs = Number.NEGATIVE_INFINITY;
  });
  return () => {
    isClosing = true;
  };
}
