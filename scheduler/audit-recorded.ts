import type { Openness } from "./audit-open.ts";
import type { Pace } from "./audit-pace.ts";
import type { AuditRecord } from "./audit-record.ts";
import type { Expected } from "./audit-times.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import type { SkipRow } from "./skips.sql.ts";

/** What is recorded of one fire time. */
export interface Recorded extends Expected {
  /** Its scheduled triggers: one at most, but for a fault. */
  readonly chained: readonly AuditTriggerRow[];
  readonly backfilled: AuditTriggerRow | undefined;
  readonly skip: SkipRow | undefined;
  readonly open: boolean;
}

/** Lays triggers and skips over the fire times that are expected. */
export async function layOver(record: AuditRecord, openness: Openness, pace: Pace): Promise<Recorded[]> {
  const { expected, triggers, skips } = record;
  const byTime = Map.groupBy(triggers, ({ fire_time }) => fire_time);
  let index = 0;
  const recorded: Recorded[] = [];
  for (const each of expected) {
    if (pace.isDue()) await pace.rest();
    const { atMs } = each;
    while ((skips[index]?.last_fire_time ?? Number.POSITIVE_INFINITY) < atMs) index += 1;
    const next = skips[index];
    const there = byTime.get(atMs) ?? [];
    recorded.push({
      ...each,
      chained: there.filter(({ kind }) => kind !== "BACKFILL"),
      backfilled: there.find(({ kind }) => kind === "BACKFILL"),
      skip: next !== undefined && next.first_fire_time <= atMs ? next : undefined,
      open: openness.isOpen(atMs),
    });
  }
  return recorded;
}
