import pg from "pg";
import { expect, test } from "vitest";
import { copyJob } from "../../scheduler/testing/copy-job.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

const JOBS = 10_000;
/** Makes the uids of the copies as long as uids are. */
const PART = "0".repeat(16);
const SECONDS = 10;
/** The call settles for 1.5 s. The rest is for a busy machine; the gateway allows 10 s. */
const MOST_CALL_MS = 6_000;

test("a change of a calendar with 10,000 jobs is answered soon and delays no other project", async () => {
  await using scene = await openFaultScene();
  const { healthy, mesh, troubled } = scene;
  const calendar = { name: "office", windows: [{ days: ["MONDAY"], start: "09:00", end: "17:00" }] };
  expect(await troubled.call("CalendarService/CreateCalendar", { calendar })).toMatchObject({ status: 200 });
  const { body } = await troubled.call("JobService/CreateJob", {
    job: {
      name: "one",
      schedules: [{ cron: { expression: "0 0 1 1 *" } }],
      calendars: [{ name: "office" }],
      target: { webhook: { url: troubled.receiver.url } },
    },
  });
  const { uid } = (body as { job: { uid: string } }).job;
  const admin = new pg.Client({ connectionString: mesh.databaseUrl });
  await admin.connect();
  await copyJob(admin, uid, JOBS - 1, PART);
  const epochs = async () => {
    const { rows } = await admin.query("select count(*)::integer as n from scheduler.epochs");
    return Number(rows[0]?.n);
  };
  const before = await epochs();
  const startMs = nextSecond();
  const counting = healthy.between(startMs, startMs + SECONDS * 1_000);
  const askedMs = Date.now();
  const change = { calendar: { ...calendar, excludedDates: ["2031-05-01"] } };
  const { status } = await troubled.call("CalendarService/UpdateCalendar", change);
  const callMs = Date.now() - askedMs;
  const lateness = await counting;
  const settled = (await epochs()) - before;
  await admin.end();
  console.log(
    `large calendar: answered after ${callMs} ms, ${settled} jobs settled; ${JSON.stringify(lateness)}`,
  );
  expect(status).toBe(200);
  expect(callMs).toBeLessThan(MOST_CALL_MS);
  expect(settled).toBeGreaterThan(0);
  expect(settled).toBeLessThanOrEqual(JOBS);
  expect(lateness).toMatchObject({ repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(1_000);
});
