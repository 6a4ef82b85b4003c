/** What a consumer needs of a client of Redis: an `ioredis` client, version 5 or newer, has it. */
export interface StreamClient {
  /** Sends a command. */
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  /** Returns a second client with the same options but these. */
  duplicate(override?: { commandTimeout?: number }): StreamClient;
  /** Closes the connection at once, and makes a new one if `reconnect` is set. */
  disconnect(reconnect?: boolean): void;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** A command that Redis did not answer in time. */
export class RedisTimeoutError extends Error {
  override readonly name = "RedisTimeoutError";
}

/**
 * Sends a command. Throws a RedisTimeoutError if there is no answer in time: a connection whose other end has vanished
 * fails in no other way.
 */
export async function send(
  client: StreamClient,
  timeoutMs: number,
  command: string,
  ...args: (string | number)[]
): Promise<unknown> {
  return inTime(client.call(command, ...args), timeoutMs, command);
}

/** Waits for the answer to a command. Throws a RedisTimeoutError if there is none in time. */
export async function inTime<T>(answer: Promise<T>, timeoutMs: number, command: string): Promise<T> {
  // When the time is up, nobody waits for the answer any more.
  answer.catch(() => {});
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    const message = `Redis has not answered ${command} within ${timeoutMs} ms; check the connection.`;
    timer = setTimeout(() => reject(new RedisTimeoutError(message)), timeoutMs);
  });
  try {
    return await Promise.race([answer, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns the code of an error that Redis answered, such as NOPERM. Undefined for any other error. */
export function errorCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== "ReplyError") return undefined;
  return /^[A-Z]+\b/.exec(error.message)?.[0];
}
