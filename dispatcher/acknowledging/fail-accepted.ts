import { toPlainArray } from "../../db/array.ts";
import { isItemFault } from "../../db/item-fault.ts";
import type { Database, Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { FullScan } from "../../mesh/full-scan.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { Wanted } from "../../mesh/loop.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { DEFAULT_RETRY_POLICY, nextState } from "../delivery/next-state.ts";
import type { RevisionKey, SpecCache } from "../delivery/spec-cache.ts";
import type { Events } from "../events/events.ts";
import type { Backlog } from "../recovery/recovery.ts";
import { acknowledgementFail, acknowledgementListOverdue, type OverdueRow } from "./acknowledging.sql.ts";

/** What ending the wait of triggers needs. */
export interface FailParts {
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly specs: SpecCache;
  /** Called with each trigger that has ended. */
  readonly onEnded: (trigger: RevisionKey) => void;
}

/** Time between two looks for deadlines that have passed. */
export const OVERDUE_EVERY_MS = 1_000;
/** A look that does not read everything reads the deadlines of this time. */
const RECENT_MS = 30_000;
/** Deadlines that have passed this recently do not wait for earlier ones. */
const FRESH_MS = 5_000;
/** Most triggers of one statement. */
const LIMIT = 500;
/** Most statements of one run for recent deadlines, and most for all. */
const PAGES = 10;

/**
 * Ends the wait of the triggers whose deadline has passed, or whose failure was acknowledged: for each, the attempt counts
 * as failed. Any dispatcher can do this, so it does not matter which one has made the attempt. One run deals with about
 * 10,000 triggers at most; it returns whether there is more, and `backlog` says where the next run goes on. If there are
 * many, those whose deadline has just passed come first, so that one project does not delay the others. Throws
 * SERVICE_UNAVAILABLE.
 */
export async function failOverdue(
  parts: FailParts & { readonly database: Database },
  scan: FullScan,
  backlog: Backlog,
): Promise<Wanted> {
  const { fromMs } = backlog;
  backlog.fromMs =
    fromMs === undefined
      ? await scan.run((isFull) => failFrom(parts, isFull ? 0 : parts.clock.now() - RECENT_MS))
      : await failFrom(parts, fromMs);
  return { more: backlog.fromMs !== undefined };
}

/** Returns the deadline from which on there may be more; undefined if there is no more. */
async function failFrom(
  parts: FailParts & { readonly database: Database },
  startMs: number,
): Promise<number | undefined> {
  const freshMs = parts.clock.now() - FRESH_MS;
  let fromMs = await failPage(parts, startMs);
  let fresh = fromMs === undefined ? undefined : Math.max(freshMs, fromMs);
  for (let page = 1; page < PAGES && fresh !== undefined; page++) fresh = await failPage(parts, fresh);
  for (let page = 1; page < PAGES && fromMs !== undefined; page++) fromMs = await failPage(parts, fromMs);
  return fromMs;
}

/** Deals with the first triggers from a deadline on, and returns the deadline from which on there may be more. */
async function failPage(
  parts: FailParts & { readonly database: Database },
  fromMs: number,
): Promise<number | undefined> {
  const rows = await listOverdue(parts, parts.database, fromMs, null);
  const changed = await failAccepted(parts, parts.database, rows);
  if (rows.length < LIMIT) return undefined;
  const lastMs = Math.max(...rows.map(({ due_time }) => due_time));
  // If all of them are locked and have the same deadline, the same page would come again.
  return lastMs === fromMs && changed === 0 ? lastMs + 1 : lastMs;
}

/** The same for one trigger, if its deadline has passed. */
export async function failIfOverdue(parts: FailParts, on: Queryable, id: string): Promise<void> {
  await failAccepted(parts, on, await listOverdue(parts, on, 0, id));
}

function listOverdue(
  { clock }: FailParts,
  on: Queryable,
  fromMs: number,
  id: string | null,
): Promise<OverdueRow[]> {
  return on.query(acknowledgementListOverdue, [toSqlTime(clock.now()), toSqlTime(fromMs), LIMIT, id]);
}

/** Returns how many of the triggers were changed: not those that another transaction has locked. */
async function failAccepted(parts: FailParts, on: Queryable, rows: readonly OverdueRow[]): Promise<number> {
  if (rows.length === 0) return 0;
  const { clock, events, specs, onEnded } = parts;
  await specs.load(rows.map(toKey));
  const now = toSqlTime(clock.now());
  const fail = (some: readonly OverdueRow[]) => {
    const fireTimes = some.map(({ fire_time }) => fire_time);
    return on.query(acknowledgementFail, [
      toPlainArray(some.map(({ id }) => id)),
      toSqlTime(Math.min(...fireTimes)),
      toSqlTime(Math.max(...fireTimes)),
      `{${some.map((row) => toChange(parts, row)).join(",")}}`,
      now,
    ]);
  };
  const { results, failed } = await takeApart(rows, fail, { isItemFault });
  const changed = results.flat();
  if (changed.length > 0) events.emit("unacknowledged", { states: changed.map(({ state }) => state) });
  for (const { job_uid: jobUid, revision, state } of changed) {
    if (state !== "RETRYING") onEnded({ jobUid, revision });
  }
  for (const { item, error } of failed) {
    events.emit("trouble", { part: `ending the wait of trigger ${item.id} for its acknowledgement`, error });
  }
  return changed.length;
}

function toChange(parts: FailParts, row: OverdueRow): string {
  const { id, attempt_count: number, due_time: deadlineMs, failure } = row;
  const next = nextState({
    outcome: { kind: "REJECTED", statusCode: null, isFinal: false, retryAfterMs: undefined },
    policy: parts.specs.get(toKey(row))?.retryPolicy ?? DEFAULT_RETRY_POLICY,
    attempt: number - row.attempt_base,
    nowMs: parts.clock.now(),
    effectiveTimeMs: row.effective_time,
    nextFireTimeMs: row.next_fire_time,
    random: parts.random,
  });
  const due = next.state === "RETRYING" ? toIso(next.dueTimeMs) : null;
  const outcome = failure === null ? "UNKNOWN" : "REJECTED";
  const error =
    failure === null
      ? `No acknowledgement came until ${toIso(deadlineMs)}; the work may have been done.`
      : `The receiver acknowledged a failure${failure === "" ? "" : `: ${failure}`}${failure.endsWith(".") ? "" : "."}`;
  return `"${id}":${JSON.stringify([next.state, number, due, outcome, error])}`;
}

function toKey({ job_uid: jobUid, revision }: OverdueRow): RevisionKey {
  return { jobUid, revision };
}
