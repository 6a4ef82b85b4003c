import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type LedgerEntrySchema,
  Verdict as VerdictCode,
  VerdictReason,
} from "../../gen/easycron/v1/ledger_pb.ts";
import type {
  ListFireTimesRequest,
  ListFireTimesResponseSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { pageTokenInvalid, readPageToken, toPageToken } from "../../mesh/page-token.ts";
import type { JobRow } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { outOfRetention, readLedgerStart } from "./floor.ts";
import type { LatenessRow } from "./ledger.sql.ts";
import { readRange } from "./range.ts";
import { fireTimesOf, type Segment } from "./segments.ts";
import { readLateness, toTrigger } from "./trigger.ts";
import { findLedgerJob, type LedgerView, readLedgerView, readVerdicts, type Verdict } from "./view.ts";

/** What reading a page of the ledger uses. */
type LedgerParts = Pick<Parts, "database" | "schedules" | "zoneData" | "clock">;

const DEFAULT_PAGE_SIZE = 100;
const LIST = "fireTimes";

/**
 * Returns a page of a job's fire times, each with exactly one verdict. The fire times are computed from the revision in
 * effect at each time; the verdicts come from the stored triggers and skips. Without a start, the range begins at the floor
 * of the project. Throws JOB_NOT_FOUND, FIELD_INVALID, PAGE_TOKEN_INVALID, OUT_OF_RETENTION.
 */
export async function listFireTimes(
  parts: LedgerParts,
  projectId: string,
  request: ListFireTimesRequest,
): Promise<MessageInitShape<typeof ListFireTimesResponseSchema>> {
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const row = await findLedgerJob(parts.database, projectId, request.job);
  const nowMs = parts.clock.now();
  const { startMs, endMs } = readRange(request, { nowMs, startOf: () => row.create_time });
  const isCut = request.startTime === undefined && request.pageToken === "";
  const query = [row.uid, msOf(request.startTime), msOf(request.endTime)].join("/");
  const fromMs = request.pageToken === "" ? startMs : readToken(request.pageToken, query) + 1;
  const { verdicts } = await readLedgerPage(parts, row, fromMs, endMs, size + 1, { isCut });
  const last = verdicts[size - 1];
  const more = verdicts.length > size && last !== undefined;
  const nextPageToken = more ? toPageToken(LIST, `${query}/${last.atMs}`) : "";
  const page = verdicts.slice(0, size);
  const triggers = page.flatMap(({ trigger }) => (trigger === null ? [] : [trigger]));
  const lateness = await readLateness(parts.database, row, triggers);
  const fireTimes = page.map((verdict) => toEntry(row, verdict, lateness.get(verdict.trigger?.id ?? "")));
  return { fireTimes, nextPageToken };
}

function msOf(time: Timestamp | undefined): string {
  return time === undefined ? "" : `${timestampMs(time)}`;
}

// A token is only valid for the job and the range that it was issued for.
function readToken(token: string, query: string): number {
  const key = readPageToken(LIST, token);
  const text = key.slice(query.length + 1);
  if (!key.startsWith(`${query}/`) || !/^-?\d{1,15}$/.test(text)) throw pageTokenInvalid(token);
  return Number(text);
}

/** Fire times of a job with their verdicts, and the snapshot that they were read from. */
export interface LedgerPage {
  readonly view: LedgerView;
  readonly verdicts: readonly Verdict[];
}

/** What happens to a range that begins before the floor of the project. */
interface BeforeFloor {
  /** Whether it begins there instead. Default: it is refused. */
  readonly isCut?: boolean;
  /** The field that has the beginning of the range. Default: `startTime`. */
  readonly field?: string;
}

/**
 * Reads the verdicts of at most `most` fire times of a job, from `fromMs`, inclusive, to `endMs`, exclusive. Reads in
 * one snapshot, so that a change of the job is seen either completely or not at all. Throws JOB_NOT_FOUND,
 * OUT_OF_RETENTION.
 */
export function readLedgerPage(
  parts: LedgerParts,
  job: Pick<JobRow, "uid" | "project_id" | "name">,
  fromMs: number,
  endMs: number,
  most: number,
  { isCut = false, field = "startTime" }: BeforeFloor = {},
): Promise<LedgerPage> {
  return parts.database.snapshot(async (tx) => {
    const [row] = await tx.query(jobByUid, [job.project_id, job.uid]);
    if (row === undefined) throw failure("JOB_NOT_FOUND", { job: job.name });
    const startMs = await readLedgerStart(tx, row);
    if (fromMs < startMs && !isCut) throw outOfRetention(field, fromMs, startMs);
    const firstMs = Math.max(fromMs, startMs);
    const view = await readLedgerView(tx, parts, row, { fromMs: firstMs, endMs });
    const fires: { atMs: number; segment: Segment }[] = [];
    for (const fire of fireTimesOf(view.segments, firstMs)) {
      if (fire.atMs >= endMs) break;
      fires.push(fire);
      if (fires.length === most) break;
    }
    return { view, verdicts: await readVerdicts(tx, view, fires) };
  });
}

/** Reads the same page as `readLedgerPage` and returns only its verdicts. */
export async function readPage(...of: Parameters<typeof readLedgerPage>): Promise<readonly Verdict[]> {
  return (await readLedgerPage(...of)).verdicts;
}

/**
 * Returns the verdict as customers see it. A fire time without any record shows as MISSED without a reason; the audit
 * reports it as a fault.
 */
export function toEntry(
  row: JobRow,
  verdict: Verdict,
  lateness?: LatenessRow,
): MessageInitShape<typeof LedgerEntrySchema> {
  const { atMs, reason, detail, trigger } = verdict;
  const code = verdict.verdict === "UNKNOWN" ? "MISSED" : verdict.verdict;
  return {
    nominalTime: timestampFromMs(atMs),
    verdict: VerdictCode[code],
    reason: reason === null ? VerdictReason.UNSPECIFIED : VerdictReason[reason],
    calendar: reason === "OUTSIDE_CALENDAR" ? detail : "",
    ...(trigger === null ? {} : { trigger: toTrigger(row, trigger, lateness) }),
  };
}
