import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import Fastify, { type FastifyInstance } from "fastify";
import { expect, test } from "vitest";
import {
  describeAdapter,
  expectCure,
  type Mounted,
  oddTrigger,
  quietReceiver,
} from "../testing/adapter-suite.ts";
import { toFastify } from "./fastify.ts";

async function start(app: FastifyInstance, path: string): Promise<Mounted> {
  const url = `${await app.listen({ port: 0, host: "127.0.0.1" })}${path}`;
  return {
    call: ({ body, ...init }) => fetch(url, body === undefined ? init : { ...init, body }),
    stop: () => app.close(),
  };
}

describeAdapter(
  "Fastify",
  async (receiver) => {
    const app = Fastify({ forceCloseConnections: true });
    app.register(toFastify(receiver), { prefix: "/easycron" });
    return start(app, "/easycron");
  },
  { statusOfGet: 404 },
);

test("Fastify still parses the bodies of other routes", async () => {
  const app = Fastify({ forceCloseConnections: true });
  app.register(toFastify(quietReceiver()), { prefix: "/easycron" });
  app.post("/other", async (request) => request.body);
  const { call, stop } = await start(app, "/other");
  expect(await (await call(oddTrigger())).json()).toMatchObject({ type: "trigger.fired" });
  await stop();
});

test("a body that a hook of Fastify has read gives an error that names the cure", async () => {
  const app = Fastify({ forceCloseConnections: true });
  app.addHook("preParsing", async (_request, _reply, payload) => Readable.from(await buffer(payload)));
  app.register(toFastify(quietReceiver()));
  await expectCure(await start(app, "/"), "no preParsing hook");
});
