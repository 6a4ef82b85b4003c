import type { Calendar } from "../../cron/calendar.ts";
import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { compileCalendar, fromCalendarSpecJson } from "../calendars/spec.ts";
import type { Parts } from "../parts.ts";
import { auditCalendars } from "./audits.sql.ts";
import type { RevisionRules } from "./revision-rules.ts";

/**
 * The largest difference that an audit allows for between the clocks of two processes, and between the time of a change
 * and its commit.
 */
export const SKEW_MS = 10_000;

/** The calendars that decided a job's fire times, in all versions that were in effect in the range. */
export interface AuditCalendars {
  /** Returns the calendar gates of `rules` as they were at `atMs`, or null if one of its calendars is not known. */
  gatesAt(rules: RevisionRules, atMs: number): CalendarGate[] | null;
  /**
   * Returns the instants at which the gates of `rules` may have changed, from `fromMs` to `untilMs`, widened by
   * `SKEW_MS` on both sides: the first instant, and the time of each new version.
   */
  changeInstants(rules: RevisionRules, fromMs: number, untilMs: number): number[];
}

interface Version {
  readonly fromMs: number;
  readonly untilMs: number;
  calendar(): Calendar;
}

/**
 * Reads the versions, in effect at `fromMs` or later, of all calendars that `ruleSets` name. Each version is compiled
 * when it is first used.
 */
export async function readCalendarVersions(
  tx: Queryable,
  parts: Pick<Parts, "zoneData">,
  projectId: string,
  ruleSets: readonly RevisionRules[],
  fromMs: number,
): Promise<AuditCalendars> {
  const names = [...new Set(ruleSets.flatMap(({ schedule }) => schedule.calendars.map(({ name }) => name)))];
  const since = toSqlTime(fromMs - SKEW_MS);
  const rows = names.length === 0 ? [] : await tx.query(auditCalendars, [projectId, names, since]);
  const versions = new Map<string, Version[]>(names.map((name) => [name, []]));
  for (const { name, create_time, until_time, spec, zone_data } of rows) {
    versions.get(name)?.push({
      fromMs: create_time,
      untilMs: until_time ?? Number.POSITIVE_INFINITY,
      calendar: once(() => compileCalendar(fromCalendarSpecJson(spec), parts.zoneData.release(zone_data))),
    });
  }
  return createCalendars(versions);
}

function createCalendars(versions: ReadonlyMap<string, readonly Version[]>): AuditCalendars {
  const versionAt = (name: string, atMs: number) => {
    const all = versions.get(name) ?? [];
    return all.find(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs) ?? all[0];
  };
  return {
    gatesAt: (rules, atMs) => {
      const gates = rules.schedule.calendars.map(({ name, outside }) => {
        const version = versionAt(name, atMs);
        return version === undefined ? null : { name, outside, calendar: version.calendar() };
      });
      return gates.some((gate) => gate === null) ? null : gates.filter((gate) => gate !== null);
    },
    changeInstants: (rules, fromMs, untilMs) => {
      const named = rules.schedule.calendars.flatMap(({ name }) => versions.get(name) ?? []);
      const changes = named.map((version) => version.fromMs);
      const within = changes.filter((atMs) => atMs > fromMs - SKEW_MS && atMs <= untilMs + SKEW_MS);
      return [...new Set([fromMs - SKEW_MS, ...within])];
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
