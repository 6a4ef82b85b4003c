import pg from "pg";
import { expect, test } from "vitest";
import { type FaultScene, nextSecond, openFaultScene, type Troubled } from "./scene.ts";

const HISTORY = 300_000;
const CALLERS = 24;
const SECONDS = 8;
const STATES = ["PENDING", "RETRYING", "SUCCEEDED", "EXHAUSTED", "CANCELLED"];

/** Gives the troubled project a history of triggers that ended well, one every three seconds. */
async function fillHistory({ mesh, troubled }: FaultScene): Promise<void> {
  const client = new pg.Client({ connectionString: mesh.databaseUrl });
  await client.connect();
  try {
    await client.query(
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
              kind, state, seq, create_time, start_time, end_time, attempt_count)
       select 'trg_' || substr(md5(i::text), 1, 26), f, f, f, $1, 'job_history', 'history', 1, 'SCHEDULED', 'SUCCEEDED', i,
              f, f, f, 1
         from (select i, now() - i * interval '3 seconds' as f from generate_series(1, $2) as i) as times`,
      [troubled.project, HISTORY],
    );
  } finally {
    await client.end();
  }
}

/** Calls ListTriggers without a pause until `endMs`, each time for another state. Returns the statuses of the answers. */
async function listUntil(troubled: Troubled, caller: number, endMs: number): Promise<number[]> {
  const statuses: number[] = [];
  while (Date.now() < endMs) {
    const state = `TRIGGER_STATE_${STATES[(caller + statuses.length) % STATES.length]}`;
    statuses.push((await troubled.call("TriggerService/ListTriggers", { state })).status);
  }
  return statuses;
}

test("a project that lists a long history by state delays no other project", async () => {
  // As few connections as the dispatcher accepts, so that 24 callers could use them all.
  await using scene = await openFaultScene({ env: { EASYCRON_DISPATCHER_DATABASE_CONNECTIONS: "4" } });
  await fillHistory(scene);
  const startMs = nextSecond(500);
  const endMs = startMs + SECONDS * 1_000;
  const callers = Array.from({ length: CALLERS }, (_, caller) => listUntil(scene.troubled, caller, endMs));
  const lateness = await scene.healthy.between(startMs, endMs);
  const statuses = (await Promise.all(callers)).flat();
  const answered = statuses.filter((status) => status === 200).length;
  console.log(`costly reads: ${answered} of ${statuses.length} answered; ${JSON.stringify(lateness)}`);
  // A call may find that the project's places are taken; it never runs into a time limit.
  expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([]);
  expect(answered).toBeGreaterThan(CALLERS);
  expect(lateness.repeated).toBe(0);
  expect(lateness.worstMs).toBeLessThan(1_000);
});
