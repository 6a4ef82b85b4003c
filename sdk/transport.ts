import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import type { UniversalClientFn, UniversalClientRequest } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-connect";

/** Where the API is, and how to call it. */
export interface FetchTransportOptions {
  /** The base URL of the gateway. */
  readonly url: string;
  /** Sent as the bearer token. */
  readonly apiKey: string;
  /** How long a call may take that sets no timeout itself, in milliseconds. */
  readonly timeoutMs: number;
}

const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Creates a transport for the binary Connect protocol over the global `fetch`. It runs wherever `fetch` exists: in
 * Node, Deno, Bun, browsers and edge workers. It follows no redirect, so the key is sent to the given URL only.
 */
export function createFetchTransport({ url, apiKey, timeoutMs }: FetchTransportOptions): Transport {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${apiKey}`);
    return next(request);
  };
  return createTransport({
    baseUrl: url.replace(/\/+$/, ""),
    httpClient: callFetch,
    useBinaryFormat: true,
    interceptors: [authorize],
    defaultTimeoutMs: timeoutMs,
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: MAX_BYTES,
    readMaxBytes: MAX_BYTES,
    writeMaxBytes: MAX_BYTES,
  });
}

const callFetch: UniversalClientFn = async (request) => {
  const { url, method, header, signal } = request;
  const body = request.body === undefined ? null : await readAll(request.body);
  const response = await reach(request, () =>
    fetch(url, { method, headers: header, body, signal: signal ?? null, redirect: "manual" }),
  );
  // fetch has already decoded the body, so these two headers no longer describe it.
  const headers = new Headers(response.headers);
  headers.delete("content-encoding");
  headers.delete("content-length");
  return {
    status: response.status,
    header: headers,
    body: readChunks(request, response.body),
    trailer: new Headers(),
  };
};

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

async function* readChunks(
  request: UniversalClientRequest,
  body: ReadableStream<Uint8Array> | null,
): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reach(request, () => reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    // This is needed when the caller stops early: an unread rest would keep the connection busy.
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * Runs one step of a call. A network failure, which fetch reports as a TypeError, becomes UNAVAILABLE with its cause.
 */
async function reach<T>({ url, signal }: UniversalClientRequest, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const { origin } = new URL(url);
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConnectError(
      `${origin} cannot be reached: ${why}`,
      Code.Unavailable,
      undefined,
      undefined,
      error,
    );
  }
}
