import { Redis, ReplyError } from "ioredis";

/** A connection to the internal Redis. It opens itself again whenever it is lost. */
export interface RedisConnection {
  /** Sends a command. Rejects at once when there is no connection, and when the connection is lost meanwhile. */
  send(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** Whether commands can be sent. */
  isOpen(): boolean;
  /** Closes the connection and opens another one. What is under way is rejected. */
  reopen(): void;
  /** Closes the connection for good. */
  close(): void;
}

/** What happens to a connection. */
export interface ConnectionListener {
  /** Commands can be sent. */
  onOpen(): void;
  /** There is no connection, or it could not be opened. It is opened again by itself. Called for each failed try. */
  onLost(error: unknown): void;
}

const CONNECT_LIMIT_MS = 1_000;
const MIN_RETRY_PAUSE_MS = 50;
const MAX_RETRY_PAUSE_MS = 500;

/**
 * Opens a connection, and never gives up. Opening takes one second at most; the pauses between two tries grow from 50 ms to
 * half a second. No command waits in the client for a connection, and none is sent twice.
 */
export function connect(url: string, name: string, listener: ConnectionListener): RedisConnection {
  const client = new Redis(url, {
    connectionName: name,
    // RESP2 has all that is used here, and every server and proxy knows it.
    protocol: 2,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_LIMIT_MS,
    disconnectTimeout: 100,
    keepAlive: 10_000,
    retryStrategy: (times) =>
      Math.min(MIN_RETRY_PAUSE_MS * 2 ** Math.min(times, 10), MAX_RETRY_PAUSE_MS) *
      (0.8 + 0.4 * Math.random()),
  });
  limitLogin(client);
  let isClosing = false;
  const lost = (error: unknown) => {
    if (!isClosing) listener.onLost(error);
  };
  client.on("ready", () => listener.onOpen());
  // The client emits one error for each try, and throws it if nobody listens.
  client.on("error", lost);
  client.on("close", () => lost(new Error("The connection to Redis was closed.")));
  return {
    send: (command, ...args) => client.call(command, ...args),
    isOpen: () => client.status === "ready" && client.stream.writable,
    reopen: () => client.disconnect(true),
    close: () => {
      isClosing = true;
      client.disconnect();
    },
  };
}

/** Returns the code that begins an error of the server, such as READONLY; undefined for any other error. */
export function replyCode(error: unknown): string | undefined {
  return error instanceof Error && error instanceof ReplyError
    ? /^[A-Z]+/.exec(error.message)?.[0]
    : undefined;
}

// The client limits the time for the TCP connection only. A server that accepts the connection and then says nothing
// would be waited for without end.
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
