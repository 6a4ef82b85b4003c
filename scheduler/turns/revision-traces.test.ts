import { afterEach, beforeEach, expect, test } from "vitest";
import type { Database, SqlValue } from "../../db/pool.ts";
import type { Statement } from "../../db/statement.ts";
import { serveCall } from "../../mesh/current-call.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { openBench, type SchedulerBench } from "../testing/bench.ts";
import { createRevisionTraces, MAX_GATHERED, MAX_KEPT } from "./revision-traces.ts";

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(Date.UTC(2026, 0, 1));
});
afterEach(() => bench.close());

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const eventOf = (jobUid: string) => ({ jobUid, revision: 1 }) as TriggerEventInit;
const silent = { warn: () => {} };

const createJob = (name: string) =>
  serveCall({ requestId: "r-1", traceparent: TRACEPARENT }, () =>
    bench.createJob({
      name,
      target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    }),
  );

/** A database that keeps how many revisions each query asks for, and lets `answer` come before the answers. */
function watch(answer: (asked: readonly string[]) => Promise<unknown>) {
  const sizes: number[] = [];
  const database: Database = {
    ...bench.parts.database,
    query: async <Row>(statement: Statement<Row>, values: readonly SqlValue[] = []) => {
      const asked = values[0] as string[];
      sizes.push(asked.length);
      await answer(asked);
      return bench.parts.database.query(statement, values);
    },
  };
  return { database, sizes };
}

test("what is asked for during a query is read by one more, as far as there is room, and then kept", async () => {
  const [first, second, third] = [await createJob("a"), await createJob("b"), await createJob("c")];
  const gate = Promise.withResolvers<void>();
  const { database, sizes } = watch(() => gate.promise);
  const traces = createRevisionTraces(database, silent);
  const reads = [traces.of([eventOf(first.uid)])];
  await expect.poll(() => sizes).toEqual([1]);
  // The second query is filled up by jobs that do not exist, so the third job finds no room.
  const absent = Array.from({ length: MAX_GATHERED - 1 }, (_, at) => eventOf(`job_${at}`));
  reads.push(traces.of([eventOf(second.uid)]), traces.of(absent));
  const late = await traces.of([eventOf(third.uid)]);
  expect([...late.values()]).toEqual([null]);
  await new Promise(setImmediate);
  expect(sizes).toEqual([1]);
  gate.resolve();
  const found = (await Promise.all(reads)).map((read) => [...read.values()].filter((each) => each !== null));
  expect(found).toEqual([[TRACEPARENT], [TRACEPARENT], []]);
  expect(sizes).toEqual([1, MAX_GATHERED]);
  await traces.of([eventOf(first.uid), eventOf(second.uid)]);
  expect(sizes).toHaveLength(2);
});

test("a query that fails leaves out the links, logs one line, and the next query is made", async () => {
  const { uid } = await createJob("a");
  let isBroken = true;
  const { database } = watch(async () => {
    if (isBroken) throw new Error("broken");
  });
  const lines: object[] = [];
  const traces = createRevisionTraces(database, { warn: (fields) => void lines.push(fields) });
  const failed = await Promise.all([traces.of([eventOf(uid)]), traces.of([eventOf(uid)])]);
  expect(failed.flatMap((read) => [...read.values()])).toEqual([null, null]);
  expect(lines).toHaveLength(1);
  isBroken = false;
  expect([...(await traces.of([eventOf(uid)])).values()]).toEqual([TRACEPARENT]);
});

test("of too many revisions the oldest are forgotten", async () => {
  const asked: string[] = [];
  const query = async (_: unknown, [uids = []]: readonly unknown[] = []) => {
    asked.push(...(uids as string[]));
    return (uids as string[]).map((uid) => ({ job_uid: uid, revision: 1, traceparent: TRACEPARENT }));
  };
  const database = { ...bench.parts.database, query } as Database;
  const traces = createRevisionTraces(database, silent);
  const events = Array.from({ length: MAX_KEPT + 1 }, (_, at) => eventOf(`job_${at}`));
  for (let at = 0; at < events.length; at += MAX_GATHERED) {
    await traces.of(events.slice(at, at + MAX_GATHERED));
  }
  asked.length = 0;
  await traces.of(events.slice(1));
  expect(asked).toEqual([]);
  await traces.of(events.slice(0, 1));
  expect(asked).toEqual(["job_0"]);
});
