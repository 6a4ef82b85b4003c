import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import Koa from "koa";
import { expect, test } from "vitest";
import { describeAdapter, expectCure, listen, oddTrigger, quietReceiver } from "../testing/adapter-suite.ts";
import { toKoa } from "./koa.ts";

describeAdapter("Koa", (receiver) => {
  const app = new Koa();
  const easycron = toKoa(receiver);
  app.use((context, next) => (context.path === "/easycron" ? easycron(context) : next()));
  return listen(createServer(app.callback()), "/easycron");
});

test("a body that was parsed before Koa calls the receiver gives an error that names the cure", async () => {
  const app = new Koa();
  app.use(async (context, next) => {
    Object.assign(context.request, { body: JSON.parse((await buffer(context.req)).toString()) });
    await next();
  });
  app.use(toKoa(quietReceiver()));
  await expectCure(await listen(createServer(app.callback())), "before the body parser");
});

test("a body whose text a parser of Koa has kept is verified", async () => {
  const app = new Koa();
  app.use(async (context, next) => {
    const rawBody = (await buffer(context.req)).toString();
    Object.assign(context.request, { body: JSON.parse(rawBody), rawBody });
    await next();
  });
  app.use(toKoa(quietReceiver()));
  const { call, stop } = await listen(createServer(app.callback()));
  expect((await call(oddTrigger())).status).toBe(204);
  await stop();
});
