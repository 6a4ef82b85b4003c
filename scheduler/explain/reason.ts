import { passGates } from "../../cron/calendar-gate.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { readCalendarVersions } from "../audit/calendars.ts";
import type { JobRow } from "../job/job.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { Verdict } from "../ledger/view.ts";
import type { Parts } from "../parts.ts";
import { pauseStartText } from "./words.ts";

/** Explains why a fire time made no trigger. */
export async function explainReason(
  parts: Pick<Parts, "database" | "zoneData" | "clock">,
  job: JobRow,
  verdict: Verdict,
  reason: SkipReason,
): Promise<string> {
  const { segment, atMs } = verdict;
  if (reason === "OUTSIDE_CALENDAR") return explainClosed(parts, job, verdict);
  if (reason === "PAUSED" && segment.state === "PAUSED") {
    return `The job was paused. The pause began at ${await pauseStartText(parts.database, job.uid, segment)}.`;
  }
  if (reason === "JOB_DISABLED" && segment.state === "DISABLED") {
    return `The job was disabled, since ${await pauseStartText(parts.database, job.uid, segment)}.`;
  }
  const isAhead = reason === "SKIPPED_BY_REQUEST" && atMs > parts.clock.now();
  return isAhead ? "It will be skipped, because SkipFireTime was called for it." : sentence(reason, verdict);
}

function sentence(reason: Exclude<SkipReason, "OUTSIDE_CALENDAR">, { segment }: Verdict): string {
  const { catchupWindowMs, maxCatchup, misfire, bufferRoom } = segment.schedule.policies;
  const waited =
    bufferRoom === 1 ? "one fire time already waited" : `${bufferRoom} fire times already waited`;
  const late = "EasyCron had an outage at this time.";
  switch (reason) {
    case "PAUSED":
      return "The job was paused while this fire time was waiting to be delivered.";
    case "OVERLAP":
      return "An earlier trigger of the job was still in flight, and the job's overlap policy is SKIP.";
    case "BUFFER_FULL":
      return `An earlier trigger of the job was still in flight, and ${waited} for it, which is the most that the job's overlap policy allows.`;
    case "SKIPPED_BY_REQUEST":
      return "It was skipped, because SkipFireTime was called for it.";
    case "JOB_DISABLED":
      return "The job was disabled or deleted, or its maxFires was lowered, while this fire time was waiting to be delivered.";
    case "CATCHUP_WINDOW":
      return `${late} When EasyCron worked again, this fire time was older than the job's catchupWindow of ${catchupWindowMs / 1_000} s.`;
    case "CATCHUP_LIMIT":
      return `${late} The job's maxCatchup is ${maxCatchup}, and at least that many later fire times were late too; only the latest are caught up.`;
    case "MISFIRE_POLICY":
      return `${late} The job's misfire policy ${misfire} drops this fire time.`;
  }
}

// Uses the version of the calendar that was in effect at the fire time.
async function explainClosed(
  parts: Pick<Parts, "database" | "zoneData">,
  job: JobRow,
  { atMs, detail, segment }: Verdict,
): Promise<string> {
  const rules = { schedule: segment.schedule, mayWait: true };
  const calendars = await readCalendarVersions(parts.database, parts, job.project_id, [rules], atMs);
  const gate = passGates(calendars.gatesAt(rules, atMs) ?? [], atMs);
  if (gate.kind === "DEFERRED") {
    const until = toIso(gate.untilMs);
    return `The calendar "${detail}" was closed until ${until}. An earlier fire time was already deferred to that time, and only one fires then.`;
  }
  if (gate.kind === "SKIPPED") return `The calendar "${detail}" was closed.`;
  return `The calendar "${detail}" was changed before EasyCron decided this fire time, and its new version is closed at that time.`;
}
