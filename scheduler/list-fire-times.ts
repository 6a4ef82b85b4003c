import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type LedgerEntrySchema,
  Verdict as VerdictCode,
  VerdictReason,
} from "../gen/easycron/v1/ledger_pb.ts";
import type {
  ListFireTimesRequest,
  ListFireTimesResponseSchema,
} from "../gen/easycron/v1/ledger_service_pb.ts";
import { TriggerKind, type TriggerSchema, TriggerState } from "../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../mesh/errors.ts";
import type { JobRow } from "./job.ts";
import type { LedgerTriggerRow } from "./ledger.sql.ts";
import { readRange } from "./ledger-range.ts";
import { fireTimesOf, type Segment } from "./ledger-segments.ts";
import { findLedgerJob, readLedgerView, readVerdicts, type Verdict } from "./ledger-view.ts";
import { readPageToken, toPageToken } from "./page-token.ts";
import type { Parts } from "./parts.ts";

const DEFAULT_PAGE_SIZE = 100;
const LIST = "fireTimes";
/** How often a page is read again because the job changed while it was read. */
const TRIES = 3;

/**
 * A page of a job's fire times, each with exactly one verdict: the stretches of its life are walked with the revision
 * of each, and triggers and skips laid over. Throws JOB_NOT_FOUND, FIELD_INVALID, PAGE_TOKEN_INVALID.
 */
export async function listFireTimes(
  parts: Parts,
  projectId: string,
  request: ListFireTimesRequest,
): Promise<MessageInitShape<typeof ListFireTimesResponseSchema>> {
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const row = await findLedgerJob(parts.database, projectId, request.job);
  const nowMs = parts.clock.now();
  const { startMs, endMs } = readRange(request, { nowMs, startOf: () => row.create_time });
  const fromMs = request.pageToken === "" ? startMs : readToken(request.pageToken) + 1;
  const verdicts = await readPage(parts, row, fromMs, endMs, size + 1);
  const last = verdicts[size - 1];
  const nextPageToken = verdicts.length > size && last !== undefined ? toPageToken(LIST, `${last.atMs}`) : "";
  return { fireTimes: verdicts.slice(0, size).map((verdict) => toEntry(row, verdict)), nextPageToken };
}

function readToken(token: string): number {
  const text = readPageToken(LIST, token);
  if (!/^-?\d{1,15}$/.test(text)) throw failure("PAGE_TOKEN_INVALID", { token });
  return Number(text);
}

/** The verdicts of at most `most` fire times of a job from `fromMs` on, inclusive, before `endMs`. */
export async function readPage(
  parts: Parts,
  given: JobRow,
  fromMs: number,
  endMs: number,
  most: number,
): Promise<Verdict[]> {
  let row = given;
  for (let left = TRIES; ; left--) {
    const view = await readLedgerView(parts.database, parts, row);
    const fires: { atMs: number; segment: Segment }[] = [];
    for (const fire of fireTimesOf(view.segments, fromMs)) {
      if (fire.atMs >= endMs) break;
      fires.push(fire);
      if (fires.length === most) break;
    }
    const verdicts = await readVerdicts(parts.database, view, fires);
    if (left === 1 || verdicts.every(({ verdict }) => verdict !== "UNKNOWN")) return verdicts;
    row = await findLedgerJob(parts.database, row.project_id, row.name);
  }
}

/** The verdict as customers see it. A hole, which the audit reports, shows as missed without a reason. */
export function toEntry(row: JobRow, verdict: Verdict): MessageInitShape<typeof LedgerEntrySchema> {
  const { atMs, reason, detail, trigger } = verdict;
  const code = verdict.verdict === "UNKNOWN" ? "MISSED" : verdict.verdict;
  return {
    nominalTime: timestampFromMs(atMs),
    verdict: VerdictCode[code],
    reason: reason === null ? VerdictReason.UNSPECIFIED : VerdictReason[reason],
    calendar: reason === "OUTSIDE_CALENDAR" ? detail : "",
    ...(trigger === null ? {} : { trigger: toTrigger(row, trigger) }),
  };
}

function toTrigger(job: JobRow, row: LedgerTriggerRow): MessageInitShape<typeof TriggerSchema> {
  const lateMs = row.start_time === null ? null : Math.max(0, row.start_time - row.effective_time);
  return {
    id: row.id,
    job: row.job_name,
    jobUid: job.uid,
    revision: row.revision,
    kind: TriggerKind[row.kind],
    state: TriggerState[row.state as keyof typeof TriggerState],
    nominalTime: timestampFromMs(row.fire_time),
    effectiveTime: timestampFromMs(row.effective_time),
    seq: row.seq,
    attemptCount: row.attempt_count,
    createTime: timestampFromMs(row.create_time),
    zoneDataVersion: row.zone_data,
    ...(row.start_time === null ? {} : { startTime: timestampFromMs(row.start_time) }),
    ...(row.end_time === null ? {} : { endTime: timestampFromMs(row.end_time) }),
    ...(lateMs === null ? {} : { lateness: durationFromMs(lateMs) }),
  };
}
