import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type VerifiedWebhook, verify, WebhookVerificationError } from "../sdk/webhook.ts";

/** A webhook whose signature is valid, and when it arrived. */
export interface Arrival extends VerifiedWebhook {
  /** When its headers arrived, in epoch milliseconds. */
  readonly arrivedMs: number;
}

/** Options of `startReceiver`. */
export interface ReceiverOptions {
  /** The port on 127.0.0.1; 0 means any free port. */
  readonly port: number;
  /** The project's signing secret, `whsec_…`. */
  readonly secret: string;
  readonly onVerified: (arrival: Arrival) => void;
  /** Called with the reason when a signature is not valid. */
  readonly onRefused: (reason: string) => void;
}

/** A receiver that is listening. */
export interface Receiver {
  readonly url: string;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

const MAX_BYTES = 1024 * 1024;

/**
 * Starts an HTTP server like a customer's own. It answers 204 to a POST with a valid signature, 400 to any other
 * POST, 405 to any other method, and 413 to a body of more than 1 MiB.
 */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const server = createServer((request, response) => {
    receive(request, options).then(
      (status) => answer(response, status),
      () => answer(response, 400),
    );
  });
  server.listen(options.port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function receive(
  request: IncomingMessage,
  { secret, onVerified, onRefused }: ReceiverOptions,
): Promise<number> {
  const arrivedMs = Date.now();
  if (request.method !== "POST") return 405;
  const rawBody = await readBody(request);
  if (rawBody === undefined) return 413;
  try {
    onVerified({ ...verify(rawBody, request.headers, secret), arrivedMs });
    return 204;
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    onRefused(error.reason);
    return 400;
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}
