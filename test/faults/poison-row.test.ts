import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reached } from "../support/reached.ts";
import { type FaultScene, nextSecond, openFaultScene } from "./scene.ts";

/*
 * A row that cannot be read is planted in each table that is read in batches, one after the other, for a job of the
 * troubled project. None of them may be noticed in the healthy project.
 */

/** How late the healthy project's triggers may arrive: far more than usual, far less than a batch that is repeated. */
const BOUND_MS = 2_000;

const SECONDLY = [{ cron: { expression: "* * * * * *", dialect: "CRON_DIALECT_WITH_SECONDS" } }];

let scene: FaultScene;
let admin: pg.Client;

beforeAll(async () => {
  scene = await openFaultScene({ dispatchers: 1, schedulers: 1 });
  admin = new pg.Client({ connectionString: scene.mesh.databaseUrl });
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await scene[Symbol.asyncDispose]();
});

/** Creates a job of the troubled project and returns its uid. */
async function createJob(name: string, fields: object = {}): Promise<string> {
  const { troubled } = scene;
  const target = { webhook: { url: `${troubled.receiver.url}/${name}` } };
  const job = { name, schedules: SECONDLY, target, ...fields };
  const { status, body } = await troubled.call("JobService/CreateJob", { job });
  expect({ status, body }).toMatchObject({ status: 200 });
  return (body as { job: { uid: string } }).job.uid;
}

/** Expects the healthy project to be on time for the next `seconds` seconds. */
async function expectHealthy(fault: string, seconds: number): Promise<void> {
  const startMs = nextSecond();
  const lateness = await scene.healthy.between(startMs, startMs + seconds * 1_000);
  console.log(`${fault}: ${JSON.stringify(lateness)}`);
  expect(lateness).toMatchObject({ count: scene.healthy.fleet.jobs.size * seconds, repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(BOUND_MS);
}

test("a payload with U+0000 is delivered as it is, and another project is on time", async () => {
  const payload = { a: "\u0000", "\u0000": ["x\u0000y"] };
  await createJob("nul", { payload });
  await expectHealthy("payload with U+0000", 5);
  const { receiver } = scene.troubled;
  const request = await receiver.waitFor((all) => all.find(({ job }) => job === "nul"));
  expect(request.body.data.payload).toEqual(payload);
  expect(request.rawBody.toString()).toContain(String.raw`"payload":{"a":"\u0000","\u0000":["x\u0000y"]}`);
  await scene.troubled.call("JobService/DeleteJob", { name: "nul" });
});

test("a specification that is no JSON concerns its own job only", async () => {
  const at = nextSecond(4_000);
  const uid = await createJob("spec", { schedules: [{ once: { time: new Date(at).toISOString() } }] });
  await admin.query("update scheduler.revisions set spec = 'not json', facets = '5' where job_uid = $1", [
    uid,
  ]);
  await reached(at);
  await expectHealthy("scheduler.revisions", 5);
});

const JOBS: readonly (readonly [name: string, change: string])[] = [
  ["carry", `carry = '{"waiting": 5}'`],
  ["requested", `carry = '{"requested": {"a": 1}}'`],
  ["cursor", "next_fire_time = 'infinity', wake_time = now()"],
  ["seq", "last_seq = 2147483647"],
];

test.each(JOBS)(
  "a row of scheduler.jobs with a broken %s concerns its own job only",
  async (name, change) => {
    const uid = await createJob(name);
    await scene.troubled.receiver.waitFor((all) => all.some(({ job }) => job === name));
    await admin.query(`update scheduler.jobs set ${change} where uid = $1`, [uid]);
    await expectHealthy(`scheduler.jobs, ${name}`, 5);
  },
);

test("a calendar that cannot be read concerns the jobs that use it only", async () => {
  const calendar = {
    name: "broken",
    windows: [{ days: ["MONDAY"], start: "00:00", end: "24:00" }],
    timeZone: "UTC",
  };
  const made = await scene.troubled.call("CalendarService/CreateCalendar", { calendar });
  expect(made).toMatchObject({ status: 200 });
  await createJob("calendar", { calendars: [{ name: "broken" }] });
  await admin.query(
    `update scheduler.calendar_versions set spec = '5'
      where calendar_uid = (select uid from scheduler.calendars where name = 'broken')`,
  );
  await expectHealthy("scheduler.calendar_versions", 5);
});

test("a row of scheduler.audits that cannot be read concerns its own job only", async () => {
  const uid = await createJob("audit");
  await admin.query(
    "update scheduler.audits set audited_until = 'infinity', audit_time = '-infinity' where job_uid = $1",
    [uid],
  );
  await expectHealthy("scheduler.audits", 5);
});

test("an operation that cannot be read concerns its own job only", async () => {
  const uid = await createJob("operation");
  await admin.query(
    `insert into scheduler.operations (uid, project_id, job_uid, state, revision, start_time, end_time, force,
            max_per_second, fire_time_count, outside_calendar_count, succeeded_count, active_count, trigger_count,
            wake_time, create_time)
     values ('op_broken', $1, $2, 'RUNNING', 1, '-infinity', 'infinity', false, 1, 1, 0, 0, 0, 1, now(), now())`,
    [scene.troubled.project, uid],
  );
  await expectHealthy("scheduler.operations", 5);
});

test("a trigger whose row cannot be changed concerns its own job only", async () => {
  const uid = await createJob("trigger");
  await scene.troubled.receiver.waitFor((all) => all.some(({ job }) => job === "trigger"));
  await admin.query(`
    create function dispatcher.refuse() returns trigger language plpgsql
        as $$ begin raise exception 'planted' using errcode = 'data_exception'; end $$`);
  await admin.query(
    `create trigger refuse before update on dispatcher.triggers
        for each row when (old.job_uid = '${uid}') execute function dispatcher.refuse()`,
  );
  await expectHealthy("dispatcher.triggers", 5);
});

test("a signing key that cannot be read concerns its own project only", async () => {
  await createJob("key");
  await admin.query(
    String.raw`update dispatcher.signing_keys set sealed_secret = '\x00' where project_id = $1`,
    [scene.troubled.project],
  );
  await admin.query(
    `with raised as (update dispatcher.signing_keys_version set version = version + 1 returning version)
     update dispatcher.data_keys set keys_version = version from raised where project_id = $1`,
    [scene.troubled.project],
  );
  await expectHealthy("dispatcher.signing_keys", 5);
});
