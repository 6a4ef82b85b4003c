import { EasyCronError, failure } from "../../mesh/errors.ts";
import { type Connection, NotConnectedError } from "./connection.ts";

/** How long a call waits for a connection that was lost. */
const READY_WITHIN_MS = 2_000;

/**
 * Runs commands of an administrator on a connection. Throws SERVICE_UNAVAILABLE for what the server or the network does,
 * and tells `onTrouble` what that was, because the caller does not get to know. A lost connection has told it already.
 */
export async function asAdmin<T>(
  connection: Connection,
  signal: AbortSignal,
  onTrouble: (error: unknown) => void,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(READY_WITHIN_MS)]);
    if (!(await connection.untilReady(patience))) {
      throw new NotConnectedError("There is no connection to the managed Redis.");
    }
    return await work();
  } catch (cause) {
    if (cause instanceof EasyCronError) throw cause;
    if (!(cause instanceof NotConnectedError)) onTrouble(cause);
    // With a time, our gRPC client does not repeat the call by itself: it has waited for the server already.
    throw failure("SERVICE_UNAVAILABLE", { service: "managed Redis" }, { cause, retryAfterMs: 1_000 });
  }
}

/**
 * Sends commands together and returns their replies in order. An error reply throws.
 */
export async function askAll(
  connection: Connection,
  signal: AbortSignal,
  commands: readonly (readonly string[])[],
): Promise<unknown[]> {
  const replies = await askEach(connection, signal, commands);
  return replies.map(([error, reply]) => {
    if (error !== null && error !== undefined) throw error;
    return reply;
  });
}

/** Sends commands together and returns the error or the reply of each, in order. */
export async function askEach(
  connection: Connection,
  signal: AbortSignal,
  commands: readonly (readonly string[])[],
): Promise<(readonly [error: unknown, reply: unknown])[]> {
  const pipeline = connection.client.pipeline();
  for (const [name = "", ...args] of commands) pipeline.call(name, ...args);
  const replies = await connection.answer(pipeline.exec(), signal);
  return replies ?? [];
}
