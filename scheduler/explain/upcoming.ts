import { passGates } from "../../cron/calendar-gate.ts";
import { flexibleDelay } from "../../cron/flexible-window.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { readCarry } from "../job/carry.ts";
import type { LedgerView, Verdict } from "../ledger/view.ts";
import type { Parts } from "../parts.ts";
import { LATE_MS } from "../turns/turn.ts";
import { iso, sinceOf } from "./words.ts";

/** Says what a fire time that is not decided waits for, as its calendars are now. */
export async function explainUpcoming(parts: Parts, view: LedgerView, verdict: Verdict): Promise<string> {
  const { atMs, segment, reason } = verdict;
  if (reason === "PAUSED") {
    const since = await sinceOf(parts.database, view.row.uid, segment);
    const until = view.row.pause_until === null ? "" : `, and is paused until ${iso(view.row.pause_until)}`;
    return `It lies ahead. The job has been paused since ${since}${until}, and will not fire then unless it is resumed.`;
  }
  const waits = await waitOf(parts, view, verdict);
  if (atMs > view.nowMs)
    return `It is a fire time of the job and lies ahead.${waits === "" ? "" : ` ${waits}`}`;
  if (waits !== "") return waits;
  if (readCarry(view.row.carry).waiting.includes(atMs)) {
    return segment.schedule.policies.overlap === "BUFFER"
      ? "It waits for an earlier trigger of the job to come to rest."
      : "It has waited, and is being handed over.";
  }
  if (view.row.wake_time === null)
    return "Nobody is going to decide it: a fault of ours, which the audit reports.";
  return view.nowMs - atMs > LATE_MS
    ? `What an outage has left is being worked off; it is decided up to ${iso(view.undecidedMs)} so far.`
    : "It has come, and is being decided.";
}

/** The opening or the delay that comes before it is delivered; empty when it waits for neither. */
async function waitOf(parts: Parts, { row, nowMs }: LedgerView, verdict: Verdict): Promise<string> {
  const { atMs, segment } = verdict;
  const { schedule } = segment;
  const gates = await gatesOf(parts.database, parts.zoneData, row.project_id, schedule.calendars);
  const gate = passGates(gates, atMs);
  if (gate.kind === "SKIPPED")
    return `The calendar "${gate.calendar}" is closed then: it is going to be skipped.`;
  if (gate.kind === "DEFERRED") {
    if (gate.untilMs <= nowMs) return "";
    return `The calendar "${gate.calendar}" is closed then: it waits for the opening at ${iso(gate.untilMs)}.`;
  }
  const window = schedule.plan.flexibleWindow;
  if (window === undefined) return "";
  const nextMs = schedule.nextAfter(atMs);
  const dueMs = atMs + flexibleDelay(window.jobUid, window.windowMs, atMs, nextMs);
  return dueMs <= nowMs ? "" : `It waits for its place in the job's flexible window, ${iso(dueMs)}.`;
}
