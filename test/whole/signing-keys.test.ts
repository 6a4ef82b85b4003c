import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { verify } from "../../sdk/webhook.ts";
import { isEd25519 } from "../support/ed25519.ts";
import { type ReceivedRequest, type Receiver, startReceiver } from "../support/receiver.ts";
import { joinMesh, type SharedProject } from "../support/shared-mesh.ts";

let mesh: SharedProject;
let receiver: Receiver;
let client: EasyCron;

beforeAll(async () => {
  receiver = await startReceiver();
  mesh = await joinMesh();
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
  await client.jobs.create({
    name: "keys",
    schedule: { cron: { expression: "* * * * * *", dialect: "WITH_SECONDS" } },
    target: { webhook: { url: `${receiver.url}/keys` } },
  });
  await receiver.waitFor((requests) => requests.length > 0);
});
afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
});

/** Waits for the next `count` webhooks whose attempt starts from now on. */
async function next(count = 2): Promise<readonly ReceivedRequest[]> {
  // The timestamp is in whole seconds.
  const fromSeconds = Math.ceil(Date.now() / 1_000);
  return receiver.waitFor((requests) => {
    const later = requests.filter(({ headers }) => Number(headers["webhook-timestamp"]) >= fromSeconds);
    return later.length >= count && later;
  });
}

function isSignedBy({ rawBody, headers }: ReceivedRequest, secret: string): boolean {
  try {
    verify(rawBody, headers, secret);
    return true;
  } catch {
    return false;
  }
}

describe("the signing keys of a project", () => {
  test("are rotated during traffic: every webhook verifies with the old secret or the new one, and in the overlap with both", async () => {
    const [{ id = "" } = {}] = await client.signingKeys.list().toArray();
    const seen = receiver.requests.length;
    const { signingKey, secret, oldSigningKey } = await client.signingKeys.rotate(id, { overlap: "3600s" });
    expect(oldSigningKey).toMatchObject({ id, state: "ACTIVE" });
    for (const request of await next()) {
      for (const each of [mesh.signingSecret, secret]) expect(isSignedBy(request, each)).toBe(true);
    }
    await client.signingKeys.revoke(id);
    for (const request of await next()) {
      expect(isSignedBy(request, secret)).toBe(true);
      expect(isSignedBy(request, mesh.signingSecret)).toBe(false);
    }
    const all = receiver.requests.slice(seen);
    expect(all.length).toBeGreaterThan(3);
    for (const request of all) {
      expect(isSignedBy(request, mesh.signingSecret) || isSignedBy(request, secret)).toBe(true);
    }
    const keys = await client.signingKeys.list({ pageSize: 1 }).toArray();
    expect(keys).toMatchObject([
      { id: signingKey.id, algorithm: "HMAC_SHA256", publicKey: "", state: "ACTIVE" },
      { id, state: "REVOKED", revokeTime: expect.any(Date) },
    ]);
    await expect(client.signingKeys.revoke(signingKey.id)).rejects.toMatchObject({
      reason: "SIGNING_KEY_REQUIRED",
    });
  });

  test("may be ed25519 keys, whose signatures verify with the SDK and with node:crypto alone", async () => {
    const { signingKey, secret } = await client.signingKeys.create({ algorithm: "ED25519" });
    expect(secret).toBe("");
    expect(signingKey).toMatchObject({ algorithm: "ED25519", state: "ACTIVE" });
    for (const request of await next()) {
      expect(isSignedBy(request, signingKey.publicKey)).toBe(true);
      const [shared, asymmetric = "", ...rest] = String(request.headers["webhook-signature"]).split(" ");
      expect([shared?.slice(0, 3), rest]).toEqual(["v1,", []]);
      const headers = {
        ...(request.headers as Record<string, string>),
        "webhook-signature": asymmetric,
      };
      expect(isEd25519(headers, request.rawBody, signingKey.publicKey)).toBe(true);
      expect(isEd25519(headers, Buffer.concat([request.rawBody, Buffer.of(32)]), signingKey.publicKey)).toBe(
        false,
      );
    }
  });

  test("are not seen or changed by another project, and wrong requests are refused by field", async () => {
    const other = await joinMesh();
    try {
      const stranger = new EasyCron({ url: other.url, apiKey: other.apiKey });
      const own = await client.signingKeys.list().toArray();
      const theirs = await stranger.signingKeys.list().toArray();
      expect(theirs.filter(({ id }) => own.some((key) => key.id === id))).toEqual([]);
      const id = own[0]?.id ?? "";
      const notFound = { reason: "SIGNING_KEY_NOT_FOUND" };
      await expect(stranger.signingKeys.rotate(id)).rejects.toMatchObject(notFound);
      await expect(stranger.signingKeys.revoke(id)).rejects.toMatchObject(notFound);
      const wrong = client.signingKeys.rotate(id, { overlap: "604801s" });
      await expect(wrong).rejects.toMatchObject({ violations: [{ field: "overlap" }] });
      await expect(client.raw.signingKeys.createSigningKey({ algorithm: 9 as 1 })).rejects.toMatchObject({
        violations: [{ field: "algorithm" }],
      });
      expect(await client.signingKeys.list().toArray()).toEqual(own);
    } finally {
      await other.stop();
    }
  });
});
