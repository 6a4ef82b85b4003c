import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { oldFormatOf } from "../testing/old-format.ts";
import { unwrapDataKey, wrapDataKey } from "./data-keys.ts";
import { createMasterKeys, type MasterKeys } from "./master-keys.ts";
import { createMasterKeyReplacement } from "./replace-master-key.ts";
import { createSigningKeys } from "./signing-keys.ts";

const OLD = createMasterKeys(Buffer.alloc(32, 1));
const BOTH = createMasterKeys(Buffer.alloc(32, 2), Buffer.alloc(32, 1));
const NEW = createMasterKeys(Buffer.alloc(32, 2));

let ground: Ground;
let database: Pool;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 4, applicationName: "test" });
});
afterAll(async () => {
  await database.close();
  await ground.end();
});
afterEach(async () => {
  for (const table of ["master_key", "signing_keys", "data_keys", "instances"])
    await ground.sql(`delete from dispatcher.${table}`);
});

/** Makes the replacement, with what it said and complained of, and a clock that is set by hand. */
function createReplacement(masterKeys: MasterKeys = BOTH) {
  const said: string[] = [];
  const troubles: unknown[] = [];
  const time = { nowMs: 0 };
  const run = createMasterKeyReplacement({
    database,
    masterKeys,
    logger: {
      info: (_fields: object, message: string) => said.push(message),
      warn: ({ failures }: object & { failures?: number }, message: string) =>
        said.push(`${failures} ${message}`),
    },
    monotonicMs: () => time.nowMs,
    onTrouble: (error) => troubles.push(error),
  });
  return {
    said,
    troubles,
    time,
    run,
    /** Runs until there is nothing more to do. Returns how often it ran. */
    runAll: async () => {
      for (let runs = 1; ; runs++) if (!(await run()).more) return runs;
    },
  };
}

async function record({ wanted }: MasterKeys): Promise<void> {
  await ground.sql(
    "insert into dispatcher.master_key (key_id, check_value, create_time) values ($1, $2, now())",
    [wanted.id, wanted.checkValue],
  );
}

/** A dispatcher that is configured with a master key; null for one of an earlier version. */
async function addInstance(id: string, masterKeyId: string | null, leaseSeconds = 60): Promise<void> {
  await ground.sql(
    `insert into dispatcher.instances (id, start_time, lease_until, alive_time, master_key_id)
     values ($1, now(), now() + $3::integer * interval '1 second', now(), $2)`,
    [id, masterKeyId, leaseSeconds],
  );
}

/** Adds data keys that a master key seals, and returns their bytes by project. */
async function addDataKeys({ wanted }: MasterKeys, count: number): Promise<Map<string, Buffer>> {
  const keys = new Map<string, Buffer>();
  for (let index = 0; index < count; index++) {
    const projectId = `proj_${String(index).padStart(4, "0")}`;
    const bytes = randomBytes(32);
    keys.set(projectId, bytes);
    await ground.sql("insert into dispatcher.data_keys values ($1, $2, $3, 0, now())", [
      projectId,
      wanted.id,
      wrapDataKey(wanted, projectId, bytes),
    ]);
  }
  return keys;
}

async function readRecorded(): Promise<string> {
  return (await ground.sql("select key_id from dispatcher.master_key"))[0].key_id;
}

async function expectOpened(masterKeys: MasterKeys, keys: ReadonlyMap<string, Buffer>): Promise<void> {
  const rows = await ground.sql("select project_id, master_key_id, wrapped_key from dispatcher.data_keys");
  const opened = rows.map((row) => [row.project_id, unwrapDataKey(masterKeys, row).toString("hex")]);
  const wanted = [...keys].map(([projectId, bytes]) => [projectId, bytes.toString("hex")]);
  expect(opened.sort()).toEqual(wanted.sort());
}

