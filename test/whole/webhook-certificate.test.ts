import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { joinMesh, type SharedProject } from "../support/shared-mesh.ts";

let mesh: SharedProject;
let client: EasyCron;
let server: https.Server;
/** The fingerprint of the certificate of each request. */
const seen: string[] = [];

beforeAll(async () => {
  mesh = await joinMesh();
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
  const options = { ...mesh.certificates.server, ca: mesh.authority, requestCert: true };
  server = https.createServer({ ...options, rejectUnauthorized: true }, (request, response) => {
    seen.push((request.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256 ?? "none");
    response.writeHead(204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(async () => {
  await mesh?.stop();
  server?.close();
});

/** Runs a job with one attempt now, and returns the attempt. */
async function run(name: string) {
  const { id } = await client.jobs.run(name);
  await expect
    .poll(async () => (await client.triggers.get(id)).state, { timeout: 20_000 })
    .toMatch(/^(SUCCEEDED|EXHAUSTED)$/);
  const [attempt] = await client.triggers.listAttempts(id).toArray();
  return attempt;
}

describe("a webhook with a client certificate", () => {
  test("shows it to a server that asks for one, and no answer has its key", async () => {
    const { cert, key } = mesh.certificates.client;
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const clientCertificate = { certificate: cert, key };
    const retryPolicy = { maxAttempts: 1 };
    const created = await client.jobs.create({
      name: "certificate",
      target: { webhook: { url, auth: { clientCertificate } } },
      retryPolicy,
    });
    expect(await run("certificate")).toMatchObject({ outcome: "SUCCEEDED", statusCode: 204 });
    expect(seen).toEqual([new X509Certificate(cert).fingerprint256]);
    const answers = [created, await client.jobs.get("certificate"), await client.jobs.list().toArray()];
    const [, middle = ""] = key.split("\n");
    expect(JSON.stringify(answers)).not.toContain(middle);
    expect(JSON.stringify(answers)).not.toContain("sec_");

    await client.jobs.create({ name: "without", target: { webhook: { url } }, retryPolicy });
    expect((await run("without"))?.outcome).not.toBe("SUCCEEDED");
    expect(seen).toHaveLength(1);
  });
});
