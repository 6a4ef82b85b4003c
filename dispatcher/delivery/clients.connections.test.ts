import { createSecretKey } from "node:crypto";
import { once } from "node:events";
import type { RequestListener } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import tls, { type TLSSocket } from "node:tls";
import type { Agent } from "undici";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createEgressAgent } from "../../mesh/egress.ts";
import { parseAllowList } from "../../mesh/egress-address.ts";
import { createTlsSessions } from "../../mesh/tls-sessions.ts";
import { createTestAuthority } from "../../test/support/certificate.ts";
import { heldTrigger } from "../testing/held.ts";
import { type ConnectionWatch, watchConnections } from "./connection-watch.ts";
import type { IdleLimits } from "./idle-connections.ts";
import { toSpec } from "./spec.ts";
import { deliverWebhook } from "./webhook.ts";

const authority = createTestAuthority();
const usual = tls.getCACertificates("default");
beforeAll(() => tls.setDefaultCACertificates([...usual, authority.certificate]));
afterAll(() => tls.setDefaultCACertificates(usual));

const keys = [createSecretKey(Buffer.alloc(32, 1))];
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

let sender: Awaited<ReturnType<typeof createSender>>;
beforeEach(() => {
  sender = createSender({ total: 100, perOrigin: 100 });
});

/** Makes what a dispatcher sends webhooks with. */
function createSender(limits: IdleLimits) {
  const options = {
    allow: parseAllowList("127.0.0.0/8"),
    connectionsPerOrigin: 100,
    connectTimeoutMs: 2_000,
    sessions: createTlsSessions(100),
  };
  const agent: Agent = createEgressAgent(options);
  const freshAgent = createEgressAgent({ ...options, keepAlive: false });
  const connections: ConnectionWatch = watchConnections(limits);
  ends.push(async () => {
    connections.stop();
    await Promise.all([agent.destroy(), freshAgent.destroy()]);
  });
  /** Makes an attempt, and waits until its connection is idle again. */
  const deliver = async (url: string) => {
    const text = JSON.stringify({ target: { webhook: { url } }, attemptTimeout: "5s" });
    const spec = toSpec({ job_uid: "job_1", revision: 1, spec: text });
    if (spec.target.kind !== "webhook") throw new Error("no webhook");
    const trigger = heldTrigger(Date.now());
    const attempt = { trigger, number: 1, spec, target: spec.target, keys, startTimeMs: Date.now() };
    const parts = { agent, freshAgent, connections, userAgent: "EasyCron/test" };
    const { outcome, cause } = await deliverWebhook(parts, attempt);
    if (outcome.kind !== "SUCCEEDED") throw new Error(`The attempt is ${outcome.kind}.`, { cause });
    await new Promise(setImmediate);
  };
  return { deliver, connections };
}

