import type { Receiver } from "../receiver/create-receiver.ts";
import { type NodeRequest, readNodeBody } from "../receiver/node-request.ts";

const CURE = "Call the receiver before the body parser.";

/** What is used of a context of Koa. */
export interface KoaContext {
  readonly method: string;
  readonly req: NodeRequest;
  /** Koa's own request, to which body parsers add these. */
  readonly request: object & { readonly body?: unknown; readonly rawBody?: unknown };
  status: number;
  body: unknown;
  set(headers: { [name: string]: string }): void;
}

/**
 * Makes a middleware for Koa 2 and 3, which answers every request that reaches it. Call it for one path.
 *
 * @example
 * ```ts
 * import Koa from "koa";
 *
 * const easycron = toKoa(createReceiver({ secrets: process.env.EASYCRON_SIGNING_SECRET, onTrigger: () => {} }));
 * const app = new Koa();
 * app.use((context, next) => (context.path === "/easycron" ? easycron(context) : next()));
 * ```
 */
export function toKoa(receiver: Receiver): (context: KoaContext) => Promise<void> {
  return async (context) => {
    const { method, req, request } = context;
    const { status, headers, body } = await receiver.receive({
      method,
      headers: req.headers,
      readBody: (limits) => readNodeBody(req, limits, CURE, [request.rawBody, request.body]),
    });
    context.status = status;
    context.set({ ...headers });
    context.body = body === "" ? null : body;
    // Setting no body sets the status to 204.
    context.status = status;
  };
}
