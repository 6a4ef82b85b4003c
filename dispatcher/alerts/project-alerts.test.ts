import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { type AlertReceiver, startAlertReceiver } from "../../test/support/alert-receiver.ts";
import { createGround, type Ground, randomId, type TestDispatcher, type TestJob } from "../testing/ground.ts";
import { alertJobsTake } from "./alerts.sql.ts";
import { nextLookMs } from "./next-look.ts";
import { projectAlertsSet } from "./project-alerts.sql.ts";
import { watchJobsOfProjects } from "./project-alerts.ts";
import { deleteOldAlerts } from "./send.ts";

let ground: Ground;
let alerts: AlertReceiver;
let dispatcher: TestDispatcher;

beforeAll(async () => {
  ground = await createGround();
  alerts = await startAlertReceiver();
  dispatcher = await ground.start();
});
afterAll(async () => {
  await ground?.end();
  await alerts?.stop();
});

/** Sets the alerts of a project, which go to a path of the receiver; removes them without a path. */
const setAlerts = (projectId: string, path?: string, more: object = {}) =>
  dispatcher.client.updateProjectAlerts({
    projectId,
    ...(path === undefined ? {} : { alerts: { target: targetAt(path), ...more } }),
  });
const targetAt = (path: string) => ({
  kind: { case: "webhook" as const, value: { url: `${alerts.url}${path}`, method: "POST" } },
});

/** Adds a job without alerts, with the epoch that says which revision is in effect. */
async function addJob(projectId: string): Promise<TestJob> {
  const job = await ground.addJob(projectId, `${alerts.url}/job`);
  await ground.sql(
    `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, change_time)
     values ($1, 1, 'ACTIVE', 1, now(), now())`,
    [job.uid],
  );
  return job;
}

const note = ({ uid }: TestJob, kind: string, cause: string) =>
  ground.sql("select dispatcher.note_alert($1, $2, $3, clock_timestamp(), 'Why.')", [uid, kind, cause]);
const rowsOf = ({ uid }: TestJob) =>
  ground.sql("select within_ms, of_project from dispatcher.alert_jobs where job_uid = $1", [uid]);
const factsOf = async ({ uid }: TestJob) =>
  (await ground.sql("select kind from dispatcher.alert_facts where job_uid = $1", [uid])).map(
    ({ kind }) => kind,
  );

