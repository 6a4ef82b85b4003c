import { create } from "@bufbuild/protobuf";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Database, type Pool } from "../../db/pool.ts";
import type { Statement } from "../../db/statement.ts";
import { ListJobsRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { createDatabase, type TestDatabase } from "../../test/support/database.ts";
import { createScheduleCache } from "../job/schedule-cache.ts";
import { createZoneData, ownRelease } from "../zones/zone-data.ts";
import { jobsOfSource, orderStatements } from "./list-jobs.sql.ts";
import { listJobs } from "./list-jobs.ts";

// What ListJobs reads of a project with many jobs, in buffers (blocks of 8 KiB). A statement that walks all jobs reads
// several for each of them. Time is not measured here: it depends on the machine.

const JOBS = 60_000;
/** The most buffers of a full page: those of 600 jobs that are found by an index, or of 2,500 that are walked over. */
const MOST = 4_000;
/** The most buffers of an empty page: 4,000 jobs are walked over, and the labels of each are looked up. */
const MOST_EMPTY = 20_000;
const PROJECT = "proj_many";
const nowMs = Date.UTC(2026, 2, 2, 9);

let server: TestDatabase;
let admin: pg.Client;
let pool: Pool;

beforeAll(async () => {
  server = await createDatabase();
  admin = new pg.Client({ connectionString: server.url() });
  await admin.connect();
  for (const table of ["jobs", "revisions", "job_facets"])
    await admin.query(`alter table scheduler.${table} set (autovacuum_enabled = off)`);
  pool = createPool({ connectionString: server.url("scheduler"), max: 1, applicationName: "test" });
  // The statements are planned while the tables are empty, as in a new installation.
  await list({ filter: "labels.a = b AND state = PAUSED", orderBy: "next_fire_time" });
  await fill(PROJECT, JOBS);
  await fill("proj_other", 2_000);
}, 120_000);

afterAll(async () => {
  await pool?.close();
  await admin?.end();
  await server?.drop();
});

/**
 * Adds jobs. Of all, nine in ten have the label env=prod, six the label team=rare; the last 300 are PAUSED, the 300 before
 * them are FINISHED, and 30 in the middle have a Redis target. The others are ACTIVE webhooks.
 */
async function fill(projectId: string, count: number): Promise<void> {
  await admin.query(
    `create temporary table made as
     select i, $2::text || '_' || i as uid, 'job-' || lpad(i::text, 6, '0') as name,
            case when i > $3 - 300 then 'PAUSED' when i > $3 - 600 then 'FINISHED' else 'ACTIVE' end as state,
            case when i between $3 / 2 and $3 / 2 + 29 then 'redis' else 'webhook' end as target,
            (case when i % 10 > 0 then '{"env": "prod"}' else '{"zone": "x"}' end)::jsonb
              || (case when i % ($3 / 6) = 0 then '{"team": "rare"}' else '{}' end)::jsonb as labels,
            $1::timestamptz + (i * 7919 % $3) * interval '1 second' as at
       from generate_series(1, $3::integer) as i`,
    [new Date(nowMs + 60_000), projectId, count],
  );
  await admin.query(
    `insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, next_fire_time, create_time, update_time)
     select uid, $1, name, state, 1, 1, case when state = 'ACTIVE' then at end, at - interval '1 day', at from made`,
    [projectId],
  );
  await admin.query(
    `insert into scheduler.revisions (job_uid, revision, spec, create_time, facets)
     select uid, 1, '{"schedules":[{"cron":{"expression":"0 9 * * *"}}]}', at,
            jsonb_build_object('labels', labels, 'target', target, 'zones', '[]'::jsonb) from made`,
  );
  await admin.query(
    `insert into scheduler.job_facets (project_id, facet, value, name, job_uid)
     select $1, 'labels.' || key, value, name, uid from made cross join lateral jsonb_each_text(labels)
     union all select $1, 'target', target, name, uid from made where target = 'redis'`,
    [projectId],
  );
  await admin.query("drop table made");
}

/** The names of the jobs that meet a condition, by a sorted read of the whole table. */
async function sorted(condition: string, by: string): Promise<string[]> {
  const { rows } = await admin.query<{ name: string }>(
    `select name from scheduler.jobs where project_id = $1 and ${condition} order by ${by}`,
    [PROJECT],
  );
  return rows.map(({ name }) => name);
}

let buffers = 0;
/** Called after each step of a walk. */
let afterStep: () => Promise<unknown> = () => Promise.resolve();
let indexes = new Set<string>();

/** The scheduler's database, which also explains each statement of a list. */
const explaining: Database = {
  query: async (statement, values = []) => {
    const rows = await pool.query(statement, values);
    if (LISTING.has(statement)) {
      const text = `explain (analyze, buffers, timing off, format json) ${statement.text}`;
      const explained = await pool.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
        { name: `explain ${statement.name}`, text },
        values,
      );
      const plan = explained[0]?.["QUERY PLAN"][0].Plan;
      if (plan === undefined) throw new Error(`${statement.name} has no plan.`);
      buffers += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
      for (const name of usedIndexes(plan)) indexes.add(name);
      if (statement.name.startsWith("jobsScan")) await afterStep();
    }
    return rows;
  },
  transaction: () => Promise.reject(new Error("A list needs no transaction.")),
  snapshot: () => Promise.reject(new Error("A list needs no snapshot.")),
};

