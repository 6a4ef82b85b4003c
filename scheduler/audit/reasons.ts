import { passGates } from "../../cron/calendar-gate.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { SkipRow } from "../job/skips.sql.ts";
import { verdictOf } from "../job/verdict.ts";
import { LATE_MS } from "../turns/turn.ts";
import { SKEW_MS } from "./calendars.ts";
import type { LedgerDifference } from "./difference.ts";
import { type AuditSegment, mayHaveWaited } from "./expected-times.ts";
import type { AuditRecord } from "./record.ts";
import type { RecordedFireTime } from "./recorded-fire-times.ts";
import type { RevisionRules } from "./revision-rules.ts";

/** Everything that decides whether the reason of a skip is right. */
interface SkipCase {
  readonly record: AuditRecord;
  readonly recorded: readonly RecordedFireTime[];
  readonly index: number;
  readonly skip: SkipRow;
  readonly atMs: number;
  /** The rules of the revisions that may have decided it. */
  readonly candidates: readonly RevisionRules[];
  /** The latest time at which it can have been decided, if no turn was lost. Epoch milliseconds. */
  readonly decidedByMs: number;
  /** The same if the turn that decided it first was lost. */
  readonly decidedAgainByMs: number;
}

/**
 * Returns what is wrong with the reason of a skipped or missed fire time, or null if nothing is. SKIPPED_BY_REQUEST is
 * always accepted, because nothing else records the request. The exact time of the decision is not always known. So a
 * reason is accepted if any revision and any calendar version that can have decided it gives that reason.
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
    return wrong(`The verdict ${skip.verdict} does not match the reason ${skip.reason}.`);
  const { atMs, segment, decidedByMs, decidedAgainByMs } = each;
  const candidates = candidatesOf(record, segment, atMs);
  // A later revision that was not read may have decided it.
  if (candidates === null) return null;
  const given = { record, recorded, index, skip, atMs, candidates, decidedByMs, decidedAgainByMs };
  const problem = problemOf(given);
  return problem === null ? null : wrong(problem);
}

function wrong(detail: string): Omit<LedgerDifference, "atMs"> {
  return { kind: "WRONG_VERDICT", detail };
}

function candidatesOf(
  { epochs, rulesByRevision }: AuditRecord,
  segment: AuditSegment,
  atMs: number,
): RevisionRules[] | null {
  if (!mayHaveWaited(segment, atMs)) return [segment.rules];
  const all = epochs.slice(segment.index).map(({ revision }) => rulesByRevision.get(revision));
  const found = all.filter((rules) => rules !== undefined);
  return found.length < all.length ? null : found;
}

function problemOf(given: SkipCase): string | null {
  const { skip, atMs, candidates } = given;
  switch (skip.reason) {
    case "SKIPPED_BY_REQUEST":
      return null;
    case "PAUSED":
      return becomes(given, "PAUSED") ? null : "The job was not paused while this fire time waited.";
    case "JOB_DISABLED":
      return becomes(given, "DELETED") || becomes(given, "DISABLED") || becomesLimited(given)
        ? null
        : "The job was neither disabled nor deleted nor given a maxFires limit while this fire time waited.";
    case "OUTSIDE_CALENDAR":
      return candidates.some((rules) => mayBeOutside(given, rules))
        ? null
        : `The calendar "${skip.detail}" was open at that time.`;
    default:
      break;
  }
  const may = candidates.filter((rules) => mayGive(given, rules));
  if (may.length === 0)
    return `The job's policies do not allow the reason ${skip.reason}, given how late the fire time was decided.`;
  if (may.some((rules) => mayBeOpen(given, rules))) return null;
  return `A calendar was closed at ${toIso(atMs)}, so the reason should be OUTSIDE_CALENDAR, not ${skip.reason}.`;
}

/** Returns whether the job entered a state while this fire time may have been waiting. */
function becomes(
  { record, recorded, index, atMs }: SkipCase,
  state: "PAUSED" | "DISABLED" | "DELETED",
): boolean {
  const segment = recorded[index]?.segment;
  if (segment === undefined || !mayHaveWaited(segment, atMs)) return false;
  return record.epochs.slice(segment.index + 1).some((epoch) => epoch.state === state);
}

/** Returns whether the job may have got a `maxFires` limit while this fire time may have been waiting. */
function becomesLimited({ record, recorded, index, atMs }: SkipCase): boolean {
  const segment = recorded[index]?.segment;
  if (segment === undefined || !mayHaveWaited(segment, atMs)) return false;
  const later = record.epochs
    .slice(segment.index + 1)
    .map(({ revision }) => record.rulesByRevision.get(revision));
  return later.some((rules) => rules === undefined || rules.schedule.policies.maxFires > 0);
}

function mayGive({ skip, atMs, decidedAgainByMs }: SkipCase, { schedule }: RevisionRules): boolean {
  const { misfire, catchupWindowMs, overlap } = schedule.policies;
  const lateMs = decidedAgainByMs + SKEW_MS - atMs;
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

function mayBeOpen({ record: { calendars }, atMs, decidedByMs }: SkipCase, rules: RevisionRules): boolean {
  return calendars.changeInstants(rules, atMs, decidedByMs).some((at) => {
    const gates = calendars.gatesAt(rules, at);
    return gates === null || passGates(gates, atMs).kind !== "SKIPPED";
  });
}

function mayBeOutside(given: SkipCase, rules: RevisionRules): boolean {
  const { record, skip, atMs, decidedByMs } = given;
  return record.calendars.changeInstants(rules, atMs, decidedByMs).some((at) => {
    const gates = record.calendars.gatesAt(rules, at);
    if (gates === null) return true;
    const gate = passGates(gates, atMs);
    if (gate.kind === "OPEN" || gate.calendar !== skip.detail) return false;
    return gate.kind === "SKIPPED" || isTaken(given, rules, at, gate.untilMs);
  });
}

/** The most earlier fire times that are checked for one that was deferred to the same opening. */
const MAX_EARLIER = 1_000;

// Returns whether an earlier fire time was deferred to the same opening. Goes back over those that the calendars skip;
// the first other one decides. If there is none among them, the reason is accepted.
function isTaken(
  { record, recorded, index }: SkipCase,
  rules: RevisionRules,
  atMs: number,
  openingMs: number,
): boolean {
  const gates = record.calendars.gatesAt(rules, atMs) ?? [];
  for (let earlier = index - 1; earlier >= 0; earlier -= 1) {
    const fireTime = recorded[earlier];
    if (fireTime === undefined || index - earlier > MAX_EARLIER) return true;
    const gate = passGates(gates, fireTime.atMs);
    if (gate.kind === "OPEN") return false;
    if (gate.kind === "DEFERRED") return gate.untilMs === openingMs;
  }
  return true;
}
