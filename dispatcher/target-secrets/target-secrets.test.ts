import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool, type Queryable } from "../../db/pool.ts";
import { systemClock } from "../../mesh/clock.ts";
import { failure } from "../../mesh/errors.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createMasterKeys } from "../signing-keys/master-keys.ts";
import {
  createGround,
  eventOf,
  type Ground,
  MASTER_KEY,
  type TestDispatcher,
  untilRecorded,
} from "../testing/ground.ts";
import { createTokenKeys } from "../tokens/token-keys.ts";
import { sealSecrets } from "./seal-secrets.ts";
import { createTargetSecrets } from "./target-secrets.ts";

let ground: Ground;
let database: Pool;
let dispatcher: TestDispatcher;
let receiver: Receiver;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
  dispatcher = await ground.start();
});
afterAll(async () => {
  await database.close();
  await ground.end();
  await receiver.stop();
});

async function seal(projectId: string, secrets: string[], validateOnly = false): Promise<string[]> {
  return (await dispatcher.client.sealSecrets({ projectId, secrets, validateOnly })).ids;
}

const rowsOf = (projectId: string) =>
  ground.sql("select id, sealed_secret from dispatcher.target_secrets where project_id = $1", [projectId]);

const countOf = (projectId: string) =>
  ground.sql("select secret_count from dispatcher.target_secret_counts where project_id = $1", [projectId]);

describe("sealing", () => {
  test("stores each secret once, encrypted, and gives equal secrets of a project the same id", async () => {
    const [{ projectId }, other] = [await ground.addProject(), await ground.addProject()];
    const ids = await seal(projectId, ["apple-secret", "pear", "apple-secret"]);
    expect(ids[0]).toMatch(/^sec_[0-9a-f]{40}$/);
    expect(ids[2]).toBe(ids[0]);
    expect(ids[1]).not.toBe(ids[0]);
    expect(await seal(projectId, ["pear"])).toEqual([ids[1]]);
    const rows = await rowsOf(projectId);
    expect(rows.map(({ id }) => id).sort()).toEqual([...new Set(ids)].sort());
    expect(rows.some(({ sealed_secret }) => sealed_secret.includes("apple"))).toBe(false);
    expect(await seal(other.projectId, ["pear"])).not.toEqual([ids[1]]);
  });

  test("only computes the ids when it is asked to validate", async () => {
    const { projectId } = await ground.addProject();
    const ids = await seal(projectId, ["kiwi"], true);
    expect(await rowsOf(projectId)).toEqual([]);
    expect(await seal(projectId, ["kiwi"])).toEqual(ids);
  });

  test("makes no data key when it is asked to validate", async () => {
    const [id] = await seal("proj_validated", ["kiwi"], true);
    expect(id).toMatch(/^sec_[0-9a-f]{40}$/);
    const read = "select from dispatcher.data_keys where project_id = 'proj_validated'";
    expect(await ground.sql(read)).toEqual([]);
  });

  test("does not wait for a change of the project's signing keys, and neither does the key of a token", async () => {
    const { projectId } = await ground.addProject();
    const lock = "select from dispatcher.data_keys where project_id = $1 for update";
    await ground.whileHeld(lock, [projectId], async () => {
      await seal(projectId, ["kiwi"], true);
      await seal(projectId, ["kiwi"]);
      await createTokenKeys({ database, masterKeys: createMasterKeys(MASTER_KEY) }).load(projectId);
    });
    expect(await rowsOf(projectId)).toHaveLength(1);
  });

  test("works for a project that has no data key yet", async () => {
    const [id = ""] = await seal("proj_new", ["plum"]);
    const secrets = createTargetSecrets({ database, masterKeys: createMasterKeys(MASTER_KEY) }, 1_000);
    expect(await secrets.load({ projectId: "proj_new", id })).toBe("plum");
  });

  test("refuses new secrets of a project that has stored as many as it may, and takes those that it has", async () => {
    const { projectId } = await ground.addProject();
    const parts = { database, masterKeys: createMasterKeys(MASTER_KEY), clock: systemClock };
    const sealUpTo3 = (...secrets: string[]) =>
      sealSecrets(parts, projectId, { secrets, validateOnly: false }, 3);
    const ids = await sealUpTo3("one", "two");
    await expect(sealUpTo3("two", "three", "four")).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      message: expect.stringMatching(/2 of the secrets are new, .* has stored 2 of the 3 /),
    });
    await sealUpTo3("three", "three");
    expect(await sealUpTo3("one", "two")).toEqual(ids);
    await expect(sealUpTo3("four")).rejects.toMatchObject({ reason: "FIELD_INVALID" });
    expect(await rowsOf(projectId)).toHaveLength(3);
  });

  test("keeps the secrets in use when the statement in docs/operations.md deletes the others", async () => {
    const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
    const statement = /```sql\n(with used as materialized[^`]*)```/.exec(page)?.[1] ?? "";
    const { projectId } = await ground.addProject();
    const [used = "", unused = ""] = await seal(projectId, ["used", "unused"]);
    await ground.addJob(projectId, `https://example.com/${used}`);
    await ground.sql(statement);
    expect(await rowsOf(projectId)).toHaveLength(2);
    await ground.sql(
      "update dispatcher.target_secrets set create_time = now() - interval '31 days' where id = any ($1)",
      [[used, unused]],
    );
    await ground.sql(statement);
    expect((await rowsOf(projectId)).map(({ id }) => id)).toEqual([used]);
    expect(await countOf(projectId)).toEqual([{ secret_count: 1 }]);
  });

  test("counts a secret once, also if it comes several times, and reads no other secret to know the count", async () => {
    const { projectId } = await ground.addProject();
    await seal(projectId, ["one", "two", "two"]);
    await seal(projectId, ["two", "three"]);
    await seal(projectId, ["one"]);
    expect(await countOf(projectId)).toEqual([{ secret_count: 3 }]);
    const full = "update dispatcher.target_secret_counts set secret_count = 1000000 where project_id = $1";
    await ground.sql(full, [projectId]);
    await expect(seal(projectId, ["four"])).rejects.toMatchObject({ reason: "FIELD_INVALID" });
  });

  test("refuses too many secrets, and one that is too long", async () => {
    await expect(seal("proj_a", Array(2_001).fill("a"))).rejects.toMatchObject({ reason: "FIELD_INVALID" });
    await expect(seal("proj_a", ["a", "ö".repeat(8_193)])).rejects.toMatchObject({
      violations: [{ field: "secrets[1]" }],
    });
  });
});

