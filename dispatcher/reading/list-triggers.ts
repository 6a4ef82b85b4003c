import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Queryable, SqlValue } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import type { ListTriggersRequest } from "../../gen/easycron/v1/trigger_service_pb.ts";
import type { ListIdentity } from "../../mesh/page-token.ts";
import { MAX_ROWS_READ, type SlicedTrigger, triggerLists } from "./list-triggers.sql.ts";
import { type PagePlace, readTriggerPageToken, toTriggerPageToken } from "./page-token.ts";
import { toStateName } from "./read-triggers.ts";
import type { TriggerStateName, TriggerView } from "./reads.sql.ts";

const DEFAULT_PAGE_SIZE = 50;
const FIRST_TIME = "-infinity";
const LAST_TIME = "infinity";
/** How many rows one call reads before it returns what it has found. The last statement may read more by its slice. */
const MAX_ROWS_OF_CALL = 10_000;
/** How many rows one statement reads at most, of all the jobs that it is for. */
const MAX_ROWS_OF_JOBS = 5_000;
/** How much larger each slice is than the one before. */
const SLICE_GROWTH = 4;

/** Which triggers to list, and which page of them. */
export interface TriggerQuery {
  readonly projectId: string;
  readonly request: ListTriggersRequest;
  /** The jobs that `request.job` names, at most 100. */
  readonly jobUids: readonly string[];
}

/** A page of triggers. */
export interface TriggerPage {
  readonly triggers: TriggerView[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/**
 * Reads a page of the project's triggers, newest nominal time first. It reads a bounded number of rows, whatever the
 * filter: if few of them match, the page has fewer triggers than were asked for, perhaps none, and a token to go on with.
 * Stops between two statements when `signal` is aborted, and then throws its reason. Throws PAGE_TOKEN_INVALID.
 */
export async function listTriggers(
  database: Queryable,
  { projectId, request, jobUids }: TriggerQuery,
  signal: AbortSignal,
): Promise<TriggerPage> {
  const { job, state, startTime, endTime, pageToken } = request;
  const start = toSqlBound(startTime, FIRST_TIME);
  const end = toSqlBound(endTime, LAST_TIME);
  const list = ["triggers", projectId, job, state, start, end];
  const after = pageToken === "" ? undefined : readTriggerPageToken(list, pageToken, endTime);
  const search: Search = {
    database,
    list,
    values: (place) => [projectId, start, ...toSqlPlace(place, endTime)],
    jobUids: job === "" ? undefined : jobUids,
    size: toSize(request.pageSize, jobUids.length),
  };
  if (state === TriggerState.UNSPECIFIED) return readPage(search, undefined, after);
  const name = toStateName(state);
  switch (name) {
    case "":
      return { triggers: [], nextPageToken: "" };
    case "EXHAUSTED":
    case "CANCELLED":
      return readPage(search, name, after);
    default:
      return readSlices(search, name, after, signal);
  }
}

interface Search {
  readonly database: Queryable;
  readonly list: ListIdentity;
  /** Returns the values $1 to $4 of a statement. */
  values(after: PagePlace | undefined): SqlValue[];
  /** Undefined for the jobs of the whole project. */
  readonly jobUids: readonly string[] | undefined;
  /** The most triggers of the page. */
  readonly size: number;
}

/** Reads a page whose triggers follow each other in an index. */
async function readPage(
  { database, list, values, jobUids, size }: Search,
  state: "EXHAUSTED" | "CANCELLED" | undefined,
  after: PagePlace | undefined,
): Promise<TriggerPage> {
  const { ofProject, ofJobs } = state === undefined ? triggerLists.any : triggerLists.rareEnd;
  const given = [...values(after), size + 1, ...(state === undefined ? [] : [state])];
  const rows = await (jobUids === undefined
    ? database.query(ofProject, given)
    : database.query(ofJobs, [...given, jobUids]));
  const triggers = rows.slice(0, size);
  return { triggers, nextPageToken: rows.length > size ? toToken(list, triggers.at(-1)) : "" };
}

/**
 * Reads a page whose triggers have others between them in the index: slice after slice, until the page is full, no
 * trigger is left, or the call has read enough.
 */
async function readSlices(
  search: Search,
  state: TriggerStateName,
  after: PagePlace | undefined,
  signal: AbortSignal,
): Promise<TriggerPage> {
  const { list, size } = search;
  const triggers: TriggerView[] = [];
  const jobs = Math.max(1, search.jobUids?.length ?? 1);
  const maxRows = Math.max(size + 1, Math.floor(MAX_ROWS_READ / jobs));
  let rows = size + 1;
  let place = after;
  let rowsOfCall = 0;
  while (rowsOfCall < MAX_ROWS_OF_CALL) {
    signal.throwIfAborted();
    const read = await readSlice(search, state, place, rows);
    triggers.push(...read.filter((row) => row.state === state));
    if (triggers.length > size) {
      const page = triggers.slice(0, size);
      return { triggers: page, nextPageToken: toToken(list, page.at(-1)) };
    }
    const last = read.at(-1);
    if (last?.position !== rows) return { triggers, nextPageToken: "" };
    place = { fireTimeMs: last.fire_time, id: last.id };
    rowsOfCall += rows * jobs;
    rows = Math.min(maxRows, rows * SLICE_GROWTH);
  }
  return { triggers, nextPageToken: place === undefined ? "" : toTriggerPageToken(list, place) };
}

function readSlice(
  { database, values, jobUids, size }: Search,
  state: TriggerStateName,
  after: PagePlace | undefined,
  rows: number,
): Promise<SlicedTrigger[]> {
  const isLive = LIVE.has(state);
  const { ofProject, ofJobs } = isLive ? triggerLists.live : triggerLists.all;
  // All of a slice may match, but the page needs no more than this.
  const given = [...values(after), size + 1, state, rows];
  return jobUids === undefined
    ? database.query(ofProject, given)
    : database.query(ofJobs, [...given, jobUids]);
}

const LIVE: ReadonlySet<TriggerStateName> = new Set(["PENDING", "RUNNING", "RETRYING", "ACCEPTED"]);

/** Each job is read to the size of the page. So a page of many jobs is smaller than the caller asked for. */
function toSize(pageSize: number, jobs: number): number {
  const wanted = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
  return Math.min(wanted, Math.floor(MAX_ROWS_OF_JOBS / Math.max(1, jobs)));
}

function toToken(list: ListIdentity, last: TriggerView | undefined): string {
  return last === undefined ? "" : toTriggerPageToken(list, { fireTimeMs: last.fire_time, id: last.id });
}

/** Returns the place after which to read: that of the last trigger before, or the end of the time range. */
function toSqlPlace(place: PagePlace | undefined, endTime: Timestamp | undefined): [string, string] {
  // No id sorts before the empty one, so this is before every trigger of the end time.
  if (place === undefined) return [toSqlBound(endTime, LAST_TIME), ""];
  return [toSqlTime(place.fireTimeMs), place.id];
}

function toSqlBound(time: Timestamp | undefined, otherwise: string): string {
  return time === undefined ? otherwise : toSqlTime(timestampMs(time));
}
