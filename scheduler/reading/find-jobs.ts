import type { Queryable, SqlValue } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { toFilterValues } from "./job-filter.sql.ts";
import { EVERY_JOB, type JobFilter } from "./job-filter.ts";
import { AFTER_NAMES, BEFORE_NAMES, type JobOrder, type OrderPlace, placeOf } from "./job-order.ts";
import { FEW, jobsOfSource, type ListedRow, type SourceKind } from "./list-jobs.sql.ts";

/** Which jobs of a project are looked for, in which order, and where the page begins. */
export interface JobSearch {
  readonly projectId: string;
  readonly filter: JobFilter;
  readonly order: JobOrder;
  readonly after: OrderPlace;
  /** How many jobs are wanted. */
  readonly size: number;
  /** Epoch milliseconds. */
  readonly nowMs: number;
}

/** What was found. */
export interface FoundJobs {
  readonly rows: readonly ListedRow[];
  /** The last job that was looked at, if there may be more behind it; undefined at the end of the list. */
  readonly lookedUntil: ListedRow | undefined;
}

/** How many jobs one statement walks over; fewer if it must look up the labels or the target of each. */
const STEP = 2_500;
const LOOK_UP_STEP = 1_000;
/** How many such statements look for one page. */
const STEPS = 4;
/** How many sources are asked at most for how many jobs they have. */
const MAX_ASKED = 6;

/**
 * Finds jobs, and reads a bounded number of rows for it, whatever the filter and however many jobs the project has:
 *
 * 1. If an index finds at most 2,500 jobs that meet one of the filter's conditions, these jobs are read, checked for the
 *    other conditions, and sorted.
 * 2. Otherwise at least one of four hundred jobs of a million meets each condition. The jobs are walked over in their
 *    order, along an index, and checked, until there are enough. After 10,000 jobs, or 4,000 whose labels or targets are
 *    looked up, it returns what it has found, which may be nothing.
 */
export async function findJobs(on: Queryable, search: JobSearch): Promise<FoundJobs> {
  const { filter } = search;
  if (filter.states.length === 0 || filter.targets.length === 0) return { rows: [], lookedUntil: undefined };
  const source = await smallSource(on, search);
  return source === undefined ? walk(on, search) : readFew(on, search, source);
}

interface Source {
  readonly kind: SourceKind;
  readonly facet: string;
  readonly values: readonly string[];
}

/** Returns the first source that holds all the jobs of a search and is small; undefined if none is. */
async function smallSource(on: Queryable, search: JobSearch): Promise<Source | undefined> {
  for (const source of sourcesOf(search).slice(0, MAX_ASKED)) {
    if (isOneName(source)) return source;
    const { kind, facet, values } = source;
    const asked = [search.projectId, toSqlTime(search.nowMs), kind, facet, values];
    const [{ count } = { count: FEW + 1 }] = await on.query(jobsOfSource, asked);
    if (count <= FEW) return source;
  }
  return undefined;
}

/** Returns the sources each of which holds all the jobs of a search. Those that are usually small come first. */
function sourcesOf({ filter, order }: JobSearch): Source[] {
  const { names, prefixes, labels, labelKeys, targets, states } = filter;
  const sources: Source[] = names.map((name) => ({
    kind: "name",
    facet: "",
    values: [name, name],
  }));
  for (const [key, value] of labels) {
    sources.push({ kind: "value", facet: `labels.${key}`, values: [value] });
  }
  // No row says that a target is a webhook: nearly every job has one.
  if (!targets.includes("webhook")) sources.push({ kind: "value", facet: "target", values: targets });
  // ACTIVE jobs have no index of their own, which each of their turns would write.
  if (!states.includes("ACTIVE")) sources.push({ kind: "state", facet: "", values: states });
  for (const key of labelKeys) sources.push({ kind: "key", facet: `labels.${key}`, values: [] });
  // In an order by name, the walk begins and ends with the prefix.
  if (order.isByTime)
    for (const prefix of prefixes)
      sources.push({ kind: "name", facet: "", values: [prefix, prefix + AFTER_NAMES] });
  return sources;
}

