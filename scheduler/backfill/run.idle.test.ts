import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BackfillJobRequestSchema } from "../../gen/easycron/v1/operation_pb.ts";
import type { Logger } from "../../mesh/logger.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { backfillJob } from "./backfill.ts";
import { startBackfills } from "./run.ts";

const START = Date.UTC(2026, 2, 2, 12);
const HOUR = 3_600_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

/** Runs the loop up to the end of its first look that finds nothing, and returns what it asked the database. */
async function askedUntilIdle(): Promise<string[]> {
  const { database } = bench.parts;
  const asked: string[] = [];
  const idle = Promise.withResolvers<void>();
  const watched: typeof database = {
    ...database,
    query: async (statement, values) => {
      const rows = await database.query(statement, values);
      asked.push(statement.name);
      if (JSON.stringify(rows) === '[{"any_due":false}]') idle.resolve();
      return rows;
    },
    transaction: (work) => {
      asked.push("transaction");
      return database.transaction(work);
    },
  };
  const backfills = startBackfills({ ...bench.parts, database: watched }, {} as Logger);
  await idle.promise;
  await backfills.stop();
  return asked;
}

test("a scheduler without a due operation asks with one statement", async () => {
  expect(await askedUntilIdle()).toEqual(["operationAnyDue"]);
});

test("a due operation is run chunk after chunk, and the scheduler looks again when none is left", async () => {
  const job = await bench.createJob({
    name: "hourly",
    schedules: [{ kind: { case: "cron", value: { expression: "0 * * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
  });
  const range = { startTime: timestampFromMs(START - 3 * HOUR), endTime: timestampFromMs(START) };
  await backfillJob(bench.parts, PROJECT, create(BackfillJobRequestSchema, { name: "hourly", ...range }));
  const [first, ...others] = await askedUntilIdle();
  expect([first, others[0], others.at(-1)]).toEqual(["operationAnyDue", "transaction", "operationAnyDue"]);
  expect(await bench.triggersOf(job.uid)).toHaveLength(3);
});
