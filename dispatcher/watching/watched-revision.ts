import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Calendar } from "../../cron/calendar.ts";
import { parseCalendar } from "../../cron/calendar-spec.ts";
import type { DstPolicy } from "../../cron/dst-policy.ts";
import { createOnce, createOnceLocal } from "../../cron/once.ts";
import { createRate } from "../../cron/rate.ts";
import { createCronSchedule, nextOf, type Schedule } from "../../cron/schedule.ts";
import type { Calendar as CalendarMessage } from "../../gen/easycron/v1/calendar_pb.ts";
import { type Job, JobSchema, Outside } from "../../gen/easycron/v1/job_pb.ts";
import {
  CronDialect,
  DstGap,
  DstOverlap,
  Edge,
  type Schedule as ScheduleMessage,
} from "../../gen/easycron/v1/schedule_pb.ts";

/** A calendar that must be open at a fire time, and what happens if it is not. */
export interface WatchedCalendar {
  readonly name: string;
  readonly outside: "SKIP" | "DEFER";
}

/** What decides the fire times of a revision, read for the watchdog alone: no code of the scheduler takes part. */
export interface WatchedRevision {
  /** Returns the first fire time later than `afterMs`; null when there is none. Epoch milliseconds. */
  nextAfter(afterMs: number): number | null;
  /** The flexible window; 0 if there is none. */
  readonly windowMs: number;
  /** Most scheduled triggers of the job; 0 for no limit. */
  readonly maxFires: number;
  readonly calendars: readonly WatchedCalendar[];
  /** Whether the revision has alerts. */
  readonly hasAlerts: boolean;
}

const TIMING: ReadonlySet<string> = new Set([
  "schedules",
  "startTime",
  "endTime",
  "flexibleWindow",
  "maxFires",
  "calendars",
]);

/**
 * Reads a specification and compiles its schedules with the time zone data of this process. `jobUid` decides what `H` in a
 * cron expression stands for. Throws an error if the specification cannot be read.
 */
export function compileRevision(jobUid: string, spec: string): WatchedRevision {
  const whole: JsonValue = JSON.parse(spec);
  if (typeof whole !== "object" || whole === null || Array.isArray(whole))
    throw new Error("The specification is not a JSON object.");
  const timing = Object.fromEntries(Object.entries(whole).filter(([name]) => TIMING.has(name)));
  const job = fromJson(JobSchema, timing, { ignoreUnknownFields: true });
  const schedules = job.schedules.map((schedule) => compile(schedule, jobUid, job));
  const bounds = {
    startMs: job.startTime && timestampMs(job.startTime),
    endMs: job.endTime && timestampMs(job.endTime),
  };
  return {
    nextAfter: (afterMs) => nextOf(schedules, afterMs, bounds),
    windowMs: job.flexibleWindow === undefined ? 0 : durationMs(job.flexibleWindow),
    maxFires: job.maxFires,
    hasAlerts: "alerts" in whole,
    calendars: job.calendars.map(({ name, outside }) => ({
      name,
      outside: outside === Outside.DEFER ? "DEFER" : "SKIP",
    })),
  };
}

/** Compiles the version of a calendar that a row or a snapshot holds. Throws a ScheduleError if it is not valid. */
export function compileCalendar(calendar: CalendarMessage): Calendar {
  const { timeZone, windows, excludedDates, importedDates } = calendar;
  return parseCalendar({
    timeZone: timeZone === "" ? "UTC" : timeZone,
    windows,
    excludedDates: [...excludedDates, ...importedDates],
  });
}

function compile(schedule: ScheduleMessage, seed: string, job: Pick<Job, "schedules">): Schedule {
  const { kind } = schedule;
  const timeZone = schedule.timeZone === "" ? "UTC" : schedule.timeZone;
  const dst = toDstPolicy(schedule);
  switch (kind.case) {
    case "cron": {
      const dialect = kind.value.dialect === CronDialect.WITH_SECONDS ? "WITH_SECONDS" : "STANDARD";
      return createCronSchedule({ expression: kind.value.expression, dialect, seed, timeZone, dst });
    }
    case "rate": {
      const { every, anchorTime } = kind.value;
      const anchorMs = anchorTime === undefined ? 0 : timestampMs(anchorTime);
      return { kind: "rate", ...createRate(every === undefined ? 0 : durationMs(every), anchorMs, timeZone) };
    }
    case "once": {
      const { at } = kind.value;
      if (at.case === "time") return { kind: "once", ...createOnce(timestampMs(at.value), timeZone) };
      return { kind: "once", ...createOnceLocal(at.value ?? "", timeZone, dst) };
    }
    case "calendarEdge": {
      const { snapshot, edge } = kind.value;
      if (snapshot === undefined) throw new Error("A calendarEdge schedule has no snapshot of its calendar.");
      const calendar = compileCalendar(wholeSnapshot(job, snapshot));
      return { kind: "calendarEdge", calendar, edge: edge === Edge.CLOSES ? "CLOSES" : "OPENS" };
    }
    case undefined:
      throw new Error("A schedule has no kind.");
  }
}

/** Of several schedules with the same version of a calendar, the first one has it in full. */
function wholeSnapshot({ schedules }: Pick<Job, "schedules">, wanted: CalendarMessage): CalendarMessage {
  if (wanted.uid === "") return wanted;
  for (const { kind } of schedules) {
    if (kind.case !== "calendarEdge") continue;
    const { snapshot } = kind.value;
    if (snapshot?.uid === wanted.uid && snapshot.version === wanted.version) return snapshot;
  }
  return wanted;
}

function toDstPolicy({ dstPolicy }: ScheduleMessage): DstPolicy {
  const overlap = dstPolicy?.overlap;
  return {
    gap: dstPolicy?.gap === DstGap.SKIP ? "SKIP" : "FIRE_AT_END",
    overlap: overlap === DstOverlap.SECOND ? "SECOND" : overlap === DstOverlap.BOTH ? "BOTH" : "FIRST",
  };
}