function isOneName({ kind, values: [first, last] }: Source): boolean {
  return kind === "name" && first === last;
}

async function readFew(
  on: Queryable,
  search: JobSearch,
  { kind, facet, values }: Source,
): Promise<FoundJobs> {
  const { order, after, size } = search;
  const place = placeValues(search, after);
  // The whole filter: a row of scheduler.job_facets may be older than the job's revision.
  const wanted = [...filterValues(search), ...place, size + 1, kind, facet, values];
  const rows = await on.query(order.statements.few, wanted);
  return toFound(rows, size);
}

/** Returns what fits on the page, and its last job if there is another one. */
function toFound(rows: readonly ListedRow[], size: number): FoundJobs {
  return { rows: rows.slice(0, size), lookedUntil: rows.length > size ? rows[size - 1] : undefined };
}

async function walk(on: Queryable, search: JobSearch): Promise<FoundJobs> {
  const { filter, order, size } = search;
  const length = readsFacets(filter) ? LOOK_UP_STEP : STEP;
  // By uid: between two steps, a turn may move a job to a later time, where it is found again.
  const found = new Map<string, ListedRow>();
  let after = search.after;
  let end: ListedRow | undefined;
  for (let step = 0; step < STEPS; step++) {
    const wanted = size + 1 - found.size;
    const place = placeValues(search, after);
    const rows = await on.query(order.statements.scan, [...filterValues(search), ...place, wanted, length]);
    for (const row of rows) if (!row.is_end && !found.has(row.uid)) found.set(row.uid, row);
    if (found.size > size) return toFound([...found.values()], size);
    // The walk ends early, without an end, at as many jobs as were wanted; some of them were found before.
    end = rows.find(({ is_end }) => is_end) ?? rows[wanted - 1];
    if (end === undefined) break;
    after = placeOf(order, end);
  }
  return { rows: [...found.values()], lookedUntil: end };
}

function readsFacets({ labels, labelKeys, targets }: JobFilter): boolean {
  return labels.length + labelKeys.length > 0 || targets.length < EVERY_JOB.targets.length;
}

function filterValues({ projectId, filter, nowMs }: JobSearch): SqlValue[] {
  return toFilterValues(projectId, filter, nowMs);
}

/** Returns the values that say between which places a statement reads. */
function placeValues({ order, filter }: JobSearch, after: OrderPlace): SqlValue[] {
  if (after.time !== undefined) return [after.name, after.time];
  const { first, last } = namesOf(filter);
  return order.isDescending ? [first, least(after.name, last)] : [greatest(after.name, first), last];
}

/** Returns the names, both excluded, between which all the names with the filter's prefixes are. */
function namesOf({ prefixes }: JobFilter): { readonly first: string; readonly last: string } {
  const firsts = prefixes.filter((prefix) => prefix !== "").map(beforePrefix);
  const lasts = prefixes.map((prefix) => prefix + AFTER_NAMES);
  return { first: firsts.reduce(greatest, BEFORE_NAMES), last: lasts.reduce(least, AFTER_NAMES) };
}

/** Returns a text before the names with a prefix, and after those before them: `pax~` for `pay`. */
function beforePrefix(prefix: string): string {
  const last = String.fromCharCode(prefix.charCodeAt(prefix.length - 1) - 1);
  return `${prefix.slice(0, -1)}${last}${AFTER_NAMES}`;
}

// JavaScript compares UTF-16 code units, PostgreSQL's collation "C" bytes. Names are ASCII; a prefix that is not, matches
// no name, in whatever order it is.
function greatest(a: string, b: string): string {
  return a > b ? a : b;
}

function least(a: string, b: string): string {
  return a < b ? a : b;
}
