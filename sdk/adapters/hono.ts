import type { Receiver } from "../receiver/create-receiver.ts";

/**
 * Makes a handler for Hono 3 and 4, on any runtime: `app.post("/easycron", toHono(receiver))`. No middleware before it
 * may read the body.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 *
 * const receiver = createReceiver({ secrets: process.env.EASYCRON_SIGNING_SECRET, onTrigger: () => {} });
 * const app = new Hono();
 * app.post("/easycron", toHono(receiver));
 * ```
 */
export function toHono(receiver: Receiver): (context: { req: { raw: Request } }) => Promise<Response> {
  return ({ req }) => receiver.fetch(req.raw);
}
