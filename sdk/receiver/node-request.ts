import type { ReceiverAnswer } from "./answer.ts";
import { alreadyRead, type BodyLimits, checkLength, readChunks } from "./body.ts";

/** What is used of a request of Node, an `IncomingMessage`, with what frameworks add to it. */
export interface NodeRequest {
  readonly method?: string | undefined;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  readonly readableDidRead: boolean;
  iterator(options: { destroyOnReturn: boolean }): AsyncIterator<unknown>;
  pause(): unknown;
  /** What a body parser made of the body. */
  readonly body?: unknown;
  /** The bytes, which some frameworks and platforms keep. */
  readonly rawBody?: unknown;
}

/** What is used of a response of Node, a `ServerResponse`. */
export interface NodeResponse {
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  writeHead(status: number, headers: { [name: string]: string }): { end(body: string): unknown };
}

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

/** Sends an answer, unless somebody else has answered meanwhile, such as a middleware that limits the time. */
export function sendNodeAnswer(response: NodeResponse, { status, headers, body }: ReceiverAnswer): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { ...headers }).end(body);
}
