import type { SkipRow } from "../job/skips.sql.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import type { ExpectedFireTime } from "./expected-times.ts";
import type { Pace } from "./pace.ts";
import type { AuditRecord } from "./record.ts";
import type { UndecidedTimes } from "./undecided.ts";

/** What is recorded of one fire time. */
export interface RecordedFireTime extends ExpectedFireTime {
  /** Its scheduled triggers: one at most, but for a fault. */
  readonly scheduled: readonly AuditTriggerRow[];
  readonly backfilled: AuditTriggerRow | undefined;
  readonly skip: SkipRow | undefined;
  readonly isUndecided: boolean;
  /** If it made no trigger, it was decided no later. */
  readonly decidedByMs: number;
}

/** Lays triggers and skips over the fire times that are expected. */
export async function matchRecords(
  record: AuditRecord,
  undecided: UndecidedTimes,
  pace: Pace,
): Promise<RecordedFireTime[]> {
  const { expected, triggers, skips } = record;
  const byTime = Map.groupBy(triggers, ({ fire_time }) => fire_time);
  let index = 0;
  const recorded: Omit<RecordedFireTime, "decidedByMs">[] = [];
  for (const each of expected) {
    if (pace.shouldYield()) await pace.yield();
    const { atMs } = each;
    while ((skips[index]?.last_fire_time ?? Number.POSITIVE_INFINITY) < atMs) index += 1;
    const next = skips[index];
    const there = byTime.get(atMs) ?? [];
    recorded.push({
      ...each,
      scheduled: there.filter(({ kind }) => kind !== "BACKFILL"),
      backfilled: there.find(({ kind }) => kind === "BACKFILL"),
      skip: next !== undefined && next.first_fire_time <= atMs ? next : undefined,
      isUndecided: undecided.isUndecided(atMs),
    });
  }
  return withDecisionTimes(recorded, record.nowMs);
}

// From the last to the first: the next one in the chain was made after it, and a change decides first all that is due.
function withDecisionTimes(
  recorded: readonly Omit<RecordedFireTime, "decidedByMs">[],
  nowMs: number,
): RecordedFireTime[] {
  const decided: RecordedFireTime[] = [];
  for (const each of recorded.toReversed()) {
    const next = decided.at(-1);
    const endMs = each.segment.changeMs ?? nowMs;
    const trigger = next?.scheduled[0];
    const decidedByMs =
      next?.segment !== each.segment
        ? endMs
        : trigger === undefined
          ? next.decidedByMs
          : Math.min(endMs, Math.max(trigger.create_time, trigger.fire_time));
    decided.push({ ...each, decidedByMs: each.segment.rules.mayWait ? nowMs : decidedByMs });
  }
  return decided.reverse();
}
