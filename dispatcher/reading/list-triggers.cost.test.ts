import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool, type Queryable } from "../../db/pool.ts";
import { TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import { ListTriggersRequestSchema } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { createGround, type Ground, randomId, type TestJob } from "../testing/ground.ts";
import { triggerLists } from "./list-triggers.sql.ts";
import { listTriggers } from "./list-triggers.ts";
import { toTriggerPageToken } from "./page-token.ts";
import type { TriggerView } from "./reads.sql.ts";

// What ListTriggers reads of a long history, in buffers (blocks of 8 KiB). A statement that sorts or walks the history
// reads thousands.

const HISTORY = 200_000;
const DAY_MS = 86_400_000;
const EVERY_MS = 20_000;
const nowMs = Date.now();
const FIRST_MS = nowMs - HISTORY * EVERY_MS;

let ground: Ground;
let database: Pool;
/** Its statements are planned while the table is empty, and keep these plans. */
let early: Meter;
/** Its statements are planned for the full table. */
let late: Meter | undefined;
let job: TestJob;
let rareJob: TestJob;
let failingJob: TestJob;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
  for (let month = 0; month < 3; month++) {
    for (const table of ["triggers", "attempts"])
      await ground.sql("select dispatcher.make_partition($1, date_trunc('month', $2::timestamptz, 'UTC'))", [
        table,
        new Date(nowMs - month * 30 * DAY_MS),
      ]);
  }
  // Statistics that are collected meanwhile would make PostgreSQL plan anew.
  await ground.sql("alter table dispatcher.live_triggers set (autovacuum_enabled = off)");
  for (const { name } of await ground.sql(
    "select inhrelid::regclass as name from pg_inherits where inhparent = 'dispatcher.triggers'::regclass",
  )) {
    await ground.sql(`alter table ${name} set (autovacuum_enabled = off)`);
  }
  early = await openMeter(ground.databaseUrl);
  const [{ projectId }, failing] = [await ground.addProject(), await ground.addProject()];
  job = await ground.addJob(projectId, "http://127.0.0.1/");
  rareJob = await ground.addJob(projectId, "http://127.0.0.1/");
  failingJob = await ground.addJob(failing.projectId, "http://127.0.0.1/");
  await fill(
    { of: job, state: "SUCCEEDED", count: HISTORY, firstMs: FIRST_MS, everyMs: EVERY_MS },
    { of: failingJob, state: "EXHAUSTED", count: HISTORY / 4, firstMs: FIRST_MS, everyMs: EVERY_MS },
    // The states that are rare have their triggers at the old end of the history.
    ...[job, rareJob].flatMap((of) =>
      ["EXHAUSTED", "CANCELLED", "PENDING", "RUNNING", "RETRYING"].map((state, index) => ({
        of,
        state,
        count: 2,
        firstMs: FIRST_MS - (index + 1) * DAY_MS,
        everyMs: 1_000,
      })),
    ),
  );
}, 120_000);

afterAll(async () => {
  await early?.close();
  await late?.close();
  await database.close();
  await ground.end();
});

interface Filling {
  readonly of: TestJob;
  readonly state: string;
  readonly count: number;
  readonly firstMs: number;
  readonly everyMs: number;
}

