import type { Database } from "../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../db/time.ts";
import type { Clock } from "../mesh/clock.ts";
import { type Links, nextLinks } from "./chain.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import type { HandOver } from "./hand-over.ts";
import type { JobRow } from "./job.ts";
import { jobAdvance, jobClaimDue } from "./jobs.sql.ts";
import type { ScheduleCache } from "./schedule-cache.ts";

/** What a tick needs. */
export interface TickParts {
  readonly database: Database;
  readonly handOver: HandOver;
  readonly schedules: ScheduleCache;
  readonly clock: Clock;
  /** How far ahead of its fire time a trigger is handed over. */
  readonly lookAheadMs: number;
  /** Told of a job whose next fire time cannot be computed; it is left as it is for a minute, then tried again. */
  readonly onTrouble: (jobUid: string, error: unknown) => void;
}

/** Most jobs of one transaction. */
export const CLAIM_LIMIT = 500;
/** Most fire times of one job in one transaction: what a long outage leaves is worked off in turns. */
const LINKS_LIMIT = 1_000;
/** Most events of one transaction. */
const EVENTS_LIMIT = 5_000;
const TROUBLE_MS = 60_000;

/** Hands over what is due within the look-ahead. */
export interface Tick {
  /**
   * One transaction: claims due jobs, hands their fire times over, and, once these are durable, advances the cursors.
   * The cursor is the outbox: a crash before the commit replays the same events, which the dispatcher records once.
   * Returns the number of events, and whether more is due at once.
   */
  run(): Promise<{ readonly events: number; readonly more: boolean }>;
}

/** Makes a tick. */
export function createTick(parts: TickParts): Tick {
  const troubled = new Map<string, number>();

  const plan = (row: Omit<JobRow, "spec">, schedule: CompiledSchedule, room: number, horizonMs: number) => {
    try {
      return nextLinks(row, schedule, horizonMs, Math.min(LINKS_LIMIT, room));
    } catch (error) {
      troubled.set(row.uid, parts.clock.now() + TROUBLE_MS);
      parts.onTrouble(row.uid, error);
      return undefined;
    }
  };

  return {
    run: () =>
      parts.database.transaction(async (tx) => {
        const now = parts.clock.now();
        for (const [uid, until] of troubled) if (until <= now) troubled.delete(uid);
        const horizonMs = now + parts.lookAheadMs;
        const rows = await tx.query(jobClaimDue, [toSqlTime(horizonMs), CLAIM_LIMIT, [...troubled.keys()]]);
        if (rows.length === 0) return { events: 0, more: false };
        const schedules = await parts.schedules.load(tx, rows);
        const planned: { uid: string; links: Links }[] = [];
        let room = EVENTS_LIMIT;
        let isCut = false;
        for (const [index, row] of rows.entries()) {
          const schedule = schedules[index];
          if (schedule === undefined || room <= 0) break;
          const links = plan(row, schedule, room, horizonMs);
          if (links === undefined) continue;
          room -= links.events.length;
          isCut ||= links.events.length === LINKS_LIMIT;
          planned.push({ uid: row.uid, links });
        }
        await parts.handOver.send(planned.flatMap(({ links }) => links.events));
        await tx.query(jobAdvance, [
          planned.map(({ uid }) => uid),
          planned.map(({ links }) => toSqlTimeOrNull(links.position.nextFireTimeMs)),
          planned.map(({ links }) => toSqlTimeOrNull(links.position.lastFireTimeMs)),
          planned.map(({ links }) => links.position.lastSeq),
        ]);
        return { events: EVENTS_LIMIT - room, more: rows.length === CLAIM_LIMIT || room <= 0 || isCut };
      }),
  };
}
