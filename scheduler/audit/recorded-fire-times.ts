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
  /**
   * The latest time at which it can have been decided, if it has no trigger and no turn was lost. Epoch milliseconds.
   */
  readonly decidedByMs: number;
  /** The same if the turn that decided it first was lost after it had handed over triggers. */
  readonly decidedAgainByMs: number;
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
  const recorded: Undated[] = [];
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

type Undated = Omit<RecordedFireTime, "decidedByMs" | "decidedAgainByMs">;

// Goes from the last fire time to the first. A fire time was decided before the change that ended its segment, because
// a change first decides everything that is due. It was also decided before the next trigger of the chain was created.
// But the turn that created that trigger may have been lost: then the next turn keeps the trigger, and decides the fire
// times before it again.
function withDecisionTimes(recorded: readonly Undated[], nowMs: number): RecordedFireTime[] {
  const decided: RecordedFireTime[] = [];
  let turn: LaterTurn = { createMs: null, endMs: nowMs, nextEndMs: nowMs };
  let next: Undated | undefined;
  for (const each of recorded.toReversed()) {
    const endMs = each.segment.changeMs ?? nowMs;
    if (next?.segment !== each.segment) turn = { createMs: null, endMs, nextEndMs: endMs };
    const waits = mayHaveWaited(each.segment, each.atMs);
    decided.push({
      ...each,
      decidedByMs: waits ? nowMs : turn.endMs,
      decidedAgainByMs: waits ? nowMs : turn.nextEndMs,
    });
    const [trigger] = each.scheduled;
    if (trigger !== undefined) turn = turnOf(trigger, turn, endMs);
    next = each;
  }
  return decided.reverse();
}

/** The turn that created the next trigger, seen from an earlier fire time. Epoch milliseconds. */
interface LaterTurn {
  /** When it created that trigger; null if there is no later trigger in the segment. */
  readonly createMs: number | null;
  /** What it decided was decided by then. */
  readonly endMs: number;
  /** What the turn after it decided was decided by then. */
  readonly nextEndMs: number;
}

// The triggers of one hand-over have the same creation time.
function turnOf(trigger: AuditTriggerRow, later: LaterTurn, segmentEndMs: number): LaterTurn {
  const { create_time: createMs, fire_time: atMs } = trigger;
  const endMs = Math.min(segmentEndMs, Math.max(createMs, atMs));
  const isSameTurn = createMs === later.createMs;
  return { createMs, endMs, nextEndMs: isSameTurn ? later.nextEndMs : later.endMs };
}
