import type { Spec } from "../delivery/spec.ts";
import type { Work } from "../lanes/lane.ts";
import type { Lanes } from "../lanes/lanes.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";

/** A due trigger and the specification for its next attempt. */
export interface DueWork {
  readonly trigger: HeldTrigger;
  readonly spec: Spec;
  /** The flow key of which it holds a place; undefined if the job has none. */
  readonly flowKey: string | undefined;
}

/** The lanes that hold due triggers. */
export type DueLanes = Lanes<DueWork>;

/** A due trigger in its lane. */
export type LaneWork = Work<DueWork>;