describe("the master key", () => {
  test("is replaced when every live dispatcher has the new one, and not before", async () => {
    await record(OLD);
    const keys = await addDataKeys(OLD, 3);
    await addInstance("of the old key", OLD.wanted.id);
    await addInstance("of the new key", NEW.wanted.id);
    const { runAll, said } = createReplacement();
    await runAll();
    await runAll();
    expect(await readRecorded()).toBe(OLD.wanted.id);
    await expectOpened(OLD, keys);
    await ground.sql("update dispatcher.instances set master_key_id = null where id = 'of the old key'");
    await runAll();
    expect(await readRecorded()).toBe(OLD.wanted.id);
    expect(said).toEqual(["the master key is replaced when every dispatcher has the new one"]);
    // Its process has died.
    await ground.sql("update dispatcher.instances set lease_until = now() where id = 'of the old key'");
    await runAll();
    expect(await readRecorded()).toBe(NEW.wanted.id);
    await expectOpened(NEW, keys);
    await runAll();
    await runAll();
    expect(said.slice(1)).toEqual([
      "the master key is replaced",
      "EASYCRON_PREVIOUS_MASTER_KEY is no longer needed",
    ]);
  });

  test("stays when a dispatcher that starts meanwhile does not have the new one", async () => {
    await record(OLD);
    await addInstance("of the new key", NEW.wanted.id);
    // The row is not visible yet when the replacement looks first, and is when it has the lock.
    const { runAll } = createReplacement();
    let running: Promise<unknown> | undefined;
    await ground.whileCommitted(
      `insert into dispatcher.instances (id, start_time, lease_until, alive_time, master_key_id)
       values ('late', now(), now() + interval '1 minute', now(), $1)`,
      [OLD.wanted.id],
      async () => {
        running = runAll();
        await ground.untilWaiting();
      },
    );
    await running;
    expect(await readRecorded()).toBe(OLD.wanted.id);
  });

  test("is replaced part by part, also by several dispatchers at once", async () => {
    await record(OLD);
    const keys = await addDataKeys(OLD, 250);
    const replacements = [createReplacement(), createReplacement(), createReplacement()];
    const runs = await Promise.all(replacements.map(({ runAll }) => runAll()));
    expect(Math.max(...runs)).toBeGreaterThan(1);
    // What another one had locked is left for the next time.
    await replacements[0]?.runAll();
    await expectOpened(NEW, keys);
    expect(replacements.flatMap(({ troubles }) => troubles)).toEqual([]);
  });

  test("is replaced for all other projects when one data key is damaged, which is tried again ten minutes later", async () => {
    await record(OLD);
    const keys = await addDataKeys(OLD, 3);
    await ground.sql("update dispatcher.data_keys set wrapped_key = '\\x00' where project_id = 'proj_0001'");
    const { runAll, said, troubles, time } = createReplacement();
    for (let round = 0; round < 3; round++) await runAll();
    expect(troubles).toHaveLength(1);
    time.nowMs += 599_999;
    await runAll();
    expect(troubles).toHaveLength(1);
    expect(said).not.toContain("EASYCRON_PREVIOUS_MASTER_KEY is no longer needed");
    const bytes = keys.get("proj_0001") ?? Buffer.of();
    await ground.sql("update dispatcher.data_keys set wrapped_key = $1 where project_id = 'proj_0001'", [
      wrapDataKey(OLD.wanted, "proj_0001", bytes),
    ]);
    time.nowMs += 1;
    await runAll();
    await expectOpened(NEW, keys);
  });
});

test("a master key whose replacement would wait for long for a dispatcher's row stays, and is replaced later", async () => {
  await record(OLD);
  await addInstance("of the new key", NEW.wanted.id);
  const { runAll } = createReplacement();
  await ground.whileHeld("update dispatcher.instances set alive_time = now()", [], async () => {
    await runAll();
  });
  expect(await readRecorded()).toBe(OLD.wanted.id);
  await runAll();
  expect(await readRecorded()).toBe(NEW.wanted.id);
});

