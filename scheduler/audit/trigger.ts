import { passGates } from "../../cron/calendar-gate.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import type { AuditSegment } from "./expected-times.ts";
import type { AuditRecord } from "./record.ts";
import type { RevisionRules } from "./revision-rules.ts";

type Problem = Omit<LedgerDifference, "atMs"> | null;

/** What is wrong with the scheduled trigger of a fire time; null when nothing is. */
export function findTriggerProblem(
  record: AuditRecord,
  trigger: AuditTriggerRow,
  segment: AuditSegment,
): Problem {
  const { id, fire_time: atMs, effective_time: effectiveMs, revision } = trigger;
  if (effectiveMs < atMs)
    return wrong(`${id} is effective at ${isoOrNone(effectiveMs)}, before its fire time.`);
  if (!mayBeOf(record, segment, revision)) {
    return wrong(`${id} is of revision ${revision}; ${segment.revision} was in force.`);
  }
  const rules = record.rulesByRevision.get(revision);
  if (rules === undefined) return null;
  return findNextProblem(rules, trigger) ?? findCalendarProblem(record, rules, trigger);
}

function wrong(detail: string): Problem {
  return { kind: "WRONG_TRIGGER", detail };
}

/** Whether a fire time of a stretch may have been decided by a revision: its own, or a later one that it waited for. */
function mayBeOf({ epochs }: AuditRecord, segment: AuditSegment, revision: number): boolean {
  if (revision === segment.revision) return true;
  const later = epochs.slice(segment.index + 1);
  return segment.rules.mayWait && later.some((epoch) => epoch.revision === revision);
}

function findNextProblem({ schedule }: RevisionRules, trigger: AuditTriggerRow): Problem {
  const { maxFires } = schedule.policies;
  const last = maxFires > 0 && trigger.seq >= maxFires;
  const nextMs = last ? null : schedule.nextAfter(trigger.fire_time);
  if (nextMs === trigger.next_fire_time) return null;
  const detail = `${trigger.id} names ${isoOrNone(trigger.next_fire_time)} as the next fire time, not ${isoOrNone(nextMs)}.`;
  return { kind: "BROKEN_CHAIN", detail };
}

// By the version that was in force when it was handed over.
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
  return { kind: "WRONG_VERDICT", detail: `${id} was made although the calendar "${closed[0]}" was closed.` };
}
