import type { IncomingMessage, ServerResponse } from "node:http";
import type { ReceiverAnswer } from "./answer.ts";
import { alreadyRead, type BodyLimits, checkLength, readChunks } from "./body.ts";

/** A request of Node, with what frameworks add to it. */
export type NodeRequest = IncomingMessage & {
  /** What a body parser made of the body. */
  readonly body?: unknown;
  /** The bytes, which some frameworks and platforms keep. */
  readonly rawBody?: unknown;
};

/**
 * Reads the body of a request of Node, as it came. `cure` is what to change if it was parsed. A framework may have kept
 * the text or the bytes. Throws a BodyError.
 */
export async function readNodeBody(
  request: NodeRequest,
  limits: BodyLimits,
  cure: string,
  kept: readonly unknown[] = [request.rawBody, request.body],
): Promise<Uint8Array | string> {
  for (const body of kept) {
    if (typeof body === "string" || body instanceof Uint8Array) return checkLength(body, limits);
  }
  if (request.readableDidRead) throw alreadyRead(cure);
  // Leaving a `for await` would destroy the connection, and the answer with it.
  const iterator = request.iterator({ destroyOnReturn: false });
  const next = async () => {
    const { done, value } = (await iterator.next()) as IteratorResult<Uint8Array, undefined>;
    return done === true ? undefined : value;
  };
  return readChunks(next, () => request.pause(), limits);
}

/** Sends an answer. */
export function sendNodeAnswer(response: ServerResponse, { status, headers, body }: ReceiverAnswer): void {
  response.writeHead(status, headers).end(body);
}
