import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { DstPolicy } from "../../cron/dst-policy.ts";
import { ScheduleError } from "../../cron/errors.ts";
import { neverFires } from "../../cron/expression.ts";
import { createOnce, createOnceLocal } from "../../cron/once.ts";
import type { FirePlan } from "../../cron/preview.ts";
import { createRate } from "../../cron/rate.ts";
import { createCronSchedule, nextOf, type Schedule } from "../../cron/schedule.ts";
import { canonicalZone } from "../../cron/zone.ts";
import type { ZoneOffsets } from "../../cron/zone-offsets.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import {
  type CalendarEdgeSchedule,
  CronDialect,
  type CronSchedule,
  DstGap,
  DstOverlap,
  Edge,
  type OnceSchedule,
  type RateSchedule,
  type Schedule as ScheduleMessage,
} from "../../gen/easycron/v1/schedule_pb.ts";
import { collectErrors, type ErrorCollector } from "../../mesh/all-errors.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { CalendarReference } from "../calendars/calendars.ts";
import { compileSnapshot } from "../calendars/edges.ts";
import { ownRelease, type ZoneRelease } from "../zones/zone-data.ts";
import { type Policies, type PolicyFields, readCalendarReferences, readPolicies } from "./policies.ts";

/** A job's schedules, time bounds and policies, compiled. */
export interface CompiledSchedule {
  /** The job's uid; empty for a job that is not saved. */
  readonly jobUid: string;
  /** Returns the first fire time strictly later than `afterMs`; null when there is none. Epoch milliseconds. */
  nextAfter(afterMs: number): number | null;
  /** What decides the fire times, for previews and warnings. Calendars are not in it, as they change independently. */
  readonly plan: FirePlan;
  readonly policies: Policies;
  /** The job's references to calendars, which must be open at a fire time. */
  readonly calendars: readonly CalendarReference[];
  /** The zone data version that it was compiled with. */
  readonly zoneData: string;
  /** The time zones that decide its fire times. */
  readonly zones: readonly string[];
}

/** The fields of a job that decide when it fires. */
export type Timing = Pick<Job, "schedules" | "startTime" | "endTime" | "flexibleWindow" | "calendars"> &
  PolicyFields;

/**
 * Compiles a job's schedules, time bounds and policies. Several schedules form a union: an instant that more than one
 * names fires once. `seed` is the job's uid; `H` in a cron expression depends on it. `options.zoneData` is by default
 * that of this process. Throws SCHEDULE_INVALID, TIME_ZONE_UNKNOWN, FIELD_INVALID, and SCHEDULE_NEVER_FIRES unless
 * `options.allowNeverFiring` is true, as in a preview; each error names the field. All
 * that is wrong is in one error.
 */
export function compileSchedule(
  timing: Timing,
  seed: string,
  options: { readonly allowNeverFiring?: boolean; readonly zoneData?: ZoneRelease } = {},
): CompiledSchedule {
  const { zoneData = ownRelease() } = options;
  const errors = collectErrors();
  const schedules = timing.schedules.flatMap((schedule, index) => {
    const path = `job.schedules[${index}]`;
    const context = { seed, zoneData, path, schedules: timing.schedules };
    const compiled = compileOne(schedule, context, errors);
    if (compiled === undefined) return [];
    if (options.allowNeverFiring !== true) errors.check(() => refuseNeverFiring(schedule, compiled, path));
    return [compiled];
  });
  const startMs = timing.startTime && timestampMs(timing.startTime);
  const endMs = timing.endTime && timestampMs(timing.endTime);
  if (startMs !== undefined && endMs !== undefined && endMs < startMs) {
    const problem = `${toIso(endMs)} is before startTime, ${toIso(startMs)}.`;
    errors.add(fieldFailure("FIELD_INVALID", "job.endTime", problem));
  }
  errors.throwIfAny();
  const bounds = { startMs, endMs };
  const windowMs = timing.flexibleWindow === undefined ? 0 : durationMs(timing.flexibleWindow);
  return {
    jobUid: seed,
    plan: { schedules, bounds, ...(windowMs === 0 ? {} : { flexibleWindow: { jobUid: seed, windowMs } }) },
    policies: readPolicies(timing),
    calendars: readCalendarReferences(timing),
    zoneData: zoneData.version,
    zones: zonesOf(timing),
    nextAfter: (afterMs) => {
      const next = nextOf(schedules, afterMs, bounds);
      // The cursor must move forward, or the job would fire for the same instant again and again.
      if (next !== null && next <= afterMs)
        throw new Error(`The next fire time ${next} is not later than ${afterMs}.`);
      return next;
    },
  };
}

