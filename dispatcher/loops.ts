import { type Loop, startLoop, type Wanted } from "../mesh/loop.ts";
import type { Events } from "./events/events.ts";
import { PARTITIONS_EVERY_MS, type Partitions, SNAPSHOTS_EVERY_MS } from "./housekeeping.ts";
import { createFullScan } from "./recovery/full-scan.ts";
import { type RecoveryParts, releaseStrangers, sweepOwn, takeOver } from "./recovery/recovery.ts";
import { BEAT_EVERY_MS, STALLED_EVERY_MS, takeFromStalled } from "./recovery/stalled.ts";
import type { SigningKeys } from "./signing-keys/signing-keys.ts";

const TAKE_EVERY_MS = 500;
const FULL_TAKE_EVERY_MS = 5_000;
const SWEEP_EVERY_MS = 15_000;
const FULL_SWEEP_EVERY_MS = 60_000;
const STRANGERS_EVERY_MS = 300_000;
const KEYS_EVERY_MS = 250;
/** The lease is renewed this many times while it lasts, so that a few renewals may fail. */
const RENEWALS_PER_LEASE = 5;

/** What a dispatcher does again and again. */
export interface Loops {
  /** Stops taking triggers and making partitions; resolves when the runs under way have ended. */
  stopTaking(): Promise<void>;
  /** Stops renewing the lease and reading signing keys; to be called when nothing is in flight any more. */
  stopUpkeep(): Promise<void>;
}

/** What the loops need. */
export interface LoopParts {
  readonly events: Events;
  readonly leaseMs: number;
  readonly signingKeys: Pick<SigningKeys, "refresh">;
  readonly recovery: RecoveryParts;
  readonly renewLease: () => Promise<void>;
  readonly partitions: Pick<Partitions, "make">;
  readonly watchSnapshots: () => Promise<void>;
}

/** Starts the loops. A failed run is reported as `trouble` and repeated; the first success after it as `recovered`. */
export function startLoops(parts: LoopParts): Loops {
  const { events, leaseMs, signingKeys, recovery } = parts;
  const takeScan = createFullScan(FULL_TAKE_EVERY_MS);
  const sweepScan = createFullScan(FULL_SWEEP_EVERY_MS);
  const repeat = (everyMs: number, part: string, work: () => Promise<Wanted>): Loop =>
    startLoop(work, {
      everyMs,
      onFailure: (error) => events.emit("trouble", { part, error }),
      onRecovery: (failures) => events.emit("recovered", { part, failures }),
    });
  const every = (everyMs: number, part: string, work: () => Promise<void>): Loop =>
    repeat(everyMs, part, () => work().then(() => ({ more: false })));
  const upkeep = [
    every(leaseMs / RENEWALS_PER_LEASE, "lease", parts.renewLease),
    every(BEAT_EVERY_MS, "sign of life", () => recovery.lease.beat()),
    every(KEYS_EVERY_MS, "signing keys", () => signingKeys.refresh()),
  ];
  const taking = [
    every(TAKE_EVERY_MS, "taking over", () => takeOver(recovery, takeScan)),
    every(STALLED_EVERY_MS, "stalled dispatchers", () => takeFromStalled(recovery)),
    every(SWEEP_EVERY_MS, "sweep", () => sweepOwn(recovery, sweepScan)),
    every(STRANGERS_EVERY_MS, "strangers", () => releaseStrangers(recovery)),
    repeat(PARTITIONS_EVERY_MS, "partitions", parts.partitions.make),
    every(SNAPSHOTS_EVERY_MS, "snapshots", parts.watchSnapshots),
  ];
  return { stopTaking: () => stopAll(taking), stopUpkeep: () => stopAll(upkeep) };
}

async function stopAll(loops: readonly Loop[]): Promise<void> {
  await Promise.all(loops.map((loop) => loop.stop()));
}
