import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool, type Queryable } from "../../db/pool.ts";
import {
  createGround,
  eventOf,
  type Ground,
  MASTER_KEY,
  type TestDispatcher,
  untilRecorded,
} from "../testing/ground.ts";
import { createMasterKeys, MissingMasterKeyError } from "./master-keys.ts";
import { createSigningKeys, MAX_STALE_MS } from "./signing-keys.ts";

let ground: Ground;
let database: Pool;
let dispatcher: TestDispatcher;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
  dispatcher = await ground.start();
});
afterAll(async () => {
  await database.close();
  await ground.end();
});

/** Makes a cache, with what it was told and which projects' keys it has read. */
function createCache(monotonicMs = () => performance.now()) {
  const troubles: unknown[] = [];
  const reads: unknown[] = [];
  const asked: string[] = [];
  const watched: Queryable = {
    query: (statement, values = []) => {
      asked.push(statement.name);
      if (statement.name === "signingKeysByProject") reads.push(values[0]);
      return database.query(statement, values);
    },
  };
  const keys = createSigningKeys({
    database: watched,
    masterKeys: createMasterKeys(MASTER_KEY),
    clock: { now: () => Date.now() },
    monotonicMs,
    onTrouble: (error) => troubles.push(error),
  });
  return { keys, troubles, reads, asked };
}

test("a signing key that PostgreSQL cannot read leaves the projects whose keys are read with it their keys", async () => {
  const projects = [await ground.addProject(), await ground.addProject(), await ground.addProject()];
  const [first, bad, last] = projects.map(({ projectId }) => projectId) as [string, string, string];
  await ground.sql(`create policy guard on dispatcher.signing_keys to easycron_dispatcher
    using (1 / (case when project_id = '${bad}' then 0 else 1 end) = 1)`);
  await ground.sql("alter table dispatcher.signing_keys enable row level security");
  const { keys, troubles } = createCache();
  await keys.load([first, bad, last]);
  await ground.sql("alter table dispatcher.signing_keys disable row level security");
  expect([first, bad, last].map((projectId) => keys.get(projectId, Date.now())?.length)).toEqual([1, 0, 1]);
  expect(troubles).toMatchObject([{ code: "22012" }]);
});

test("a change of one project's keys makes nobody read the keys of the others", async () => {
  let nowMs = 0;
  const projects = await Promise.all(Array.from({ length: 5 }, () => ground.addProject()));
  const ids = projects.map(({ projectId }) => projectId);
  const { keys, reads } = createCache(() => nowMs);
  await keys.load(ids);
  await keys.refresh();
  const changed = ids[2] ?? "";
  await dispatcher.client.createSigningKey({ projectId: changed, request: {} });
  // More than the age at which keys that were read once may not be used any more.
  nowMs = MAX_STALE_MS + 1;
  await keys.refresh();
  expect(reads).toEqual([ids, [changed]]);
  expect(ids.map((id) => keys.get(id, Date.now())?.length)).toEqual([1, 1, 2, 1, 1]);
  await keys.refresh();
  expect(reads).toHaveLength(2);
});

test("keys whose master key this dispatcher does not have are not loaded, and those of other projects are", async () => {
  const projects = [await ground.addProject(), await ground.addProject(), await ground.addProject()];
  const [first, bad, last] = projects.map(({ projectId }) => projectId) as [string, string, string];
  const setMasterKey = (id: string) =>
    ground.sql("update dispatcher.data_keys set master_key_id = $1 where project_id = $2", [id, bad]);
  const { keys } = createCache();
  await setMasterKey("mk_of_others");
  await expect(keys.load([first, bad, last])).rejects.toThrow(
    "This dispatcher does not have the master key mk_of_others.",
  );
  expect([first, bad, last].map((projectId) => keys.get(projectId, Date.now())?.length)).toEqual([
    1,
    undefined,
    1,
  ]);
  await setMasterKey(createMasterKeys(MASTER_KEY).wanted.id);
  await keys.load([bad]);
  expect(keys.get(bad, Date.now())).toHaveLength(1);
});

test("a trigger waits, and uses no attempt, until the master key of its project's keys is there", async () => {
  const { projectId } = await ground.addProject();
  const setMasterKey = (id: string) =>
    ground.sql("update dispatcher.data_keys set master_key_id = $1 where project_id = $2", [id, projectId]);
  await setMasterKey("mk_of_others");
  const job = await ground.addJob(projectId, "http://127.0.0.1:1/");
  const event = eventOf(job, Date.now());
  const recorded = untilRecorded(dispatcher.events, [event]);
  const missing = new Promise<void>((resolve) => {
    dispatcher.events.on("trouble", ({ error }) => {
      if (error instanceof MissingMasterKeyError) resolve();
    });
  });
  await dispatcher.accept([event]);
  await missing;
  await setMasterKey(createMasterKeys(MASTER_KEY).wanted.id);
  await recorded;
  const read = "select number, error from dispatcher.attempts where trigger_id = $1";
  const attempts = await ground.sql(read, [event.triggerId]);
  expect(attempts).toMatchObject([{ number: 1, error: expect.not.stringContaining("signing key") }]);
});

test("a dispatcher asks for the version of the keys only while keys are in use", async () => {
  const { projectId } = await ground.addProject();
  let nowMs = 0;
  const { keys, asked } = createCache(() => nowMs);
  await keys.refresh();
  expect(asked).toEqual([]);
  await keys.load([projectId]);
  await keys.refresh();
  expect(asked).toContain("signingKeysVersion");
  const before = asked.length;
  nowMs = 60_001;
  await keys.refresh();
  expect(asked).toHaveLength(before);
  expect(keys.get(projectId, Date.now())).toBeUndefined();
});

describe("a sealed secret that was moved to another row", () => {
  test.each([
    ["of the same project", true],
    ["of another project", false],
  ])("%s signs nothing", async (_title, isSame) => {
    const [one, other] = [await ground.addProject(), await ground.addProject()];
    const { projectId } = isSame ? one : other;
    const { response } = await dispatcher.client.createSigningKey({ projectId, request: {} });
    const moved = await ground.sql(
      `update dispatcher.signing_keys k set sealed_secret = o.sealed_secret
         from dispatcher.signing_keys o, (select id from dispatcher.signing_keys where project_id = $1 and id <> $2) own
        where (k.id, o.id) in ((own.id, $2), ($2, own.id))
       returning k.id`,
      [one.projectId, response?.signingKey?.id],
    );
    expect(moved).toHaveLength(2);
    const job = await ground.addJob(one.projectId, "http://127.0.0.1:1/");
    const parts: string[] = [];
    dispatcher.events.on("trouble", ({ part }) => parts.push(part));
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await recorded;
    const read = "select outcome, error from dispatcher.attempts where trigger_id = $1";
    expect(await ground.sql(read, [event.triggerId])).toMatchObject([
      { outcome: "NOT_SENT", error: expect.stringContaining("has no usable signing key") },
    ]);
    expect(parts).toContain("opening a signing key");
  });
});