/** Returns the time zones that decide a job's fire times, each once. */
function zonesOf({ schedules }: Pick<Timing, "schedules">): string[] {
  const named = schedules.map(({ timeZone, kind }) => {
    const given = kind.case === "calendarEdge" ? (kind.value.snapshot?.timeZone ?? "") : timeZone;
    return given === "" ? "UTC" : given;
  });
  return [...new Set(named)];
}

interface CompileContext {
  readonly seed: string;
  readonly zoneData: ZoneRelease;
  readonly path: string;
  /** All schedules of the job. */
  readonly schedules: readonly ScheduleMessage[];
}

/** Returns a compiled schedule; undefined if it is not valid, with all that is wrong in `errors`. */
function compileOne(
  schedule: ScheduleMessage,
  context: CompileContext,
  errors: ErrorCollector,
): Schedule | undefined {
  const check = <T>(work: () => T) => errors.check(() => withPath(context.path, work));
  const named = check(() => canonicalZone(schedule.timeZone === "" ? "UTC" : schedule.timeZone));
  // With an unknown zone the rest is checked in UTC.
  const zone = context.zoneData.zones(named ?? "UTC");
  const compiled = check(() => compileKind(schedule, zone, context));
  return named === undefined ? undefined : compiled;
}

function compileKind(schedule: ScheduleMessage, zone: ZoneOffsets, context: CompileContext): Schedule {
  const dst = toDstPolicy(schedule);
  switch (schedule.kind.case) {
    case "cron":
      return compileCron(schedule.kind.value, { seed: context.seed, zone, dst });
    case "rate":
      return compileRate(schedule.kind.value, zone);
    case "once":
      return compileOnce(schedule.kind.value, zone, dst);
    case "calendarEdge":
      return compileEdge(schedule.kind.value, context);
    case undefined:
      throw new ScheduleError("kind", "", "is not set", "one of cron, rate, once, calendarEdge");
  }
}

function withPath<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof ScheduleError ? toFailure(error, path) : error;
  }
}

function toFailure(error: ScheduleError, path: string): Error {
  const field = `${path}.${error.field}`;
  const reason = error.field === "timeZone" ? "TIME_ZONE_UNKNOWN" : "SCHEDULE_INVALID";
  const metadata = { field, value: error.value, problem: error.message };
  return failure(reason, metadata, { violations: [{ field, description: error.message }], cause: error });
}

interface CronContext {
  readonly seed: string;
  readonly zone: ZoneOffsets;
  readonly dst: DstPolicy;
}

function compileCron(cron: CronSchedule, { seed, zone, dst }: CronContext): Schedule {
  const dialect = cron.dialect === CronDialect.WITH_SECONDS ? "WITH_SECONDS" : "STANDARD";
  return createCronSchedule({ expression: cron.expression, dialect, seed, timeZone: zone, dst });
}

function refuseNeverFiring(given: ScheduleMessage, compiled: Schedule, path: string): void {
  if (compiled.kind !== "cron" || !neverFires(compiled.fields)) return;
  const value = given.kind.case === "cron" ? given.kind.value.expression : "";
  const field = `${path}.cron.expression`;
  const problem = `"${value}" matches no date of any year; name a day that the month has.`;
  throw fieldFailure("SCHEDULE_NEVER_FIRES", field, problem, { value });
}

function compileRate(rate: RateSchedule, zone: ZoneOffsets): Schedule {
  const everyMs = rate.every === undefined ? 0 : durationMs(rate.every);
  const anchorMs = rate.anchorTime === undefined ? 0 : timestampMs(rate.anchorTime);
  return { kind: "rate", ...createRate(everyMs, anchorMs, zone) };
}

function compileOnce(once: OnceSchedule, zone: ZoneOffsets, dst: DstPolicy): Schedule {
  const { at } = once;
  if (at.case === "localTime") return { kind: "once", ...createOnceLocal(at.value, zone, dst) };
  if (at.case === "time") return { kind: "once", ...createOnce(timestampMs(at.value), zone) };
  throw new ScheduleError("once", "", "names no time", "time or localTime");
}

function compileEdge(schedule: CalendarEdgeSchedule, { schedules, zoneData }: CompileContext): Schedule {
  const calendar = compileSnapshot(schedules, schedule, zoneData);
  return { kind: "calendarEdge", calendar, edge: schedule.edge === Edge.CLOSES ? "CLOSES" : "OPENS" };
}

function toDstPolicy(schedule: ScheduleMessage): DstPolicy {
  const overlap = schedule.dstPolicy?.overlap;
  return {
    gap: schedule.dstPolicy?.gap === DstGap.SKIP ? "SKIP" : "FIRE_AT_END",
    overlap: overlap === DstOverlap.SECOND ? "SECOND" : overlap === DstOverlap.BOTH ? "BOTH" : "FIRST",
  };
}
