import type { SkipRow } from "../job/skips.sql.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import { type ExpectedFireTime, mayHaveWaited } from "./expected-times.ts";
import type { Pace } from "./pace.ts";
import type { AuditRecord } from "./record.ts";
import type { UndecidedTimes } from "./undecided.ts";

/** An expected fire time with what the ledger records for it. */
export interface RecordedFireTime extends ExpectedFireTime {
  /** Its triggers that no backfill made: at most one, unless the ledger has a fault. */
  readonly scheduled: readonly AuditTriggerRow[];
  readonly backfilled: AuditTriggerRow | undefined;
  readonly skip: SkipRow | undefined;
  readonly isUndecided: boolean;
  /** The latest time at which it can have been decided, if it has no trigger. Epoch milliseconds. */
  readonly decidedByMs: number;
}

/** Finds the triggers and the skip that the ledger records for each expected fire time. */
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
    const found = byTime.get(atMs) ?? [];
    recorded.push({
      ...each,
      scheduled: found.filter(({ kind }) => kind !== "BACKFILL"),
      backfilled: found.find(({ kind }) => kind === "BACKFILL"),
      skip: next !== undefined && next.first_fire_time <= atMs ? next : undefined,
      isUndecided: undecided.isUndecided(atMs),
    });
  }
  return withDecisionTimes(recorded, record.nowMs);
}

// Goes from the last fire time to the first. A fire time was decided before the next trigger of the chain was created,
// and before the change that ended its segment, because a change first decides everything that is due.
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
    decided.push({ ...each, decidedByMs: mayHaveWaited(each.segment, each.atMs) ? nowMs : decidedByMs });
  }
  return decided.reverse();
}
