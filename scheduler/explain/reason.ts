import { passGates } from "../../cron/calendar-gate.ts";
import { readCalendars } from "../audit/calendars.ts";
import type { JobRow } from "../job/job.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { Verdict } from "../ledger/view.ts";
import type { Parts } from "../parts.ts";
import { iso, sinceOf } from "./words.ts";

/** Says why a fire time made no trigger. */
export async function explainReason(
  parts: Parts,
  job: JobRow,
  verdict: Verdict,
  reason: SkipReason,
): Promise<string> {
  const { segment, atMs } = verdict;
  if (reason === "OUTSIDE_CALENDAR") return explainClosed(parts, job, verdict);
  if (reason === "PAUSED" && segment.state === "PAUSED") {
    return `The job was paused at ${await sinceOf(parts.database, job.uid, segment)}.`;
  }
  const asked = reason === "SKIPPED_BY_REQUEST" && atMs > parts.clock.now();
  return asked ? "It lies ahead, and SkipFireTime asked to leave it out." : sentence(reason, verdict);
}

function sentence(reason: Exclude<SkipReason, "OUTSIDE_CALENDAR">, { segment }: Verdict): string {
  const { catchupWindowMs, maxCatchup, misfire, bufferRoom } = segment.schedule.policies;
  const late = "EasyCron was not working at that time, and when it was again";
  switch (reason) {
    case "PAUSED":
      return "The job was paused while this fire time was still waiting to be delivered.";
    case "OVERLAP":
      return "An earlier trigger of the job had not come to rest, and the job's overlap policy is SKIP.";
    case "BUFFER_FULL":
      return `An earlier trigger of the job had not come to rest, and ${bufferRoom} fire times waited for it already.`;
    case "SKIPPED_BY_REQUEST":
      return "SkipFireTime asked to leave it out.";
    case "JOB_DISABLED":
      return "The job was deleted, or maxFires was lowered, while this fire time was still waiting to be delivered.";
    case "CATCHUP_WINDOW":
      return `${late}, it was older than the job's catchupWindow of ${catchupWindowMs / 1_000} s.`;
    case "CATCHUP_LIMIT":
      return `${late}, at least ${maxCatchup} later fire times (maxCatchup) were late too; only these were made up for.`;
    case "MISFIRE_POLICY":
      return `${late}, the job's misfire policy ${misfire} left it out.`;
  }
}

// By the version of the calendar that was in force then.
async function explainClosed(parts: Parts, job: JobRow, { atMs, detail, segment }: Verdict): Promise<string> {
  const law = { schedule: segment.schedule, mayWait: true };
  const calendars = await readCalendars(parts.database, parts, job.project_id, [law], atMs);
  const gate = passGates(calendars.gatesAt(law, atMs) ?? [], atMs);
  if (gate.kind === "DEFERRED") {
    const opening = `until ${iso(gate.untilMs)}`;
    return `The calendar "${detail}" was closed ${opening}, and an earlier fire time was deferred to that opening.`;
  }
  if (gate.kind === "SKIPPED") return `The calendar "${detail}" was closed.`;
  return `The calendar "${detail}" was closed when it was decided: it had been changed.`;
}
