import pg from "pg";
import { expect, test } from "vitest";
import { nextSecond, openFaultScene } from "./scene.ts";

/** Ways to damage what is stored about a job, `$1` being its uid. */
const DAMAGES: readonly (readonly [string, string])[] = [
  ["carry", `update scheduler.jobs set carry = '{"waiting": "soon"}' where uid = $1`],
  ["time", "update scheduler.jobs set last_fire_time = 'infinity' where uid = $1"],
  ["revision", "update scheduler.jobs set revision = 99 where uid = $1"],
];

test("jobs whose stored data is damaged are set aside and say so, and a healthy project is on time", async () => {
  await using scene = await openFaultScene();
  const { healthy, troubled, mesh } = scene;
  const uids = new Map<string, string>();
  for (const [name] of DAMAGES) {
    const { status, body } = await troubled.call("JobService/CreateJob", {
      job: {
        name,
        schedules: [{ cron: { expression: "* * * * * *", dialect: "CRON_DIALECT_WITH_SECONDS" } }],
        target: { webhook: { url: troubled.receiver.url } },
      },
    });
    expect(status).toBe(200);
    uids.set(name, (body as { job: { uid: string } }).job.uid);
  }
  await troubled.receiver.waitFor((requests) => requests.length >= DAMAGES.length);
  const database = new pg.Client({ connectionString: mesh.databaseUrl });
  await database.connect();
  const startMs = nextSecond();
  for (const [name, text] of DAMAGES) await database.query(text, [uids.get(name)]);
  const lateness = await healthy.between(startMs, startMs + 10_000);
  console.log(`damaged jobs: ${JSON.stringify(lateness)}`);
  expect(lateness).toMatchObject({ count: 200, repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(1_000);
  const { rows } = await database.query("select id, failures from scheduler.set_aside where kind = 'job'");
  expect(rows.map(({ id }) => id).sort()).toEqual([...uids.values()].sort());
  await database.end();
  const { body } = await troubled.call("JobService/GetJob", { name: "carry" });
  expect(body).toMatchObject({
    job: { problem: expect.stringContaining("EasyCron support has been alerted; next try at 20") },
  });
});