describe("the alerts of a project", () => {
  test.each(["EXHAUSTED", "FAILING", "MISSED", "DISABLED"])(
    "report that a job is %s, and the job keeps a row only while it is in trouble",
    async (kind) => {
      const { projectId } = await ground.addProject();
      const job = await addJob(projectId);
      const path = `/${kind.toLowerCase()}`;
      await note(job, kind, "before");
      expect(await factsOf(job)).toEqual([]);
      await setAlerts(projectId, path);
      expect(await rowsOf(job)).toEqual([]);
      await note(job, kind, "1");
      await alerts.waitFor(path, 1);
      expect(alerts.types(path)).toEqual([`job.${path.slice(1)}`]);
      const isTrouble = kind === "EXHAUSTED" || kind === "FAILING";
      await expect.poll(() => rowsOf(job)).toHaveLength(isTrouble ? 1 : 0);
      await note(job, kind, "2");
      await expect.poll(() => factsOf(job), { timeout: 10_000 }).toEqual([]);
      // Trouble is reported when it begins, and the others each time.
      const made = await ground.sql("select from dispatcher.alerts where job_uid = $1", [job.uid]);
      expect(made).toHaveLength(isTrouble ? 1 : 2);
    },
  );

  test("are none once they are removed: nothing is noted, and what waits to be sent is cancelled", async () => {
    const { projectId } = await ground.addProject();
    const job = await addJob(projectId);
    await setAlerts(projectId, "/removed");
    alerts.answer("/removed", 500);
    await note(job, "EXHAUSTED", "1");
    await alerts.waitFor("/removed", 1);
    await setAlerts(projectId);
    await ground.sql("update dispatcher.alerts set due_time = now() where project_id = $1", [projectId]);
    const states = () => ground.sql("select state from dispatcher.alerts where project_id = $1", [projectId]);
    await expect.poll(states, { timeout: 10_000 }).toEqual([{ state: "CANCELLED" }]);
    // The job is in trouble, so it is looked at, and forgotten.
    await expect.poll(() => rowsOf(job), { timeout: 10_000 }).toEqual([]);
    await note(job, "EXHAUSTED", "2");
    expect(await factsOf(job)).toEqual([]);
  });

  test("keep at most 2,000 facts of all jobs that have none of their own", async () => {
    const { projectId } = await ground.addProject();
    const jobs = await Promise.all(Array.from({ length: 11 }, () => addJob(projectId)));
    await setAlerts(projectId, "/flood");
    await dispatcher.stop();
    for (const { uid } of jobs)
      await ground.sql(
        "select dispatcher.note_alert($1, 'MISSED', n::text, now(), '') from generate_series(1, 199) as n",
        [uid],
      );
    const count = "select count(*)::integer as count from dispatcher.alert_facts where project_id = $1";
    expect(await ground.sql(count, [projectId])).toEqual([{ count: 2_000 }]);
    await ground.sql("delete from dispatcher.alert_facts where project_id = $1", [projectId]);
    // The facts are not counted again for a while, so nothing is noted, except about a job with alerts of its own.
    const [first = await addJob(projectId)] = jobs;
    const own = await ground.addJob(projectId, `${alerts.url}/job`, { alerts: {} });
    await note(first, "MISSED", "full");
    await note(own, "MISSED", "full");
    expect(await factsOf(first)).toEqual([]);
    expect(await factsOf(own)).toEqual(["MISSED"]);
    await ground.sql("update dispatcher.project_alerts set full_until = now() where project_id = $1", [
      projectId,
    ]);
    await note(first, "MISSED", "free again");
    expect(await factsOf(first)).toEqual(["MISSED"]);
    await ground.sql("delete from dispatcher.alert_facts where project_id = $1", [projectId]);
    dispatcher = await ground.start();
  });

  test("reach a job whose row was removed while something was noted about it", async () => {
    const { projectId } = await ground.addProject();
    const job = await addJob(projectId);
    await setAlerts(projectId, "/orphan");
    await ground.sql(
      `insert into dispatcher.alert_facts (job_uid, project_id, kind, cause, fact_time)
       values ($1, $2, 'MISSED', '1', now())`,
      [job.uid, projectId],
    );
    const database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
    await deleteOldAlerts({ database, clock: { now: () => Date.now() } });
    await database.close();
    await alerts.waitFor("/orphan", 1);
  });

  test("are looked for among loose facts only, and what is looked at is loose no more", async () => {
    const { projectId } = await ground.addProject();
    const job = await addJob(projectId);
    await setAlerts(projectId, "/loose");
    await dispatcher.stop();
    await note(job, "MISSED", "1");
    const looseOf = async () =>
      (await ground.sql("select is_loose from dispatcher.alert_facts where job_uid = $1", [job.uid])).map(
        ({ is_loose }) => is_loose,
      );
    expect(await looseOf()).toEqual([true]);
    const take = () => ground.sql(alertJobsTake.text, [new Date(0), 100, new Date(0)]);
    await take();
    expect(await looseOf()).toEqual([false]);
    expect(await rowsOf(job)).toHaveLength(1);
    // Such a fact makes no row again. The job's next fact would.
    await ground.sql("delete from dispatcher.alert_jobs where job_uid = $1", [job.uid]);
    await take();
    expect(await rowsOf(job)).toEqual([]);
    await note(job, "MISSED", "2");
    await take();
    expect(await rowsOf(job)).toHaveLength(1);
    dispatcher = await ground.start();
  });

  test("are full without a wait for whoever changes them", async () => {
    const { projectId } = await ground.addProject();
    const [job, other] = [await addJob(projectId), await addJob(projectId)];
    await setAlerts(projectId, "/locked");
    await dispatcher.stop();
    await ground.sql(
      `insert into dispatcher.alert_facts (job_uid, project_id, kind, cause, fact_time)
       select $1, $2, 'MISSED', n::text, now() from generate_series(1, 2000) as n`,
      [other.uid, projectId],
    );
    const lock = "select from dispatcher.project_alerts where project_id = $1 for no key update";
    await ground.whileHeld(lock, [projectId], () => note(job, "MISSED", "1"));
    expect(await factsOf(job)).toEqual([]);
    const isFull = () =>
      ground.sql("select full_until > now() as full from dispatcher.project_alerts where project_id = $1", [
        projectId,
      ]);
    expect(await isFull()).toEqual([{ full: null }]);
    await note(job, "MISSED", "1");
    expect(await isFull()).toEqual([{ full: true }]);
    await ground.sql("delete from dispatcher.alert_facts where project_id = $1", [projectId]);
    dispatcher = await ground.start();
  });
});

