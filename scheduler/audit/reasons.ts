import { passGates } from "../../cron/calendar-gate.ts";
import type { SkipRow } from "../job/skips.sql.ts";
import { verdictOf } from "../job/verdict.ts";
import { LATE_MS } from "../turns/turn.ts";
import { SKEW_MS } from "./calendars.ts";
import type { LedgerDifference } from "./difference.ts";
import type { AuditRecord } from "./record.ts";
import type { RecordedFireTime } from "./recorded-fire-times.ts";
import type { RevisionRules } from "./revision-rules.ts";

/** All that a skip is judged by. */
interface SkipCase {
  readonly record: AuditRecord;
  readonly recorded: readonly RecordedFireTime[];
  readonly index: number;
  readonly skip: SkipRow;
  readonly atMs: number;
  /** The laws that may have decided it. */
  readonly candidates: readonly RevisionRules[];
  /** It was decided no later. */
  readonly decidedByMs: number;
}

/**
 * What is wrong with the reason of a fire time without a trigger; null when nothing is. That SkipFireTime asked for one
 * is taken as said: of a request nothing else is kept. Where the time of the decision is not known to the moment, any
 * law and any version of a calendar that may have decided is good enough.
 */
export function findSkipProblem(
  record: AuditRecord,
  recorded: readonly RecordedFireTime[],
  index: number,
  skip: SkipRow,
): Omit<LedgerDifference, "atMs"> | null {
  const each = recorded[index];
  if (each === undefined) return null;
  if (verdictOf(skip.reason) !== skip.verdict)
    return wrong(`${skip.verdict} does not go with ${skip.reason}.`);
  const { atMs, segment: stretch } = each;
  const laws = candidatesOf(record, stretch.index);
  // A later revision that is not at hand may have decided it.
  if (laws === null) return null;
  const given = { record, recorded, index, skip, atMs, candidates: laws, decidedByMs: each.decidedByMs };
  const problem = problemOf(given);
  return problem === null ? null : wrong(problem);
}

function wrong(detail: string): Omit<LedgerDifference, "atMs"> {
  return { kind: "WRONG_VERDICT", detail };
}

function candidatesOf({ epochs, rulesByRevision: laws }: AuditRecord, index: number): RevisionRules[] | null {
  const own = laws.get(epochs[index]?.revision ?? 0);
  if (own === undefined || !own.mayWait) return own === undefined ? null : [own];
  const all = epochs.slice(index).map(({ revision }) => laws.get(revision));
  const found = all.filter((law) => law !== undefined);
  return found.length < all.length ? null : found;
}

function problemOf(given: SkipCase): string | null {
  const { record, skip, atMs, candidates: laws } = given;
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
function becomes({ record, recorded, index }: SkipCase, state: "PAUSED" | "DELETED"): boolean {
  const stretch = recorded[index]?.segment;
  if (stretch === undefined || !stretch.rules.mayWait) return false;
  return record.epochs.slice(stretch.index + 1).some((epoch) => epoch.state === state);
}

/** Whether the job was given a limit while this fire time may have waited. */
function becomesLimited({ record, recorded, index }: SkipCase): boolean {
  const stretch = recorded[index]?.segment;
  if (stretch === undefined || !stretch.rules.mayWait) return false;
  const later = record.epochs
    .slice(stretch.index + 1)
    .map(({ revision }) => record.rulesByRevision.get(revision));
  return later.some((law) => law === undefined || law.schedule.policies.maxFires > 0);
}

function mayGive({ skip, atMs, decidedByMs: byMs }: SkipCase, { schedule }: RevisionRules): boolean {
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

function mayBeOpen(
  { record: { calendars }, atMs, decidedByMs: byMs }: SkipCase,
  law: RevisionRules,
): boolean {
  return calendars.changeInstants(law, atMs, byMs).some((at) => {
    const gates = calendars.gatesAt(law, at);
    return gates === null || passGates(gates, atMs).kind !== "SKIPPED";
  });
}

function mayBeOutside(given: SkipCase, law: RevisionRules): boolean {
  const { record, skip, atMs, decidedByMs: byMs } = given;
  return record.calendars.changeInstants(law, atMs, byMs).some((at) => {
    const gates = record.calendars.gatesAt(law, at);
    if (gates === null) return true;
    const gate = passGates(gates, atMs);
    if (gate.kind === "OPEN" || gate.calendar !== skip.detail) return false;
    return gate.kind === "SKIPPED" || isTaken(given, law, at, gate.untilMs);
  });
}

/** How many earlier fire times are asked whether they took the opening. */
const MAX_EARLIER = 1_000;

// Whether an earlier fire time was deferred to the same opening. Those in between are outside as well, for as long.
function isTaken(
  { record, recorded, index }: SkipCase,
  law: RevisionRules,
  atMs: number,
  openingMs: number,
): boolean {
  const gates = record.calendars.gatesAt(law, atMs) ?? [];
  for (let earlier = index - 1; earlier >= 0; earlier -= 1) {
    const fireTime = recorded[earlier];
    if (fireTime === undefined || index - earlier > MAX_EARLIER) return true;
    const gate = passGates(gates, fireTime.atMs);
    if (gate.kind === "OPEN") return false;
    if (gate.kind === "DEFERRED") return gate.untilMs === openingMs;
  }
  return true;
}