const LISTING: ReadonlySet<Statement<unknown>> = new Set<Statement<unknown>>([
  jobsOfSource,
  ...Object.values(orderStatements).flatMap(({ scan, few }) => [scan, few]),
]);

interface PlanNode {
  readonly "Node Type": string;
  readonly "Index Name"?: string;
  readonly "Actual Loops": number;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly PlanNode[];
}

/** The indexes that a plan has read, and "a whole table" for a table without one. */
function usedIndexes(node: PlanNode): string[] {
  if (node["Actual Loops"] === 0) return [];
  const own = node["Node Type"] === "Seq Scan" ? "a whole table" : node["Index Name"];
  return [own ?? [], (node.Plans ?? []).flatMap(usedIndexes)].flat();
}

async function list(request: { filter?: string; orderBy?: string; pageSize?: number; pageToken?: string }) {
  buffers = 0;
  indexes = new Set();
  const zoneData = createZoneData(pool, ownRelease());
  const parts = {
    database: explaining,
    schedules: createScheduleCache(10, zoneData),
    zoneData,
    clock: { now: () => nowMs },
  };
  const page = await listJobs(parts, PROJECT, create(ListJobsRequestSchema, request));
  return { ...page, names: page.jobs.map(({ name }) => name) };
}

const ORDERS = ["name", "name desc", "create_time", "create_time desc", "next_fire_time"];
const FILTERS: [filter: string, found: number][] = [
  ["", 50],
  ["name = job-000007", 1],
  ["name = job-0300*", 50],
  ["labels.team = rare", 6],
  ["labels.team:*", 6],
  ["labels.team = rare AND labels.env = prod", 0],
  ["labels.env = prod", 50],
  ["target = redis", 30],
  ["target = kafka", 0],
  ["target = webhook", 50],
  ["state = PAUSED", 50],
  ["state != ACTIVE", 50],
  ["state = FINISHED AND labels.env = prod", 50],
  ["state = ACTIVE", 50],
  ["state = PAUSED AND target = redis", 0],
];

