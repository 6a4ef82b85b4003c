import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { Database, Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import { gatesOfMany } from "../calendars/calendars.ts";
import { toCarryJson } from "../job/carry.ts";
import { epochEnd } from "../job/epochs.sql.ts";
import type { TurnRow } from "../job/job.ts";
import { jobAdvance, jobClaimDue } from "../job/jobs.sql.ts";
import type { ScheduleCache } from "../job/schedule-cache.ts";
import { addSkips } from "../job/skips.sql.ts";
import { missedOf, type SkipRange } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { ZoneData } from "../zones/zone-data.ts";
import { shapeCatchup } from "./catchup.ts";
import { type Dispatched, readDispatched } from "./dispatched.ts";
import type { HandOver } from "./hand-over.ts";
import { resumeDue } from "./resume-due.ts";
import { LATE_MS, type Turn, takeTurn } from "./turn.ts";

/** What a tick needs. */
export interface TickParts {
  readonly database: Database;
  readonly handOver: HandOver;
  readonly schedules: ScheduleCache;
  readonly zoneData: ZoneData;
  readonly clock: Clock;
  /** How far ahead of its effective time a trigger is handed over. */
  readonly lookAheadMs: number;
  /** How many triggers of a project are made up for in a second. */
  readonly catchupPerSecond: number;
  /** Told of a job whose next fire time cannot be computed; it is left as it is for a minute, then tried again. */
  readonly onTrouble: (jobUid: string, error: unknown) => void;
  /** Told of fire times that an outage has cost a job. */
  readonly onMissed: (jobUid: string, range: SkipRange) => void;
}

/** Most jobs of one transaction. */
export const CLAIM_LIMIT = 500;
/** Most jobs of one transaction that works off what an outage left. */
const LATE_CLAIM_LIMIT = 100;
/** Most events of one job in one transaction: what a long outage leaves is worked off in turns. */
const LINKS_LIMIT = 1_000;
/** Most events of one transaction. */
const EVENTS_LIMIT = 5_000;
/** Most fire times that one transaction decides: some tens of milliseconds, so that what is on time has its turn. */
const DECISIONS_LIMIT = 20_000;
const TROUBLE_MS = 60_000;
/** Most jobs whose instants are kept in mind; more are looked at with the tick. */
const MOST_PUNCTUAL = 10_000;

/** Hands over what is due within the look-ahead. */
export interface Tick {
  /**
   * Two transactions, what is on time and then what is late: each claims jobs, decides their fire times, hands the
   * events over, and, once these are durable, advances the cursors. The cursor is the outbox: a crash before the
   * commit replays the same events, which the dispatcher records once. Returns the number of events, whether more is
   * due at once, and in how many milliseconds a job that is decided at its very instant is to be looked at.
   */
  run(): Promise<{ readonly events: number; readonly more: boolean; readonly againMs: number }>;
}

const NOTHING_LATE = { events: 0, more: true };

interface Planned {
  readonly row: TurnRow;
  readonly turn: Turn;
  /** Whether the job is decided at its fire times and not ahead of them. */
  readonly isPunctual: boolean;
}

/** Makes a tick. */
export function createTick(parts: TickParts): Tick {
  const troubled = new Map<string, number>();
  // Whom another scheduler takes meanwhile is looked at in vain, once.
  const punctual = new Map<string, number>();

  const trouble = (jobUid: string, error: unknown) => {
    troubled.set(jobUid, parts.clock.now() + TROUBLE_MS);
    parts.onTrouble(jobUid, error);
  };

  const plan = (
    row: TurnRow,
    schedule: CompiledSchedule | Error,
    gates: readonly CalendarGate[] | undefined,
    dispatched: Dispatched,
    room: { readonly events: number; readonly decisions: number },
  ) => {
    try {
      if (schedule instanceof Error) throw schedule;
      if (gates === undefined) throw new Error("A calendar of the job is gone, or cannot be read.");
      const nowMs = parts.clock.now();
      const limit = Math.min(LINKS_LIMIT, room.events);
      const zoneData = parts.zoneData.label(schedule, nowMs);
      const limits = { limit, mostDecisions: room.decisions, lookAheadMs: parts.lookAheadMs };
      return takeTurn({ row, schedule, gates, ...dispatched, nowMs, ...limits, zoneData });
    } catch (error) {
      trouble(row.uid, error);
      return undefined;
    }
  };

  const planAll = async (tx: Queryable, rows: readonly TurnRow[]): Promise<Planned[]> => {
    const schedules = await parts.schedules.loadEach(tx, rows);
    const references = rows.map((row, index) => {
      const schedule = schedules[index];
      const calendars = schedule === undefined || schedule instanceof Error ? [] : schedule.calendars;
      return { projectId: row.project_id, references: calendars };
    });
    const gates = await gatesOfMany(tx, parts.zoneData, references);
    const dispatched = await readDispatched(tx, rows, schedules, parts.clock.now());
    const planned: Planned[] = [];
    const room = { events: EVENTS_LIMIT, decisions: DECISIONS_LIMIT };
    for (const [index, row] of rows.entries()) {
      const [schedule, known] = [schedules[index], dispatched[index]];
      if (schedule === undefined || known === undefined || room.events <= 0 || room.decisions <= 0) break;
      const turn = plan(row, schedule, gates[index], known, room);
      if (turn === undefined) continue;
      room.events -= turn.events.length;
      room.decisions -= turn.decisions;
      const isPunctual = !(schedule instanceof Error) && schedule.policies.overlap !== "ALLOW_ALL";
      planned.push({ row, turn, isPunctual });
    }
    return planned;
  };

  const pass = (fromMs: number | null, untilMs: number, most: number) =>
    parts.database.transaction(async (tx) => {
      const from = fromMs === null ? "-infinity" : toSqlTime(fromMs);
      const claimed = await tx.query(jobClaimDue, [toSqlTime(untilMs), most, [...troubled.keys()], from]);
      const resumed = await resumeDue(
        tx,
        { schedules: parts.schedules, onTrouble: trouble },
        claimed.filter(({ state }) => state === "PAUSED"),
      );
      const rows = claimed.filter(({ state }) => state === "ACTIVE");
      if (rows.length === 0) return { events: 0, more: resumed > 0 };
      const planned = await planAll(tx, rows);
      const events = planned.flatMap(({ turn }) => turn.events);
      await parts.handOver.send(await shapeCatchup(tx, events, parts.clock.now(), parts.catchupPerSecond));
      await writeTurns(tx, planned);
      for (const { row, turn, isPunctual } of planned) {
        if (isPunctual && turn.wakeMs !== null) punctual.set(row.uid, turn.wakeMs);
        for (const range of missedOf(turn.skips)) parts.onMissed(row.uid, range);
      }
      const more =
        claimed.length === most || planned.length < rows.length || planned.some(({ turn }) => turn.more);
      return { events: events.length, more: more || resumed > 0 };
    });

  return {
    run: async () => {
      const nowMs = parts.clock.now();
      for (const [uid, until] of troubled) if (until <= nowMs) troubled.delete(uid);
      for (const [uid, wakeMs] of punctual) if (wakeMs <= nowMs) punctual.delete(uid);
      if (punctual.size > MOST_PUNCTUAL) punctual.clear();
      const lateMs = nowMs - LATE_MS - parts.lookAheadMs;
      const onTime = await pass(lateMs, nowMs, CLAIM_LIMIT);
      // While more is on time, what is late waits.
      const late = onTime.more ? NOTHING_LATE : await pass(null, lateMs, LATE_CLAIM_LIMIT);
      const againMs = Math.min(...punctual.values(), Number.POSITIVE_INFINITY) - parts.clock.now();
      return { events: onTime.events + late.events, more: onTime.more || late.more, againMs };
    },
  };
}

async function writeTurns(tx: Queryable, planned: readonly Planned[]): Promise<void> {
  await addSkips(
    tx,
    planned.flatMap(({ row, turn }) => turn.skips.map((range) => ({ jobUid: row.uid, range }))),
  );
  const ended = planned.filter(({ turn }) => turn.endMs !== null);
  if (ended.length > 0) {
    await tx.query(epochEnd, [
      ended.map(({ row }) => row.uid),
      ended.map(({ row }) => row.epoch),
      ended.map(({ turn }) => toSqlTimeOrNull(turn.endMs)),
    ]);
  }
  await tx.query(jobAdvance, [
    planned.map(({ row }) => row.uid),
    planned.map(({ turn }) => (turn.finished ? "FINISHED" : "ACTIVE")),
    planned.map(({ turn }) => toSqlTimeOrNull(turn.position.nextFireTimeMs)),
    planned.map(({ turn }) => toSqlTimeOrNull(turn.position.lastFireTimeMs)),
    planned.map(({ turn }) => turn.position.lastSeq),
    planned.map(({ turn }) => toSqlTimeOrNull(turn.wakeMs)),
    planned.map(({ turn }) => toCarryJson(turn.position.carry)),
  ]);
}
