import type { Clock } from "../clock.ts";
import { BodyError } from "./receiver-error.ts";

/** The bounds of a body. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** A body that is too long. */
export function tooLarge(maxBytes: number): BodyError {
  return new BodyError(
    413,
    `The body has more than ${maxBytes} bytes; set maxBodyBytes if it should be read.`,
  );
}

/** A body that another reader has taken. `cure` says what to change. */
export function alreadyRead(cure: string): BodyError {
  return new BodyError(
    500,
    `The body was read before the receiver got it, and a signature is checked over the bytes as they came. ${cure}`,
  );
}

/** Reads a body, chunk by chunk, within its bounds. `stop` is called when a bound is reached. */
export async function readChunks(
  next: () => Promise<Uint8Array | undefined>,
  stop: () => void,
  { maxBytes, timeoutMs, clock }: BodyLimits,
): Promise<Uint8Array> {
  let cancel = () => {};
  const timeUp = new Promise<never>((_, fail) => {
    cancel = clock.after(timeoutMs, () => {
      fail(new BodyError(408, `The body did not come within ${timeoutMs / 1_000} s; set bodyTimeoutMs.`));
    });
  });
  try {
    return await Promise.race([collect(next, maxBytes), timeUp]);
  } catch (error) {
    stop();
    throw error;
  } finally {
    cancel();
  }
}

async function collect(next: () => Promise<Uint8Array | undefined>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let chunk = await next(); chunk !== undefined; chunk = await next()) {
    length += chunk.byteLength;
    if (length > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

/** Refuses a body that another reader has read as a whole, and that is too long. */
export function checkLength<T extends string | Uint8Array>(body: T, { maxBytes }: BodyLimits): T {
  const length = typeof body === "string" ? new TextEncoder().encode(body).byteLength : body.byteLength;
  if (length > maxBytes) throw tooLarge(maxBytes);
  return body;
}
