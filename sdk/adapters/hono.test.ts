import { Hono } from "hono";
import { test } from "vitest";
import { describeAdapter, expectCure, type Mounted, quietReceiver } from "../testing/adapter-suite.ts";
import { toHono } from "./hono.ts";

function mount(app: Hono): Mounted {
  return {
    call: async ({ body, ...init }) =>
      app.request("/easycron", body === undefined ? init : { ...init, body }),
    stop: async () => {},
  };
}

describeAdapter("Hono", async (receiver) => mount(new Hono().all("/easycron", toHono(receiver))));

test("a body that a middleware of Hono has read gives an error that names the cure", async () => {
  const app = new Hono();
  app.use(async (context, next) => {
    await context.req.json();
    await next();
  });
  app.post("/easycron", toHono(quietReceiver()));
  await expectCure(mount(app), "before anything reads the body");
});
