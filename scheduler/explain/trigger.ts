import { passGates } from "../../cron/calendar-gate.ts";
import { readCalendars } from "../audit/calendars.ts";
import type { JobRow } from "../job/job.ts";
import { type LedgerTriggerRow, lastAttempt } from "../ledger/ledger.sql.ts";
import type { Parts } from "../parts.ts";
import { iso } from "./words.ts";

/** Says what became of a trigger, why it was due when it was, and what its last attempt came to if they are used up. */
export async function explainTrigger(parts: Parts, job: JobRow, trigger: LedgerTriggerRow): Promise<string> {
  const { id, state, attempt_count: attempts, effective_time: effectiveMs } = trigger;
  const count = attempts === 1 ? "one attempt" : `${attempts} attempts`;
  const ahead = state === "PENDING" && effectiveMs > parts.clock.now();
  const what = ahead
    ? `It lies ahead: its trigger ${id} has been handed over, and becomes due at ${iso(effectiveMs)}.`
    : `It made the trigger ${id}, which is ${state} after ${count}.`;
  const sentences = [what, await whyThen(parts, job, trigger), await whyExhausted(parts, job, trigger)];
  return sentences.filter((sentence) => sentence !== "").join(" ");
}

async function whyThen(parts: Parts, job: JobRow, trigger: LedgerTriggerRow): Promise<string> {
  const { kind, fire_time: atMs, effective_time: effectiveMs } = trigger;
  const due = iso(effectiveMs);
  if (kind === "BACKFILL") return `A backfill asked for it, at ${iso(trigger.create_time)}.`;
  if (kind === "CATCHUP") return `It was made up for after an outage, at ${due}.`;
  if (effectiveMs === atMs) return "";
  const [schedule] = await parts.schedules.load(parts.database, [
    { uid: job.uid, revision: trigger.revision },
  ]);
  if (schedule === undefined) return "";
  const law = { schedule, mayWait: true };
  const calendars = await readCalendars(parts.database, parts, job.project_id, [law], trigger.create_time);
  const gate = passGates(calendars.gatesAt(law, trigger.create_time) ?? [], atMs);
  if (gate.kind === "DEFERRED") {
    return `The calendar "${gate.calendar}" was closed: it was deferred to the opening, at ${iso(gate.untilMs)}.`;
  }
  if (schedule.policies.overlap === "BUFFER")
    return `It waited for an earlier trigger or its delay until ${due}.`;
  return schedule.plan.flexibleWindow === undefined
    ? `It was due at ${due}: it waited when the job changed, or was asked for again.`
    : `Its place in the job's flexible window is ${due}.`;
}

async function whyExhausted(parts: Parts, job: JobRow, trigger: LedgerTriggerRow): Promise<string> {
  if (trigger.state !== "EXHAUSTED") return "";
  const [last] = await parts.database.query(lastAttempt, [
    job.project_id,
    trigger.id,
    iso(trigger.fire_time),
  ]);
  if (last === undefined) return "";
  const status = last.status_code === null ? "" : ` with status ${last.status_code}`;
  const error = last.error === "" ? "" : `: ${last.error}`;
  return `The last attempt was ${last.outcome}${status}${error}${error.endsWith(".") ? "" : "."}`;
}
