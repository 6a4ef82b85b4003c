import { createSecretKey } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import type { Agent } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createEgressAgent } from "../../mesh/egress.ts";
import { parseAllowList } from "../../mesh/egress-address.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { type ConnectionWatch, watchConnections } from "./connection-watch.ts";
import { type Spec, toSpec } from "./spec.ts";
import { deliverWebhook, MAX_BODY_BYTES } from "./webhook.ts";

let agent: Agent;
let freshAgent: Agent;
let connections: ConnectionWatch;
beforeAll(() => {
  const options = { allow: parseAllowList("127.0.0.0/8"), connectionsPerOrigin: 8, connectTimeoutMs: 1_000 };
  agent = createEgressAgent(options);
  freshAgent = createEgressAgent({ ...options, keepAlive: false });
  connections = watchConnections({ total: 100, perOrigin: 100 });
});
afterAll(async () => {
  connections.stop();
  await agent.destroy();
  await freshAgent.destroy();
});

const servers: net.Server[] = [];
const sockets = new Set<net.Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: net.Server): Promise<string> {
  servers.push(server);
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const serve = (handler: http.RequestListener) => listen(http.createServer(handler));
const serveRaw = (onConnection: (socket: net.Socket) => void) => listen(net.createServer(onConnection));

const trigger: HeldTrigger = {
  id: "trg_00000000000000000000000000",
  fireTimeMs: 1_780_000_000_000,
  effectiveTimeMs: 1_780_000_000_000,
  projectId: "proj_1",
  jobUid: "job_1",
  jobName: "job",
  revision: 1,
  kind: "SCHEDULED",
  seq: 1,
  previousFireTimeMs: null,
  nextFireTimeMs: null,
  previousSkipped: 0,
  previousMissed: 0,
  payload: null,
  dueTimeMs: 1_780_000_000_000,
  attemptCount: 0,
  attemptBase: 0,
  waitingFor: null,
  waitingSinceMs: null,
};

function deliver(url: string, attemptTimeout = "2s", startTimeMs = Date.now(), webhook: object = {}) {
  const spec: Spec = toSpec({
    job_uid: "job_1",
    revision: 1,
    spec: JSON.stringify({ target: { webhook: { ...webhook, url } }, attemptTimeout }),
  });
  if (spec.target.kind !== "webhook") throw new Error("no webhook");
  const keys = [createSecretKey(Buffer.alloc(32, 1))];
  const attempt = { trigger, number: 1, spec, target: spec.target, keys, startTimeMs };
  return deliverWebhook({ agent, freshAgent, connections, userAgent: "EasyCron/test" }, attempt);
}

describe("an answer", () => {
  test.each([200, 201, 202, 204, 299])("of %i is a success", async (status) => {
    const url = await serve((_, response) => response.writeHead(status).end());
    expect(await deliver(url)).toMatchObject({
      outcome: { kind: "SUCCEEDED", statusCode: status },
      error: "",
    });
  });

  test.each([300, 400, 404, 429, 500, 999])("of %i is REJECTED", async (status) => {
    const url = await serve((_, response) => response.writeHead(status).end());
    expect(await deliver(url)).toMatchObject({
      outcome: { kind: "REJECTED", statusCode: status, isFinal: false },
      error: expect.stringContaining(String(status)),
    });
  });

  test("that redirects is REJECTED, and the redirect is not followed", async () => {
    let requests = 0;
    const url = await serve((_, response) => {
      requests += 1;
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    expect(await deliver(url)).toMatchObject({
      outcome: { kind: "REJECTED", statusCode: 307 },
      error:
        "The endpoint answered 307 Temporary Redirect with Location /elsewhere; redirects are not followed. Use the final URL.",
    });
    expect(requests).toBe(1);
  });

  test("that redirects to an endless or unprintable Location has its beginning in the error", async () => {
    const location = `/\u00e9${"x".repeat(5_000)}`;
    const url = await serve((_, response) => response.writeHead(302, { location }).end());
    expect((await deliver(url)).error).toMatch(/with Location \/\?x{498}…; redirects/);
  });

  test("is a success if its status is one that the target names, and only then", async () => {
    const statusOf = async (status: number) => {
      const url = await serve((_, response) => response.writeHead(status).end());
      return deliver(url, "2s", Date.now(), { successStatusCodes: ["202", "404-409"] });
    };
    for (const status of [202, 404, 409])
      expect((await statusOf(status)).outcome).toEqual({ kind: "SUCCEEDED", statusCode: status });
    expect(await statusOf(200)).toMatchObject({
      outcome: { kind: "REJECTED", statusCode: 200 },
      error: "The endpoint answered 200 OK; only a status in the target's successStatusCodes is a success.",
    });
    for (const status of [403, 410]) expect((await statusOf(status)).outcome.kind).toBe("REJECTED");
  });

  test("of 304 is not called a redirect", async () => {
    const url = await serve((_, response) => response.writeHead(304).end());
    expect(await deliver(url)).toMatchObject({
      outcome: { kind: "REJECTED", statusCode: 304, isFinal: false },
      error: "The endpoint answered 304 Not Modified; only a status from 200 to 299 is a success.",
    });
  });

  test("is final if it is a 410, or if its webhook-delivery header is abort-message", async () => {
    const gone = await serve((_, response) => response.writeHead(410).end());
    expect((await deliver(gone)).outcome).toMatchObject({ isFinal: true });
    const abort = await serve((_, response) =>
      response.writeHead(500, { "webhook-delivery": "abort-message" }).end(),
    );
    const aborted = (await deliver(abort)).outcome;
    expect(aborted).toMatchObject({ isFinal: true });
    expect(aborted).not.toHaveProperty("pauses");
  });

  test("pauses the job if it is a 410, or if its webhook-delivery header is disable, whatever the status", async () => {
    const gone = await serve((_, response) => response.writeHead(410).end());
    expect((await deliver(gone)).outcome).toMatchObject({ kind: "REJECTED", isFinal: true, pauses: "GONE" });
    const answered = (status: number) =>
      serve((_, response) => response.writeHead(status, { "webhook-delivery": "disable" }).end()).then(
        deliver,
      );
    expect((await answered(500)).outcome).toMatchObject({ isFinal: true, pauses: "RECEIVER" });
    expect((await answered(204)).outcome).toEqual({ kind: "SUCCEEDED", statusCode: 204, pauses: "RECEIVER" });
  });

  test("has its Retry-After read only if its status is 409, 429 or 5xx", async () => {
    const answer = (status: number) =>
      serve((_, response) => response.writeHead(status, { "retry-after": "7" }).end()).then(deliver);
    expect((await answer(409)).outcome).toMatchObject({ retryAfterMs: 7_000 });
    expect((await answer(429)).outcome).toMatchObject({ retryAfterMs: 7_000 });
    expect((await answer(503)).outcome).toMatchObject({ retryAfterMs: 7_000 });
    expect((await answer(500)).outcome).toMatchObject({ retryAfterMs: 7_000 });
    expect((await answer(404)).outcome).toMatchObject({ retryAfterMs: undefined });
  });

  test("with a date in Retry-After is read by the clock that the attempt was started by, not by this machine's", async () => {
    const startTimeMs = Date.UTC(2030, 0, 1);
    const url = await serve((_, response) =>
      response.writeHead(503, { "retry-after": "Tue, 01 Jan 2030 00:01:00 GMT" }).end(),
    );
    const { outcome } = await deliver(url, "2s", startTimeMs);
    const { retryAfterMs } = outcome as { readonly retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(50_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  test("is kept up to 16 KiB, with bytes that are not UTF-8 replaced", async () => {
    const url = await serve((_, response) =>
      response.end(Buffer.concat([Buffer.from([0xff, 0]), Buffer.alloc(1e6, "x")])),
    );
    const { outcome, responseBody } = await deliver(url);
    expect(outcome).toEqual({ kind: "SUCCEEDED", statusCode: 200 });
    expect(responseBody).toBe(`\ufffd\ufffd${"x".repeat(MAX_BODY_BYTES - 2)}`);
  });

  test("counts, and is not waited for, if its body stands still", async () => {
    const url = await serve((_, response) => {
      response.writeHead(201, { "content-length": "100" });
      response.write("abc");
    });
    const spec = toSpec({
      job_uid: "job_1",
      revision: 1,
      spec: JSON.stringify({ target: { webhook: { url } }, attemptTimeout: "1800s" }),
    });
    if (spec.target.kind !== "webhook") throw new Error("no webhook");
    const keys = [createSecretKey(Buffer.alloc(32, 1))];
    const attempt = { trigger, number: 1, spec, target: spec.target, keys, startTimeMs: Date.now() };
    const parts = { agent, freshAgent, connections, userAgent: "EasyCron/test", bodyIdleMs: 200 };
    expect(await deliverWebhook(parts, attempt)).toMatchObject({
      outcome: { kind: "SUCCEEDED", statusCode: 201 },
      error: "",
      responseBody: "abc",
    });
  });

  test("counts even if its body never ends or breaks off", async () => {
    const endless = await serve((_, response) => {
      response.write("a");
      const timer = setInterval(() => response.write("a"), 50);
      response.on("close", () => clearInterval(timer));
    });
    expect((await deliver(endless, "0.3s")).outcome).toEqual({ kind: "SUCCEEDED", statusCode: 200 });
    const broken = await serve((_, response) => {
      response.writeHead(500, { "content-length": "100" });
      response.write("a", () => response.destroy());
    });
    expect((await deliver(broken)).outcome).toMatchObject({ kind: "REJECTED", statusCode: 500 });
  });
});

describe("an attempt whose request was written is UNKNOWN if", () => {
  const read = (then: (socket: net.Socket) => void) =>
    serveRaw((socket) => {
      socket.once("data", () => then(socket));
    });

  test.each([
    ["the connection is closed", (socket: net.Socket) => socket.end(), /closed before the answer/],
    ["the connection is reset", (socket: net.Socket) => socket.resetAndDestroy(), /closed before the answer/],
    ["the answer is not HTTP", (socket: net.Socket) => socket.end("SSH-2.0-OpenSSH\r\n\r\n"), /not HTTP/],
    [
      "the answer is cut short",
      (socket: net.Socket) => socket.end("HTTP/1.1 20"),
      /closed before the answer/,
    ],
    [
      "the headers are endless",
      (socket: net.Socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}\r\n\r\n`),
      /headers/,
    ],
  ])("%s", async (_, then, error) => {
    expect(await deliver(await read(then))).toMatchObject({
      outcome: { kind: "UNKNOWN" },
      error: expect.stringMatching(error),
    });
  });

  test("no answer comes within the time limit, or only 1xx answers", async () => {
    const silent = await read(() => {});
    const started = performance.now();
    expect(await deliver(silent, "0.2s")).toMatchObject({
      outcome: { kind: "UNKNOWN", isTimeout: true },
      error: "No complete answer within 0.2 s; the request may have arrived.",
    });
    expect(performance.now() - started).toBeLessThan(15_000);
    const endless = await read((socket) => {
      const timer = setInterval(() => socket.write("HTTP/1.1 102 Processing\r\n\r\n"), 20);
      socket.on("close", () => clearInterval(timer));
    });
    expect((await deliver(endless, "0.2s")).outcome).toEqual({ kind: "UNKNOWN", isTimeout: true });
  });
});

describe("a connection that is kept alive", () => {
  const OK = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

  /** Calls `onRequest` for each request on each connection, both counted from 1. */
  async function serveRequests(onRequest: (socket: net.Socket, connection: number, request: number) => void) {
    const counts = { connections: 0, requests: 0 };
    const url = await serveRaw((socket) => {
      const connection = ++counts.connections;
      let requests = 0;
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        const head = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1]);
        if (head === -1 || text.length < head + 4 + length) return;
        text = "";
        counts.requests += 1;
        onRequest(socket, connection, ++requests);
      });
    });
    return { url, counts };
  }

  /** Makes an attempt, and waits until its connection is idle again. */
  async function deliverFirst(url: string) {
    expect((await deliver(url)).outcome).toEqual({ kind: "SUCCEEDED", statusCode: 200 });
    await new Promise(setImmediate);
  }

  test.each([
    ["is closed", (socket: net.Socket) => socket.end()],
    ["is reset", (socket: net.Socket) => socket.resetAndDestroy()],
  ])(
    "and %s as the next request comes costs no attempt: the request is repeated on a new one",
    async (_, then) => {
      const { url, counts } = await serveRequests((socket, _connection, request) =>
        request === 1 ? socket.write(OK) : then(socket),
      );
      await deliverFirst(url);
      expect((await deliver(url)).outcome).toEqual({ kind: "SUCCEEDED", statusCode: 200 });
      expect(counts).toEqual({ connections: 2, requests: 3 });
    },
  );

  test("is not used for the repeated request, although it is idle as well", async () => {
    const { url, counts } = await serveRequests((socket, _, request) =>
      request === 1 ? socket.write(OK) : socket.end(),
    );
    await Promise.all([deliverFirst(url), deliverFirst(url)]);
    expect(counts.connections).toBe(2);
    expect((await deliver(url)).outcome).toEqual({ kind: "SUCCEEDED", statusCode: 200 });
    expect(counts).toEqual({ connections: 3, requests: 4 });
  });

  test("costs the attempt when part of an answer came before it closed", async () => {
    const { url, counts } = await serveRequests((socket, _, request) =>
      request === 1 ? socket.write(OK) : socket.end("HTTP/1.1 20"),
    );
    await deliverFirst(url);
    expect((await deliver(url)).outcome).toEqual({ kind: "UNKNOWN" });
    expect(counts).toEqual({ connections: 1, requests: 2 });
  });

  test("costs the attempt when it closes at its first request", async () => {
    const { url, counts } = await serveRequests((socket) => socket.end());
    expect((await deliver(url)).outcome).toEqual({ kind: "UNKNOWN" });
    expect(counts).toEqual({ connections: 1, requests: 1 });
  });

  test("costs the attempt when the new connection closes too", async () => {
    const { url, counts } = await serveRequests((socket, connection, request) =>
      connection + request === 2 ? socket.write(OK) : socket.end(),
    );
    await deliverFirst(url);
    expect((await deliver(url)).outcome).toEqual({ kind: "UNKNOWN" });
    expect(counts).toEqual({ connections: 2, requests: 3 });
  });

  test("leaves the repeated request the rest of the attempt's time limit", async () => {
    const { url, counts } = await serveRequests((socket, connection, request) => {
      if (connection + request === 2) socket.write(OK);
      else if (connection === 1) socket.end();
    });
    await deliverFirst(url);
    expect(await deliver(url, "0.3s")).toMatchObject({
      outcome: { kind: "UNKNOWN" },
      error: "No complete answer within 0.3 s; the request may have arrived.",
    });
    expect(counts).toEqual({ connections: 2, requests: 3 });
  });
});

describe("an attempt is NOT_SENT", () => {
  test.each([
    ["nobody listens", "http://127.0.0.1:1/", /was refused/],
    ["the address is not public", "http://192.168.7.7/", /not public/],
    ["the name has no address", "http://nobody.invalid/", /host/],
  ])("when %s, and its error reveals no address", async (_, url, error) => {
    const delivery = await deliver(url);
    expect(delivery).toMatchObject({ outcome: { kind: "NOT_SENT" }, error: expect.stringMatching(error) });
    expect(delivery.error).not.toMatch(/\d+\.\d+\.\d+\.\d+/);
  });

  test("when TLS fails", async () => {
    const url = (await serveRaw((socket) => socket.end("no TLS here"))).replace("http:", "https:");
    expect(await deliver(url)).toMatchObject({
      outcome: { kind: "NOT_SENT" },
      error: expect.stringMatching(/TLS|connection/),
    });
  });

  test("when there is no connection within the time limit, and nothing is sent after it", async () => {
    let written = "";
    // Accepts the connection and never finishes the handshake.
    const url = await serveRaw((socket) => {
      socket.on("data", (chunk) => {
        written += chunk.toString("latin1");
      });
    });
    expect(await deliver(url.replace("http:", "https:"), "0.2s")).toMatchObject({
      outcome: { kind: "NOT_SENT" },
      error: "No connection within 0.2 s.",
    });
    expect(written).not.toContain("POST");
  });
});

test("a webhook attempt whose request cannot be written is NOT_SENT", async () => {
  const url = await serve((_, response) => response.end());
  const spec = toSpec({
    job_uid: "job_1",
    revision: 1,
    spec: JSON.stringify({
      target: { webhook: { url, headers: { "x-bad": "line\nbreak" } } },
      attemptTimeout: "1s",
    }),
  });
  if (spec.target.kind !== "webhook") throw new Error("no webhook");
  const keys = [createSecretKey(Buffer.alloc(32, 1))];
  const attempt = { trigger, number: 1, spec, target: spec.target, keys, startTimeMs: Date.now() };
  expect(
    await deliverWebhook({ agent, freshAgent, connections, userAgent: "EasyCron/test" }, attempt),
  ).toMatchObject({
    outcome: { kind: "NOT_SENT" },
    error: "The request cannot be sent as it is specified; check the target's URL and headers.",
  });
});
