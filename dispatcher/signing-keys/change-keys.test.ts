import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SigningAlgorithm, SigningKeyState } from "../../gen/easycron/v1/signing_key_service_pb.ts";
import { type KeyScene, openKeyScene } from "../testing/key-scene.ts";

const DAY_MS = 86_400_000;

let scene: KeyScene;

beforeAll(async () => {
  scene = await openKeyScene();
});
afterAll(() => scene?.end());

test("RotateSigningKey makes a key beside which the old one signs, too, until the overlap ends", async () => {
  const { projectId, secret, keyId, job } = await scene.addProject();
  const rotated = await scene.rotate(projectId, keyId, DAY_MS / 1_000, scene.dispatchers[1]);
  expect(rotated.old).toMatchObject({ id: keyId, state: SigningKeyState.ACTIVE });
  await scene.expectSigned(job, [rotated.secret, secret]);
  await scene.whileAhead(DAY_MS, async () => {
    // Both caches hold the old key. It ends by the clock alone.
    await scene.expectSigned(job, [rotated.secret]);
    const states = (await scene.list(projectId)).map(({ id, state }) => [id === keyId, state]);
    expect(states).toContainEqual([true, SigningKeyState.EXPIRED]);
    await expect(scene.rotate(projectId, keyId, 0)).rejects.toThrow(/cannot be rotated: it expired at /);
  });
});

// Each call takes a second, in which it waits.
describe.concurrent("CreateSigningKey", () => {
  test("returns when every dispatcher signs each attempt with the new key and the older ones", async () => {
    const { projectId, secret, job } = await scene.addProject();
    await scene.expectSigned(job, [secret]);
    const secrets = [secret];
    for (const dispatcher of scene.dispatchers) {
      secrets.unshift((await scene.create(projectId, {}, dispatcher)).secret);
      await scene.expectSigned(job, secrets);
    }
  });

  test("stores the secret encrypted, and returns it as a Standard Webhooks secret of 32 bytes", async () => {
    const { projectId } = await scene.addProject();
    const { key, secret } = await scene.create(projectId);
    expect(key).toMatchObject({ algorithm: SigningAlgorithm.HMAC_SHA256, publicKey: "" });
    expect(key.state).toBe(SigningKeyState.ACTIVE);
    expect([key.expireTime, key.revokeTime]).toEqual([undefined, undefined]);
    expect(key.id).toMatch(/^sk_[0-9a-z]{26}$/);
    const bytes = Buffer.from(/^whsec_(.+)$/.exec(secret)?.[1] ?? "", "base64");
    expect(bytes).toHaveLength(32);
    const rows = await scene.ground.sql("select sealed_secret from dispatcher.signing_keys where id = $1", [
      key.id,
    ]);
    expect(rows[0].sealed_secret.includes(bytes)).toBe(false);
  });

  test("makes an ed25519 key, which signs after the shared secrets, and of which only the public half is told", async () => {
    const { projectId, secret, job } = await scene.addProject();
    const first = await scene.create(projectId, { algorithm: SigningAlgorithm.ED25519 });
    expect(first.secret).toBe("");
    expect(first.key.algorithm).toBe(SigningAlgorithm.ED25519);
    expect(first.key.publicKey).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
    const shared = await scene.create(projectId, { algorithm: SigningAlgorithm.HMAC_SHA256 });
    const second = await scene.create(projectId, { algorithm: SigningAlgorithm.ED25519 });
    const wanted = [shared.secret, secret, second.key.publicKey, first.key.publicKey];
    await scene.expectSigned(job, wanted);
  });

  test("refuses the sixth active key, also when many are created at once", async () => {
    const { projectId, keyId } = await scene.addProject();
    const calls = Array.from({ length: 8 }, (_, index) =>
      scene.create(projectId, {}, scene.dispatchers[index % 2]),
    );
    const ended = await Promise.allSettled(calls);
    const created = ended.flatMap((each) => (each.status === "fulfilled" ? [each.value.key.id] : []));
    expect(created).toHaveLength(4);
    const refused = ended.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    for (const error of refused) expect(error).toMatchObject({ reason: "SIGNING_KEY_LIMIT_REACHED" });
    await expect(scene.rotate(projectId, keyId, 60)).rejects.toThrow("has 5 active signing keys");
    expect((await scene.rotate(projectId, keyId, 0)).old.state).toBe(SigningKeyState.EXPIRED);
    await scene.revoke(projectId, created[0] ?? "");
    await scene.create(projectId);
    expect(
      (await scene.list(projectId)).filter(({ state }) => state === SigningKeyState.ACTIVE),
    ).toHaveLength(5);
  });
});

