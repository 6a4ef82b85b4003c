import type { FastifyPluginAsync } from "fastify";
import type { Receiver } from "../receiver/create-receiver.ts";
import { readNodeBody } from "../receiver/node-request.ts";

const CURE = "Leave it to the receiver: no preParsing hook may read the body of its route.";

/**
 * Makes a plugin for Fastify 4 and 5 with one route: `app.register(toFastify(receiver), { prefix: "/easycron" })`. Only
 * this route gets its body unparsed.
 */
export function toFastify(receiver: Receiver): FastifyPluginAsync {
  return async (app) => {
    app.removeAllContentTypeParsers();
    // Leaves the body in the request.
    app.addContentTypeParser("*", (_request, _body, done) => done(null));
    app.post("/", async ({ raw, headers }, reply) => {
      const {
        status,
        headers: answerHeaders,
        body,
      } = await receiver.receive({
        method: "POST",
        headers,
        readBody: (limits) => readNodeBody(raw, limits, CURE),
      });
      return reply
        .code(status)
        .headers({ ...answerHeaders })
        .send(body === "" ? undefined : body);
    });
  };
}
