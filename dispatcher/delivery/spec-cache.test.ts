import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool, type Queryable } from "../../db/pool.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { createSpecCache } from "./spec-cache.ts";

let ground: Ground;
let database: Pool;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
});

afterAll(async () => {
  await database.close();
  await ground.end();
});

test("the cache reads the revisions that it is asked for, and none of the same jobs besides", async () => {
  const { projectId } = await ground.addProject();
  const jobs = [];
  for (let n = 0; n < 5; n++) jobs.push(await ground.addJob(projectId, `https://example.com/${n}`));
  await ground.sql(
    `insert into scheduler.revisions (job_uid, revision, spec, create_time, facets)
     select r.job_uid, n, replace(r.spec, 'example.com', 'revision-' || n), r.create_time, r.facets
       from scheduler.revisions r, generate_series(2, 5) as n`,
  );
  let read = 0;
  const counting: Queryable = {
    query: async (statement, values) => {
      const rows = await database.query(statement, values);
      read += rows.length;
      return rows;
    },
  };
  const specs = createSpecCache(counting, 1_000_000);
  const keys = jobs.map(({ uid }, index) => ({ jobUid: uid, revision: index + 1 }));
  expect(await specs.load([...keys, { jobUid: "job_none", revision: 1 }])).toEqual(new Map());
  expect(read).toBe(keys.length);
  expect(keys.map((key) => specs.get(key)?.destination)).toEqual([
    "https://example.com",
    "https://revision-2",
    "https://revision-3",
    "https://revision-4",
    "https://revision-5",
  ]);
  expect(specs.get({ jobUid: "job_none", revision: 1 })?.target.kind).toBe("unreadable");
});

test("the cache keeps what is used when it is full, and drops what is not", async () => {
  const { projectId } = await ground.addProject();
  const jobs = [];
  for (let n = 0; n < 6; n++) jobs.push(await ground.addJob(projectId, `https://example.com/${n}`));
  const keys = jobs.map(({ uid }) => ({ jobUid: uid, revision: 1 }));
  // Each takes a little more than 1,000 bytes.
  const specs = createSpecCache(database, 3_500);
  await specs.load(keys.slice(0, 3));
  const [used] = keys;
  if (used === undefined) throw new Error("There is no job.");
  for (const key of keys.slice(3)) {
    expect(specs.get(used)).toBeDefined();
    await specs.load([key]);
  }
  expect(keys.map((key) => specs.get(key) !== undefined)).toEqual([true, false, false, false, true, true]);
});

const LONG = "a".repeat(5_000);
test.each([
  ["the client certificate", { auth: { clientCertificate: { certificate: LONG, key: "sec_1" } } }],
  [
    "the scopes",
    {
      auth: {
        oauth2: { tokenUrl: "https://a.example.com/", clientId: "c", clientSecret: "s", scopes: [LONG] },
      },
    },
  ],
  [
    "the token's client",
    { auth: { oauth2: { tokenUrl: "https://a.example.com/", clientId: LONG, clientSecret: "sec_1" } } },
  ],
  ["the user name", { auth: { basic: { username: LONG, password: "sec_1" } } }],
  ["the names of secret headers", { secretHeaders: { [LONG]: "sec_1" } }],
])("the cache counts %s", async (_, webhook) => {
  const { projectId } = await ground.addProject();
  const url = "https://example.com/";
  const jobs = [];
  for (let n = 0; n < 3; n++)
    jobs.push(await ground.addJob(projectId, url, { target: { webhook: { url, ...webhook } } }));
  const keys = jobs.map(({ uid }) => ({ jobUid: uid, revision: 1 }));
  const specs = createSpecCache(database, 13_000);
  for (const key of keys) await specs.load([key]);
  expect(keys.map((key) => specs.get(key)?.target.kind)).toEqual([undefined, "webhook", "webhook"]);
});

test("the cache spares at most 1,000 specifications at once, and then drops the oldest, used or not", async () => {
  // Revisions without rows are kept, too: each takes 1,004 bytes.
  const specs = createSpecCache(database, 2_001 * 1_004);
  const keys = Array.from({ length: 2_001 }, (_, n) => ({ jobUid: `job_${n}`, revision: 1 }));
  await specs.load(keys);
  for (const key of keys) specs.get(key);
  await specs.load([{ jobUid: "job_last", revision: 1 }]);
  const kept = keys.map((key) => specs.get(key) !== undefined);
  expect(kept.flatMap((isKept, n) => (isKept ? [] : [n]))).toEqual([1_000]);
});
