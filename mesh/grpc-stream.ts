import type { Readable, Writable } from "node:stream";
import { failure } from "./errors.ts";

/** The messages of a stream, read at the pace of whoever iterates. */
export interface MessageReader<T> {
  /** Ends normally after the last message or `stop`; throws what the stream failed with, or CANCELLED when it was cut. Iterated once. */
  readonly messages: AsyncIterable<T>;
  /** Ends the iteration after what has arrived, without touching the stream. */
  stop(): void;
}

/**
 * Reads an object stream without destroying it when the iteration is left, and can be stopped from outside: Node's
 * own iterator can do neither while it waits. At most the stream's own buffer (16 messages) is read ahead.
 */
export function readMessages<T>(stream: Readable): MessageReader<T> {
  let stopped = false;
  let failed: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const notify = () => wake?.();
  const stop = () => {
    stopped = true;
    notify();
  };
  stream.on("readable", notify);
  stream.once("end", stop);
  stream.once("close", () => {
    if (!stream.readableEnded && !stopped) failed ??= { error: failure("CANCELLED") };
    stop();
  });
  stream.once("error", (error) => {
    failed ??= { error };
    notify();
  });

  async function* iterate(): AsyncGenerator<T> {
    for (;;) {
      const message: T | null = stream.read();
      if (message !== null) yield message;
      else if (failed !== undefined) throw failed.error;
      else if (stopped) return;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = undefined;
      }
    }
  }
  return { messages: iterate(), stop };
}

/** Writes one message; resolves when the stream takes more, or is closed. */
export async function writeMessage(stream: Writable, message: object): Promise<void> {
  if (stream.write(message) || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done).off("error", done);
      resolve();
    };
    stream.on("drain", done).on("close", done).on("error", done);
  });
}
