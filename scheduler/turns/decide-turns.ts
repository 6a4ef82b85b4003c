import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { Queryable } from "../../db/pool.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import { gatesOfMany } from "../calendars/calendars.ts";
import type { TurnRow } from "../job/job.ts";
import type { ScheduleCache } from "../job/schedule-cache.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { Trouble } from "../set-aside/set-aside.ts";
import type { ZoneData } from "../zones/zone-data.ts";
import { type Dispatched, readDispatched } from "./dispatched.ts";
import { horizonOf } from "./horizon.ts";
import { type Turn, takeTurn } from "./turn.ts";

/** What deciding turns uses. */
interface DecideParts {
  readonly schedules: Pick<ScheduleCache, "loadEach">;
  readonly zoneData: Pick<ZoneData, "label" | "release">;
  /** How long before its effective time a trigger is handed over to a dispatcher at the latest. */
  readonly lookAheadMs: number;
  /** How much further a turn may look, so that a job which fires often needs fewer turns (`horizonOf`). */
  readonly stepMs: number;
}

/** A job with the turn that was decided for it. */
export interface DecidedTurn {
  readonly row: TurnRow;
  readonly turn: Turn;
  /** Whether the job's fire times are decided at their own instant, not ahead of it. */
  readonly isExact: boolean;
}

/** The turns of several jobs. */
export interface DecidedTurns {
  readonly decided: readonly DecidedTurn[];
  /** How many jobs got no turn, because the limits of one transaction were reached. */
  readonly undecided: number;
  /** The jobs whose turn cannot be taken. */
  readonly troubles: readonly Trouble[];
}

/** Most events of one job in one transaction. The backlog of a long outage takes several. */
const JOB_EVENTS_LIMIT = 1_000;
/**
 * Most fire times that one transaction decides. This takes some tens of milliseconds, so jobs on time need not wait
 * long.
 */
const DECISIONS_LIMIT = 20_000;

/** What is left of the limits of one transaction. */
interface Budget {
  readonly events: number;
  readonly decisions: number;
}

/**
 * Takes the turns of active jobs at `nowMs`, in epoch milliseconds, until they have `maxEvents` events or the limit of
 * decisions of one transaction is reached. A job whose turn cannot be taken becomes a trouble and leaves the others
 * alone.
 */
export async function decideTurns(
  parts: DecideParts,
  nowMs: number,
  tx: Queryable,
  rows: readonly TurnRow[],
  maxEvents: number,
): Promise<DecidedTurns> {
  if (rows.length === 0) return { decided: [], undecided: 0, troubles: [] };
  const jobs = await readJobs(parts, nowMs, tx, rows);
  const decided: DecidedTurn[] = [];
  const troubles: Trouble[] = [];
  let budget: Budget = { events: maxEvents, decisions: DECISIONS_LIMIT };
  for (const job of jobs) {
    if (budget.events <= 0 || budget.decisions <= 0) break;
    const turn = tryTurn(parts, nowMs, job, budget, troubles);
    if (turn === undefined) continue;
    budget = { events: budget.events - turn.events.length, decisions: budget.decisions - turn.decisions };
    decided.push({ row: job.row, turn, isExact: isDecidedExactly(job.schedule) });
  }
  return { decided, undecided: rows.length - decided.length - troubles.length, troubles };
}

/** What was read about one job. */
interface ReadJob {
  readonly row: TurnRow;
  readonly schedule: CompiledSchedule | Error;
  readonly gates: readonly CalendarGate[] | undefined;
  readonly dispatched: Dispatched;
}

async function readJobs(
  { schedules: cache, zoneData }: DecideParts,
  nowMs: number,
  tx: Queryable,
  rows: readonly TurnRow[],
): Promise<ReadJob[]> {
  const schedules = await cache.loadEach(tx, rows);
  const references = rows.map((row, index) => {
    const schedule = schedules[index];
    const calendars = schedule === undefined || schedule instanceof Error ? [] : schedule.calendars;
    return { projectId: row.project_id, references: calendars };
  });
  const gates = await gatesOfMany(tx, zoneData, references);
  const dispatched = await readDispatched(tx, rows, schedules, nowMs);
  return rows.flatMap((row, index) => {
    const [schedule, known] = [schedules[index], dispatched[index]];
    if (schedule === undefined || known === undefined) return [];
    return [{ row, schedule, gates: gates[index], dispatched: known }];
  });
}

function isDecidedExactly(schedule: CompiledSchedule | Error): boolean {
  return !(schedule instanceof Error) && schedule.policies.overlap !== "ALLOW_ALL";
}

/** Takes the turn of one job. If that is not possible, adds a trouble and returns undefined. */
function tryTurn(
  { zoneData, lookAheadMs, stepMs }: DecideParts,
  nowMs: number,
  { row, schedule, gates, dispatched }: ReadJob,
  budget: Budget,
  troubles: Trouble[],
): Turn | undefined {
  const fail = (problem: string, error: unknown): undefined => {
    troubles.push({ id: row.uid, projectId: row.project_id, problem, error });
  };
  if (schedule instanceof Error) return fail(specificationProblem(schedule), schedule);
  if (gates === undefined) {
    const problem = "A calendar of the job does not exist or cannot be read.";
    return fail(problem, new Error(problem));
  }
  try {
    return takeTurn({
      row,
      schedule,
      gates,
      ...dispatched,
      nowMs,
      lookAheadMs,
      horizonMs: horizonOf(row.uid, nowMs + lookAheadMs, stepMs),
      limit: Math.min(JOB_EVENTS_LIMIT, budget.events),
      mostDecisions: budget.decisions,
      zoneData: zoneData.label(schedule, nowMs),
    });
  } catch (error) {
    return fail("The job's next fire time cannot be computed.", error);
  }
}

// The message of an EasyCronError is made for customers; that of any other error is not.
function specificationProblem(error: Error): string {
  return error instanceof EasyCronError
    ? `The job's specification cannot be used: ${error.message}`
    : "The job's specification cannot be read.";
}
