import type { ServerResponse } from "node:http";
import type { Receiver } from "../receiver/create-receiver.ts";
import { type NodeRequest, readNodeBody, sendNodeAnswer } from "../receiver/node-request.ts";

const CURE =
  "Mount the receiver before express.json(), or give its route express.raw({ type: '*/*' }) in place of express.json().";

/** A handler of Express 4 and 5. */
export type ExpressHandler = (request: NodeRequest, response: ServerResponse) => Promise<void>;

/**
 * Makes a handler for Express 4 and 5: `app.post("/easycron", toExpress(receiver))`. It must get the body as it came, so
 * put this line before `app.use(express.json())`.
 *
 * @example
 * ```ts
 * import express from "express";
 *
 * const receiver = createReceiver({ secrets: process.env.EASYCRON_SIGNING_SECRET, onTrigger: () => {} });
 * const app = express();
 * app.post("/easycron", toExpress(receiver)); // before express.json()
 * app.use(express.json());
 * ```
 */
export function toExpress(receiver: Receiver): ExpressHandler {
  return async (request, response) => {
    const { method = "", headers } = request;
    const answer = await receiver.receive({
      method,
      headers,
      readBody: (limits) => readNodeBody(request, limits, CURE),
    });
    sendNodeAnswer(response, answer);
  };
}
