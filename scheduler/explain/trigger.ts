import { passGates } from "../../cron/calendar-gate.ts";
import type { Queryable } from "../../db/pool.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { readCalendarVersions } from "../audit/calendars.ts";
import type { JobRow } from "../job/job.ts";
import { type LedgerTriggerRow, lastAttempt } from "../ledger/ledger.sql.ts";
import type { Parts } from "../parts.ts";

/** What it takes to explain a trigger. */
type TriggerParts = Pick<Parts, "database" | "schedules" | "zoneData" | "clock">;

/**
 * Explains a trigger: its state, why it was due at another time than its fire time, and how its last attempt failed if
 * all attempts are used up.
 */
export async function explainTrigger(
  parts: TriggerParts,
  job: JobRow,
  trigger: LedgerTriggerRow,
): Promise<string> {
  const { id, state, attempt_count: attempts, effective_time: effectiveMs } = trigger;
  const count = attempts === 1 ? "one attempt" : `${attempts} attempts`;
  const ahead = state === "PENDING" && effectiveMs > parts.clock.now();
  const what = ahead
    ? `It is still to come. Its trigger ${id} exists already and becomes due at ${toIso(effectiveMs)}.`
    : `It made the trigger ${id}, which is ${state} after ${count}.`;
  const sentences = [
    what,
    await explainDueTime(parts, job, trigger),
    await explainExhausted(parts.database, job, trigger),
  ];
  return sentences.filter((sentence) => sentence !== "").join(" ");
}

async function explainDueTime(
  parts: Omit<TriggerParts, "clock">,
  job: JobRow,
  trigger: LedgerTriggerRow,
): Promise<string> {
  const { kind, fire_time: atMs, effective_time: effectiveMs } = trigger;
  const due = toIso(effectiveMs);
  if (kind === "BACKFILL") return `A backfill made it at ${toIso(trigger.create_time)}.`;
  if (kind === "CATCHUP")
    return `It was late because of an outage of ours, and became due as a catch-up at ${due}.`;
  if (effectiveMs === atMs) return "";
  const [schedule] = await parts.schedules.load(parts.database, [
    { uid: job.uid, revision: trigger.revision },
  ]);
  if (schedule === undefined) return "";
  const rules = { schedule, mayWait: true };
  const calendars = await readCalendarVersions(
    parts.database,
    parts,
    job.project_id,
    [rules],
    trigger.create_time,
  );
  const gate = passGates(calendars.gatesAt(rules, trigger.create_time) ?? [], atMs);
  if (gate.kind === "DEFERRED") {
    return `The calendar "${gate.calendar}" was closed, so it was deferred until the calendar opened at ${toIso(gate.untilMs)}.`;
  }
  if (schedule.policies.overlap === "BUFFER")
    return `It waited until ${due} for an earlier trigger or for its delay.`;
  return schedule.plan.flexibleWindow === undefined
    ? `It became due at ${due}, because it was waiting when the job changed, or because it was redelivered.`
    : `The job's flexible window delayed it until ${due}.`;
}

async function explainExhausted(on: Queryable, job: JobRow, trigger: LedgerTriggerRow): Promise<string> {
  if (trigger.state !== "EXHAUSTED") return "";
  const [last] = await on.query(lastAttempt, [job.project_id, trigger.id, toIso(trigger.fire_time)]);
  if (last === undefined) return "";
  const status = last.status_code === null ? "" : ` with status ${last.status_code}`;
  const error = last.error === "" ? "" : `: ${last.error}`;
  return `The last attempt was ${last.outcome}${status}${error}${error.endsWith(".") ? "" : "."}`;
}