/** Adds triggers, all by one statement: after each, the whole table is compared with dispatcher.live_triggers. */
async function fill(...fillings: readonly Filling[]) {
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
            kind, state, seq, create_time, start_time, end_time, attempt_count)
     select 'trg_' || substr(md5(uid || state || i::text), 1, 26), f, f, f, project, uid, name, 1, 'SCHEDULED', state, i,
            f, f, case when state in ('SUCCEEDED', 'EXHAUSTED', 'CANCELLED') then f end, 1
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::timestamptz[], $7::float8[])
              as filling (project, uid, name, state, count, first, seconds),
            generate_series(1, count) as i,
            lateral (select first + i * make_interval(secs => seconds) as f) as times`,
    [
      fillings.map(({ of }) => of.projectId),
      fillings.map(({ of }) => of.uid),
      fillings.map(({ of }) => of.name),
      fillings.map(({ state }) => state),
      fillings.map(({ count }) => count),
      fillings.map(({ firstMs }) => new Date(firstMs)),
      fillings.map(({ everyMs }) => everyMs / 1_000),
    ],
  );
}

async function openLate(): Promise<Meter> {
  await ground.sql("analyze dispatcher.triggers");
  await ground.sql("analyze dispatcher.live_triggers");
  late = await openMeter(ground.databaseUrl);
  return late;
}

/** The signal of a caller that stays. */
const never = new AbortController().signal;

interface Meter extends Queryable {
  /** The buffers that each statement has read since the last call, and the indexes that it has used. */
  takeReads(): { readonly buffers: number; readonly indexes: readonly string[] }[];
  close(): Promise<void>;
}

interface PlanNode {
  readonly "Index Name"?: string;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly PlanNode[];
}

const STATEMENTS = Object.values(triggerLists).flatMap(({ ofProject, ofJobs }) => [ofProject, ofJobs]);

/** Opens a connection like the pool's. It explains each statement with its values, and then runs it. */
async function openMeter(connectionString: string): Promise<Meter> {
  const options = "-c timezone=UTC -c jit=off -c enable_seqscan=off -c plan_cache_mode=force_generic_plan";
  const client = new pg.Client({ connectionString, options });
  await client.connect();
  for (const { name, text } of STATEMENTS) {
    await client.query(`prepare "${name}" as ${text}`);
    const values = ["proj_none", "-infinity", "infinity", "", "1"];
    if (/RareEnd|Slice/.test(name)) values.push("CANCELLED");
    if (name.includes("Slice")) values.push("1");
    if (name.endsWith("ByJobs")) values.push("{}");
    await client.query(`execute "${name}"(${values.map((value) => pg.escapeLiteral(value)).join(", ")})`);
  }
  const parents = await readIndexParents(client);
  let reads: { buffers: number; indexes: readonly string[] }[] = [];
  return {
    query: async (statement, values = []) => {
      const literals = values.map((value) =>
        pg.escapeLiteral(Array.isArray(value) ? `{${value.join(",")}}` : String(value)),
      );
      const explained = await client.query(
        `explain (analyze, buffers, timing off, format json) execute "${statement.name}"(${literals.join(", ")})`,
      );
      const plan: PlanNode = explained.rows[0]["QUERY PLAN"][0].Plan;
      reads.push({
        buffers: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        indexes: [...new Set(indexesOf(plan).map((name) => parents.get(name) ?? name))],
      });
      return database.query(statement, values);
    },
    takeReads: () => {
      const taken = reads;
      reads = [];
      return taken;
    },
    close: () => client.end(),
  };
}

/** Returns the name of the partitioned index of each partition's index. */
async function readIndexParents(client: pg.Client): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ child: string; parent: string }>(
    `select c.relname as child, p.relname as parent
       from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
      where c.relkind = 'i'`,
  );
  return new Map(rows.map(({ child, parent }) => [child, parent]));
}

function indexesOf(node: PlanNode): string[] {
  return [node["Index Name"] ?? [], (node.Plans ?? []).flatMap(indexesOf)].flat();
}

/**
 * The index that serves a filter, for the whole project and for jobs. What has not ended is found in
 * dispatcher.live_triggers, and its rows by the primary key.
 */
const INDEXES: [state: keyof typeof TriggerState, ofProject: string, ofJobs: string][] = [
  ["UNSPECIFIED", "triggers_project", "triggers_job"],
  ["SUCCEEDED", "triggers_project", "triggers_job"],
  ["PENDING", "live_triggers_project", "live_triggers_job"],
  ["RUNNING", "live_triggers_project", "live_triggers_job"],
  ["RETRYING", "live_triggers_project", "live_triggers_job"],
  ["EXHAUSTED", "triggers_rare_end_project", "triggers_rare_end_job"],
  ["CANCELLED", "triggers_rare_end_project", "triggers_rare_end_job"],
];

interface Asked {
  readonly state: TriggerState;
  readonly jobs: readonly TestJob[];
  readonly startMs?: number;
  readonly endMs?: number;
  /** The page after the trigger at this nominal time, if any. */
  readonly afterMs?: number;
  readonly projectId?: string;
}

async function list(meter: Meter, asked: Asked) {
  const { state, jobs, startMs, endMs, afterMs, projectId = job.projectId } = asked;
  const name = jobs.length === 0 ? "" : "any";
  const range = {
    ...(startMs !== undefined && { startTime: timestampFromMs(startMs) }),
    ...(endMs !== undefined && { endTime: timestampFromMs(endMs) }),
  };
  const bounds = [startMs, endMs].map((ms) => (ms === undefined ? undefined : new Date(ms).toISOString()));
  const identity = ["triggers", projectId, name, state, bounds[0] ?? "-infinity", bounds[1] ?? "infinity"];
  const pageToken =
    afterMs === undefined ? "" : toTriggerPageToken(identity, { fireTimeMs: afterMs, id: "trg_" });
  const request = create(ListTriggersRequestSchema, { ...range, state, job: name, pageToken });
  const query = { projectId, request, jobUids: jobs.map(({ uid }) => uid) };
  const page = await listTriggers(meter, query, never);
  return { page, reads: meter.takeReads() };
}

/** The middle of the history, to the millisecond of a trigger. */
const middleMs = FIRST_MS + (HISTORY / 2) * EVERY_MS;

describe.each([
  ["planned while the table was empty", async () => early],
  ["planned for the full table", openLate],
])("ListTriggers, %s,", (_, open) => {
  let meter: Meter;
  beforeAll(async () => {
    meter = await open();
  });

  test.each(INDEXES)("reads a few blocks of one index for the state %s", async (name, ofProject, ofJobs) => {
    const state = TriggerState[name];
    for (const jobs of [[], [job], [rareJob], [job, rareJob]]) {
      for (const span of [
        {},
        { startMs: middleMs },
        { endMs: middleMs },
        { startMs: middleMs, endMs: middleMs + DAY_MS },
        { afterMs: middleMs },
        { afterMs: FIRST_MS },
        { startMs: FIRST_MS - 6 * DAY_MS, afterMs: middleMs },
      ]) {
        const { reads } = await list(meter, { state, jobs, ...span });
        const what = `${jobs.length} jobs, ${JSON.stringify(span)}`;
        expect(reads.length, what).toBeLessThan(5);
        for (const { buffers, indexes } of reads) {
          const index = jobs.length === 0 ? ofProject : ofJobs;
          expect(indexes, what).toEqual(index.startsWith("live") ? [index, "triggers_pkey"] : [index]);
          expect(buffers, what).toBeLessThan(300);
        }
      }
    }
  });

  test("finds every trigger of a rare state behind a long history", async () => {
    for (const name of ["PENDING", "RUNNING", "RETRYING", "EXHAUSTED", "CANCELLED"] as const) {
      const { page } = await list(meter, { state: TriggerState[name], jobs: [] });
      expect(page.triggers.map(({ state }) => state)).toEqual([name, name, name, name]);
      expect(page.nextPageToken).toBe("");
    }
  });

  test("reads no more of each job, and returns smaller pages, when a hundred jobs have had the name", async () => {
    const jobUids = [job.uid, ...Array.from({ length: 99 }, () => randomId("job"))];
    for (const state of [TriggerState.UNSPECIFIED, TriggerState.SUCCEEDED]) {
      const request = create(ListTriggersRequestSchema, { state, job: "any", pageSize: 500 });
      const page = await listTriggers(meter, { projectId: job.projectId, request, jobUids }, never);
      expect(page.triggers).toHaveLength(50);
      expect(page.nextPageToken).not.toBe("");
      for (const { buffers } of meter.takeReads()) expect(buffers).toBeLessThan(2_000);
    }
  });

  test("returns an empty page with a token when it has read enough and found nothing", async () => {
    const { projectId } = failingJob;
    for (const jobs of [[], [failingJob]]) {
      const { page, reads } = await list(meter, { state: TriggerState.SUCCEEDED, jobs, projectId });
      expect(page.triggers).toEqual([]);
      expect(page.nextPageToken).not.toBe("");
      expect(reads.length).toBeLessThan(15);
      for (const { buffers } of reads) expect(buffers).toBeLessThan(300);
    }
  });
});

test("ListTriggers finds what matches by following the tokens of empty pages", async () => {
  const { projectId } = failingJob;
  await fill({
    of: failingJob,
    state: "SUCCEEDED",
    count: 3,
    firstMs: FIRST_MS - DAY_MS,
    everyMs: 1_000,
  });
  const found: TriggerView[] = [];
  let pageToken = "";
  let pages = 0;
  do {
    const request = create(ListTriggersRequestSchema, { state: TriggerState.SUCCEEDED, pageToken });
    const page = await listTriggers(database, { projectId, request, jobUids: [] }, never);
    found.push(...page.triggers);
    pageToken = page.nextPageToken;
    pages += 1;
  } while (pageToken !== "");
  expect(found.map(({ fire_time }) => fire_time)).toEqual(
    [3, 2, 1].map((i) => FIRST_MS - DAY_MS + i * 1_000),
  );
  expect(pages).toBeGreaterThan(3);
});

test("ListTriggers stops reading when its caller has gone", async () => {
  const { projectId } = failingJob;
  const caller = new AbortController();
  let statements = 0;
  const on: Queryable = {
    query: (statement, values) => {
      statements += 1;
      if (statements === 2) caller.abort(new Error("gone"));
      return database.query(statement, values);
    },
  };
  const request = create(ListTriggersRequestSchema, { state: TriggerState.SUCCEEDED });
  const read = listTriggers(on, { projectId, request, jobUids: [] }, caller.signal);
  await expect(read).rejects.toThrow("gone");
  expect(statements).toBe(2);
});