describe("the cache of secrets", () => {
  test("reads a secret once, also for calls at the same time, and removes old ones when it is full", async () => {
    const { projectId } = await ground.addProject();
    const [first = "", second = ""] = await seal(projectId, ["a".repeat(500), "b".repeat(500)]);
    let reads = 0;
    const watched: Queryable = {
      query: (statement, values) => {
        reads += 1;
        return database.query(statement, values);
      },
    };
    const secrets = createTargetSecrets(
      { database: watched, masterKeys: createMasterKeys(MASTER_KEY) },
      1_000,
    );
    const key = { projectId, id: first };
    await Promise.all([secrets.load(key), secrets.load(key)]);
    expect(reads).toBe(1);
    expect(secrets.get(key)).toBe("a".repeat(500));
    await secrets.load({ projectId, id: second });
    expect(secrets.get(key)).toBeUndefined();
    expect(secrets.get({ projectId, id: second })).toBe("b".repeat(500));
  });

  test("reads the secrets of many projects in one statement, and a damaged one fails alone", async () => {
    const [{ projectId }, other] = [await ground.addProject(), await ground.addProject()];
    const [first = "", second = "", third = ""] = await seal(projectId, ["1", "2", "3"]);
    const [foreign = ""] = await seal(other.projectId, ["4"]);
    const damage = "update dispatcher.target_secrets set sealed_secret = '\\x00' where id = $1";
    await ground.sql(damage, [second]);
    let reads = 0;
    const watched: Queryable = {
      query: (statement, values) => {
        reads += 1;
        return database.query(statement, values);
      },
    };
    const masterKeys = createMasterKeys(MASTER_KEY);
    const secrets = createTargetSecrets({ database: watched, masterKeys }, 10_000);
    const keys = [first, second, third].map((id) => ({ projectId, id }));
    const loaded = await Promise.allSettled(
      [...keys, { projectId: other.projectId, id: foreign }, { projectId, id: foreign }].map(secrets.load),
    );
    expect(reads).toBe(1);
    expect(loaded).toMatchObject([
      { value: "1" },
      { status: "rejected" },
      { value: "3" },
      { value: "4" },
      { reason: { message: `The project ${projectId} has no secret ${foreign}.` } },
    ]);
  });

  test("does not keep a failure", async () => {
    const { projectId } = await ground.addProject();
    const [id = ""] = await seal(projectId, ["fig"]);
    let isAway = true;
    const flaky: Queryable = {
      query: async (statement, values) => {
        if (isAway) throw failure("SERVICE_UNAVAILABLE", { service: "PostgreSQL" });
        return database.query(statement, values);
      },
    };
    const secrets = createTargetSecrets({ database: flaky, masterKeys: createMasterKeys(MASTER_KEY) }, 1_000);
    await expect(secrets.load({ projectId, id })).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    isAway = false;
    expect(await secrets.load({ projectId, id })).toBe("fig");
  });
});

