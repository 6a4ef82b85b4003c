import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createGround, type Ground, randomId } from "../testing/ground.ts";
import { heldTrigger } from "../testing/held.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { recordResults } from "./record-results.ts";
import type { Result } from "./result.ts";

let ground: Ground;
let database: Pool;
let trigger: HeldTrigger;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
});

afterAll(async () => {
  await database.close();
  await ground.end();
});

const NOW = Date.parse("2026-03-01T00:00:00Z");

beforeEach(async () => {
  trigger = await addRunning(1);
});

async function addRunning(attempts: number, at = NOW): Promise<HeldTrigger> {
  const running = heldTrigger(at, { attemptCount: attempts });
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, owner, create_time, start_time)
     values ($1, $2, $2, $2, 'proj_1', 'job_1', 'job', 1, 'SCHEDULED', 'RUNNING', 1, $3, 'inst_1', $2, $2)`,
    [running.id, new Date(at), attempts],
  );
  return running;
}

function resultOf(of: HeldTrigger, responseBody: string, change: Partial<Result> = {}): Result {
  return {
    trigger: of,
    attemptId: randomId("att"),
    number: 1,
    startTimeMs: NOW + 5,
    endTimeMs: NOW + 12,
    durationMs: 7,
    delivery: { outcome: { kind: "SUCCEEDED", statusCode: 201 }, error: "", responseBody },
    next: { state: "SUCCEEDED" },
    owner: null,
    ...change,
  };
}

const TIMING = { isReused: false, firstByteMs: 12, dnsMs: 3, connectMs: 20, tlsMs: 41 };
const HEADERS = { "content-type": 'text/"x"' };
const timed = (result: Result): Result => ({
  ...result,
  delivery: { ...result.delivery, timing: TIMING, responseHeaders: HEADERS },
});

const failed = (of: HeldTrigger): Result =>
  resultOf(of, "busy", {
    delivery: {
      outcome: { kind: "REJECTED", statusCode: 503, isFinal: false, retryAfterMs: undefined },
      error: "503",
      responseBody: "busy",
    },
    next: { state: "RETRYING", dueTimeMs: NOW + 60_000 },
    owner: "inst_2",
  });

const rowsOf = ({ id }: HeldTrigger) =>
  ground.sql("select number, outcome from dispatcher.attempts where trigger_id = $1 order by number", [id]);
const liveOf = ({ id }: HeldTrigger) =>
  ground.sql("select owner, due_time from dispatcher.live_triggers where id = $1", [id]);
const stateOf = async ({ id }: HeldTrigger) =>
  (await ground.sql("select state from dispatcher.triggers where id = $1", [id]))[0]?.state;

test("an attempt with a row of its own is recorded with its timing and headers", async () => {
  await recordResults(database, [timed(failed(trigger))]);
  expect(await ground.attemptsOf(trigger.id)).toMatchObject([
    { outcome: "REJECTED", timing: "12,3,20,41", response_headers: JSON.stringify(HEADERS) },
  ]);
});

describe("a first attempt that succeeded", () => {
  test.each(["", "ok", `"quoted", \\ and\n${"\u00e9".repeat(100)}`])(
    "is recorded in the row of its trigger, with its answer %j",
    async (body) => {
      const result = timed(resultOf(trigger, body));
      const { states, locked } = await recordResults(database, [result]);
      expect([...states, ...locked]).toEqual([[trigger.id, "SUCCEEDED"]]);
      expect(await rowsOf(trigger)).toEqual([]);
      expect(await ground.attemptsOf(trigger.id)).toEqual([
        {
          id: result.attemptId,
          number: 1,
          outcome: "SUCCEEDED",
          start_time: new Date(NOW + 5),
          duration_ms: 7,
          status_code: 201,
          error: "",
          response_body: body,
          timing: "12,3,20,41",
          response_headers: '{"content-type":"text/\\"x\\""}',
        },
      ]);
      expect(await liveOf(trigger)).toEqual([]);
    },
  );

  test("keeps its timing and headers when it gets a row of its own, because the trigger is delivered again", async () => {
    const result = timed(resultOf(trigger, "ok"));
    await recordResults(database, [result]);
    await ground.sql(
      "select dispatcher.redeliver('proj_1', 'job_1', array[$1::timestamptz], true, now(), 1, 'job')",
      [new Date(trigger.fireTimeMs)],
    );
    expect(await rowsOf(trigger)).toEqual([{ number: 1, outcome: "SUCCEEDED" }]);
    expect(await ground.attemptsOf(trigger.id)).toMatchObject([
      { id: result.attemptId, timing: "12,3,20,41", response_headers: JSON.stringify(HEADERS) },
    ]);
  });

  test("has a row of its own if the answer is long", async () => {
    await recordResults(database, [resultOf(trigger, "x".repeat(201))]);
    expect(await rowsOf(trigger)).toEqual([{ number: 1, outcome: "SUCCEEDED" }]);
    expect(await stateOf(trigger)).toBe("SUCCEEDED");
  });

  test("has a row of its own if a later attempt was started meanwhile, and ends the trigger", async () => {
    const later = await addRunning(2);
    await recordResults(database, [resultOf(later, "ok"), resultOf(trigger, "ok")]);
    expect(await rowsOf(later)).toEqual([{ number: 1, outcome: "SUCCEEDED" }]);
    expect(await rowsOf(trigger)).toEqual([]);
    expect([await stateOf(later), await stateOf(trigger)]).toEqual(["SUCCEEDED", "SUCCEEDED"]);
    expect(await liveOf(later)).toEqual([]);
  });

  test("is recorded at once if the trigger is locked, and is one attempt when the trigger has ended", async () => {
    const session = new pg.Client({ connectionString: ground.adminUrl });
    await session.connect();
    await session.query("begin");
    await session.query("select from dispatcher.triggers where id = $1 for update", [trigger.id]);
    const result = resultOf(trigger, "ok");
    expect(await recordResults(database, [result])).toEqual({
      states: new Map(),
      locked: new Set([trigger.id]),
    });
    await session.query("rollback");
    await session.end();
    expect(await rowsOf(trigger)).toEqual([{ number: 1, outcome: "SUCCEEDED" }]);
    await recordResults(database, [result]);
    expect(await ground.attemptsOf(trigger.id)).toMatchObject([{ id: result.attemptId, number: 1 }]);
    expect(await stateOf(trigger)).toBe("SUCCEEDED");
  });

  test("has a row of its own if the result of a later one is in the same batch", async () => {
    const later = await addRunning(2);
    await recordResults(database, [resultOf(later, "ok"), resultOf(later, "ok", { number: 2 })]);
    expect(await rowsOf(later)).toEqual([
      { number: 1, outcome: "SUCCEEDED" },
      { number: 2, outcome: "SUCCEEDED" },
    ]);
    expect(await stateOf(later)).toBe("SUCCEEDED");
  });

  test("does not end the delivery that a backfill has asked for since", async () => {
    const at = NOW + 60_000;
    const slow = await addRunning(2, at);
    await recordResults(database, [resultOf(slow, "ok", { number: 2 })]);
    const again = "select dispatcher.redeliver('proj_1', 'job_1', $1, true, now(), 1, 'job')";
    await ground.sql(again, [[new Date(at)]]);
    expect(await recordResults(database, [resultOf(slow, "ok")])).toEqual({
      states: new Map(),
      locked: new Set(),
    });
    expect(await stateOf(slow)).toBe("PENDING");
    expect((await rowsOf(slow)).map(({ number }) => number)).toEqual([1, 2]);
  });

  test("gets a row of its own when a backfill makes the trigger due again", async () => {
    await recordResults(database, [resultOf(trigger, "ok")]);
    const before = await ground.attemptsOf(trigger.id);
    const again = "select dispatcher.redeliver('proj_1', 'job_1', $1, true, now(), 1, 'job')";
    await ground.sql(again, [[new Date(NOW)]]);
    expect(await ground.attemptsOf(trigger.id)).toEqual(before);
    expect(await liveOf(trigger)).toMatchObject([{ owner: null }]);
  });
});

test("an attempt that failed has a row of its own, and its trigger stays live with its next due time", async () => {
  const { states } = await recordResults(database, [failed(trigger)]);
  expect(states).toEqual(new Map([[trigger.id, "RETRYING"]]));
  expect(await rowsOf(trigger)).toEqual([{ number: 1, outcome: "REJECTED" }]);
  expect(await liveOf(trigger)).toEqual([{ owner: "inst_2", due_time: new Date(NOW + 60_000) }]);
});

test("a locked row delays no result of a row that has the same place in another partition", async () => {
  const months = [Date.parse("2027-05-10T00:00:00Z"), Date.parse("2027-06-10T00:00:00Z")];
  for (const atMs of months) {
    await ground.sql(
      "select dispatcher.make_partition('triggers', date_trunc('month', $1::timestamptz, 'UTC'))",
      [new Date(atMs)],
    );
  }
  const [free, locked] = await Promise.all(months.map((atMs) => addRunning(1, atMs)));
  if (free === undefined || locked === undefined) throw new Error("Two triggers are needed.");
  const places = await ground.sql("select distinct ctid from dispatcher.triggers where id = any ($1)", [
    [free.id, locked.id],
  ]);
  expect(places).toHaveLength(1);
  const lock = "select from dispatcher.triggers where id = $1 for update";
  const answer = await ground.whileHeld(lock, [locked.id], () =>
    recordResults(database, [resultOf(free, "ok"), resultOf(locked, "ok")]),
  );
  expect(answer).toEqual({ states: new Map([[free.id, "SUCCEEDED"]]), locked: new Set([locked.id]) });
});

test("results of triggers in two partitions change no other trigger of these", async () => {
  const months = [NOW, NOW - 86_400_000];
  for (const atMs of months) {
    await ground.sql(
      "select dispatcher.make_partition('triggers', date_trunc('month', $1::timestamptz, 'UTC'))",
      [new Date(atMs)],
    );
  }
  const [march, february] = await Promise.all(months.map((atMs) => addRunning(1, atMs)));
  const others = await Promise.all(months.map((atMs) => addRunning(1, atMs)));
  if (march === undefined || february === undefined) throw new Error("Two triggers are needed.");
  await recordResults(database, [resultOf(march, "ok"), resultOf(february, "ok")]);
  expect(await Promise.all([march, february, ...others].map(stateOf))).toEqual([
    "SUCCEEDED",
    "SUCCEEDED",
    "RUNNING",
    "RUNNING",
  ]);
});

describe("the scheduler is told in the same statement", () => {
  const signalsOf = ({ id }: HeldTrigger) =>
    ground.sql(
      "select kind, end_time, job_uid, project_id, revision from dispatcher.signals where trigger_id = $1",
      [id],
    );
  const rejected = (of: HeldTrigger, pauses?: "GONE"): Result => ({
    ...failed(of),
    delivery: {
      outcome: {
        kind: "REJECTED",
        statusCode: 410,
        isFinal: true,
        retryAfterMs: undefined,
        ...(pauses === undefined ? {} : { pauses }),
      },
      error: "410",
      responseBody: "",
    },
    next: { state: "EXHAUSTED" },
    owner: null,
  });
  const told = (kind: string) => [
    { kind, end_time: new Date(NOW + 12), job_uid: "job_1", project_id: "proj_1", revision: 1 },
  ];

  test("of an exhausted trigger, once, however often its result is recorded", async () => {
    for (const _ of [1, 2]) await recordResults(database, [rejected(trigger)]);
    expect(await signalsOf(trigger)).toEqual(told("EXHAUSTED"));
  });

  test("of what pauses the job, after a success and for a cancelled trigger, too", async () => {
    const [gone, cancelled] = [await addRunning(1), await addRunning(1)];
    await ground.sql("update dispatcher.triggers set cancel_time = now() where id = $1", [cancelled.id]);
    const outcome = { kind: "SUCCEEDED", statusCode: 200, pauses: "RECEIVER" } as const;
    const taken = resultOf(trigger, "ok", { delivery: { outcome, error: "", responseBody: "ok" } });
    await recordResults(database, [taken, rejected(gone, "GONE"), rejected(cancelled, "GONE")]);
    expect(await Promise.all([trigger, gone, cancelled].map(signalsOf))).toEqual([
      told("RECEIVER"),
      told("GONE"),
      told("GONE"),
    ]);
  });

  test("of nothing else", async () => {
    const [retried, cancelled] = [await addRunning(1), await addRunning(1)];
    await ground.sql("update dispatcher.triggers set cancel_time = now() where id = $1", [cancelled.id]);
    await recordResults(database, [resultOf(trigger, "ok"), failed(retried), rejected(cancelled)]);
    expect(await Promise.all([trigger, retried, cancelled].map(signalsOf))).toEqual([[], [], []]);
  });
});
