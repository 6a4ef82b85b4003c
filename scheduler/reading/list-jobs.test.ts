import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { ListJobsRequestSchema, UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { toPageToken } from "../../mesh/page-token.ts";
import { deleteJob, pauseJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { listJobs } from "./list-jobs.ts";

const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const WEBHOOK = { webhook: { url: "https://example.com/" } };

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

/** Creates a job that fires daily at an hour, in a minute of its own. */
const make = async (minute: number, name: string, hour: number, fields: JsonObject = {}) => {
  bench.setTime(START + minute * MINUTE);
  const schedules = [{ cron: { expression: `0 ${hour} * * *` } }];
  return bench.createJob(fromJson(JobSchema, { name, schedules, target: WEBHOOK, ...fields }));
};
const list = (request: { filter?: string; orderBy?: string; pageSize?: number; pageToken?: string }) =>
  listJobs(bench.parts, PROJECT, create(ListJobsRequestSchema, request));
const names = async (filter: string, orderBy = "") =>
  (await list({ filter, orderBy })).jobs.map(({ name }) => name);
/** All names, read in pages. */
const paged = async (filter: string, orderBy: string, pageSize: number) => {
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await list({ filter, orderBy, pageSize, pageToken });
    found.push(...page.jobs.map(({ name }) => name));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
};

describe("ListJobs", () => {
  test("returns the jobs that the filter selects", async () => {
    const billing = { labels: { team: "billing", env: "" } };
    await make(0, "payroll", 12, billing);
    await make(0, "pay-late", 13, { target: { redis: { stream: "s" } }, labels: { team: "billing" } });
    await make(0, "report", 14, { labels: { team: "data" } });
    await make(0, "once", 15, { schedules: [{ once: { time: new Date(START + 1_000).toISOString() } }] });
    bench.setTime(START + 2_000);
    while ((await bench.tick.run()).more);
    await make(0, "by-hand", 16, { schedules: [], target: { kafka: { topic: "t" } } });
    await pauseJob(bench.parts, { projectId: PROJECT, name: "report" }, { note: "", untilMs: null });
    const untilMs = START + 5 * MINUTE;
    await pauseJob(bench.parts, { projectId: PROJECT, name: "payroll" }, { note: "", untilMs });
    expect(await names("state = PAUSED")).toEqual(["payroll", "report"]);
    expect(await names("state = FINISHED")).toEqual(["once"]);
    expect(await names("state != PAUSED")).toEqual(["by-hand", "once", "pay-late"]);
    expect(await names('name = "payroll"')).toEqual(["payroll"]);
    expect(await names('name = "pay*"')).toEqual(["pay-late", "payroll"]);
    expect(await names("name = payroll AND name = report")).toEqual([]);
    expect(await names("name = pay* AND name = payr*")).toEqual(["payroll"]);
    expect(await names('labels.team = "billing"')).toEqual(["pay-late", "payroll"]);
    expect(await names("labels.team = billing AND labels.team = data")).toEqual([]);
    expect(await names("labels.env:*")).toEqual(["payroll"]);
    expect(await names('labels.env = ""')).toEqual(["payroll"]);
    expect(await names("target = redis")).toEqual(["pay-late"]);
    expect(await names("target != webhook AND state = ACTIVE")).toEqual(["by-hand", "pay-late"]);
    expect(await names("labels.team = billing AND target = webhook AND state = PAUSED")).toEqual(["payroll"]);
    // A scheduler takes a pause back a little before it ends by itself; until then the job is paused.
    bench.setTime(untilMs - 1_000);
    await bench.tick.run();
    expect(await names("state = PAUSED")).toEqual(["payroll", "report"]);
    expect(await names("state != FINISHED")).toEqual(["by-hand", "pay-late", "payroll", "report"]);
    expect(await names("state != ACTIVE")).toEqual(["once", "payroll", "report"]);
    bench.setTime(untilMs);
    expect(await names("state = PAUSED")).toEqual(["report"]);
  });

  /** Expects that the rows that lists select by say what the current revisions say. */
  const expectFacetsOfRevisions = async () => {
    const admin = new pg.Client({ connectionString: bench.adminUrl });
    await admin.connect();
    const { rows: kept } = await admin.query(
      'select name, facet, value from scheduler.job_facets order by name, facet collate "C"',
    );
    const { rows: said } = await admin.query(
      `select j.name, f.facet, f.value from scheduler.jobs j
         join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision
        cross join lateral (
          select 'labels.' || key as facet, value from jsonb_each_text(r.facets -> 'labels')
          union all select 'target', r.facets ->> 'target' where r.facets ->> 'target' <> 'webhook') as f
        where j.state <> 'DELETED' order by name, facet collate "C"`,
    );
    await admin.end();
    expect(kept).toEqual(said);
    return kept.length;
  };

  test("finds a job by the labels and the target that it has now, and forgets it when it is deleted", async () => {
    const change = async (fields: JsonObject, paths: string[]) => {
      const job = fromJson(JobSchema, { name: "a", ...fields });
      const request = create(UpdateJobRequestSchema, { job, updateMask: { paths } });
      await updateJob(bench.parts, PROJECT, request);
      await expectFacetsOfRevisions();
    };
    await make(0, "a", 12, { labels: { team: "billing", env: "prod" }, target: { redis: { stream: "s" } } });
    await make(0, "b", 12, { labels: { team: "billing" } });
    expect(await expectFacetsOfRevisions()).toBe(4);
    await change({ labels: { team: "data", env: "prod" }, target: { kafka: { topic: "t" } } }, [
      "labels",
      "target",
    ]);
    expect(await names("labels.team = billing")).toEqual(["b"]);
    expect(await names("labels.team = data AND labels.env:*")).toEqual(["a"]);
    expect(await names("target = redis")).toEqual([]);
    expect(await names("target = kafka")).toEqual(["a"]);
    await change({ target: WEBHOOK }, ["target"]);
    expect(await names("target = kafka")).toEqual([]);
    expect(await names("labels.team = data")).toEqual(["a"]);
    for (const name of ["a", "b"]) {
      await deleteJob(bench.parts, { projectId: PROJECT, name });
      await expectFacetsOfRevisions();
    }
    expect(await names("labels.team:*")).toEqual([]);
    const admin = new pg.Client({ connectionString: bench.adminUrl });
    await admin.connect();
    const { rows } = await admin.query("select * from scheduler.job_facets");
    await admin.end();
    expect(rows).toEqual([]);
  });

  test("does not show a job by a label or a target that its current revision does not have", async () => {
    const { uid } = await make(0, "a", 12, { labels: { team: "data" } });
    const admin = new pg.Client({ connectionString: bench.adminUrl });
    await admin.connect();
    await admin.query(
      `insert into scheduler.job_facets (project_id, facet, value, name, job_uid) values
         ($1, 'labels.team', 'billing', 'a', $2), ($1, 'labels.env', '', 'a', $2), ($1, 'target', 'redis', 'a', $2)`,
      [PROJECT, uid],
    );
    await admin.end();
    for (const filter of ["labels.team = billing", "labels.env:*", "target = redis"])
      expect(await names(filter)).toEqual([]);
    expect(await names("labels.team = data")).toEqual(["a"]);
  });

  test.each([
    ["", ["a", "b", "c", "d", "e"]],
    ["name desc", ["e", "d", "c", "b", "a"]],
    ["createTime", ["c", "a", "e", "b", "d"]],
    ["create_time desc", ["d", "b", "e", "a", "c"]],
    ["nextFireTime", ["b", "a", "c", "d", "e"]],
  ])("returns jobs in the order %j, in pages of any size", async (orderBy, expected) => {
    await make(0, "c", 12);
    await make(1, "e", 13, { schedules: [] });
    await make(1, "a", 11);
    await make(2, "d", 14, { schedules: [] });
    await make(2, "b", 10);
    for (const size of [1, 2, 5]) expect(await paged("", orderBy, size)).toEqual(expected);
    expect(await paged("name = *", orderBy, 2)).toEqual(expected);
  });

  test("accepts a page token only with the same filter and order", async () => {
    await make(0, "a", 9);
    await make(0, "b", 9);
    const { nextPageToken: pageToken } = await list({ filter: "name = *", orderBy: "name", pageSize: 1 });
    expect((await list({ filter: "name = *", orderBy: "name", pageToken })).jobs).toHaveLength(1);
    const forged = toPageToken("jobs", "\u0000");
    for (const wrong of [
      { filter: "", orderBy: "name", pageToken },
      { filter: "name = *", orderBy: "name desc", pageToken },
      { pageToken },
      { pageToken: forged },
    ]) {
      await expect(list(wrong)).rejects.toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
    }
  });

  test.each(["nonsense", "name, create_time", "name asc", "next_fire_time desc"])(
    "refuses the order %j",
    async (orderBy) => {
      await expect(list({ orderBy })).rejects.toMatchObject({
        reason: "FIELD_INVALID",
        violations: [{ field: "orderBy", description: expect.stringContaining("create_time desc") }],
      });
    },
  );
});
