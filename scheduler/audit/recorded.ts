import type { SkipRow } from "../job/skips.sql.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import type { Openness } from "./open.ts";
import type { Pace } from "./pace.ts";
import type { AuditRecord } from "./record.ts";
import type { Expected } from "./times.ts";

/** What is recorded of one fire time. */
export interface Recorded extends Expected {
  /** Its scheduled triggers: one at most, but for a fault. */
  readonly chained: readonly AuditTriggerRow[];
  readonly backfilled: AuditTriggerRow | undefined;
  readonly skip: SkipRow | undefined;
  readonly open: boolean;
  /** If it made no trigger, it was decided no later. */
  readonly byMs: number;
}

/** Lays triggers and skips over the fire times that are expected. */
export async function layOver(record: AuditRecord, openness: Openness, pace: Pace): Promise<Recorded[]> {
  const { expected, triggers, skips } = record;
  const byTime = Map.groupBy(triggers, ({ fire_time }) => fire_time);
  let index = 0;
  const recorded: Omit<Recorded, "byMs">[] = [];
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
  return withDecisions(recorded, record.nowMs);
}

// From the last to the first: the next one in the chain was made after it, and a change decides first all that is due.
function withDecisions(recorded: readonly Omit<Recorded, "byMs">[], nowMs: number): Recorded[] {
  const decided: Recorded[] = [];
  for (const each of recorded.toReversed()) {
    const next = decided.at(-1);
    const endMs = each.stretch.changeMs ?? nowMs;
    const trigger = next?.chained[0];
    const byMs =
      next?.stretch !== each.stretch
        ? endMs
        : trigger === undefined
          ? next.byMs
          : Math.min(endMs, Math.max(trigger.create_time, trigger.fire_time));
    decided.push({ ...each, byMs: each.stretch.law.mayWait ? nowMs : byMs });
  }
  return decided.reverse();
}