describe("a webhook whose target has auth", () => {
  const jobWith = (projectId: string, auth: object) =>
    ground.addJob(projectId, "", { target: { webhook: { url: `${receiver.url}/auth`, auth } } });

  async function fire(job: Awaited<ReturnType<typeof jobWith>>) {
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await recorded;
    const request = receiver.requests.find(({ id }) => id === event.triggerId);
    return {
      authorization: request?.headers.authorization,
      attempts: await ground.attemptsOf(event.triggerId),
    };
  }

  test("sends the secret", async () => {
    const { projectId } = await ground.addProject();
    const [token, password] = await seal(projectId, ["tok", "wörd"]);
    expect((await fire(await jobWith(projectId, { bearer: { token } }))).authorization).toBe("Bearer tok");
    const { authorization } = await fire(await jobWith(projectId, { basic: { username: "bob", password } }));
    expect(authorization).toBe(`Basic ${Buffer.from("bob:wörd").toString("base64")}`);
  });

  test("does not delay other webhooks while no secret can be read", async () => {
    const { projectId } = await ground.addProject();
    const ids = await seal(
      projectId,
      Array.from({ length: 20 }, (_, n) => `tok ${n}`),
    );
    const jobs = await Promise.all(ids.map((token) => jobWith(projectId, { bearer: { token } })));
    const other = await ground.addProject();
    const plain = await ground.addJob(other.projectId, `${receiver.url}/plain`);
    const events = jobs.map((job) => eventOf(job, Date.now()));
    const recorded = untilRecorded(dispatcher.events, events);
    await ground.whileHeld("lock table dispatcher.target_secrets", [], async () => {
      await dispatcher.accept(events);
      await ground.untilWaiting();
      expect((await fire(plain)).attempts).toMatchObject([{ outcome: "SUCCEEDED" }]);
    });
    await recorded;
  });

  test("has its secret read before it is due", async () => {
    const { projectId } = await ground.addProject();
    const [token = ""] = await seal(projectId, ["tok"]);
    const job = await jobWith(projectId, { bearer: { token } });
    const event = eventOf(job, Date.now() + 5_000);
    const recorded = untilRecorded(dispatcher.events, [event]);
    await ground.whileHeld("lock table dispatcher.target_secrets", [], async () => {
      await dispatcher.accept([event]);
      await ground.untilWaiting();
      expect(Date.now()).toBeLessThan(Number(event.effectiveTimeMs));
    });
    await recorded;
    expect(await ground.attemptsOf(event.triggerId)).toMatchObject([{ outcome: "SUCCEEDED" }]);
  });

  test("waits for the master key that was missing when its secret was read", async () => {
    const { projectId } = await ground.addProject();
    const [token] = await seal(projectId, ["tok"]);
    const job = await jobWith(projectId, { bearer: { token } });
    const [row] = await ground.sql(
      `update dispatcher.data_keys n set master_key_id = 'mk_of_others' from dispatcher.data_keys o
        where n.project_id = $1 and o.project_id = n.project_id returning o.master_key_id`,
      [projectId],
    );
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event]);
    const lock = "lock table dispatcher.target_secrets in access exclusive mode";
    await ground.whileHeld(lock, [], async () => {
      await dispatcher.accept([event]);
      await ground.untilWaiting();
    });
    // Somebody reads the secret again, so the first time has failed.
    await ground.whileHeld(lock, [], async () => {
      await ground.untilWaiting();
      const restore = "update dispatcher.data_keys set master_key_id = $2 where project_id = $1";
      await ground.sql(restore, [projectId, row.master_key_id]);
    });
    await recorded;
    expect(await ground.attemptsOf(event.triggerId)).toMatchObject([{ outcome: "SUCCEEDED" }]);
    const request = receiver.requests.find(({ id }) => id === event.triggerId);
    expect(request?.headers.authorization).toBe("Bearer tok");
  });

  test("is not sent with the secret of another project, nor with a row that was moved", async () => {
    const [{ projectId }, other] = [await ground.addProject(), await ground.addProject()];
    const [token] = await seal(projectId, ["tok"]);
    const job = await jobWith(other.projectId, { bearer: { token } });
    const foreign = await fire(job);
    expect(foreign.authorization).toBeUndefined();
    expect(foreign.attempts).toMatchObject([{ outcome: "NOT_SENT" }]);
    await ground.sql(
      `insert into dispatcher.target_secrets
       select $2, id, sealed_secret, now() from dispatcher.target_secrets where project_id = $1`,
      [projectId, other.projectId],
    );
    const moved = await fire(job);
    expect(moved.authorization).toBeUndefined();
    expect(moved.attempts).toMatchObject([
      { outcome: "NOT_SENT", error: expect.stringContaining("secret of the target") },
    ]);
  });

  test("is not sent with the row of another secret of the same project", async () => {
    const { projectId } = await ground.addProject();
    const [token, other] = await seal(projectId, ["tok", "other"]);
    await ground.sql(
      `update dispatcher.target_secrets t set sealed_secret = o.sealed_secret from dispatcher.target_secrets o
        where t.project_id = $1 and t.id = $2 and o.project_id = $1 and o.id = $3`,
      [projectId, token, other],
    );
    const { authorization, attempts } = await fire(await jobWith(projectId, { bearer: { token } }));
    expect(authorization).toBeUndefined();
    expect(attempts).toMatchObject([{ outcome: "NOT_SENT" }]);
  });
});