describe.concurrent("ListSigningKeys", () => {
  test("lists a project's keys in pages, newest first, with their states and without secrets", async () => {
    const { projectId } = await scene.addProject();
    await scene.ground.sql("delete from dispatcher.signing_keys where project_id = $1", [projectId]);
    const first = (await scene.create(projectId)).key;
    const second = await scene.rotate(projectId, first.id, 3_600);
    const third = (await scene.create(projectId, { algorithm: SigningAlgorithm.ED25519 })).key;
    const revoked = await scene.revoke(projectId, second.key.id);
    const keys = await scene.list(projectId, 2);
    expect(keys).toEqual([third, revoked, second.old]);
    expect(keys.map(({ state }) => state)).toEqual([
      SigningKeyState.ACTIVE,
      SigningKeyState.REVOKED,
      SigningKeyState.ACTIVE,
    ]);
    expect(revoked.revokeTime).toBeDefined();
    expect(Number(second.old.expireTime?.seconds)).toBeCloseTo(scene.now() / 1_000 + 3_600, -2);
    expect(
      JSON.stringify(keys, (_, value) => (typeof value === "bigint" ? String(value) : value)),
    ).not.toMatch(/whsec_|secret/);
  });

  test("shows nothing of another project, and refuses its page tokens", async () => {
    const one = await scene.addProject();
    const other = await scene.addProject();
    await scene.create(one.projectId);
    expect((await scene.list(other.projectId)).map(({ id }) => id)).toEqual([other.keyId]);
    const { client } = scene.dispatchers[0];
    const { response } = await client.listSigningKeys({ projectId: one.projectId, request: { pageSize: 1 } });
    const request = { pageToken: response?.nextPageToken ?? "" };
    await expect(client.listSigningKeys({ projectId: other.projectId, request })).rejects.toMatchObject({
      reason: "PAGE_TOKEN_INVALID",
    });
  });
});

describe.concurrent("RotateSigningKey", () => {
  test("ends the old key at once with an overlap of zero, and keeps the algorithm", async () => {
    const { projectId, secret, job } = await scene.addProject();
    const made = await scene.create(projectId, { algorithm: SigningAlgorithm.ED25519 });
    const rotated = await scene.rotate(projectId, made.key.id, 0);
    expect(rotated.key.algorithm).toBe(SigningAlgorithm.ED25519);
    await scene.expectSigned(job, [secret, rotated.key.publicKey]);
  });

  test("never lets a key sign for longer than it was told before", async () => {
    const { projectId, keyId } = await scene.addProject();
    const { old: first } = await scene.rotate(projectId, keyId, 60);
    const { old: second } = await scene.rotate(projectId, keyId, 3_600);
    expect(second.expireTime).toEqual(first.expireTime);
    const { old: third } = await scene.rotate(projectId, keyId, 1);
    expect(Number(third.expireTime?.seconds)).toBeLessThan(Number(first.expireTime?.seconds));
  });

  test("takes a day if no overlap is given, and refuses a key of another project", async () => {
    const { projectId, keyId } = await scene.addProject();
    const other = await scene.addProject();
    const { client } = scene.dispatchers[0];
    await expect(client.rotateSigningKey({ projectId, request: { id: other.keyId } })).rejects.toMatchObject({
      reason: "SIGNING_KEY_NOT_FOUND",
    });
    const { response } = await client.rotateSigningKey({ projectId, request: { id: keyId } });
    const seconds = Number(response?.oldSigningKey?.expireTime?.seconds);
    expect(seconds).toBeCloseTo((scene.now() + DAY_MS) / 1_000, -2);
  });
});

test("a project has at most two active ed25519 keys, and may rotate one at once", async () => {
  const { projectId } = await scene.addProject();
  const algorithm = SigningAlgorithm.ED25519;
  const { key } = await scene.create(projectId, { algorithm });
  await scene.create(projectId, { algorithm });
  const refused = {
    reason: "SIGNING_KEY_LIMIT_REACHED",
    message: expect.stringContaining("This project has 2 active ed25519 keys, which is the limit"),
  };
  await expect(scene.create(projectId, { algorithm })).rejects.toMatchObject(refused);
  await expect(scene.rotate(projectId, key.id, 60)).rejects.toMatchObject(refused);
  await scene.rotate(projectId, key.id, 0);
  await scene.create(projectId);
});

