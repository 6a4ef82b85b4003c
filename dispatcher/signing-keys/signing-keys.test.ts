import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPool } from "../../db/pool.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, MASTER_KEY, type TestDispatcher } from "../testing/ground.ts";
import { createMasterKey, openSecret, sealSecret } from "./sealed-secret.ts";
import { createSigningKeys } from "./signing-keys.ts";

let ground: Ground;
let receiver: Receiver;
let dispatchers: TestDispatcher[];

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  dispatchers = [await ground.start(), await ground.start()];
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

describe("CreateSigningKey", () => {
  test("returns when every dispatcher signs each attempt with the new key and the older ones", async () => {
    const { projectId, secret } = await ground.addProject();
    const job = await ground.addJob(projectId, `${receiver.url}/keys`);
    const fire = async (count: number) => {
      const batches = dispatchers.map(() =>
        Array.from({ length: count }, (_, index) => eventOf(job, Date.now() + index)),
      );
      await Promise.all(dispatchers.map((dispatcher, index) => dispatcher.accept(batches[index] ?? [])));
      const ids = new Set(batches.flat().map(({ triggerId }) => triggerId));
      return receiver.waitFor((all) => {
        const arrived = all.filter(({ id }) => ids.has(id));
        return arrived.length === ids.size && arrived;
      });
    };
    for (const { headers } of await fire(20)) expect(headers["webhook-signature"]).not.toContain(" ");
    const secrets = [secret];
    for (const dispatcher of dispatchers) {
      const { response } = await dispatcher.client.createSigningKey({ projectId, request: {} });
      secrets.unshift(response?.secret ?? "");
      for (const { headers, rawBody } of await fire(20)) {
        const signatures = String(headers["webhook-signature"]).split(" ");
        expect(signatures).toHaveLength(secrets.length);
        for (const [index, each] of secrets.entries()) {
          const one = {
            ...(headers as Record<string, string>),
            "webhook-signature": signatures[index] ?? "",
          };
          expect(() => new Webhook(each).verify(rawBody, one)).not.toThrow();
        }
      }
    }
  });

  test("stores the secret encrypted, and returns it as a Standard Webhooks secret of 32 bytes", async () => {
    const { projectId } = await ground.addProject();
    const { response } = (await dispatchers[0]?.client.createSigningKey({ projectId, request: {} })) ?? {};
    expect(response?.signingKey?.id).toMatch(/^sk_[0-9a-z]{26}$/);
    const [, text = ""] = /^whsec_(.+)$/.exec(response?.secret ?? "") ?? [];
    const secret = Buffer.from(text, "base64");
    expect(secret).toHaveLength(32);
    const rows = await ground.sql("select sealed_secret from dispatcher.signing_keys where id = $1", [
      response?.signingKey?.id,
    ]);
    expect(rows[0].sealed_secret.includes(secret)).toBe(false);
  });
});

test("a signing key that PostgreSQL cannot read leaves the projects whose keys are read with it their keys", async () => {
  const database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
  const projects = [await ground.addProject(), await ground.addProject(), await ground.addProject()];
  const [first, bad, last] = projects.map(({ projectId }) => projectId) as [string, string, string];
  await ground.sql(`create policy guard on dispatcher.signing_keys to easycron_dispatcher
    using (1 / (case when project_id = '${bad}' then 0 else 1 end) = 1)`);
  await ground.sql("alter table dispatcher.signing_keys enable row level security");
  const troubles: unknown[] = [];
  const keys = createSigningKeys({
    database,
    masterKey: createMasterKey(MASTER_KEY),
    monotonicMs: () => performance.now(),
    onTrouble: (error) => troubles.push(error),
  });
  await keys.load([first, bad, last]);
  await ground.sql("alter table dispatcher.signing_keys disable row level security");
  await database.close();
  expect([first, bad, last].map((projectId) => keys.get(projectId)?.length)).toEqual([1, 0, 1]);
  expect(troubles).toMatchObject([{ code: "22012" }]);
});

test("a dispatcher asks for the version of the keys only while keys are in use", async () => {
  const database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
  const { projectId } = await ground.addProject();
  const asked: string[] = [];
  let nowMs = 0;
  const keys = createSigningKeys({
    database: {
      query: (statement, values) => {
        asked.push(statement.name);
        return database.query(statement, values);
      },
    },
    masterKey: createMasterKey(MASTER_KEY),
    monotonicMs: () => nowMs,
    onTrouble: () => {},
  });
  await keys.refresh();
  expect(asked).toEqual([]);
  await keys.load([projectId]);
  await keys.refresh();
  nowMs = 60_001;
  await keys.refresh();
  expect(asked).toEqual(["signingKeysByProject", "signingKeysVersion"]);
  expect(keys.get(projectId)).toBeUndefined();
  await database.close();
});

describe("a sealed secret", () => {
  const masterKey = createMasterKey(Buffer.alloc(32, 1));
  const secret = Buffer.from("a secret of 32 bytes, in letters");
  const sealed = sealSecret(masterKey, "sk_1", secret);

  test("can be decrypted with its master key and id", () => {
    expect(openSecret(masterKey, "sk_1", sealed)).toEqual(secret);
    expect(sealSecret(masterKey, "sk_1", secret)).not.toEqual(sealed);
  });

  test("cannot be decrypted with another id or master key, or after it was changed or truncated", () => {
    expect(() => openSecret(masterKey, "sk_2", sealed)).toThrow();
    expect(() => openSecret(createMasterKey(Buffer.alloc(32, 2)), "sk_1", sealed)).toThrow();
    for (let place = 0; place < sealed.length; place++) {
      const changed = Buffer.from(sealed);
      changed[place] = (changed[place] ?? 0) ^ 1;
      expect(() => openSecret(masterKey, "sk_1", changed)).toThrow();
      expect(() => openSecret(masterKey, "sk_1", sealed.subarray(0, place))).toThrow();
    }
  });
});