describe("a signing key that an earlier version has sealed with the master key itself", () => {
  const secret = Buffer.alloc(32, 9);

  async function addOldKey(id: string, projectId: string, { wanted }: MasterKeys): Promise<void> {
    await ground.sql(
      "insert into dispatcher.signing_keys (id, project_id, algorithm, sealed_secret, create_time) values ($1, $2, 'HMAC_SHA256', $3, now())",
      [id, projectId, oldFormatOf(wanted, id, secret)],
    );
  }

  const readVersions = async () => {
    const rows = await ground.sql(
      "select id, get_byte(sealed_secret, 0) as version from dispatcher.signing_keys",
    );
    return Object.fromEntries(rows.map(({ id, version }) => [id, version]));
  };

  /** Reads the secrets of a project as a dispatcher with these master keys does. */
  async function readSecrets(masterKeys: MasterKeys, projectId: string): Promise<Buffer[]> {
    const keys = createSigningKeys({
      database,
      masterKeys,
      clock: { now: () => Date.now() },
      monotonicMs: () => performance.now(),
      onTrouble: () => {},
    });
    await keys.load([projectId]);
    return (keys.get(projectId, Date.now()) ?? []).map((key) => key.export());
  }

  test("signs, and is sealed with the data key of its project", async () => {
    await record(OLD);
    await addOldKey("sk_1", "proj_1", OLD);
    await addOldKey("sk_2", "proj_1", OLD);
    await addOldKey("sk_3", "proj_2", OLD);
    expect(await readSecrets(OLD, "proj_1")).toEqual([secret, secret]);
    const { runAll } = createReplacement(OLD);
    await runAll();
    expect(await readVersions()).toEqual({ sk_1: 2, sk_2: 2, sk_3: 2 });
    expect(await readSecrets(OLD, "proj_1")).toEqual([secret, secret]);
    expect(await readSecrets(OLD, "proj_2")).toEqual([secret]);
  });

  test("is sealed anew although the master key is replaced at the same time", async () => {
    await record(OLD);
    await addOldKey("sk_1", "proj_1", OLD);
    const { runAll, said } = createReplacement();
    for (let round = 0; round < 2; round++) await runAll();
    expect(await readSecrets(NEW, "proj_1")).toEqual([secret]);
    expect(said).toContain("EASYCRON_PREVIOUS_MASTER_KEY is no longer needed");
  });

  test("is sealed anew before the master key is replaced, so the previous one is not needed afterwards", async () => {
    await record(OLD);
    for (let index = 100; index < 250; index++) await addOldKey(`sk_${index}`, `proj_${index}`, OLD);
    const { run, runAll } = createReplacement();
    expect(await run()).toEqual({ more: true });
    expect(await readRecorded()).toBe(OLD.wanted.id);
    await runAll();
    expect(await readRecorded()).toBe(NEW.wanted.id);
    expect(new Set(Object.values(await readVersions()))).toEqual(new Set([2]));
  });

  test("that no master key opens keeps nothing else from being sealed anew, and is counted", async () => {
    await record(OLD);
    await addOldKey("sk_1", "proj_1", createMasterKeys(Buffer.alloc(32, 5)));
    await addOldKey("sk_2", "proj_1", OLD);
    await addOldKey("sk_3", "proj_2", OLD);
    const { runAll, troubles, said } = createReplacement();
    for (let round = 0; round < 3; round++) await runAll();
    expect(await readVersions()).toEqual({ sk_1: 1, sk_2: 2, sk_3: 2 });
    expect(troubles).toHaveLength(1);
    expect(await readRecorded()).toBe(NEW.wanted.id);
    expect(said).toEqual([
      expect.stringMatching(/^1 some keys cannot be opened/),
      "the master key is replaced",
      "EASYCRON_PREVIOUS_MASTER_KEY is no longer needed",
    ]);
  });
});
