import { passGates } from "../../cron/calendar-gate.ts";
import type { SkipRow } from "../job/skips.sql.ts";
import { verdictOf } from "../job/verdict.ts";
import { LATE_MS } from "../turns/turn.ts";
import { SKEW_MS } from "./calendars.ts";
import type { Difference } from "./difference.ts";
import type { Law } from "./law.ts";
import type { AuditRecord } from "./record.ts";
import type { Recorded } from "./recorded.ts";

/** All that a skip is judged by. */
interface Case {
  readonly record: AuditRecord;
  readonly recorded: readonly Recorded[];
  readonly index: number;
  readonly skip: SkipRow;
  readonly atMs: number;
  /** The laws that may have decided it. */
  readonly laws: readonly Law[];
  /** It was decided no later. */
  readonly byMs: number;
}

/**
 * What is wrong with the reason of a fire time without a trigger; null when nothing is. That SkipFireTime asked for one
 * is taken as said: of a request nothing else is kept. Where the time of the decision is not known to the moment, any
 * law and any version of a calendar that may have decided is good enough.
 */
export function wrongReason(
  record: AuditRecord,
  recorded: readonly Recorded[],
  index: number,
  skip: SkipRow,
): Omit<Difference, "atMs"> | null {
  const each = recorded[index];
  if (each === undefined) return null;
  if (verdictOf(skip.reason) !== skip.verdict)
    return wrong(`${skip.verdict} does not go with ${skip.reason}.`);
  const { atMs, stretch } = each;
  const laws = lawsOf(record, stretch.index);
  // A later revision that is not at hand may have decided it.
  if (laws === null) return null;
  const given = { record, recorded, index, skip, atMs, laws, byMs: each.byMs };
  const problem = problemOf(given);
  return problem === null ? null : wrong(problem);
}

function wrong(detail: string): Omit<Difference, "atMs"> {
  return { kind: "WRONG_VERDICT", detail };
}

function lawsOf({ epochs, laws }: AuditRecord, index: number): Law[] | null {
  const own = laws.get(epochs[index]?.revision ?? 0);
  if (own === undefined || !own.mayWait) return own === undefined ? null : [own];
  const all = epochs.slice(index).map(({ revision }) => laws.get(revision));
  const found = all.filter((law) => law !== undefined);
  return found.length < all.length ? null : found;
}

function problemOf(given: Case): string | null {
  const { record, skip, atMs, laws } = given;
  switch (skip.reason) {
    case "SKIPPED_BY_REQUEST":
      return null;
    case "PAUSED":
      return becomes(given, "PAUSED") ? null : "The job was not paused while this fire time waited.";
    case "JOB_DISABLED":
      return becomes(given, "DELETED") || becomesLimited(given)
        ? null
        : "The job was neither deleted nor limited while this fire time waited.";
    case "OUTSIDE_CALENDAR":
      return laws.some((law) => mayBeOutside(given, law))
        ? null
        : `The calendar "${skip.detail}" of that time was open.`;
    default:
      break;
  }
  const may = laws.filter((law) => mayGive(given, law));
  if (may.length === 0) return `The job's policies, and how late it was, do not give ${skip.reason}.`;
  if (may.some((law) => mayBeOpen(given, law))) return null;
  return `A calendar was closed at ${new Date(atMs).toISOString()}, of ${record.row.name}; the reason is ${skip.reason}.`;
}

/** Whether the job came into a state while this fire time may have waited. */
function becomes({ record, recorded, index }: Case, state: "PAUSED" | "DELETED"): boolean {
  const stretch = recorded[index]?.stretch;
  if (stretch === undefined || !stretch.law.mayWait) return false;
  return record.epochs.slice(stretch.index + 1).some((epoch) => epoch.state === state);
}

/** Whether the job was given a limit while this fire time may have waited. */
function becomesLimited({ record, recorded, index }: Case): boolean {
  const stretch = recorded[index]?.stretch;
  if (stretch === undefined || !stretch.law.mayWait) return false;
  const later = record.epochs.slice(stretch.index + 1).map(({ revision }) => record.laws.get(revision));
  return later.some((law) => law === undefined || law.schedule.policies.maxFires > 0);
}

function mayGive({ skip, atMs, byMs }: Case, { schedule }: Law): boolean {
  const { misfire, catchupWindowMs, overlap } = schedule.policies;
  const lateMs = byMs + SKEW_MS - atMs;
  switch (skip.reason) {
    case "OVERLAP":
      return overlap === "SKIP";
    case "BUFFER_FULL":
      return overlap === "BUFFER";
    case "CATCHUP_WINDOW":
      return lateMs > Math.max(catchupWindowMs, LATE_MS);
    case "CATCHUP_LIMIT":
      return misfire === "FIRE_ALL" && lateMs > LATE_MS;
    default:
      return misfire !== "FIRE_ALL" && lateMs > LATE_MS;
  }
}

function mayBeOpen({ record: { calendars }, atMs, byMs }: Case, law: Law): boolean {
  return calendars.instantsOf(law, atMs, byMs).some((at) => {
    const gates = calendars.gatesAt(law, at);
    return gates === null || passGates(gates, atMs).kind !== "SKIPPED";
  });
}

function mayBeOutside(given: Case, law: Law): boolean {
  const { record, skip, atMs, byMs } = given;
  return record.calendars.instantsOf(law, atMs, byMs).some((at) => {
    const gates = record.calendars.gatesAt(law, at);
    if (gates === null) return true;
    const gate = passGates(gates, atMs);
    if (gate.kind === "OPEN" || gate.calendar !== skip.detail) return false;
    return gate.kind === "SKIPPED" || isTaken(given, law, at, gate.untilMs);
  });
}

/** How many earlier fire times are asked whether they took the opening. */
const ASKED = 1_000;

// Whether an earlier fire time was deferred to the same opening. Those in between are outside as well, for as long.
function isTaken({ record, recorded, index }: Case, law: Law, atMs: number, openingMs: number): boolean {
  const gates = record.calendars.gatesAt(law, atMs) ?? [];
  for (let earlier = index - 1; earlier >= 0; earlier -= 1) {
    const fireTime = recorded[earlier];
    if (fireTime === undefined || index - earlier > ASKED) return true;
    const gate = passGates(gates, fireTime.atMs);
    if (gate.kind === "OPEN") return false;
    if (gate.kind === "DEFERRED") return gate.untilMs === openingMs;
  }
  return true;
}
