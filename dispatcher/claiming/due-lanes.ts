import type { SpecTarget } from "../delivery/spec.ts";
import { createLanes, type LaneLimits, toLaneLimits } from "../lanes/lanes.ts";
import { createSplitLanes } from "../lanes/split-lanes.ts";
import type { DueLanes, DueWork } from "./due-work.ts";

/** Limits on how much is under way at once. */
export interface DueLimits {
  /** Of webhooks, and of triggers whose specification cannot be read. */
  readonly webhooks: LaneLimits;
  /** Of each plugin. */
  readonly plugin: LaneLimits;
}

/**
 * Each plugin may have this part of the attempts in flight that webhooks may have, in places of its own. A project's
 * places must be enough for the calls that it has under way, or the calls are small and its rate is low.
 */
const PLUGIN_SHARE = 1 / 2;
/** A project may use this part of a plugin's places. It has one lane for each plugin. */
const LANE_SHARE = 1 / 4;

/**
 * Converts the configured limits. Attempts at a plugin need no file descriptor each, and many of them share a call. So a
 * lane of a plugin has more places than one of webhooks.
 */
export function toDueLimits(config: {
  readonly deliveryConcurrency: number;
  readonly originConcurrency: number;
}): DueLimits {
  const { deliveryConcurrency, originConcurrency } = config;
  const total = Math.ceil(deliveryConcurrency * PLUGIN_SHARE);
  return {
    webhooks: toLaneLimits({ total: deliveryConcurrency, perLane: originConcurrency }),
    plugin: toLaneLimits({ total, perLane: Math.ceil(total * LANE_SHARE) }),
  };
}

/**
 * Makes the lanes of due triggers. Webhooks and each plugin have places of their own. So a broker that is slow or dead
 * holds up no webhook and nothing of the other plugin, however many projects use it. `placesOf` returns how many places a
 * destination of webhooks has, if it has fewer than the limit.
 */
export function createDueLanes(
  { webhooks, plugin }: DueLimits,
  placesOf: (projectId: string, destination: string) => number | undefined = () => undefined,
): DueLanes {
  const parts = [
    createLanes<DueWork>(webhooks, undefined, placesOf),
    createLanes<DueWork>(plugin),
    createLanes<DueWork>(plugin),
  ];
  return createSplitLanes(parts, ({ spec }) => partOf(spec.target));
}

function partOf(target: SpecTarget): number {
  if (target.kind !== "plugin") return 0;
  return target.plugin === "redis" ? 1 : 2;
}
