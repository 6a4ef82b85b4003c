import type { HeldTrigger } from "./held-trigger.ts";
import type { Work } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import type { Spec } from "./spec.ts";

/** A due trigger and what its attempt needs. */
export interface DueWork {
  readonly trigger: HeldTrigger;
  readonly spec: Spec;
}

/** The lanes of due triggers. */
export type DueLanes = Lanes<DueWork>;

/** A due trigger in its lane. */
export type LaneWork = Work<DueWork>;
