import pg from "pg";
import { expect, test } from "vitest";
import { nextSecond, openFaultScene } from "./scene.ts";

const SECONDS = 4;
const SECONDLY = [{ cron: { expression: "* * * * * *", dialect: "CRON_DIALECT_WITH_SECONDS" } }];
const PAYLOAD = { a: "\u0000", "\u0000": ["x\u0000y"] };
const JOBS: readonly (readonly [name: string, fields: object])[] = [
  ["nul", { payload: PAYLOAD }],
  ["carry", {}],
  ["refused", {}],
];

test("a payload with U+0000, a damaged job and a trigger that cannot be changed are not noticed by another project", async () => {
  await using scene = await openFaultScene();
  const { healthy, troubled, mesh } = scene;
  const { receiver } = troubled;
  const uids = new Map<string, string>();
  for (const [name, fields] of JOBS) {
    const target = { webhook: { url: receiver.url } };
    const job = { name, schedules: SECONDLY, target, ...fields };
    const { status, body } = await troubled.call("JobService/CreateJob", { job });
    expect({ status, body }).toMatchObject({ status: 200 });
    uids.set(name, (body as { job: { uid: string } }).job.uid);
  }
  await receiver.waitFor((all) => JOBS.every(([name]) => all.some(({ job }) => job === name)));
  const admin = new pg.Client({ connectionString: mesh.databaseUrl });
  await admin.connect();
  const startMs = nextSecond();
  await admin.query(`update scheduler.jobs set carry = '{"waiting": 5}' where uid = $1`, [uids.get("carry")]);
  await admin.query(`
    create function dispatcher.refuse() returns trigger language plpgsql
        as $$ begin raise exception 'planted' using errcode = 'data_exception'; end $$`);
  await admin.query(
    `create trigger refuse before update on dispatcher.triggers
        for each row when (old.job_uid = '${uids.get("refused")}') execute function dispatcher.refuse()`,
  );
  await admin.end();
  const lateness = await healthy.between(startMs, startMs + SECONDS * 1_000);
  console.log(`poison rows at once: ${JSON.stringify(lateness)}`);
  expect(lateness).toMatchObject({ count: healthy.fleet.jobs.size * SECONDS, repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(2_000);
  const nul = receiver.requests.filter(({ job }) => job === "nul");
  expect(nul.map(({ body }) => body.data.payload)).toEqual(nul.map(() => PAYLOAD));
  expect(nul.some(({ nominalMs }) => nominalMs >= startMs)).toBe(true);
});
