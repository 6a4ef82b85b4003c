import { create, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createLocalSeen, type Seen } from "../../db/internal-redis/seen.ts";
import type { Database } from "../../db/pool.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { CreateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { presentJob, presentShown, readJob } from "../reading/read-jobs.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createJob } from "./create-job.ts";
import { deleteJob } from "./pause-job.ts";

const START = Date.UTC(2026, 2, 1, 9);
let bench: SchedulerBench;
let sent: string[];
/** The bench's database, which notes the names of the statements, and "transaction" for each. */
let database: Database;
beforeEach(async () => {
  bench = await openBench(START);
  sent = [];
  database = {
    query: (statement, values) => {
      sent.push(statement.name);
      return bench.parts.database.query(statement, values);
    },
    transaction: (work) => {
      sent.push("transaction");
      return bench.parts.database.transaction(work);
    },
    snapshot: bench.parts.database.snapshot,
  };
});
afterEach(() => bench.close());

const SCHEDULES = [{ cron: { expression: "5 9 * * *" } }];
const TARGET = { webhook: { url: "https://example.com/", headers: { "x-a": "b" } } };
const make = (fields: JsonObject, more: { requestId?: string; validateOnly?: boolean } = {}) => {
  const job = fromJson(JobSchema, { name: "a", schedules: SCHEDULES, target: TARGET, ...fields });
  return createJob(
    { ...bench.parts, database },
    PROJECT,
    create(CreateJobRequestSchema, { job, ...more }),
    "key_a",
  );
};

describe("A job is created", () => {
  test.each([{}, { requestId: "once" }])("by one statement, with %j", async (more) => {
    await make({ labels: { team: "billing" } }, more);
    expect(sent).toEqual(["jobsInsert"]);
  });

  test("as it is read afterwards, without what only the server sets", async () => {
    const given = { payloadJson: '{"n":9007199254740993}', startTime: "2026-03-02T00:00:00Z", maxFires: 3 };
    const own = {
      uid: "job_x",
      state: "JOB_STATE_PAUSED",
      pauseNote: "x",
      problem: "x",
      revision: 7,
      etag: "x",
    };
    const parts = { ...bench.parts, database };
    const shown = await presentShown(parts, await make({ ...given, ...own, remainingFires: 9 }));
    expect(sent).toEqual(["jobsInsert"]);
    const read = await presentJob(parts, await readJob(parts, PROJECT, { name: "a" }));
    expect(toJson(JobSchema, shown)).toEqual(toJson(JobSchema, read));
    expect(shown).toMatchObject({ name: "a", revision: 1, remainingFires: 3, pauseNote: "", problem: "" });
  });

  test("with an acknowledgement, which a webhook may have and a plugin's target may not", async () => {
    const acknowledgement = { deadline: "600s" };
    const parts = { ...bench.parts, database };
    const shown = await presentShown(parts, await make({ acknowledgement }));
    expect(toJson(JobSchema, shown)).toMatchObject({ acknowledgement });
    for (const target of [{ redis: { stream: "s" } }, { kafka: { topic: "t" } }]) {
      await expect(make({ name: "b", target, acknowledgement })).rejects.toMatchObject({
        reason: "FIELD_INVALID",
        violations: [{ field: "job.acknowledgement" }],
      });
    }
  });

  test("once, however often its request is repeated, also at the same time and when it is not valid any more", async () => {
    const time = new Date(START + 60_000).toISOString();
    const once = { schedules: [{ once: { time } }] };
    const both = await Promise.all([1, 2, 3].map(() => make(once, { requestId: "once" })));
    bench.setTime(START + 120_000);
    both.push(await make(once, { requestId: "once" }));
    expect(new Set(both.map(({ row }) => row.uid)).size).toBe(1);
    for (const validateOnly of [false, true]) {
      await expect(make({}, { requestId: "once", validateOnly })).rejects.toMatchObject({
        reason: "REQUEST_ID_REUSED",
      });
    }
  });
});

describe("A repeated request id", () => {
  const makeSeen = (seen: Seen, requestId: string, fields: JsonObject = {}) => {
    const job = fromJson(JobSchema, { name: "a", schedules: SCHEDULES, target: TARGET, ...fields });
    const request = create(CreateJobRequestSchema, { job, requestId });
    return createJob({ ...bench.parts, database, seen }, PROJECT, request, "key_a");
  };

  test("that was seen lately costs no attempt to create the job again", async () => {
    const seen = createLocalSeen();
    const first = await makeSeen(seen, "r1");
    expect(sent).toEqual(["jobsInsert"]);
    sent = [];
    expect((await makeSeen(seen, "r1")).row.uid).toBe(first.row.uid);
    expect(sent).toEqual(["requestById", "jobByUid"]);
    await expect(makeSeen(seen, "r1", { name: "b" })).rejects.toMatchObject({ reason: "REQUEST_ID_REUSED" });
  });

  test("is decided by PostgreSQL, whatever was seen", async () => {
    const wrong = (has: boolean): Seen => ({ has: async () => has, note: () => {} });
    const first = await makeSeen(wrong(true), "r1");
    expect((await makeSeen(wrong(false), "r1")).row.uid).toBe(first.row.uid);
    expect((await makeSeen(wrong(true), "r1")).row.uid).toBe(first.row.uid);
  });
});

describe("A job is refused", () => {
  test("when another one has its name, and its request id stays free", async () => {
    await make({});
    for (const validateOnly of [false, true]) {
      await expect(make({}, { requestId: "later", validateOnly })).rejects.toMatchObject({
        reason: "JOB_ALREADY_EXISTS",
        metadata: { job: "a" },
      });
    }
    await deleteJob(bench.parts, { projectId: PROJECT, name: "a", etag: "" });
    expect((await make({}, { requestId: "later" })).row.name).toBe("a");
  });

  test("when its calendar does not exist, and nothing of it stays", async () => {
    const job = { calendars: [{ name: "none" }] };
    await expect(make(job)).rejects.toMatchObject({ reason: "CALENDAR_NOT_FOUND" });
    await expect(readJob(bench.parts, PROJECT, { name: "a" })).rejects.toMatchObject({
      reason: "JOB_NOT_FOUND",
    });
  });
});
