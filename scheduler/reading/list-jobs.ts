import { createHash } from "node:crypto";
import type { Statement } from "../../db/statement.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { ListJobsRequest } from "../../gen/easycron/v1/job_service_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { pageTokenInvalid, readPageToken, toPageToken } from "../../mesh/page-token.ts";
import type { JobRow } from "../job/job.ts";
import { jobsAfterName } from "../job/jobs.sql.ts";
import { fittingPage } from "../requests/fitting-page.ts";
import { toFilterValues } from "./job-filter.sql.ts";
import { EVERY_JOB, parseJobFilter } from "./job-filter.ts";
import { orderedJobs } from "./list-jobs.sql.ts";
import { type PresentParts, presentJobs } from "./read-jobs.ts";

const DEFAULT_PAGE_SIZE = 50;

/** An order of jobs. Jobs with the same time are ordered by name. */
interface Order {
  readonly statement: Statement<JobRow>;
  /** A text that comes before all names in this order. */
  readonly firstName: string;
  /** The time that jobs are ordered by, and a value before all times. Absent if the order is by name only. */
  readonly time?: {
    readonly first: string;
    readonly of: (row: JobRow) => number | null;
  };
}

const BEFORE_NAMES = "";
const AFTER_NAMES = "~";
const createTime = (row: JobRow) => row.create_time;

const ORDERS: ReadonlyMap<string, Order> = new Map<string, Order>([
  ["name", { statement: orderedJobs.byName, firstName: BEFORE_NAMES }],
  ["name desc", { statement: orderedJobs.byNameDescending, firstName: AFTER_NAMES }],
  [
    "create_time",
    {
      statement: orderedJobs.byCreateTime,
      firstName: BEFORE_NAMES,
      time: { first: "-infinity", of: createTime },
    },
  ],
  [
    "create_time desc",
    {
      statement: orderedJobs.byCreateTimeDescending,
      firstName: AFTER_NAMES,
      time: { first: "infinity", of: createTime },
    },
  ],
  [
    "next_fire_time",
    {
      statement: orderedJobs.byNextFireTime,
      firstName: BEFORE_NAMES,
      time: { first: "-infinity", of: (row) => row.next_fire_time },
    },
  ],
]);

/**
 * Returns a page of the jobs that match the filter, in the requested order. Throws FIELD_INVALID, PAGE_TOKEN_INVALID.
 */
export async function listJobs(
  parts: PresentParts,
  projectId: string,
  request: ListJobsRequest,
): Promise<{ jobs: Job[]; nextPageToken: string }> {
  const filter = parseJobFilter(request.filter);
  const order = readOrder(request.orderBy);
  const list = listOf(request);
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const rest = [...readKey(order, list, request.pageToken), size + 1];
  // Without a filter, PostgreSQL reads one page from an index. With one, it reads every job of the project.
  const rows = await (filter === EVERY_JOB && order === ORDERS.get("name")
    ? parts.database.query(jobsAfterName, [projectId, ...rest])
    : parts.database.query(order.statement, [
        ...toFilterValues(projectId, filter, parts.clock.now()),
        ...rest,
      ]));
  const page = fittingPage(rows.slice(0, size));
  const last = page.at(-1);
  return {
    jobs: await presentJobs(
      parts,
      page.map((row) => ({ row })),
    ),
    nextPageToken:
      rows.length > page.length && last !== undefined ? toPageToken(list, toKey(order, last)) : "",
  };
}

function readOrder(text: string): Order {
  const words = text.trim().split(/\s+/);
  const [field = "", ...direction] = words;
  const snake = field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const order = ORDERS.get(text.trim() === "" ? "name" : [snake, ...direction].join(" "));
  if (order !== undefined) return order;
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  const accepted = [...ORDERS.keys()].join(", ");
  throw fieldFailure("FIELD_INVALID", "orderBy", `"${shown}" is not an order; use one of: ${accepted}.`);
}

// A page token is only valid for the filter and the order that it was issued for.
function listOf({ filter, orderBy }: ListJobsRequest): string {
  if (filter === "" && orderBy === "") return "jobs";
  const digest = createHash("sha256").update(JSON.stringify([filter, orderBy]));
  return `jobs/${digest.digest("base64url").slice(0, 12)}`;
}

function toKey({ time }: Order, row: JobRow): string {
  if (time === undefined) return row.name;
  return `${time.of(row) ?? "infinity"}:${row.name}`;
}

const KEY = /^(?:(-?\d{1,15}|infinity):)?([a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?)$/;

/** Returns the values after which a page begins: a name, and a time if the order is by time. */
function readKey({ firstName, time }: Order, list: string, token: string): string[] {
  const key = readPageToken(list, token);
  if (key === "") return time === undefined ? [firstName] : [firstName, time.first];
  const [, ms, name] = KEY.exec(key) ?? [];
  if (name === undefined || (ms === undefined) !== (time === undefined)) throw pageTokenInvalid(token);
  if (ms === undefined) return [name];
  return [name, ms === "infinity" ? ms : toSqlTime(Number(ms))];
}
