import { once } from "node:events";
import { createServer } from "node:http";
import { createReceiver } from "../sdk/receiver.ts";
import type { TriggerFired } from "../sdk/trigger-fired.ts";
import { WebhookVerificationError } from "../sdk/webhook.ts";

/** A webhook whose signature is valid, and when it arrived. */
export interface Arrival {
  readonly id: string;
  /** Undefined for a webhook that is not a trigger. */
  readonly trigger: TriggerFired | undefined;
  /** When it was verified, in epoch milliseconds. */
  readonly arrivedMs: number;
}

/** Options of `startReceiver`. */
export interface ReceiverOptions {
  /** The port on 127.0.0.1; 0 means any free port. */
  readonly port: number;
  /** The project's signing secret, `whsec_…`. */
  readonly secret: string;
  readonly onVerified: (arrival: Arrival) => void;
  /** Called with the reason when a request is refused. */
  readonly onRefused: (reason: string) => void;
}

/** A receiver that is listening. */
export interface Receiver {
  readonly url: string;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** Starts an HTTP server with a receiver of the SDK, like a customer's own. */
export async function startReceiver({
  port,
  secret,
  onVerified,
  onRefused,
}: ReceiverOptions): Promise<Receiver> {
  const receiver = createReceiver({
    secrets: secret,
    // What these return is the answer: nothing.
    onTrigger: (trigger, { id }) => void onVerified({ id, trigger, arrivedMs: Date.now() }),
    onOther: ({ id }) => void onVerified({ id, trigger: undefined, arrivedMs: Date.now() }),
    onError: (error) => onRefused(error instanceof WebhookVerificationError ? error.reason : String(error)),
  });
  const server = createServer(receiver.node);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const ownPort = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://127.0.0.1:${ownPort}/`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
