import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { createGrpcClient, type GrpcClient } from "../mesh/grpc-client.ts";
import { createGrpcServer } from "../mesh/grpc-server.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { createLogger } from "../mesh/logger.ts";
import { createDatabase } from "../test/support/database.ts";
import { build } from "./app.ts";

const PROJECT = "proj_test";

let closes: (() => unknown)[];
let admin: pg.Pool;
let client: GrpcClient<typeof SchedulerService>;
/** The names of the jobs of all events that were handed over. */
let handedOver: string[];
let onEvents: () => void;

beforeEach(async () => {
  closes = [];
  handedOver = [];
  onEvents = () => {};
  const database = await createDatabase();
  admin = new pg.Pool({ connectionString: database.url(), max: 2 });
  admin.on("error", () => {});
  const port = await startDispatcher();
  const service = await build({
    EASYCRON_SCHEDULER_LISTEN: "127.0.0.1:0",
    EASYCRON_SCHEDULER_LOOK_AHEAD_MS: "1000",
    DATABASE_URL: database.url("scheduler"),
    EASYCRON_DISPATCHER_ADDRESSES: `127.0.0.1:${port}`,
    EASYCRON_LOG_LEVEL: "silent",
  });
  client = createGrpcClient(SchedulerService, {
    addresses: [`127.0.0.1:${service.port}`],
    deadlineMs: 15_000,
  });
  closes.push(
    () => database.drop(),
    () => admin.end(),
    () => service.close(),
    () => client.close(),
  );
});

afterEach(async () => {
  for (const close of closes.reverse()) await close();
});

/** Starts a dispatcher that only notes what it is handed. */
async function startDispatcher(): Promise<number> {
  const server = createGrpcServer({ logger: createLogger("test", { EASYCRON_LOG_LEVEL: "silent" }) });
  server.add(DispatcherService, {
    accept: async function* (requests) {
      for await (const { batchId, events } of requests) {
        handedOver.push(...events.map(({ jobName }) => jobName));
        onEvents();
        yield { batchId, recorded: events.length };
      }
    },
  } as Partial<ServiceImplementation<typeof DispatcherService>> as ServiceImplementation<
    typeof DispatcherService
  >);
  closes.push(() => server.close(0));
  return server.listen("127.0.0.1:0");
}

const addJob = (name: string) =>
  client.createJob({
    projectId: PROJECT,
    actor: "key_test",
    request: {
      job: {
        name,
        schedules: [{ kind: { case: "rate", value: { every: { seconds: 1n } } }, timeZone: "UTC" }],
        target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
      },
    },
  });

/** Resolves when so many more events of a job have been handed over. */
const untilHandedOver = (name: string, more: number) =>
  new Promise<void>((resolve) => {
    const count = () => handedOver.filter((each) => each === name).length;
    const wanted = count() + more;
    onEvents = () => count() >= wanted && resolve();
  });

test("twelve calls that wait for one locked job fail early, and stop neither the tick nor the calls after them", async () => {
  await addJob("locked");
  await addJob("healthy");
  await untilHandedOver("healthy", 1);
  const holder = await admin.connect();
  await holder.query("begin");
  await holder.query("select from scheduler.jobs where name = 'locked' for update");
  const pause = () => client.pauseJob({ projectId: PROJECT, request: { name: "locked" } });
  const calls = Array.from({ length: 12 }, () => pause().catch((error: unknown) => error));
  await expect
    .poll(async () => {
      const { rows } = await admin.query(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return rows.length;
    })
    .toBeGreaterThanOrEqual(8);
  await untilHandedOver("healthy", 3);
  const errors = await Promise.all(calls);
  expect(errors.map((error) => (error as { reason?: string }).reason)).toEqual(
    calls.map(() => "SERVICE_UNAVAILABLE"),
  );
  const { response } = await client.getJob({ projectId: PROJECT, request: { name: "healthy" } });
  expect(response?.job?.name).toBe("healthy");
  await holder.query("rollback");
  holder.release();
  const paused = await pause();
  expect(paused.response?.job?.name).toBe("locked");
}, 60_000);

test("a call whose caller has gone stops waiting, and does not change the job", async () => {
  await addJob("locked");
  const holder = await admin.connect();
  await holder.query("begin");
  await holder.query("select from scheduler.jobs where name = 'locked' for update");
  const gone = new AbortController();
  const call = client
    .pauseJob({ projectId: PROJECT, request: { name: "locked" } }, { signal: gone.signal })
    .catch((error: unknown) => error);
  const blocked = () =>
    admin
      .query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
      .then(({ rows }) => rows.length);
  await expect.poll(blocked).toBe(1);
  gone.abort();
  expect(await call).toMatchObject({ reason: "CANCELLED" });
  await holder.query("rollback");
  holder.release();
  await expect.poll(blocked).toBe(0);
  const { response } = await client.getJob({ projectId: PROJECT, request: { name: "locked" } });
  expect(response?.job?.state).toBe(1);
}, 60_000);
