import { createServer } from "node:http";
import express5 from "express";
// @ts-expect-error Version 4 of the package, which has no types under this name.
import express4 from "express4";
import { describe, expect, test } from "vitest";
import { describeAdapter, expectCure, listen, oddTrigger, quietReceiver } from "../testing/adapter-suite.ts";
import { toExpress } from "./express.ts";

describe.each([
  ["Express 4", express4 as typeof express5],
  ["Express 5", express5],
])("%s", (name, express) => {
  describeAdapter(name, (receiver) => {
    const app = express();
    app.all("/easycron", toExpress(receiver));
    app.use(express.json());
    return listen(createServer(app), "/easycron");
  });

  test("a body that express.json() has parsed gives an error that names the cure", async () => {
    const app = express();
    app.use(express.json());
    app.post("/", toExpress(quietReceiver()));
    await expectCure(await listen(createServer(app)), "before express.json()");
  });

  test.each([
    ["bytes", express.raw({ type: "*/*" })],
    ["a text", express.text({ type: "*/*" })],
  ])("a body that a parser has kept as %s is verified", async (_name, parser) => {
    const app = express();
    app.post("/", parser, toExpress(quietReceiver()));
    const { call, stop } = await listen(createServer(app));
    expect((await call(oddTrigger())).status).toBe(204);
    await stop();
  });
});
