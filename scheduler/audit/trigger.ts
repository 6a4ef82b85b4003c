import { passGates } from "../../cron/calendar-gate.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import { type Difference, iso } from "./difference.ts";
import type { Law } from "./law.ts";
import type { AuditRecord } from "./record.ts";
import type { Stretch } from "./times.ts";

type Found = Omit<Difference, "atMs"> | null;

/** What is wrong with the scheduled trigger of a fire time; null when nothing is. */
export function wrongTrigger(record: AuditRecord, trigger: AuditTriggerRow, stretch: Stretch): Found {
  const { id, fire_time: atMs, effective_time: effectiveMs, revision } = trigger;
  if (effectiveMs < atMs) return wrong(`${id} is effective at ${iso(effectiveMs)}, before its fire time.`);
  if (!mayBeOf(record, stretch, revision)) {
    return wrong(`${id} is of revision ${revision}; ${stretch.revision} was in force.`);
  }
  const law = record.laws.get(revision);
  if (law === undefined) return null;
  return wrongNext(law, trigger) ?? closedCalendar(record, law, trigger);
}

function wrong(detail: string): Found {
  return { kind: "WRONG_TRIGGER", detail };
}

/** Whether a fire time of a stretch may have been decided by a revision: its own, or a later one that it waited for. */
function mayBeOf({ epochs }: AuditRecord, stretch: Stretch, revision: number): boolean {
  if (revision === stretch.revision) return true;
  const later = epochs.slice(stretch.index + 1);
  return stretch.law.mayWait && later.some((epoch) => epoch.revision === revision);
}

function wrongNext({ schedule }: Law, trigger: AuditTriggerRow): Found {
  const { maxFires } = schedule.policies;
  const last = maxFires > 0 && trigger.seq >= maxFires;
  const nextMs = last ? null : schedule.nextAfter(trigger.fire_time);
  if (nextMs === trigger.next_fire_time) return null;
  const detail = `${trigger.id} names ${iso(trigger.next_fire_time)} as the next fire time, not ${iso(nextMs)}.`;
  return { kind: "BROKEN_CHAIN", detail };
}

// By the version that was in force when it was handed over.
function closedCalendar({ calendars }: AuditRecord, law: Law, trigger: AuditTriggerRow): Found {
  if (law.schedule.calendars.length === 0) return null;
  const { fire_time: atMs, create_time: createMs, id } = trigger;
  const closed: string[] = [];
  for (const at of calendars.instantsOf(law, createMs, createMs)) {
    const gates = calendars.gatesAt(law, at);
    const gate = gates === null ? null : passGates(gates, atMs);
    if (gate?.kind !== "SKIPPED") return null;
    closed.push(gate.calendar);
  }
  return { kind: "WRONG_VERDICT", detail: `${id} was made although the calendar "${closed[0]}" was closed.` };
}