describe.each(["planned while the tables were empty", "planned for the full tables"])(
  "ListJobs, %s,",
  (when) => {
    beforeAll(async () => {
      if (when.endsWith("full tables")) await admin.query("analyze");
    });

    test.each(FILTERS)("reads few blocks for the filter %j, in every order", async (filter, found) => {
      for (const orderBy of ORDERS) {
        const { jobs, nextPageToken } = await list({ filter, orderBy });
        expect(jobs.length, orderBy).toBe(found);
        expect(nextPageToken !== "", orderBy).toBe(found === 50);
        expect([...indexes], orderBy).not.toContain("a whole table");
        expect(buffers, orderBy).toBeLessThan(MOST);
      }
    });

    test("continues in the middle of the list at no higher price", async () => {
      for (const orderBy of ORDERS) {
        for (const filter of ["", "labels.env = prod", "state = ACTIVE"]) {
          const request = { filter, orderBy, pageSize: 500 };
          const { nextPageToken: pageToken } = await list(request);
          expect((await list({ ...request, pageToken })).jobs).toHaveLength(500);
          expect(buffers, `${orderBy} ${filter}`).toBeLessThan(8_000);
        }
      }
    });

    test("returns what a sorted read of the whole table returns", async () => {
      const { names } = await list({ filter: "state = PAUSED", orderBy: "create_time" });
      expect(names).toEqual(await sorted("state = 'PAUSED'", "create_time, name limit 50"));
    });
  },
);

test("ListJobs returns an empty page with a token when it has looked at enough jobs, and finds the rest by the token", async () => {
  // Both labels are common, and no job has both.
  const filter = "labels.env = prod AND labels.zone = x";
  const { jobs, nextPageToken } = await list({ filter });
  expect([jobs, nextPageToken !== ""]).toEqual([[], true]);
  expect(buffers).toBeLessThan(MOST_EMPTY);
  let pages = 1;
  for (let pageToken = nextPageToken; pageToken !== ""; pages += 1) {
    const page = await list({ filter, pageToken });
    expect(page.jobs).toEqual([]);
    pageToken = page.nextPageToken;
  }
  expect(pages).toBe(JOBS / 4_000 + 1);
});

test.each([
  ["name", "name"],
  ["create_time desc", "create_time desc, name desc"],
])("ListJobs walks over each job once, in the order %j", async (orderBy, by) => {
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await list({
      filter: "labels.zone = x AND state != PAUSED",
      orderBy,
      pageSize: 230,
      pageToken,
    });
    found.push(...page.names);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(found).toEqual(await sorted("uid like '%0' and state <> 'PAUSED'", by));
});

describe("ListJobs, while jobs change between its statements,", () => {
  afterAll(() => {
    afterStep = () => Promise.resolve();
  });

  test("leaves out none that stays", async () => {
    const wanted = await sorted("uid not like '%0'", "name limit 1000");
    // Jobs that it has looked at already, and that the filter does not select.
    let deleted = 0;
    afterStep = () =>
      admin
        .query(
          `update scheduler.jobs set state = 'DELETED', next_fire_time = null where uid in (
           select uid from scheduler.jobs where project_id = $1 and uid like '%0' and state <> 'DELETED'
            order by name limit 20)`,
          [PROJECT],
        )
        .then(({ rowCount }) => (deleted += rowCount ?? 0));
    const { names } = await list({ filter: "labels.env = prod", pageSize: 1_000 });
    expect(deleted).toBeGreaterThan(20);
    expect(names).toEqual(wanted);
  });

  test("returns none twice whose next fire time has passed", async () => {
    const [first] = await sorted("uid like '%0' and state = 'ACTIVE'", "next_fire_time, name limit 1");
    let moved = 0;
    afterStep = () =>
      admin
        .query(
          `update scheduler.jobs set next_fire_time = (
           select next_fire_time from scheduler.jobs where project_id = $1 and state = 'ACTIVE'
            order by next_fire_time offset 1500 limit 1)
          where project_id = $1 and name = $2`,
          [PROJECT, first],
        )
        .then(({ rowCount }) => (moved += rowCount ?? 0));
    const { names } = await list({ filter: "labels.zone = x", orderBy: "next_fire_time", pageSize: 1_000 });
    expect(moved).toBeGreaterThan(1);
    expect(names[0]).toBe(first);
    expect(names.length).toBe(new Set(names).size);
  });
});
