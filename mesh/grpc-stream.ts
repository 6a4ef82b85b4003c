import type { Readable, Writable } from "node:stream";
import { failure } from "./errors.ts";

/** Reads the messages of a stream as fast as the caller iterates. */
export interface MessageReader<T> {
  /**
   * Ends normally after the last message or `stop`. Throws the error of the stream, or CANCELLED if the stream was
   * broken. It can be iterated once.
   */
  readonly messages: AsyncIterable<T>;
  /** Ends the iteration after the messages that have arrived. The stream stays as it is. */
  stop(): void;
}

/**
 * Creates a reader of an object stream. Unlike Node's own iterator, it does not destroy the stream when the iteration
 * ends early, and it can be stopped while it waits. It reads ahead at most the stream's own buffer (16 messages).
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

/** Writes one message. Resolves when the stream accepts the next one, or is closed. */
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
