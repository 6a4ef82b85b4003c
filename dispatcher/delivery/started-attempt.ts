import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Spec } from "./spec.ts";

/** An attempt to be made now. */
export interface StartedAttempt {
  readonly trigger: HeldTrigger;
  readonly spec: Spec;
  /** 1 for the first. */
  readonly number: number;
  /** Epoch milliseconds. */
  readonly startTimeMs: number;
}
