import { createSecretKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import tls, { type TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllowList, parseDenyList } from "../../mesh/egress-address.ts";
import { createTestAuthority } from "../../test/support/certificate.ts";
import { heldTrigger } from "../testing/held.ts";
import { type AttemptParts, makeAttempt } from "./attempt.ts";
import { createDeliveryClients, type DeliveryClients } from "./clients.ts";
import { toSpec } from "./spec.ts";

const authority = createTestAuthority();
const usual = tls.getCACertificates("default");
const [first, second] = [authority.issue(), authority.issue()];
const KEYS = new Map([
  ["sec_1", first.key],
  ["sec_2", second.key],
]);

/** Of each request: which certificate it was sent with, over which connection, and whether that resumed a session. */
const seen: { certificate: string; port: number | undefined; isResumed: boolean }[] = [];
let server: https.Server;
let clients: DeliveryClients;
beforeAll(async () => {
  tls.setDefaultCACertificates([...usual, authority.certificate]);
  const options = {
    ...authority.issue(),
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: false,
  };
  server = https.createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket;
    const certificate = socket.authorized ? (socket.getPeerX509Certificate()?.fingerprint256 ?? "") : "none";
    seen.push({ certificate, port: socket.remotePort, isResumed: socket.isSessionReused() });
    request.resume().on("end", () => response.writeHead(certificate === "none" ? 403 : 204).end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  clients = createDeliveryClients(
    {
      egressAllow: parseAllowList("127.0.0.0/8") ?? [],
      egressDeny: parseDenyList("192.0.2.1"),
      deliveryConcurrency: 8,
      idleConnections: 8,
      pluginsAddresses: [],
    },
    "EasyCron/test",
    { onFailed: () => {}, onRecovered: () => {} },
  );
});
afterAll(async () => {
  await clients.close();
  server.close();
  tls.setDefaultCACertificates(usual);
});

const fail = () => Promise.reject(new Error("This is not needed here."));

async function attempt(auth: object | undefined, projectId = "proj_1", by = clients.webhook) {
  const parts: AttemptParts = {
    webhook: by,
    certificates: clients.certificates,
    plugins: clients.plugins,
    signingKeys: { get: () => [createSecretKey(Buffer.alloc(32, 1))], load: fail, refresh: fail },
    targetSecrets: { get: ({ id }) => KEYS.get(id), load: fail },
    accessTokens: { get: fail, replace: fail },
    acknowledgement: { tokenKeys: { get: () => undefined, load: fail }, publicUrl: undefined },
    onTrouble: () => {},
    clock: { now: () => Date.now() },
    isOwner: () => true,
  };
  const url = `https://localhost:${(server.address() as AddressInfo).port}/`;
  const webhook = auth === undefined ? { url } : { url, auth };
  const spec = toSpec({ job_uid: "job_1", revision: 1, spec: JSON.stringify({ target: { webhook } }) });
  const trigger = heldTrigger(Date.now(), { projectId });
  const delivery = await makeAttempt(parts, { trigger, spec, number: 1, startTimeMs: Date.now() });
  // undici frees the connection after it has told of the end of the answer.
  await new Promise(setImmediate);
  return delivery;
}

const authOf = (certificate: string, key: string) => ({ clientCertificate: { certificate, key } });
const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256;

test("a connection with a certificate is used again, but not by others, nor is its TLS session", async () => {
  const own = authOf(first.cert, "sec_1");
  expect((await attempt(own)).outcome).toMatchObject({ kind: "SUCCEEDED" });
  await attempt(own);
  await attempt(own, "proj_2");
  expect((await attempt(undefined)).outcome).toMatchObject({ kind: "REJECTED", statusCode: 403 });
  await attempt(authOf(second.cert, "sec_2"));
  expect(seen.map(({ certificate }) => certificate)).toEqual([
    ...Array(3).fill(fingerprint(first.cert)),
    "none",
    fingerprint(second.cert),
  ]);
  const ports = seen.map(({ port }) => port);
  expect(ports[1]).toBe(ports[0]);
  expect(new Set(ports).size).toBe(4);
  expect(seen.some(({ isResumed }) => isResumed)).toBe(false);
});

test("a certificate with the key of another is NOT_SENT", async () => {
  const before = seen.length;
  expect(await attempt(authOf(first.cert, "sec_2"))).toMatchObject({
    outcome: { kind: "NOT_SENT" },
    error: "The client certificate and its key cannot be used; give both again.",
  });
  expect(seen.length).toBe(before);
});

test("a fault in sending is not taken for a certificate that cannot be used", async () => {
  const faulty = {
    ...clients.webhook,
    get userAgent(): string {
      throw new Error("A fault.");
    },
  };
  await expect(attempt(authOf(first.cert, "sec_1"), "proj_1", faulty)).rejects.toThrow("A fault.");
});
