import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { gatesOf, gatesOfMany } from "../calendars/calendars.ts";
import { epochEnd } from "../job/epochs.sql.ts";
import type { JobRow } from "../job/job.ts";
import { addSkips } from "../job/skips.sql.ts";
import { missedOf } from "../job/verdict.ts";
import type { Parts } from "../parts.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { createYield } from "../schedules/slices.ts";
import { spreadCatchup } from "../turns/catchup.ts";
import { type Dispatched, readDispatched } from "../turns/dispatched.ts";
import { sendAllOrThrow } from "../turns/hand-over.ts";
import { type Turn, takeTurn } from "../turns/turn.ts";
import type { Position } from "../turns/turn-draft.ts";

/** What deciding a backlog uses. */
type DecideParts = Pick<Parts, "handOver" | "schedules" | "zoneData" | "catchupPerSecond" | "onMissed">;

/**
 * The most turns that decide the backlog of a job. A longer backlog makes the change fail with SERVICE_UNAVAILABLE.
 */
const MAX_TURNS = 10;
/** The most triggers that one turn hands over. */
const MAX_EVENTS_PER_TURN = 1_000;

/** A locked job whose fire times are to be decided. */
export interface DueJob {
  readonly row: JobRow;
  /** The epoch that its triggers are handed over with. */
  readonly epoch: number;
}

/** Where the deciding of one job has got to. */
interface UndecidedJob extends DueJob {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  readonly known: Dispatched;
}

/**
 * Decides all fire times of locked jobs up to `nowMs`, in as many turns as that takes, and hands over their triggers.
 * The number of statements depends on the longest backlog, not on the number of jobs. Returns the new position of each
 * job, by uid; the positions are not written yet. Throws SERVICE_UNAVAILABLE when the backlog of a job is too long for
 * 10 turns of 1,000 triggers.
 */
export async function decideDue(
  tx: Queryable,
  parts: DecideParts,
  jobs: readonly DueJob[],
  nowMs: number,
): Promise<Map<string, Position>> {
  const positions = new Map<string, Position>();
  let undecided = await readUndecided(tx, parts, jobs, nowMs);
  for (let left = MAX_TURNS; left > 0 && undecided.length > 0; left--) {
    const taken = await takeTurns(parts, undecided, nowMs);
    await writeTurns(tx, parts, taken, nowMs);
    for (const { job, turn } of taken) positions.set(job.row.uid, turn.position);
    undecided = taken.filter(({ turn }) => turn.more).map(advance);
  }
  if (undecided.length > 0) {
    throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 1_000 });
  }
  return positions;
}

async function readUndecided(
  tx: Queryable,
  parts: DecideParts,
  jobs: readonly DueJob[],
  nowMs: number,
): Promise<UndecidedJob[]> {
  const rows = jobs.map(({ row }) => row);
  const schedules = rows.map((row) => parts.schedules.of(row));
  const references = rows.map((row, index) => ({
    projectId: row.project_id,
    references: schedules[index]?.calendars ?? [],
  }));
  const gates = await gatesOfMany(tx, parts.zoneData, references);
  const dispatched = await readDispatched(tx, rows, schedules, nowMs);
  const undecided: UndecidedJob[] = [];
  for (const [index, job] of jobs.entries()) {
    const [schedule, known] = [schedules[index], dispatched[index]];
    if (schedule === undefined || known === undefined) continue;
    // Reading the calendars of this job alone throws the error that names the calendar.
    const own = gates[index] ?? (await gatesOf(tx, parts.zoneData, job.row.project_id, schedule.calendars));
    undecided.push({ ...job, schedule, gates: own, known });
  }
  return undecided;
}

interface TakenTurn {
  readonly job: UndecidedJob;
  readonly turn: Turn;
}

async function takeTurns(
  parts: Pick<DecideParts, "zoneData">,
  jobs: readonly UndecidedJob[],
  nowMs: number,
): Promise<TakenTurn[]> {
  const taken: TakenTurn[] = [];
  const yieldOften = createYield();
  for (const job of jobs) {
    const { row, schedule, gates, known } = job;
    const zoneData = parts.zoneData.label(schedule, nowMs);
    const limit = MAX_EVENTS_PER_TURN;
    const turn = takeTurn({ row, schedule, gates, ...known, nowMs, limit, lookAheadMs: 0, zoneData });
    taken.push({ job, turn });
    await yieldOften();
  }
  return taken;
}

async function writeTurns(
  tx: Queryable,
  parts: DecideParts,
  taken: readonly TakenTurn[],
  nowMs: number,
): Promise<void> {
  const skips = taken.flatMap(({ job, turn }) => turn.skips.map((range) => ({ jobUid: job.row.uid, range })));
  await addSkips(tx, skips);
  for (const { job, turn } of taken) {
    for (const range of missedOf(turn.skips)) parts.onMissed(job.row.uid, range);
  }
  const events = taken.flatMap(({ job, turn }) =>
    turn.events.map((event) => ({ ...event, epoch: job.epoch })),
  );
  if (events.length > 0) {
    await sendAllOrThrow(parts.handOver, await spreadCatchup(tx, events, nowMs, parts.catchupPerSecond));
  }
  const ended = taken.flatMap(({ job, turn }) => {
    const endMs = endOf(turn, nowMs);
    return endMs === null ? [] : [{ ...job.row, endMs }];
  });
  if (ended.length === 0) return;
  await tx.query(epochEnd, [
    ended.map(({ uid }) => uid),
    ended.map(({ epoch }) => epoch),
    ended.map(({ endMs }) => toSqlTime(endMs)),
  ]);
}

/** Returns the last fire time of the epoch if the turn has used up `maxFires`, else null. */
function endOf({ endMs, more, position }: Turn, nowMs: number): number | null {
  if (endMs !== null || more) return endMs;
  // The waiting fire times use up `maxFires`, so this epoch has no fire time from the cursor on.
  const isSpent = position.nextFireTimeMs !== null && position.nextFireTimeMs <= nowMs;
  return isSpent ? position.nextFireTimeMs - 1 : null;
}

function advance({ job, turn }: TakenTurn): UndecidedJob {
  const { nextFireTimeMs, lastFireTimeMs, lastSeq, carry } = turn.position;
  const row = {
    ...job.row,
    next_fire_time: nextFireTimeMs,
    last_fire_time: lastFireTimeMs,
    last_seq: lastSeq,
    carry,
  };
  return { ...job, row };
}
