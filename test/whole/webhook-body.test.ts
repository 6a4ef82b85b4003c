import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { verify } from "../../sdk/webhook.ts";
import { joinMesh, type SharedProject } from "../support/shared-mesh.ts";

let mesh: SharedProject;
let server: Server;
let url: string;
let client: EasyCron;

interface Received {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const received: Received[] = [];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    received.push({ headers: request.headers, body: (await buffer(request)).toString() });
    response.writeHead(204).end();
    server.emit("received");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/body`;
  mesh = await joinMesh();
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
});
afterAll(async () => {
  await mesh?.stop();
  server?.closeAllConnections();
  server?.close();
});

/** Runs a job now, and returns the trigger and its request, whose signature it has checked. */
async function run(name: string, payload?: string) {
  const trigger = await client.jobs.run(name, payload === undefined ? {} : { payload });
  const find = () => received.find(({ headers }) => headers["webhook-id"] === trigger.id);
  while (find() === undefined) await once(server, "received");
  const { headers, body } = find() ?? { headers: {}, body: "" };
  expect(() => verify(body, headers, mesh.signingSecret)).not.toThrow();
  return { trigger, headers, body };
}

describe("a webhook with a body of its own", () => {
  test("is sent with its placeholders replaced, and the signature is of these bytes", async () => {
    await client.jobs.create({
      name: "own-body",
      payload: { text: 'ü "quoted"', list: [1, 2] },
      target: {
        webhook: {
          url,
          body: '{"text":"{{job}} #{{attempt}}: {{payload}}","key":"{{trigger}}","at":"{{nominalTime}}"}',
        },
      },
    });
    const { trigger, headers, body } = await run("own-body");
    expect(headers["content-type"]).toBe("application/json");
    expect(JSON.parse(body)).toEqual({
      text: 'own-body #1: {"text":"ü \\"quoted\\"","list":[1,2]}',
      key: trigger.id,
      at: trigger.nominalTime?.toISOString(),
    });
    expect(JSON.parse((await run("own-body", "run")).body)).toMatchObject({ text: "own-body #1: run" });
  });

  test("may be of another type, and an update of the target without it brings the document back", async () => {
    const webhook = { url, body: "{{job}}={{payload}}", contentType: "text/plain; charset=utf-8" };
    const created = await client.jobs.create({ name: "plain", payload: [1], target: { webhook } });
    expect(created.target).toMatchObject({ webhook });
    expect(await run("plain")).toMatchObject({
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: "plain=[1]",
    });
    await client.jobs.update({ name: "plain", target: { webhook: { url } } });
    const { headers, body } = await run("plain");
    expect(headers["content-type"]).toBe("application/json");
    expect(JSON.parse(body)).toMatchObject({ type: "trigger.fired", data: { payload: [1] } });
  });

  test.each([
    ['{"a":"{{secret}}"}', "{{secret}}; accepted"],
    ["{{job}}", "set contentType"],
    ["x".repeat(65_537), "at most 65536 bytes"],
  ])(
    "is refused at creation with its path if it cannot be filled or is no JSON (%#)",
    async (body, words) => {
      await expect(
        client.jobs.create({ name: "refused", target: { webhook: { url, body } } }),
      ).rejects.toMatchObject({
        reason: "FIELD_INVALID",
        violations: [{ field: "job.target.webhook.body", description: expect.stringContaining(words) }],
      });
    },
  );
});
