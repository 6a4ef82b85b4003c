import type { ReceiverAnswer } from "./answer.ts";
import { alreadyRead, type BodyLimits, readChunks } from "./body.ts";

/** Reads the body of a web-standard request, as it came. Throws a BodyError. */
export async function readWebBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  if (request.bodyUsed) {
    throw alreadyRead("Call the receiver before anything reads the body, or give that a request.clone().");
  }
  const reader = request.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  const next = async () => (await reader.read()).value;
  // The sender may have gone; there is nothing left to do with the body.
  return readChunks(next, () => void reader.cancel().catch(() => undefined), limits);
}

/** Makes a web-standard response of an answer. */
export function toResponse({ status, headers, body }: ReceiverAnswer): Response {
  return new Response(status === 204 ? null : body, { status, headers: { ...headers } });
}
