import { ScheduleError } from "../cron/errors.ts";
import { type CronFields, neverFires, parseCron } from "../cron/expression.ts";
import { type DstPolicy, nextFireTime } from "../cron/next.ts";
import { canonicalZone } from "../cron/zone.ts";
import { CronDialect, DstGap, DstOverlap, type Schedule } from "../gen/easycron/v1/schedule_pb.ts";
import { failure } from "../mesh/errors.ts";

/** A job's schedules, ready to be asked. */
export interface CompiledSchedule {
  /** The first fire time strictly later than `afterMs`, or null when none is left. Epoch milliseconds. */
  nextAfter(afterMs: number): number | null;
  /** The zone of the schedule that names this fire time; "UTC" for a job without schedules. */
  zoneOf(fireTimeMs: number): string;
  /** Paths, relative to the job, of the schedules that never fire. */
  readonly neverFiring: readonly string[];
}

interface Part {
  readonly fields: CronFields;
  readonly zone: string;
  readonly dst: DstPolicy;
}

/**
 * Compiles a job's schedules (a union: an instant that several name fires once). `seed` is the job's uid, for `H`.
 * Throws SCHEDULE_INVALID or TIME_ZONE_UNKNOWN, naming the field below `path`.
 */
export function compileSchedule(
  schedules: readonly Schedule[],
  seed: string,
  path = "job",
): CompiledSchedule {
  const parts = schedules.map((schedule, index) =>
    compilePart(schedule, seed, `${path}.schedules[${index}]`),
  );
  return {
    nextAfter: (afterMs) => nextOfParts(parts, afterMs),
    zoneOf: (fireTimeMs) => zoneOfParts(parts, fireTimeMs),
    neverFiring: parts.flatMap((part, index) =>
      neverFires(part.fields) ? [`${path}.schedules[${index}].cron.expression`] : [],
    ),
  };
}

function nextOfParts(parts: readonly Part[], afterMs: number): number | null {
  let earliest: number | null = null;
  for (const part of parts) {
    const next = nextFireTime(part.fields, part.zone, afterMs, part.dst);
    if (next === null) continue;
    // A trigger that is not later than the last one would be lost as a duplicate, or loop for ever.
    if (next <= afterMs)
      throw new Error(`The fire time ${next} in ${part.zone} is not later than ${afterMs}.`);
    if (earliest === null || next < earliest) earliest = next;
  }
  return earliest;
}

function zoneOfParts(parts: readonly Part[], fireTimeMs: number): string {
  const naming = parts.find(
    (part) => nextFireTime(part.fields, part.zone, fireTimeMs - 1, part.dst) === fireTimeMs,
  );
  return naming?.zone ?? "UTC";
}

function compilePart(schedule: Schedule, seed: string, path: string): Part {
  try {
    const zone = canonicalZone(schedule.timeZone === "" ? "UTC" : schedule.timeZone);
    const cron = schedule.kind.value;
    if (cron === undefined) throw new ScheduleError("", "", "This schedule names no kind.", "Set cron.");
    const dialect = cron.dialect === CronDialect.WITH_SECONDS ? "WITH_SECONDS" : "STANDARD";
    return { fields: parseCron(cron.expression, { dialect, seed }), zone, dst: toDstPolicy(schedule) };
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    const field = error.field === "" ? path : `${path}.${error.field}`;
    throw failure(
      error.field === "timeZone" ? "TIME_ZONE_UNKNOWN" : "SCHEDULE_INVALID",
      { field, value: error.value, problem: error.message },
      { violations: [{ field, description: error.message }], cause: error },
    );
  }
}

function toDstPolicy(schedule: Schedule): DstPolicy {
  const overlap = schedule.dstPolicy?.overlap;
  return {
    gap: schedule.dstPolicy?.gap === DstGap.SKIP ? "SKIP" : "FIRE_AT_END",
    overlap: overlap === DstOverlap.SECOND ? "SECOND" : overlap === DstOverlap.BOTH ? "BOTH" : "FIRST",
  };
}

/** Throws SCHEDULE_NEVER_FIRES if any of the schedules never fires. */
export function refuseNeverFiring(compiled: CompiledSchedule, schedules: readonly Schedule[]): void {
  const [field] = compiled.neverFiring;
  if (field === undefined) return;
  const index = Number(/\[(\d+)\]/.exec(field)?.[1]);
  const value = schedules[index]?.kind.value?.expression ?? "";
  throw failure(
    "SCHEDULE_NEVER_FIRES",
    { field, value },
    {
      violations: compiled.neverFiring.map((each) => ({
        field: each,
        description: "No date of any year matches this expression. Name a day that the month has.",
      })),
    },
  );
}
