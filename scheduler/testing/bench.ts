import { create, type MessageInitShape } from "@bufbuild/protobuf";
import pg from "pg";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { CreateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { expectAgreement, SYNC_LIVE_TRIGGERS } from "../../test/support/live-triggers.ts";
import { createJob } from "../changes/create-job.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import type { JobRow } from "../job/job.ts";
import { createScheduleCache } from "../job/schedule-cache.ts";
import type { SkipRange } from "../job/verdict.ts";
import type { Parts } from "../parts.ts";
import type { HandOver } from "../turns/hand-over.ts";
import { createTick, type Tick } from "../turns/tick.ts";
import { createZoneData, ownRelease } from "../zones/zone-data.ts";
import { borrowDatabase } from "./bench-database.ts";

/** The project of the jobs here, unless a test names another. */
export const PROJECT = "proj_test";

/** A trigger as the table has it, times as epoch milliseconds. */
export interface TriggerRow {
  readonly id: string;
  readonly atMs: number;
  readonly effectiveMs: number;
  readonly seq: number;
  readonly revision: number;
  readonly state: string;
  readonly kind: string;
  readonly skipped: number;
  readonly missed: number;
}

/** The scheduler without its processes: real SQL, a clock that is set by hand, and a recording dispatcher. */
export interface SchedulerBench {
  readonly parts: Parts;
  /** The administrator's connection string, for what nothing in the product does. */
  readonly adminUrl: string;
  readonly tick: Tick;
  /** What the tick has told of as missed. */
  readonly missed: readonly SkipRange[];
  /** Epoch milliseconds. */
  setTime(ms: number): void;
  /** From now on the dispatcher cannot be reached, or can again. */
  setDispatcherDown(down: boolean): void;
  /** From now on what is handed over is recorded, and the answer is lost; or no longer. */
  setAnswerLost(lost: boolean): void;
  /** Creates a job in PROJECT, or in another project. */
  createJob(job: MessageInitShape<typeof JobSchema>, projectId?: string): Promise<JobRow>;
  /** What is recorded for a job, by fire time. */
  triggersOf(jobUid: string): Promise<TriggerRow[]>;
  /** Records events as the dispatcher does, now. */
  record(events: readonly TriggerEventInit[]): Promise<void>;
  /** Makes a recorded trigger one whose attempt has started. */
  start(triggerId: string): Promise<void>;
  /** Makes a started trigger one that waits for its next attempt. */
  fail(triggerId: string): Promise<void>;
  /** Does something while another transaction holds the row of a trigger. */
  whileLocked<T>(triggerId: string, work: () => Promise<T>): Promise<T>;
  /** Resolves once statements of this database wait for locks: one, or as many as given. */
  untilBlocked(count?: number): Promise<void>;
  /** Makes every trigger of a job that is due by now one that has succeeded, and wakes the job as the dispatcher does. */
  succeed(jobUid: string): Promise<void>;
  /** Brings a recorded trigger to rest, and wakes its job as the dispatcher does. */
  finish(triggerId: string, state: "SUCCEEDED" | "EXHAUSTED" | "CANCELLED"): Promise<void>;
  /** Takes a recorded trigger away as nothing in the product does. */
  lose(triggerId: string): Promise<void>;
  /** Runs a statement that nothing in the product runs, under the role of a service: to spoil what is recorded. */
  spoil(room: "scheduler" | "dispatcher", text: string, values?: readonly unknown[]): Promise<void>;
  /** Throws if dispatcher.live_triggers does not have exactly the triggers that have not ended. */
  close(): Promise<void>;
}

const RECORD = `
  with recorded as (
  insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
    kind, state, seq, previous_fire_time, create_time, previous_skipped, previous_missed, zone_data,
    next_fire_time)
  select e.id, e.at, e.effective, e.effective, e.project_id, e.job_uid, 'job', e.revision, e.kind, 'PENDING', e.seq, e.previous,
         $14, e.skipped, e.missed, e.zone_data, e.next
    from unnest($1::text[], $2::timestamptz[], $3::text[], $4::integer[], $5::integer[], $6::integer[],
                $7::timestamptz[], $9::timestamptz[], $10::text[], $11::integer[], $12::integer[],
                $13::text[], $15::timestamptz[], $8::text[])
      as e (id, at, job_uid, revision, epoch, seq, previous, effective, kind, skipped, missed, zone_data, next,
            project_id)
    join scheduler.lock_current($3, $5) as current on current.uid = e.job_uid and current.epoch = e.epoch
  on conflict do nothing
  returning id, fire_time, project_id, job_uid, kind, due_time
  )
  insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, due_time) select * from recorded`;

function kindName(kind: TriggerKind): string {
  const found = Object.entries(TriggerKind).find(([, value]) => value === kind);
  return found?.[0] ?? "SCHEDULED";
}

/**
 * Opens a bench on an empty database that no other bench uses until this one is closed. Without `stepMs`, turns look
 * exactly five seconds ahead.
 */
export async function openBench(
  startMs: number,
  { stepMs = 0 }: { readonly stepMs?: number } = {},
): Promise<SchedulerBench> {
  const lent = await borrowDatabase();
  const { database, dispatcher } = lent;
  let now = startMs;
  let down = false;
  let lost = false;
  const time = (ms: bigint | undefined) => (ms === undefined ? null : new Date(Number(ms)).toISOString());
  const record = async (events: readonly TriggerEventInit[]) => {
    await dispatcher().query(RECORD, [
      events.map((event) => event.triggerId),
      events.map((event) => time(event.nominalTimeMs)),
      events.map((event) => event.jobUid),
      events.map((event) => event.revision),
      events.map((event) => event.epoch),
      events.map((event) => event.seq),
      events.map((event) => time(event.previousNominalTimeMs)),
      events.map((event) => event.projectId),
      events.map((event) => time(event.effectiveTimeMs)),
      events.map((event) => kindName(event.kind)),
      events.map((event) => event.previousSkipped),
      events.map((event) => event.previousMissed),
      events.map((event) => event.zoneDataVersion),
      new Date(now).toISOString(),
      events.map((event) => time(event.nextNominalTimeMs)),
    ]);
  };
  const wake = (jobUids: readonly string[]) =>
    dispatcher().query("select scheduler.wake_waiting($1, $2)", [jobUids, new Date(now).toISOString()]);
  const handOver: HandOver = {
    send: async (events) => {
      if (down) throw failure("SERVICE_UNAVAILABLE", { service: "dispatcher" });
      const { failed } = await takeApart(events, record, { isItemFault: () => true });
      if (lost) throw failure("SERVICE_UNAVAILABLE", { service: "dispatcher" });
      return failed.map(({ item, error }) => ({
        triggerId: item.triggerId,
        problem: String(error),
        isTransient: false,
      }));
    },
    close: () => {},
  };
  const clock = { now: () => now };
  const zoneData = createZoneData(database, ownRelease());
  const schedules = createScheduleCache(100, zoneData);
  const unused = new Proxy({}, { get: () => () => Promise.reject(new Error("Not part of this bench.")) });
  const missed: SkipRange[] = [];
  const parts: Parts = {
    database,
    dispatcher: unused as Parts["dispatcher"],
    handOver,
    schedules,
    zoneData,
    clock,
    lookAheadMs: 5_000,
    stepMs,
    catchupPerSecond: 50,
    onMissed: (_, range) => missed.push(range),
    tickingSince: () => startMs,
    wake: () => {},
  };
  const onTrouble = (_: string, error: unknown) => {
    throw error;
  };
  return {
    parts,
    adminUrl: lent.url(),
    tick: createTick({ ...parts, onTrouble }),
    missed,
    setTime: (ms) => {
      now = ms;
    },
    setDispatcherDown: (value) => {
      down = value;
    },
    setAnswerLost: (value) => {
      lost = value;
    },
    createJob: async (job, projectId = PROJECT) => {
      const request = create(CreateJobRequestSchema, { job: create(JobSchema, job) as Job });
      return (await createJob(parts, projectId, request)).row;
    },
    triggersOf: async (jobUid) => {
      const { rows } = await dispatcher().query(
        `select id, extract(epoch from fire_time) * 1000 as at, extract(epoch from effective_time) * 1000 as effective,
                seq, revision, state, kind, previous_skipped as skipped, previous_missed as missed
           from dispatcher.triggers where job_uid = $1 order by fire_time`,
        [jobUid],
      );
      return rows.map(({ at, effective, ...row }) => ({
        ...row,
        atMs: Number(at),
        effectiveMs: Number(effective),
      }));
    },
    record,
    start: async (id) => {
      await dispatcher().query(
        `update dispatcher.triggers set state = 'RUNNING', attempt_count = 1 where id = $1`,
        [id],
      );
    },
    fail: async (id) => {
      await dispatcher().query(`update dispatcher.triggers set state = 'RETRYING' where id = $1`, [id]);
    },
    whileLocked: async (id, work) => {
      const client = await dispatcher().connect();
      try {
        await client.query("begin");
        await client.query("select from dispatcher.triggers where id = $1 for update", [id]);
        return await work();
      } finally {
        await client.query("rollback");
        client.release();
      }
    },
    untilBlocked: async (count = 1) => {
      const waiting = `select 1 from pg_stat_activity
        where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0`;
      while ((await dispatcher().query(waiting)).rows.length < count);
    },
    succeed: async (jobUid) => {
      const { rowCount } = await dispatcher().query({
        // Prepared, because planning it takes longer than running it.
        name: "succeed",
        text: `with ended as (
                 update dispatcher.triggers set state = 'SUCCEEDED', attempt_count = 1, end_time = $2
                  where job_uid = $1 and effective_time <= $2 and end_time is null
                 returning id)
               delete from dispatcher.live_triggers where id in (select id from ended)`,
        values: [jobUid, new Date(now).toISOString()],
      });
      if (rowCount !== 0) await wake([jobUid]);
    },
    finish: async (id, state) => {
      const { rows } = await dispatcher().query(
        `with live as (delete from dispatcher.live_triggers where id = $1)
         update dispatcher.triggers set state = $2, end_time = $3 where id = $1 returning job_uid`,
        [id, state, new Date(now).toISOString()],
      );
      await wake(rows.map(({ job_uid: jobUid }) => jobUid));
    },
    lose: async (id) => {
      await dispatcher().query(
        `with live as (delete from dispatcher.live_triggers where id = $1)
         delete from dispatcher.triggers where id = $1`,
        [id],
      );
    },
    spoil: async (room, text, values = []) => {
      const client = new pg.Client({ connectionString: lent.url(room) });
      await client.connect();
      await client.query(text, [...values]);
      if (room === "dispatcher") await client.query(SYNC_LIVE_TRIGGERS);
      await client.end();
    },
    close: async () => {
      // A test that was given up may still be writing.
      await expectAgreement(dispatcher()).finally(lent.giveBack);
    },
  };
}

/** A job that fires every second. */
export function everySecond(name: string): MessageInitShape<typeof JobSchema> {
  return {
    name,
    schedules: [{ kind: { case: "cron", value: { expression: "* * * * * *", dialect: 2 } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
  };
}
