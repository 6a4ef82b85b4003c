import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import { observe } from "../../mesh/metrics/metric.ts";
import { type BacklogRow, backlogCount } from "./backlog.sql.ts";
import type { DispatcherInstruments } from "./measure-events.ts";

/** Time between two looks. */
export const BACKLOG_EVERY_MS = 10_000;
/** What has been due for less is no backlog: it is being claimed. */
const GRACE_MS = 1_000;
/** Most triggers of each dispatcher that are looked at. */
const LIMIT = 10_000;
/** An older look is not shown: this dispatcher looks no more, because another one does. */
const KEPT_MS = 4 * BACKLOG_EVERY_MS;

/**
 * Makes a look at the backlog in PostgreSQL, and shows what the last one found. The backlog also has what no dispatcher
 * owns, so one dispatcher looks for all. Throws SERVICE_UNAVAILABLE.
 */
export function createBacklogWatch(
  parts: { readonly database: Database; readonly clock: Clock },
  metrics: Pick<DispatcherInstruments, "backlog" | "backlogAge">,
): () => Promise<void> {
  let found: ReadonlyMap<string, BacklogRow> = new Map();
  let lookedMs = Number.NEGATIVE_INFINITY;
  const current = (part: BacklogRow["part"]) =>
    performance.now() - lookedMs > KEPT_MS ? undefined : found.get(part);
  for (const part of ["ours", "theirs"] as const) {
    const attributes = { "easycron.part": part };
    observe(metrics.backlog, () => current(part)?.count, attributes);
    observe(metrics.backlogAge, () => ageOf(current(part), parts.clock.now()), attributes);
  }
  return async () => {
    const rows = await parts.database.query(backlogCount, [toSqlTime(parts.clock.now() - GRACE_MS), LIMIT]);
    found = new Map(rows.map((row) => [row.part, row]));
    lookedMs = performance.now();
  };
}

function ageOf(row: BacklogRow | undefined, nowMs: number): number | undefined {
  if (row === undefined) return undefined;
  return row.oldest_time === null ? 0 : Math.max(0, nowMs - row.oldest_time) / 1_000;
}