describe("the deliveredWithin of a project", () => {
  const NOW = Date.now();
  let database: Pool;
  // No dispatcher reads pages here.
  beforeAll(async () => {
    await dispatcher.stop();
    database = createPool({ connectionString: ground.databaseUrl, max: 2, applicationName: "test" });
  });
  afterAll(() => database.close());

  const page = (nowMs: number) => watchJobsOfProjects({ database, clock: { now: () => nowMs } });
  const setWithin = (projectId: string, withinMs: number | null, nowMs: number) =>
    database.query(projectAlertsSet, [projectId, '{"alerts":{}}', withinMs, new Date(nowMs).toISOString()]);
  const watched = async (projectId: string) =>
    (
      await ground.sql(
        `select within_ms::integer as within, of_project, count(*)::integer from dispatcher.alert_jobs
          where project_id = $1 group by 1, 2 order by 1`,
        [projectId],
      )
    ).map(({ within, of_project: ofProject, count }) => [within, ofProject, count]);

  test("is given to the jobs that exist page by page, without those with alerts of their own, and to new ones at once", async () => {
    const { projectId } = await ground.addProject();
    // Their names come before the random one of the job with alerts of its own, so it is not on the first page.
    await ground.sql(
      `insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, create_time, update_time)
       select 'job_' || $2 || n, $1, 'a-' || n, 'ACTIVE', 1, 1, now(), now() from generate_series(1, 1200) as n`,
      [projectId, randomId("x")],
    );
    await ground.addJob(projectId, "http://127.0.0.1/", { alerts: {} });
    await setWithin(projectId, 60_000, NOW);
    const own = [null, false, 1];
    expect(await watched(projectId)).toEqual([own]);
    await page(NOW);
    expect(await watched(projectId)).toEqual([[60_000, true, 500], own]);
    await ground.addJob(projectId, "http://127.0.0.1/");
    expect(await watched(projectId)).toEqual([[60_000, true, 501], own]);
    await page(NOW);
    await page(NOW);
    expect(await watched(projectId)).toEqual([[60_000, true, 1_201], own]);
    // All were read: the next time is a minute after the start, and then a day later.
    await page(NOW + 59_000);
    const positions = () =>
      ground.sql(
        "select extract(epoch from page_time - set_time)::integer as seconds, job_count from dispatcher.project_alerts where project_id = $1",
        [projectId],
      );
    expect(await positions()).toMatchObject([{ seconds: 60 }]);
    await setWithin(projectId, 90_000, NOW + 1_000);
    for (let pages = 0; pages < 3; pages++) await page(NOW + 1_000);
    expect(await watched(projectId)).toEqual([[90_000, true, 1_201], own]);
    for (let pages = 0; pages < 3; pages++) await page(NOW + 62_000);
    expect(await positions()).toEqual([{ seconds: 86_461, job_count: 1_202 }]);
  });

  test("of a job with alerts of its own is the job's, and the project's again as soon as these are removed", async () => {
    const { projectId } = await ground.addProject();
    await setWithin(projectId, 60_000, NOW);
    const { uid } = await ground.addJob(projectId, "http://127.0.0.1/");
    const revise = (revision: number, facets: object) =>
      ground.sql(
        "insert into scheduler.revisions (job_uid, revision, spec, create_time, facets) values ($1, $2, '{}', now(), $3)",
        [uid, revision, facets],
      );
    const row = async () =>
      (
        await ground.sql(
          `select within_ms::integer as within, of_project, held_until <= now() and look_time <= now() as is_due
             from dispatcher.alert_jobs where job_uid = $1`,
          [uid],
        )
      )[0];
    await revise(2, { alerts: { withinMs: 10_000 } });
    expect(await row()).toEqual({ within: 10_000, of_project: false, is_due: true });
    await ground.sql(
      "update dispatcher.alert_jobs set look_time = now() + interval '1 day', held_until = look_time where job_uid = $1",
      [uid],
    );
    await revise(3, {});
    expect(await row()).toEqual({ within: 10_000, of_project: false, is_due: true });
  });

  test("lets the jobs of one project take part in a hundred looks in a second at most", () => {
    const at = (sharedBy: number, sinceMs: number | null = null) =>
      nextLookMs({ nextMs: 0 }, { isWatched: true, sinceMs, sharedBy, nowMs: 0 });
    expect([at(0), at(100), at(1_000), at(100_000)]).toEqual([2_000, 2_000, 10_000, 1_000_000]);
    expect([at(0, 0), at(1_000, 0)]).toEqual([1_000, 10_000]);
  });
});
