import type { NextState } from "../delivery/next-state.ts";
import type { Delivery } from "../delivery/outcome.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";

/** An attempt that has ended, and the next state of its trigger. */
export interface Result {
  readonly trigger: HeldTrigger;
  /** att_…. */
  readonly attemptId: string;
  /** 1 for the first. */
  readonly number: number;
  readonly startTimeMs: number;
  readonly endTimeMs: number;
  readonly durationMs: number;
  readonly delivery: Delivery;
  readonly next: NextState;
  /** The instance that keeps the trigger for its next attempt; null when no instance keeps it. */
  readonly owner: string | null;
}

/** What became of results that were written. */
export interface RecordAnswer {
  /** The new state of each trigger that was changed, by id. A trigger that its result no longer concerns is not here. */
  readonly states: ReadonlyMap<string, string>;
  /**
   * The ids of the triggers that are still to be changed, because another transaction has locked them. Their attempts
   * are recorded.
   */
  readonly locked: ReadonlySet<string>;
}
