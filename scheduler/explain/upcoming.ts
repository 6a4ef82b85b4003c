import { passGates } from "../../cron/calendar-gate.ts";
import { flexibleDelay } from "../../cron/flexible-window.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { readCarry } from "../job/carry.ts";
import type { LedgerView, Verdict } from "../ledger/view.ts";
import type { Parts } from "../parts.ts";
import { LATE_MS } from "../turns/turn.ts";
import { pauseStartText } from "./words.ts";

/** Explains what a fire time that is not decided yet waits for. Uses the calendars that are in effect now. */
export async function explainUpcoming(
  parts: Pick<Parts, "database" | "zoneData">,
  view: LedgerView,
  verdict: Verdict,
): Promise<string> {
  const { atMs, segment, reason } = verdict;
  if (reason === "PAUSED") {
    const since = await pauseStartText(parts.database, view.row.uid, segment);
    const until = view.row.pause_until === null ? "" : ` until ${toIso(view.row.pause_until)}`;
    return `It is still to come. The job is paused${until}; the pause began at ${since}. It will not fire unless it is resumed before.`;
  }
  if (reason === "JOB_DISABLED") {
    const since = await pauseStartText(parts.database, view.row.uid, segment);
    return `It is still to come. The job is disabled, since ${since}. It will not fire unless the job is resumed before.`;
  }
  const wait = await explainWait(parts, view, verdict);
  if (atMs > view.nowMs)
    return `It is a fire time of the job and is still to come.${wait === "" ? "" : ` ${wait}`}`;
  if (wait !== "") return wait;
  if (readCarry(view.row.carry).waiting.includes(atMs)) {
    return segment.schedule.policies.overlap === "BUFFER"
      ? "It waits for an earlier trigger of the job to finish."
      : "It has waited and is being delivered now.";
  }
  if (view.row.wake_time === null)
    return "No scheduler is going to decide it. This is an error in EasyCron; our audit reports it to us.";
  return view.nowMs - atMs > LATE_MS
    ? `EasyCron is working through the backlog of an outage. It has decided this job's fire times before ${toIso(view.undecidedMs)} so far.`
    : "It is being decided now.";
}

/** Says which calendar or delay a fire time waits for. Empty when it waits for neither. */
async function explainWait(
  parts: Pick<Parts, "database" | "zoneData">,
  { row, nowMs }: LedgerView,
  verdict: Verdict,
): Promise<string> {
  const { atMs, segment } = verdict;
  const { schedule } = segment;
  const gates = await gatesOf(parts.database, parts.zoneData, row.project_id, schedule.calendars);
  const gate = passGates(gates, atMs);
  if (gate.kind === "SKIPPED")
    return `The calendar "${gate.calendar}" is closed then, so it will be skipped.`;
  if (gate.kind === "DEFERRED") {
    if (gate.untilMs <= nowMs) return "";
    return `The calendar "${gate.calendar}" is closed then, so it waits until the calendar opens at ${toIso(gate.untilMs)}.`;
  }
  const window = schedule.plan.flexibleWindow;
  if (window === undefined) return "";
  const nextMs = schedule.nextAfter(atMs);
  const dueMs = atMs + flexibleDelay(window.jobUid, window.windowMs, atMs, nextMs);
  return dueMs <= nowMs ? "" : `The job's flexible window delays it until ${toIso(dueMs)}.`;
}
