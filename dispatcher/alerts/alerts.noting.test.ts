import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { acknowledgementFail } from "../acknowledging/acknowledging.sql.ts";
import { instanceReleaseTriggers } from "../instances/instances.sql.ts";
import { resultRecord } from "../results/results.sql.ts";
import { createGround, type Ground, type TestJob } from "../testing/ground.ts";
import { triggerExhaust } from "../waiting/triggers.sql.ts";

// No dispatcher runs here, so nobody takes what is noted.

let ground: Ground;
let job: TestJob;
const AT = new Date("2026-11-01T10:00:00Z");
const NOW = new Date("2026-11-01T10:00:05Z");

beforeAll(async () => {
  ground = await createGround();
});

afterAll(() => ground.end());

beforeEach(async () => {
  await ground.sql("delete from dispatcher.alert_facts");
  job = await ground.addJob((await ground.addProject()).projectId, "http://127.0.0.1:1/", { alerts: {} });
});

/** Adds a trigger of the job that instance `owner` owns, of which `attempts` attempts have started. */
async function add(id: string, state: string, attempts: number, owner: string): Promise<void> {
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision, kind,
            state, seq, attempt_count, owner, create_time, start_time)
     values ($1, $2, $2, $2, $3, $4, 'job', 1, 'SCHEDULED', $5, 1, $6, $7, $2, $2)`,
    [id, AT, job.projectId, job.uid, state, attempts, owner],
  );
}

const facts = async () =>
  (await ground.sql("select kind, cause from dispatcher.alert_facts order by cause")).map(
    ({ kind, cause }) => `${kind} ${cause}`,
  );
const none = (count: number) => Array.from({ length: count }, () => []);

test("a result notes a dead letter and a fourth failure, once, and neither a success nor an earlier failure", async () => {
  const ends = { r1: "EXHAUSTED", r2: "RETRYING", r3: "RETRYING", r4: "SUCCEEDED" };
  const attempts = { r1: 2, r2: 4, r3: 3, r4: 4 };
  const ids = ["r1", "r2", "r3", "r4"] as const;
  for (const id of ids) await add(id, "RUNNING", attempts[id], "inst_r");
  const changes = Object.fromEntries(
    ids.map((id) => [id, [ends[id], attempts[id], NOW, null, ends[id] === "RETRYING" ? NOW : null, null]]),
  );
  const values = [[...ids], AT, AT, JSON.stringify(changes), ...none(12), {}];
  expect(await ground.sql(resultRecord.text, values)).toHaveLength(4);
  await ground.sql(resultRecord.text, values);
  expect(await facts()).toEqual(["EXHAUSTED r1/2", "FAILING r2/4"]);
});

test("the end of a trigger that has no attempt left is noted", async () => {
  await add("e1", "RETRYING", 3, "inst_e");
  await ground.sql(triggerExhaust.text, [["e1"], AT, AT, NOW, "inst_e", { e1: "1/1/0/3" }]);
  expect(await facts()).toEqual(["EXHAUSTED e1/3"]);
});

test("an acknowledgement that does not come is noted if it makes a dead letter or is the fourth failure", async () => {
  await add("a1", "ACCEPTED", 5, "acknowledgement");
  await add("a2", "ACCEPTED", 4, "acknowledgement");
  await add("a3", "ACCEPTED", 1, "acknowledgement");
  const changes = {
    a1: ["EXHAUSTED", 5, null, "UNKNOWN", ""],
    a2: ["RETRYING", 4, NOW, "UNKNOWN", ""],
    a3: ["RETRYING", 1, NOW, "UNKNOWN", ""],
  };
  const values = [Object.keys(changes), AT, AT, JSON.stringify(changes), NOW];
  expect(await ground.sql(acknowledgementFail.text, values)).toHaveLength(3);
  expect(await facts()).toEqual(["EXHAUSTED a1/5", "FAILING a2/4"]);
});

test("an attempt that is lost with its dispatcher is noted if it is the fourth failure", async () => {
  await add("l1", "RUNNING", 4, "inst_l");
  await add("l2", "RETRYING", 4, "inst_l");
  await add("l3", "RUNNING", 3, "inst_l");
  const values = ["inst_l", NOW, 10, ["att_1", "att_2", "att_3"], "It was lost.", null, AT, []];
  expect(await ground.sql(instanceReleaseTriggers.text, values)).toHaveLength(3);
  expect(await facts()).toEqual(["FAILING l1/4"]);
});
