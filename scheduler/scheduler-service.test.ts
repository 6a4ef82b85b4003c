import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createShares } from "../db/shares.ts";
import { ListJobsRequestSchema } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { createSchedulerService } from "./scheduler-service.ts";
import { openBench, PROJECT, type SchedulerBench } from "./testing/bench.ts";

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(Date.UTC(2026, 2, 2));
});
afterEach(() => bench.close());

const context = { signal: new AbortController().signal, deadlineMs: undefined, traceparent: "" };
const listOf = (projectId: string) => create(ListJobsRequestSchema, { projectId, request: {} });

test("one project's reads use half of the connections, and other projects' reads go on", async () => {
  const slow = Promise.withResolvers<void>();
  const { database } = bench.parts;
  const held: typeof database = {
    ...database,
    query: async (statement, values) => {
      if (values?.[0] === PROJECT) await slow.promise;
      return database.query(statement, values);
    },
  };
  const service = createSchedulerService(
    bench.parts,
    createShares({ until: () => held }, { most: 1, waitMs: 50 }),
  );
  const first = service.listJobs(listOf(PROJECT), context);
  const second = service.listJobs(listOf(PROJECT), context);
  expect(await service.listJobs(listOf("proj_other"), context)).toMatchObject({ response: { jobs: [] } });
  await expect(second).rejects.toMatchObject({ reason: "TOO_MANY_CALLS", retryAfterMs: 1_000 });
  slow.resolve();
  expect(await first).toMatchObject({ response: { jobs: [] } });
});