/** Starts an HTTPS server. `handshakes` tells of each TLS handshake whether it resumed a session. */
async function serve(options: https.ServerOptions = {}, handler?: RequestListener) {
  const handshakes: string[] = [];
  const sockets: TLSSocket[] = [];
  // The longest time that a connection may idle; with a longer one than 65 s, the server sends no Keep-Alive header.
  const server = https.createServer({ ...authority.issue(), keepAliveTimeout: 0, ...options });
  server.on("request", handler ?? ((_, response) => response.end("ok")));
  server.on("secureConnection", (socket) => {
    handshakes.push(socket.isSessionReused() ? "resumed" : "full");
    sockets.push(socket);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, handshakes, sockets };
}

describe("the connection to an HTTPS endpoint", () => {
  test("serves several fire times with one handshake", async () => {
    const { url, handshakes } = await serve();
    for (let time = 0; time < 3; time++) await sender.deliver(url);
    expect(handshakes).toEqual(["full"]);
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "resumes the session of the one before, after the server has closed that (%s)",
    async (maxVersion) => {
      const { url, handshakes, sockets } = await serve({ maxVersion });
      await sender.deliver(url);
      await sender.deliver(url);
      const closed = once(sockets[0] as TLSSocket, "close");
      sockets[0]?.end();
      await closed;
      await sender.deliver(url);
      expect(handshakes).toEqual(["full", "resumed"]);
    },
  );

  test("resumes a session although the server closes each connection after its answer", async () => {
    const { url, handshakes } = await serve({}, (_, response) => {
      response.writeHead(200, { connection: "close" }).end("ok");
    });
    for (let time = 0; time < 3; time++) await sender.deliver(url);
    expect(handshakes).toEqual(["full", "resumed", "resumed"]);
  });

  test("is made with a full handshake when the server does not know the session any more", async () => {
    const { url, handshakes, sockets } = await serve();
    await sender.deliver(url);
    const port = Number(new URL(url).port);
    await Promise.all([once(sockets[0] as TLSSocket, "close"), ends.pop()?.()]);
    const again = https.createServer({ ...authority.issue(), keepAliveTimeout: 0 }, (_, response) => {
      response.end("ok");
    });
    again.on("secureConnection", (socket) => handshakes.push(socket.isSessionReused() ? "resumed" : "full"));
    again.listen(port, "127.0.0.1");
    await once(again, "listening");
    ends.push(() => {
      again.closeAllConnections();
      again.close();
    });
    await sender.deliver(url);
    expect(handshakes).toEqual(["full", "full"]);
  });

  test("is closed a second before the server's Keep-Alive header says", async () => {
    const { url, sockets } = await serve({}, (_, response) => {
      response.writeHead(200, { "keep-alive": "timeout=2", connection: "keep-alive" }).end("ok");
    });
    const startedMs = performance.now();
    await sender.deliver(url);
    await once(sockets[0] as TLSSocket, "close");
    // undici's timer for this has steps of half a second.
    expect(performance.now() - startedMs).toBeGreaterThan(700);
    expect(performance.now() - startedMs).toBeLessThan(60_000);
  });

  test("is kept no longer than the server keeps it, once it was seen to close one: nothing meets a dead one twice", async () => {
    // The server keeps a connection for 2.2 s: what comes later is answered with the end of the connection.
    const deadlineMs = 2_200;
    const idleSinceMs = new WeakMap<object, number>();
    let dead = 0;
    const { url, handshakes, sockets } = await serve({}, ({ socket }, response) => {
      const sinceMs = idleSinceMs.get(socket);
      if (sinceMs !== undefined && performance.now() - sinceMs >= deadlineMs) {
        dead += 1;
        return socket.destroy();
      }
      response.end("ok");
      idleSinceMs.set(socket, performance.now());
    });
    const pauseTo = (ms: number) => new Promise((done) => setTimeout(done, ms));
    await sender.deliver(url);
    await pauseTo(deadlineMs + 50);
    await sender.deliver(url);
    expect({ dead, handshakes }).toEqual({ dead: 1, handshakes: ["full", "resumed"] });
    // The request was repeated on a connection of its own. The next one opens a connection that is kept.
    await sender.deliver(url);
    const last = sockets.at(-1) as TLSSocket;
    const startedMs = performance.now();
    await once(last, "close");
    expect(performance.now() - startedMs).toBeLessThan(deadlineMs);
    await sender.deliver(url);
    expect(dead).toBe(1);
  });
});

describe("the number of idle connections", () => {
  test("is bounded in all: the one that has been idle for longest is closed", async () => {
    const { deliver, connections } = createSender({ total: 2, perOrigin: 2 });
    const servers = [await serve(), await serve(), await serve()];
    for (const { url } of servers) await deliver(url);
    const [first] = servers;
    const [socket] = first?.sockets ?? [];
    if (socket !== undefined && !socket.closed) await once(socket, "close");
    expect(connections.idle).toBe(2);
    for (const { url } of servers.slice(1)) await deliver(url);
    expect(servers.map(({ handshakes }) => handshakes.length)).toEqual([1, 1, 1]);
  });

  test("is bounded for each origin", async () => {
    const { deliver, connections } = createSender({ total: 10, perOrigin: 2 });
    const waiting: (() => void)[] = [];
    const { url, handshakes } = await serve({}, (_, response) => {
      waiting.push(() => response.end("ok"));
      if (waiting.length === 4) for (const answer of waiting) answer();
    });
    await Promise.all([deliver(url), deliver(url), deliver(url), deliver(url)]);
    expect(handshakes).toHaveLength(4);
    expect(connections.idle).toBe(2);
  });
});
