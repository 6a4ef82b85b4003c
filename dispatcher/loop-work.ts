import type { FullScan } from "../mesh/full-scan.ts";
import { failOverdue } from "./acknowledging/fail-accepted.ts";
import { createComparison } from "./comparing/compare.ts";
import type { SpecCache } from "./delivery/spec-cache.ts";
import { createSnapshotWatch } from "./housekeeping.ts";
import type { Pools } from "./pools.ts";
import type { Backlog, RecoveryParts } from "./recovery/recovery.ts";
import { createRetention } from "./retention/retention.ts";
import { createMasterKeyReplacement, type ReplaceParts } from "./signing-keys/replace-master-key.ts";

/** Makes what the loops of housekeeping do (see `LoopParts`). All of it uses one pool. */
export function createLoopWork(parts: {
  readonly database: Pools["upkeep"];
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly recovery: RecoveryParts;
  readonly specs: SpecCache;
  readonly replacing: Omit<ReplaceParts, "database">;
  readonly snapshotAlertMs: number;
}) {
  const { database, random, recovery, specs, replacing, snapshotAlertMs } = parts;
  const { clock, events, mayTake } = recovery;
  const upkeep = { database, clock, events };
  const failing = { ...recovery, random, specs };
  return {
    watchSnapshots: createSnapshotWatch(upkeep, snapshotAlertMs),
    compareLive: createComparison({ ...upkeep, random, mayGoOn: mayTake }),
    replaceMasterKey: createMasterKeyReplacement({ ...replacing, database }),
    failOverdue: (scan: FullScan, backlog: Backlog) => failOverdue(failing, scan, backlog),
    removeExpired: createRetention({ ...upkeep, mayGoOn: mayTake }),
  };
}