test("a change of signing keys gives up when another one holds the version for long", async () => {
  const { projectId } = await scene.addProject();
  await scene.ground.whileHeld(
    "update dispatcher.signing_keys_version set version = version",
    [],
    async () => {
      const startedMs = performance.now();
      const { client } = scene.dispatchers[0];
      const created = client.createSigningKey({ projectId, request: {} });
      await expect(created).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
      expect(performance.now() - startedMs).toBeLessThan(15_000);
    },
  );
  await scene.create(projectId);
});

test("keys are listed in the order in which they were created, whatever their ids are", async () => {
  const { projectId, keyId } = await scene.addProject();
  await scene.ground.sql(
    `insert into dispatcher.signing_keys (id, project_id, algorithm, sealed_secret, create_time, revoke_time)
     select 'sk_' || n, $1, 'HMAC_SHA256', '\\x00', timestamptz '2026-01-01' + (n * 7 % 5) * interval '1 hour', now()
       from generate_series(1, 5) as n`,
    [projectId],
  );
  const expected = [keyId, "sk_2", "sk_4", "sk_1", "sk_3", "sk_5"];
  for (const pageSize of [1, 2, 50]) {
    expect((await scene.list(projectId, pageSize)).map(({ id }) => id)).toEqual(expected);
  }
});

describe.concurrent("RevokeSigningKey", () => {
  test("returns when no dispatcher signs with the key", async () => {
    const { projectId, secret, keyId, job } = await scene.addProject();
    const fresh = await scene.create(projectId);
    await scene.expectSigned(job, [fresh.secret, secret]);
    const revoked = await scene.revoke(projectId, keyId);
    expect(revoked).toMatchObject({ id: keyId, state: SigningKeyState.REVOKED });
    await scene.expectSigned(job, [fresh.secret]);
    expect(await scene.revoke(projectId, keyId, scene.dispatchers[1])).toEqual(revoked);
    await expect(scene.rotate(projectId, keyId, 0)).rejects.toThrow(/cannot be rotated: it was revoked at /);
  });

  test("refuses the last key, and the last that signs without an end", async () => {
    const { projectId, keyId } = await scene.addProject();
    await expect(scene.revoke(projectId, keyId)).rejects.toMatchObject({ reason: "SIGNING_KEY_REQUIRED" });
    const { key } = await scene.rotate(projectId, keyId, 3_600);
    await expect(scene.revoke(projectId, key.id)).rejects.toMatchObject({ reason: "SIGNING_KEY_REQUIRED" });
    await scene.revoke(projectId, keyId);
    const states = (await scene.list(projectId)).map(({ state }) => state);
    expect(states.sort()).toEqual([SigningKeyState.ACTIVE, SigningKeyState.REVOKED]);
  });

  test("refuses a key of another project", async () => {
    const { projectId } = await scene.addProject();
    const other = await scene.addProject();
    await scene.create(other.projectId);
    await expect(scene.revoke(projectId, other.keyId)).rejects.toMatchObject({
      reason: "SIGNING_KEY_NOT_FOUND",
    });
    const states = (await scene.list(other.projectId)).map(({ state }) => state);
    expect(states).toEqual([SigningKeyState.ACTIVE, SigningKeyState.ACTIVE]);
    await scene.revoke(other.projectId, other.keyId);
    const again = scene.revoke(projectId, other.keyId);
    await expect(again).rejects.toMatchObject({ reason: "SIGNING_KEY_NOT_FOUND" });
  });
});

test("of the keys that have ended, the newest 100 are kept", async () => {
  const { projectId, keyId } = await scene.addProject();
  await scene.ground.sql(
    `insert into dispatcher.signing_keys (id, project_id, algorithm, sealed_secret, create_time, revoke_time)
     select 'sk_old' || lpad(n::text, 3, '0'), $1, 'HMAC_SHA256', '\\x00', now() - n * interval '1 hour', now()
       from generate_series(1, 120) as n`,
    [projectId],
  );
  await scene.create(projectId);
  const ids = (await scene.list(projectId)).map(({ id }) => id);
  expect(ids).toHaveLength(102);
  expect(ids).toEqual(expect.arrayContaining([keyId, "sk_old001", "sk_old100"]));
});
