import { createSecretKey } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DENY_NOTHING, parseAllowList } from "../../mesh/egress-address.ts";
import { type DnsServer, startDnsServer } from "../../test/support/dns-server.ts";
import { heldTrigger } from "../testing/held.ts";
import { createDeliveryClients, type DeliveryClients } from "./clients.ts";
import type { Delivery } from "./outcome.ts";
import { toSpec } from "./spec.ts";
import { deliverWebhook } from "./webhook.ts";

// The clients are those of a dispatcher, and the name server is a real one. 127.0.0.2 and 127.0.0.3 play public addresses
// and 127.0.0.1 a private one, so no request leaves the machine.
const ALLOW = parseAllowList("127.0.0.2/32,127.0.0.3/32");
const BLOCKED = "Blocked address: the address of this host is not public; use a URL with a public address.";
const DNS_TIMEOUT_MS = 300;

let dns: DnsServer;
let server: Server;
let clients: DeliveryClients;
/** The local addresses at which requests arrived. */
let reached: (string | undefined)[];

beforeAll(async () => {
  dns = await startDnsServer();
  server = createServer((request, response) => {
    reached.push(request.socket.localAddress);
    // Without keep-alive each request opens a connection, and asks DNS.
    response.writeHead(204, { connection: "close" }).end();
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
});
afterAll(() => {
  dns.stop();
  server.close();
});

beforeEach(() => {
  reached = [];
  const settings = {
    egressAllow: ALLOW,
    egressDeny: DENY_NOTHING,
    resolver: dns.resolver(DNS_TIMEOUT_MS),
    deliveryConcurrency: 8,
    idleConnections: 8,
    pluginsAddresses: [],
  };
  const listeners = { onFailed: () => {}, onRecovered: () => {} };
  clients = createDeliveryClients(settings, "EasyCron/test", listeners);
});
afterEach(() => clients.close());

function deliver(host = "hooks.acme.io"): Promise<Delivery> {
  const url = `http://${host}:${(server.address() as AddressInfo).port}/`;
  const text = JSON.stringify({ target: { webhook: { url } }, attemptTimeout: "20s" });
  const spec = toSpec({ job_uid: "job_1", revision: 1, spec: text });
  if (spec.target.kind !== "webhook") throw new Error("no webhook");
  const keys = [createSecretKey(Buffer.alloc(32, 1))];
  const trigger = heldTrigger(Date.now());
  const attempt = { trigger, number: 1, spec, target: spec.target, keys, startTimeMs: Date.now() };
  return deliverWebhook(clients.webhook, attempt);
}

const list = (...addresses: string[]) => ({ addresses, ttlSeconds: 0 });

describe("a name", () => {
  test("with a public address is called there, and the lookup is timed", async () => {
    dns.answer(list("127.0.0.2"));
    const { outcome, timing } = await deliver();
    expect(outcome.kind).toBe("SUCCEEDED");
    expect(timing).toMatchObject({
      isReused: false,
      dnsMs: expect.any(Number),
      connectMs: expect.any(Number),
    });
    expect(reached).toEqual(["127.0.0.2"]);
    expect(dns.asked.at(-1)).toBe("hooks.acme.io");
  });

  test.each([0, 60])(
    "that is rebound to a private address is refused, with a TTL of %i s",
    async (ttlSeconds) => {
      dns.answer({ addresses: ["127.0.0.2"], ttlSeconds }, { addresses: ["127.0.0.1"], ttlSeconds });
      expect((await deliver()).outcome.kind).toBe("SUCCEEDED");
      const second = await deliver();
      expect(second).toMatchObject({ outcome: { kind: "NOT_SENT" }, error: BLOCKED });
      expect(reached).toEqual(["127.0.0.2"]);
    },
  );

  test.each([
    ["a public and a private address", list("127.0.0.2", "127.0.0.1")],
    ["a metadata service", list("169.254.169.254")],
    ["the host of Azure", list("168.63.129.16")],
    [
      "99 public addresses and a private one",
      list(...Array.from({ length: 99 }, () => "127.0.0.2"), "10.0.0.1"),
    ],
  ])("with %s is refused, and the error does not have the address", async (_, answer) => {
    dns.answer(answer);
    expect(await deliver()).toMatchObject({ outcome: { kind: "NOT_SENT" }, error: BLOCKED });
    expect(reached).toEqual([]);
  });

  test("with 100 public addresses is called at one that answers", async () => {
    dns.answer(list(...Array.from({ length: 100 }, () => "127.0.0.3")));
    expect((await deliver()).outcome.kind).toBe("SUCCEEDED");
    expect(reached).toEqual(["127.0.0.3"]);
  });

  test.each([
    ["does not exist", "NXDOMAIN", "The host name has no address."],
    ["has no address", list(), "The host name has no address."],
    ["whose server fails", "SERVFAIL", "The name servers of the host's domain reported a failure."],
  ] as const)("that %s is NOT_SENT", async (_, answer, error) => {
    dns.answer(answer);
    expect(await deliver()).toMatchObject({ outcome: { kind: "NOT_SENT" }, error });
  });

  test("whose server is silent is NOT_SENT in bounded time, and delays no other name", async () => {
    dns.answer(list("127.0.0.3"));
    dns.silence("silent.acme.io");
    const startedMs = performance.now();
    let isSilentOver = false;
    const silent = deliver("silent.acme.io").finally(() => {
      isSilentOver = true;
    });
    expect((await deliver()).outcome.kind).toBe("SUCCEEDED");
    expect(isSilentOver).toBe(false);
    expect(await silent).toMatchObject({
      outcome: { kind: "NOT_SENT" },
      error: "The name servers of the host's domain do not answer.",
    });
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

test.each([
  "127.0.0.1",
  "2130706433",
  "0x7f000001",
  "0177.0.0.1",
  "[::1]",
  "[::ffff:127.0.0.1]",
  "[::7f00:1]",
])("the literal %s is refused without a question to DNS", async (host) => {
  const before = dns.asked.length;
  expect(await deliver(host)).toMatchObject({ outcome: { kind: "NOT_SENT" }, error: BLOCKED });
  expect([reached, dns.asked.length]).toEqual([[], before]);
});
