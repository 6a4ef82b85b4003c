import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Verdict as VerdictCode, VerdictReason } from "../gen/easycron/v1/ledger_pb.ts";
import type {
  ExplainFireTimeRequest,
  ExplainFireTimeResponseSchema,
} from "../gen/easycron/v1/ledger_service_pb.ts";
import type { JobRow } from "./job.ts";
import type { LedgerTriggerRow } from "./ledger.sql.ts";
import { readSegments } from "./ledger-segments.ts";
import { findLedgerJob, type Verdict } from "./ledger-view.ts";
import { readPage } from "./list-fire-times.ts";
import type { Parts } from "./parts.ts";
import type { SkipReason } from "./verdict.ts";

/** Says in words why a job did or did not fire at an instant. Throws JOB_NOT_FOUND. */
export async function explainFireTime(
  parts: Parts,
  projectId: string,
  request: ExplainFireTimeRequest,
): Promise<MessageInitShape<typeof ExplainFireTimeResponseSchema>> {
  const row = await findLedgerJob(parts.database, projectId, request.job);
  const atMs = request.nominalTime === undefined ? 0 : timestampMs(request.nominalTime);
  const [verdict] = await readPage(parts, row, atMs, atMs + 1, 1);
  if (verdict === undefined) return { explanation: await explainNone(parts, row, atMs) };
  return {
    verdict: VerdictCode[verdict.verdict === "UNKNOWN" ? "MISSED" : verdict.verdict],
    reason: verdict.reason === null ? VerdictReason.UNSPECIFIED : VerdictReason[verdict.reason],
    explanation: explain(verdict),
  };
}

function explain(verdict: Verdict): string {
  const { segment, reason, trigger } = verdict;
  if (trigger !== null) return explainTrigger(trigger);
  if (verdict.verdict === "UPCOMING") {
    return reason === "PAUSED"
      ? `It lies ahead. The job has been paused since ${iso(segment.changeMs)}${noteOf(segment.note)}, and will not fire then unless it is resumed.`
      : "It is a fire time of the job and has not been decided yet: it lies ahead, or waits for its delay, an opening or an earlier trigger, or is being worked off after an outage.";
  }
  if (reason === null) return "It should have fired and did not: a fault of ours, which the audit reports.";
  if (reason === "PAUSED" && segment.state === "PAUSED") {
    return `The job was paused at ${iso(segment.changeMs)}${noteOf(segment.note)}.`;
  }
  return sentence(reason, verdict);
}

function sentence(reason: SkipReason, { detail, segment }: Verdict): string {
  const { catchupWindowMs, maxCatchup, misfire, bufferRoom } = segment.schedule.policies;
  const late = "EasyCron was not working at that time, and when it was again";
  switch (reason) {
    case "PAUSED":
      return "The job was paused while this fire time was still waiting to be delivered.";
    case "OUTSIDE_CALENDAR":
      return `The calendar "${detail}" was closed; or, with OUTSIDE_DEFER, an earlier fire time took its next opening.`;
    case "OVERLAP":
      return "An earlier trigger of the job had not come to rest, and the job's overlap policy is SKIP.";
    case "BUFFER_FULL":
      return `An earlier trigger of the job had not come to rest, and ${bufferRoom} fire times waited for it already.`;
    case "SKIPPED_BY_REQUEST":
      return "SkipFireTime asked to leave it out.";
    case "JOB_DISABLED":
      return "The job was deleted while this fire time was still waiting to be delivered.";
    case "CATCHUP_WINDOW":
      return `${late}, it was older than the job's catchupWindow of ${catchupWindowMs / 1_000} s.`;
    case "CATCHUP_LIMIT":
      return `${late}, at least ${maxCatchup} later fire times (maxCatchup) were late too; only these were made up for.`;
    case "MISFIRE_POLICY":
      return `${late}, the job's misfire policy ${misfire} left it out.`;
  }
}

function explainTrigger(trigger: LedgerTriggerRow): string {
  const effective =
    trigger.effective_time === trigger.fire_time ? "" : `, due at ${iso(trigger.effective_time)}`;
  const kind =
    trigger.kind === "CATCHUP"
      ? " It was made up for after an outage."
      : trigger.kind === "BACKFILL"
        ? " A backfill asked for it."
        : "";
  return `It made the trigger ${trigger.id}${effective}, which is ${trigger.state} after ${trigger.attempt_count} attempts.${kind}`;
}

async function explainNone(parts: Parts, row: JobRow, atMs: number): Promise<string> {
  if (atMs <= row.create_time) return `The job did not exist: it was created at ${iso(row.create_time)}.`;
  if (row.state === "DELETED" && atMs > row.update_time)
    return `The job was deleted at ${iso(row.update_time)}.`;
  const segments = await readSegments(parts.database, parts.schedules, row);
  const segment = segments.findLast(({ afterMs }) => afterMs < atMs);
  if (segment === undefined) return "The job had no schedule then.";
  if (atMs > segment.untilMs) {
    return `The job had no fire time left: it has fired as often as maxFires, ${segment.schedule.policies.maxFires}, lets it.`;
  }
  if (segment.schedule.plan.schedules.length === 0)
    return "The job has no schedule: it fires by RunJob only.";
  const next = segment.schedule.nextAfter(atMs);
  const then = next === null ? "there is none after it" : `the next one after it is ${iso(next)}`;
  return `It is no fire time of revision ${segment.revision}, which was in force: ${then}.`;
}

function noteOf(note: string): string {
  return note === "" ? "" : ` ("${note}")`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
