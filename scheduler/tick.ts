import type { CalendarGate } from "../cron/calendar-gate.ts";
import type { Database, Queryable } from "../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../db/time.ts";
import type { Clock } from "../mesh/clock.ts";
import { gatesOfMany } from "./calendars.ts";
import { toCarryJson } from "./carry.ts";
import { shapeCatchup } from "./catchup.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import { type Dispatched, readDispatched } from "./dispatched.ts";
import { epochEnd } from "./epochs.sql.ts";
import type { HandOver } from "./hand-over.ts";
import type { TurnRow } from "./job.ts";
import { jobAdvance, jobClaimDue } from "./jobs.sql.ts";
import { resumeDue } from "./resume-due.ts";
import type { ScheduleCache } from "./schedule-cache.ts";
import { addSkips } from "./skips.sql.ts";
import { LATE_MS, type Turn, takeTurn } from "./turn.ts";
import { type SkipRange, verdictOf } from "./verdict.ts";
import type { ZoneData } from "./zone-data.ts";

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
const TROUBLE_MS = 60_000;

/** Hands over what is due within the look-ahead. */
export interface Tick {
  /**
   * Two transactions, what is on time and then what is late: each claims jobs, decides their fire times, hands the
   * events over, and, once these are durable, advances the cursors. The cursor is the outbox: a crash before the
   * commit replays the same events, which the dispatcher records once. Returns the number of events, and whether
   * more is due at once.
   */
  run(): Promise<{ readonly events: number; readonly more: boolean }>;
}

interface Planned {
  readonly row: TurnRow;
  readonly turn: Turn;
}

/** Makes a tick. */
export function createTick(parts: TickParts): Tick {
  const troubled = new Map<string, number>();

  const trouble = (jobUid: string, error: unknown) => {
    troubled.set(jobUid, parts.clock.now() + TROUBLE_MS);
    parts.onTrouble(jobUid, error);
  };

  const plan = (
    row: TurnRow,
    schedule: CompiledSchedule | Error,
    gates: readonly CalendarGate[] | undefined,
    dispatched: Dispatched,
    room: number,
  ) => {
    try {
      if (schedule instanceof Error) throw schedule;
      if (gates === undefined) throw new Error("A calendar of the job is gone, or cannot be read.");
      const nowMs = parts.clock.now();
      const limit = Math.min(LINKS_LIMIT, room);
      const zoneData = parts.zoneData.label(schedule, nowMs);
      const { lookAheadMs } = parts;
      return takeTurn({ row, schedule, gates, ...dispatched, nowMs, limit, lookAheadMs, zoneData });
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
    let room = EVENTS_LIMIT;
    for (const [index, row] of rows.entries()) {
      const [schedule, known] = [schedules[index], dispatched[index]];
      if (schedule === undefined || known === undefined || room <= 0) break;
      const turn = plan(row, schedule, gates[index], known, room);
      if (turn === undefined) continue;
      room -= turn.events.length;
      planned.push({ row, turn });
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
      for (const { row, turn } of planned) {
        for (const range of turn.skips)
          if (verdictOf(range.reason) === "MISSED") parts.onMissed(row.uid, range);
      }
      const more =
        claimed.length === most || planned.length < rows.length || planned.some(({ turn }) => turn.more);
      return { events: events.length, more: more || resumed > 0 };
    });

  return {
    run: async () => {
      const nowMs = parts.clock.now();
      for (const [uid, until] of troubled) if (until <= nowMs) troubled.delete(uid);
      const lateMs = nowMs - LATE_MS - parts.lookAheadMs;
      const onTime = await pass(lateMs, nowMs, CLAIM_LIMIT);
      const late = await pass(null, lateMs, LATE_CLAIM_LIMIT);
      return { events: onTime.events + late.events, more: onTime.more || late.more };
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
