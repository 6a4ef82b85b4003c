import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type VerifiedWebhook, verify, WebhookVerificationError } from "../sdk/webhook.ts";

/** A genuine webhook, and when it came. */
export interface Arrival extends VerifiedWebhook {
  /** Epoch milliseconds at which its headers were here. */
  readonly arrivedMs: number;
}

/** What a receiver does with what it gets. */
export interface ReceiverOptions {
  /** Of the loopback address; 0 takes any free one. */
  readonly port: number;
  /** The project's signing secret, whsec_…. */
  readonly secret: string;
  readonly onVerified: (arrival: Arrival) => void;
  /** Told why a request was refused. */
  readonly onRefused: (reason: string) => void;
}

/** A receiver that listens. */
export interface Receiver {
  readonly url: string;
  /** Stops listening and ends what is open. */
  close(): Promise<void>;
}

const MAX_BYTES = 1024 * 1024;

/** Starts what a customer would run: an HTTP server that verifies signatures and answers 204, or 400 to anything else. */
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
