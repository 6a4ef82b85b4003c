import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { JobState } from "../gen/easycron/v1/job_pb.ts";
import { createGrpcClient, type GrpcClient } from "../mesh/grpc-client.ts";
import { createDatabase } from "../test/support/database.ts";
import { build } from "./app.ts";
import { startFakeDispatcher } from "./testing/fake-dispatcher.ts";

const PROJECT = "proj_test";

let closes: (() => unknown)[];
let admin: pg.Pool;
let client: GrpcClient<typeof SchedulerService>;
/** The events that were handed over, and how long before their fire times. */
let handedOver: { readonly jobName: string; readonly aheadMs: number }[];
let onEvents: () => void;

beforeEach(async () => {
  closes = [];
  handedOver = [];
  onEvents = () => {};
  const database = await createDatabase();
  admin = new pg.Pool({ connectionString: database.url(), max: 2 });
  admin.on("error", () => {});
  const address = await startDispatcher();
  const service = await build({
    EASYCRON_SCHEDULER_LISTEN: "127.0.0.1:0",
    EASYCRON_SCHEDULER_LOOK_AHEAD_MS: "3000",
    DATABASE_URL: database.url("scheduler"),
    EASYCRON_DISPATCHER_ADDRESSES: address,
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

/** Starts a dispatcher that only notes what it is handed. Returns its address. */
async function startDispatcher(): Promise<string> {
  const fake = await startFakeDispatcher(async function* (requests) {
    for await (const { batchId, events } of requests) {
      for (const { jobName, effectiveTimeMs } of events) {
        handedOver.push({ jobName, aheadMs: Number(effectiveTimeMs) - Date.now() });
      }
      onEvents();
      yield { batchId, recorded: events.length };
    }
  });
  closes.push(fake.stop);
  return fake.address;
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
    const count = () => handedOver.filter((event) => event.jobName === name).length;
    const wanted = count() + more;
    onEvents = () => count() >= wanted && resolve();
  });

/** Locks the row of a job until the returned function is called. */
async function lockJob(name: string): Promise<() => Promise<void>> {
  const holder = await admin.connect();
  await holder.query("begin");
  await holder.query("select from scheduler.jobs where name = $1 for update", [name]);
  return async () => {
    await holder.query("rollback");
    holder.release();
  };
}

/** Counts the connections for calls that do something, or that wait for a lock. */
async function countCalls(what: "busy" | "blocked"): Promise<number> {
  const { rows } = await admin.query(
    `select from pg_stat_activity
      where datname = current_database() and application_name = 'easycron-scheduler-api'
        and case when $1 = 'busy' then state <> 'idle' else wait_event_type = 'Lock' end`,
    [what],
  );
  return rows.length;
}

const pause = (name: string, signal?: AbortSignal) =>
  client.pauseJob({ projectId: PROJECT, request: { name } }, { signal });

test("calls that wait for one locked job fail early, and delay neither the tick nor another project's calls", async () => {
  await addJob("locked");
  await addJob("healthy");
  await untilHandedOver("healthy", 1);
  const unlock = await lockJob("locked");
  const errors: unknown[] = [];
  let isOver = false;
  const callAgainAndAgain = async () => {
    while (!isOver) await pause("locked").catch((error: unknown) => errors.push(error));
  };
  const callers = Array.from({ length: 60 }, callAgainAndAgain);
  // Half of the connections for calls; the others are for other projects.
  await expect.poll(() => countCalls("blocked")).toBe(4);
  handedOver = [];
  await untilHandedOver("healthy", 6);
  for (let call = 0; call < 10; call++) await client.listJobs({ projectId: "proj_other", request: {} });
  isOver = true;
  await Promise.all(callers);
  await unlock();
  expect(handedOver.filter(({ aheadMs }) => aheadMs <= 0)).toEqual([]);
  const reasons = new Set(errors.map((error) => (error as { reason?: string }).reason));
  // The lock is not given in time, or no connection of the project becomes free.
  expect(["SERVICE_UNAVAILABLE", "TOO_MANY_CALLS"]).toEqual(expect.arrayContaining([...reasons]));
  const paused = await pause("locked");
  expect(paused.response?.job?.name).toBe("locked");
}, 60_000);

test("a call whose caller has gone stops, and does not change the job", async () => {
  await addJob("locked");
  const unlock = await lockJob("locked");
  const gone = new AbortController();
  const call = pause("locked", gone.signal).catch((error: unknown) => error);
  await expect.poll(() => countCalls("blocked")).toBe(1);
  gone.abort();
  expect(await call).toMatchObject({ reason: "CANCELLED" });
  await unlock();
  await expect.poll(() => countCalls("busy")).toBe(0);
  const { response } = await client.getJob({ projectId: PROJECT, request: { name: "locked" } });
  expect(response?.job?.state).toBe(JobState.ACTIVE);
}, 60_000);
