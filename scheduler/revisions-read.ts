import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type FireTimeDifference,
  FireTimeDifferenceSchema,
  type GetRevisionRequest,
  type ListRevisionsRequest,
  type Revision,
  RevisionSchema,
} from "../gen/easycron/v1/revision_pb.ts";
import { failure } from "../mesh/errors.ts";
import { gatesOfMany } from "./calendars.ts";
import { dropSnapshots } from "./calendars-edges.ts";
import { compileSchedule } from "./compiled-schedule.ts";
import { fromSpecJson } from "./job.ts";
import { readPageToken, toPageToken } from "./page-token.ts";
import type { Parts } from "./parts.ts";
import { readJob } from "./read-jobs.ts";
import { type RevisionRow, revisionsBefore, revisionWithPrevious } from "./revisions.sql.ts";
import { type Difference, differenceOf, type RevisionTiming } from "./revisions-difference.ts";

const DEFAULT_PAGE_SIZE = 50;
const AFTER_ALL = 2_147_483_647;

type Named = Pick<GetRevisionRequest, "name" | "number">;

/** A page of a job's revisions, newest first. Throws JOB_NOT_FOUND, PAGE_TOKEN_INVALID. */
export async function listRevisions(
  parts: Parts,
  projectId: string,
  request: ListRevisionsRequest,
): Promise<{ revisions: Revision[]; nextPageToken: string }> {
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const before = readNumber(request.pageToken);
  const values = [projectId, request.name, before, size + 1];
  const rows = await parts.database.query(revisionsBefore, values);
  // Every job has its first revision, so nothing on the first page is no job.
  if (rows.length === 0) await readJob(parts, projectId, request);
  const page = rows.slice(0, size);
  const last = page.at(-1);
  return {
    revisions: page.map(toRevision),
    nextPageToken:
      rows.length > size && last !== undefined ? toPageToken("revisions", String(last.revision)) : "",
  };
}

function readNumber(token: string): number {
  const key = readPageToken("revisions", token);
  if (key === "") return AFTER_ALL;
  const number = Number(key);
  if (!Number.isInteger(number) || number < 1 || number > AFTER_ALL)
    throw failure("PAGE_TOKEN_INVALID", { token });
  return number;
}

/** A revision with its difference from the one before. Throws JOB_NOT_FOUND, REVISION_NOT_FOUND. */
export async function getRevision(parts: Parts, projectId: string, request: Named): Promise<Revision> {
  const rows = await findRows(parts, projectId, request);
  const [row] = rows;
  const [after, before] = await timingsOf(parts, projectId, rows);
  if (after === undefined) throw new Error(`Revision ${row.revision} of ${row.uid} has no timing.`);
  return create(RevisionSchema, {
    ...toRevision(row),
    difference: toFireTimeDifference(differenceOf(before ?? null, after, row.create_time), row.create_time),
  });
}

/** A revision without its difference. Throws JOB_NOT_FOUND, REVISION_NOT_FOUND. */
export async function findRevision(parts: Parts, projectId: string, request: Named): Promise<Revision> {
  const [row] = await findRows(parts, projectId, request);
  return toRevision(row);
}

// The revision, and if there is one, that before it.
async function findRows(
  parts: Parts,
  projectId: string,
  request: Named,
): Promise<[RevisionRow, ...RevisionRow[]]> {
  const number = Math.min(request.number, AFTER_ALL);
  const [row, ...previous] = await parts.database.query(revisionWithPrevious, [
    projectId,
    request.name,
    number,
  ]);
  if (row?.revision === number) return [row, ...previous];
  const { revision: last } = await readJob(parts, projectId, request);
  const metadata = { job: request.name, revision: String(request.number), last: String(last) };
  throw failure("REVISION_NOT_FOUND", metadata);
}

/** The difference after `afterMs` as customers see it. */
export function toFireTimeDifference(
  { endMs, addedCount, removedCount, added, removed }: Difference,
  afterMs: number,
): FireTimeDifference {
  return create(FireTimeDifferenceSchema, {
    startTime: timestampFromMs(afterMs),
    endTime: timestampFromMs(endMs),
    addedCount,
    removedCount,
    added: added.map((ms) => timestampFromMs(ms)),
    removed: removed.map((ms) => timestampFromMs(ms)),
  });
}

async function timingsOf(
  parts: Parts,
  projectId: string,
  rows: readonly RevisionRow[],
): Promise<RevisionTiming[]> {
  const schedules = rows.map((row) => {
    const zoneData = parts.zoneData.release(row.zone_data);
    return compileSchedule(fromSpecJson(row.spec), row.uid, { zoneData });
  });
  const gates = await gatesOfMany(
    parts.database,
    parts.zoneData,
    schedules.map(({ calendars }) => ({ projectId, references: calendars })),
  );
  // An old revision may name a calendar that is gone: then nothing is skipped by any.
  return schedules.map((schedule, index) => ({ schedule, gates: gates[index] ?? [] }));
}

function toRevision(row: RevisionRow): Revision {
  const job = fromSpecJson(row.spec);
  dropSnapshots(job);
  job.name = row.name;
  job.uid = row.uid;
  const createTime = timestampFromMs(row.create_time);
  return create(RevisionSchema, { number: row.revision, job, createTime, actor: row.actor });
}
