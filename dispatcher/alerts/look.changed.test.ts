import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGround, type Ground, type TestJob } from "../testing/ground.ts";
import {
  type AlertJobRow,
  alertJobForget,
  alertJobHold,
  alertJobsMove,
  alertJobsTake,
  alertsRecord,
} from "./alerts.sql.ts";

// A look takes a job, reads its alerts, and stores what it has found. Meanwhile the job may get other alerts.

let ground: Ground;
beforeAll(async () => {
  ground = await createGround();
});
afterAll(() => ground?.end());

const DAY_LATER = new Date(Date.now() + 86_400_000).toISOString();

/** Makes a job with alerts that is taken, and gets a `deliveredWithin` in its second revision after that. */
async function changedWhileTaken(): Promise<{ readonly job: TestJob; readonly taken: string }> {
  const { projectId } = await ground.addProject();
  const job = await ground.addJob(projectId, "http://127.0.0.1/", { alerts: {} });
  // PostgreSQL's clock: this process's has whole milliseconds, so its now may come before the job's create_time.
  const now = (await ground.sql("select clock_timestamp()::text as now"))[0]?.now;
  const rows: AlertJobRow[] = await ground.sql(alertJobsTake.text, [now, 100, DAY_LATER]);
  const taken = rows.find(({ job_uid: uid }) => uid === job.uid)?.taken;
  if (taken === undefined) throw new Error("The job was not taken.");
  await ground.sql(
    "insert into scheduler.revisions (job_uid, revision, spec, create_time, facets) values ($1, 2, '{}', now(), $2)",
    [job.uid, { alerts: { withinMs: 300_000 } }],
  );
  return { job, taken };
}

/** Whether the job is still to be looked at now, with the new `deliveredWithin`. */
const isDue = async ({ uid }: TestJob) => {
  const text = `select within_ms = 300000 and look_time <= now() and held_until <= now() as is_due
                  from dispatcher.alert_jobs where job_uid = $1`;
  return (await ground.sql(text, [uid]))[0]?.is_due;
};

describe("a look that began before the alerts of its job were changed", () => {
  test("does not put the next look off", async () => {
    const { job, taken } = await changedWhileTaken();
    await ground.sql(alertJobsMove.text, [[job.uid], [DAY_LATER], [DAY_LATER], DAY_LATER, [taken]]);
    await ground.sql(alertJobHold.text, [job.uid, DAY_LATER, taken]);
    expect(await isDue(job)).toBe(true);
  });

  test("records no alert and no state", async () => {
    const { job, taken } = await changedWhileTaken();
    const alert = [["alr_1"], ["EXHAUSTED"], ["{}"]];
    const state = [["EXHAUSTED"], DAY_LATER, DAY_LATER, DAY_LATER, DAY_LATER];
    const values = [job.uid, job.projectId, ...alert, DAY_LATER, [], [], ...state, taken, null, false];
    expect(await ground.sql(alertsRecord.text, values)).toEqual([]);
    expect(await isDue(job)).toBe(true);
  });

  test("does not forget the job", async () => {
    const { job, taken } = await changedWhileTaken();
    expect(await ground.sql(alertJobForget.text, [job.uid, taken])).toEqual([]);
    expect(await isDue(job)).toBe(true);
  });
});
