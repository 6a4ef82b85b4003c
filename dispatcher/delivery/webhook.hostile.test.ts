import { createSecretKey } from "node:crypto";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DENY_NOTHING, parseAllowList } from "../../mesh/egress-address.ts";
import { createTestAuthority } from "../../test/support/certificate.ts";
import { BEHAVIOURS, startHostile } from "../../test/support/hostile/fleet.ts";
import { heldTrigger } from "../testing/held.ts";
import { createDeliveryClients, type DeliveryClients } from "./clients.ts";
import type { Delivery } from "./outcome.ts";
import { toSpec } from "./spec.ts";
import { deliverWebhook, MAX_BODY_BYTES } from "./webhook.ts";

// The long test of all of them beside a healthy project is test/faults/hostile-receivers.test.ts.

const authority = createTestAuthority();
const usual = tls.getCACertificates("default");
let clients: DeliveryClients;
beforeAll(() => {
  tls.setDefaultCACertificates([...usual, authority.certificate]);
  const settings = {
    egressAllow: parseAllowList("127.0.0.0/8"),
    egressDeny: DENY_NOTHING,
    deliveryConcurrency: 100,
    idleConnections: 100,
    pluginsAddresses: [],
  };
  clients = createDeliveryClients(settings, "EasyCron/test", { onFailed: () => {}, onRecovered: () => {} });
});
afterAll(async () => {
  await clients.close();
  tls.setDefaultCACertificates(usual);
});

const LIMIT_MS = 4_000;

function deliver(url: string): Promise<Delivery> {
  const text = JSON.stringify({ target: { webhook: { url } }, attemptTimeout: `${LIMIT_MS / 1_000}s` });
  const spec = toSpec({ job_uid: "job_1", revision: 1, spec: text });
  if (spec.target.kind !== "webhook") throw new Error("no webhook");
  const keys = [createSecretKey(Buffer.alloc(32, 1))];
  const payload = JSON.stringify("p".repeat(60_000));
  const trigger = { ...heldTrigger(Date.now()), payload };
  const attempt = { trigger, number: 1, spec, target: spec.target, keys, startTimeMs: Date.now() };
  return deliverWebhook(clients.webhook, attempt);
}

describe.concurrent("a receiver that", () => {
  test.each(BEHAVIOURS.map((behaviour) => [behaviour.name, behaviour] as const))(
    "%s",
    async (_, behaviour) => {
      const server = await startHostile(behaviour, authority);
      const { outcome: kind, statusCode, error = /^$/ } = behaviour;
      const expected = {
        outcome: { kind, ...(statusCode !== undefined && { statusCode }) },
        error: expect.stringMatching(error),
      };
      const startedMs = performance.now();
      const first = await Promise.all([deliver(server.url), deliver(server.url)]);
      const tookMs = performance.now() - startedMs;
      // Another attempt, whose connection may be one that the first two have left: nothing of them is taken for its answer.
      const again = await deliver(server.url);
      server.stop();
      for (const delivery of [...first, again]) {
        expect(delivery).toMatchObject(expected);
        expect(Buffer.byteLength(delivery.responseBody)).toBeLessThanOrEqual(3 * MAX_BODY_BYTES);
        expect(delivery.responseBody.length).toBeLessThanOrEqual(MAX_BODY_BYTES);
      }
      if (behaviour.endedBy === "receiver") expect(tookMs).toBeLessThan(LIMIT_MS);
      else expect(tookMs).toBeGreaterThan(0.9 * LIMIT_MS);
      expect(tookMs).toBeLessThan(2 * LIMIT_MS);
      expect(server.accepted).toBeLessThanOrEqual(3);
    },
  );
});
