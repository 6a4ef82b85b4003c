import type { IncomingHttpHeaders } from "node:http";
import type { BodyLimits } from "../receiver/body.ts";
import type { Receiver } from "../receiver/create-receiver.ts";
import { type NodeRequest, readNodeBody } from "../receiver/node-request.ts";

const CURE = "Leave it to the receiver: no preParsing hook may read the body of its route.";

/** What is used of an instance of Fastify, of its requests and of its replies. */
export interface FastifyApp {
  removeAllContentTypeParsers(): void;
  addContentTypeParser(type: string, parser: (...args: [unknown, unknown, Done]) => void): unknown;
  post(path: string, handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>): unknown;
}
type Done = (error: null) => void;
type FastifyRequest = { readonly raw: NodeRequest; readonly headers: IncomingHttpHeaders };
type FastifyReply = {
  code(status: number): { headers(all: { [name: string]: string }): { send(body: string): unknown } };
};

/**
 * Makes a plugin for Fastify 4 and 5 with one route: `app.register(toFastify(receiver), { prefix: "/easycron" })`. Only
 * this route gets its body unparsed.
 *
 * @example
 * ```ts
 * import Fastify from "fastify";
 *
 * const receiver = createReceiver({ secrets: process.env.EASYCRON_SIGNING_SECRET, onTrigger: () => {} });
 * const app = Fastify();
 * app.register(toFastify(receiver), { prefix: "/easycron" });
 * ```
 */
export function toFastify(receiver: Receiver): (app: FastifyApp) => Promise<void> {
  return async (app) => {
    app.removeAllContentTypeParsers();
    // Leaves the body in the request.
    app.addContentTypeParser("*", (_request, _body, done) => done(null));
    app.post("/", async ({ raw, headers }, reply) => {
      const readBody = (limits: BodyLimits) => readNodeBody(raw, limits, CURE);
      const answer = await receiver.receive({ method: "POST", headers, readBody });
      return reply
        .code(answer.status)
        .headers({ ...answer.headers })
        .send(answer.body);
    });
  };
}
