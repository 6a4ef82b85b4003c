import { passGates } from "../../cron/calendar-gate.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import { type AuditSegment, mayHaveWaited } from "./expected-times.ts";
import type { AuditRecord } from "./record.ts";
import type { RevisionRules } from "./revision-rules.ts";

type Problem = Omit<LedgerDifference, "atMs"> | null;

/** Returns what is wrong with the scheduled trigger of a fire time, or null if nothing is. */
export function findTriggerProblem(
  record: AuditRecord,
  trigger: AuditTriggerRow,
  segment: AuditSegment,
): Problem {
  const { id, fire_time: atMs, effective_time: effectiveMs, revision } = trigger;
  if (effectiveMs < atMs)
    return wrong(`${id} has the effective time ${isoOrNone(effectiveMs)}, which is before its fire time.`);
  if (isRedelivered(record, segment, trigger)) return null;
  if (!mayBeOf(record, segment, trigger)) {
    return wrong(`${id} has revision ${revision}, but revision ${segment.revision} was in effect.`);
  }
  const rules = record.rulesByRevision.get(revision);
  if (rules === undefined) return null;
  return findNextProblem(rules, trigger) ?? findCalendarProblem(record, rules, trigger);
}

function wrong(detail: string): Problem {
  return { kind: "WRONG_TRIGGER", detail };
}

/**
 * Returns whether a revision may have decided a fire time of the segment: its own, or a later one if it was waiting.
 */
function mayBeOf(
  { epochs }: AuditRecord,
  segment: AuditSegment,
  { revision, fire_time: atMs }: AuditTriggerRow,
): boolean {
  if (revision === segment.revision) return true;
  const later = epochs.slice(segment.index + 1);
  return mayHaveWaited(segment, atMs) && later.some((epoch) => epoch.revision === revision);
}

/**
 * Whether a backfill has delivered the trigger again: it has a later revision, and became due anew after that revision
 * took effect. Its fire times and calendars are still those of its first delivery. A fire time that waited has a later
 * revision, too, but its trigger was created after that revision took effect.
 */
function isRedelivered(
  { epochs }: AuditRecord,
  segment: AuditSegment,
  { revision, fire_time: atMs, effective_time: effectiveMs, create_time: createMs }: AuditTriggerRow,
): boolean {
  if (revision === segment.revision || effectiveMs <= atMs) return false;
  const epoch = epochs.slice(segment.index + 1).find((later) => later.revision === revision);
  if (epoch === undefined || epoch.change_time > effectiveMs) return false;
  return createMs < epoch.change_time || !mayHaveWaited(segment, atMs);
}

function findNextProblem({ schedule }: RevisionRules, trigger: AuditTriggerRow): Problem {
  const { maxFires } = schedule.policies;
  const last = maxFires > 0 && trigger.seq >= maxFires;
  const nextMs = last ? null : schedule.nextAfter(trigger.fire_time);
  if (nextMs === trigger.next_fire_time) return null;
  const detail = `${trigger.id} names ${isoOrNone(trigger.next_fire_time)} as its next fire time; it should be ${isoOrNone(nextMs)}.`;
  return { kind: "BROKEN_CHAIN", detail };
}

// Uses the calendar version that was in effect when the trigger was handed over.
function findCalendarProblem(
  { calendars }: AuditRecord,
  rules: RevisionRules,
  trigger: AuditTriggerRow,
): Problem {
  if (rules.schedule.calendars.length === 0) return null;
  const { fire_time: atMs, create_time: createMs, id } = trigger;
  const closed: string[] = [];
  for (const at of calendars.changeInstants(rules, createMs, createMs)) {
    const gates = calendars.gatesAt(rules, at);
    const gate = gates === null ? null : passGates(gates, atMs);
    if (gate?.kind !== "SKIPPED") return null;
    closed.push(gate.calendar);
  }
  return {
    kind: "WRONG_VERDICT",
    detail: `${id} was created although the calendar "${closed[0]}" was closed.`,
  };
}
