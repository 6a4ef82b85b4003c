import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type FireTimeDifference,
  FireTimeDifferenceSchema,
  type GetRevisionRequest,
  type ListRevisionsRequest,
  type Revision,
  RevisionSchema,
} from "../../gen/easycron/v1/revision_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { pageTokenInvalid, readPageToken, toPageToken } from "../../mesh/page-token.ts";
import { dropSnapshots } from "../calendars/edges.ts";
import { fromSpecJson, type JobRow } from "../job/job.ts";
import { type RevisionRow, revisionsBefore, revisionWithPrevious } from "../job/revisions.sql.ts";
import { dropSecrets } from "../job/secrets.ts";
import { findLedgerJob } from "../ledger/view.ts";
import type { Parts } from "../parts.ts";
import { readJob } from "../reading/read-jobs.ts";
import { fittingPage } from "../requests/fitting-page.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import { runInSlices } from "../schedules/slices.ts";
import { gatesAt } from "./calendars.ts";
import { compareRevisions, type Difference, type RevisionTiming } from "./difference.ts";

const DEFAULT_PAGE_SIZE = 50;
const AFTER_ALL = 2_147_483_647;
/** How many of the added, and of the removed, fire times a page shows by default. */
const DEFAULT_TIMES = 10;

type RevisionRequest = Pick<GetRevisionRequest, "name" | "number">;
type RevisionPageRequest = RevisionRequest & Partial<Pick<GetRevisionRequest, "pageSize" | "pageToken">>;

/**
 * Returns a page of a job's revisions, newest first. If several jobs have had the name, uses the one that exists, or
 * else the one that was created last. Throws JOB_NOT_FOUND, PAGE_TOKEN_INVALID.
 */
export async function listRevisions(
  parts: Pick<Parts, "database">,
  projectId: string,
  request: ListRevisionsRequest,
): Promise<{ revisions: Revision[]; nextPageToken: string }> {
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const before = readNumber("revisions", request.pageToken, AFTER_ALL);
  const { uid } = await findLedgerJob(parts.database, projectId, request.name);
  const rows = await parts.database.query(revisionsBefore, [projectId, uid, before, size + 1]);
  const page = fittingPage(rows.slice(0, size));
  const last = page.at(-1);
  return {
    revisions: page.map(toRevision),
    nextPageToken:
      rows.length > page.length && last !== undefined ? toPageToken("revisions", String(last.revision)) : "",
  };
}

function readNumber(list: string, token: string, first: number): number {
  const key = readPageToken(list, token);
  if (key === "") return first;
  const number = Number(key);
  if (!Number.isInteger(number) || number < 1 || number > AFTER_ALL) throw pageTokenInvalid(token);
  return number;
}

/**
 * Returns a revision with a page of its difference from the previous revision. The difference does not depend on when
 * it is read. Finds the job as `listRevisions` does. Throws JOB_NOT_FOUND, REVISION_NOT_FOUND, PAGE_TOKEN_INVALID.
 */
export async function getRevision(
  parts: Pick<Parts, "database" | "zoneData">,
  projectId: string,
  { pageSize = 0, pageToken = "", ...request }: RevisionPageRequest,
): Promise<{ revision: Revision; nextPageToken: string }> {
  const job = await findLedgerJob(parts.database, projectId, request.name);
  const rows = await findRows(parts, projectId, request, job);
  const [row] = rows;
  const list = `revision/${row.uid}/${row.revision}`;
  const offset = readNumber(list, pageToken, 0);
  const size = pageSize === 0 ? DEFAULT_TIMES : pageSize;
  const [after, before] = await timingsOf(parts, projectId, rows);
  if (after === undefined) throw new Error(`Revision ${row.revision} of ${row.uid} has no timing.`);
  const comparison = compareRevisions(before ?? null, after, row.create_time);
  const difference = await runInSlices(comparison, { budgetMs: Number.POSITIVE_INFINITY });
  const more = Math.max(difference.added.length, difference.removed.length) > offset + size;
  return {
    revision: create(RevisionSchema, {
      ...toRevision(row),
      difference: toFireTimeDifference(difference, row.create_time, { offset, size }),
    }),
    nextPageToken: more ? toPageToken(list, String(offset + size)) : "",
  };
}

/**
 * Returns a revision of a job that is not deleted, without its difference and with the ids of its secrets. Throws
 * JOB_NOT_FOUND, REVISION_NOT_FOUND.
 */
export async function findRevision(
  parts: Pick<Parts, "database">,
  projectId: string,
  request: RevisionRequest,
): Promise<Revision> {
  const [row] = await findRows(parts, projectId, request, await readJob(parts, projectId, request));
  return toWholeRevision(row);
}

// Returns the revision and, unless it is the first, the one before it.
async function findRows(
  parts: Pick<Parts, "database">,
  projectId: string,
  request: RevisionRequest,
  job: JobRow,
): Promise<[RevisionRow, ...RevisionRow[]]> {
  const number = Math.min(request.number, AFTER_ALL);
  const values = [projectId, job.uid, number];
  const [row, ...previous] = await parts.database.query(revisionWithPrevious, values);
  if (row?.revision === number) return [row, ...previous];
  const metadata = { job: request.name, revision: String(request.number), last: String(job.revision) };
  throw failure("REVISION_NOT_FOUND", metadata);
}

/**
 * Returns the difference after `afterMs` as customers see it. The counts are of the whole difference. Of the added, and
 * of the removed, fire times it lists `size` from `offset` on.
 */
export function toFireTimeDifference(
  { endMs, added, removed }: Difference,
  afterMs: number,
  { offset, size } = { offset: 0, size: DEFAULT_TIMES },
): FireTimeDifference {
  const shown = (times: readonly number[]) =>
    times.slice(offset, offset + size).map((ms) => timestampFromMs(ms));
  return create(FireTimeDifferenceSchema, {
    startTime: timestampFromMs(afterMs),
    endTime: timestampFromMs(endMs),
    addedCount: added.length,
    removedCount: removed.length,
    added: shown(added),
    removed: shown(removed),
  });
}

// Returns the timings of the revisions in `rows`. All use the calendars and counts of the moment at which the first
// row, which is the later revision, took effect.
async function timingsOf(
  parts: Pick<Parts, "database" | "zoneData">,
  projectId: string,
  rows: readonly [RevisionRow, ...RevisionRow[]],
): Promise<RevisionTiming[]> {
  const [{ create_time: atMs, fired_count: fired, waiting_time: waitingMs }] = rows;
  const schedules = rows.map((row) => {
    const zoneData = parts.zoneData.release(row.zone_data);
    return compileSchedule(fromSpecJson(row.spec), row.uid, { zoneData });
  });
  const references = schedules.map(({ calendars }) => calendars);
  const gates = await gatesAt(parts, projectId, references, atMs);
  return schedules.map((schedule, index) => {
    const { maxFires } = schedule.policies;
    const limit = maxFires === 0 ? {} : { firesLeft: Math.max(0, maxFires - fired) };
    return { schedule, gates: gates[index] ?? [], waitingMs, ...limit };
  });
}

function toRevision(row: RevisionRow): Revision {
  const revision = toWholeRevision(row);
  if (revision.job !== undefined) dropSecrets(revision.job);
  return revision;
}

function toWholeRevision(row: RevisionRow): Revision {
  const job = fromSpecJson(row.spec);
  dropSnapshots(job);
  job.name = row.name;
  job.uid = row.uid;
  const createTime = timestampFromMs(row.create_time);
  return create(RevisionSchema, { number: row.revision, job, createTime, actor: row.actor });
}
