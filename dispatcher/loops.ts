import type { Database } from "../db/pool.ts";
import type { Clock } from "../mesh/clock.ts";
import { type Loop, startLoop } from "../mesh/loop.ts";
import type { Events } from "./events/events.ts";
import { ensurePartitions, PARTITIONS_EVERY_MS } from "./housekeeping.ts";
import { type RecoveryParts, sweepOwn, takeOver } from "./recovery/recovery.ts";
import { REMOVE_OLD_EVERY_MS, type SetAside } from "./set-aside/set-aside.ts";
import type { SigningKeys } from "./signing-keys/signing-keys.ts";

const TAKE_EVERY_MS = 500;
const SWEEP_EVERY_MS = 15_000;
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
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly leaseMs: number;
  readonly signingKeys: Pick<SigningKeys, "refresh">;
  readonly setAside: Pick<SetAside, "removeOld">;
  readonly recovery: RecoveryParts;
  readonly renewLease: () => Promise<void>;
}

/** Starts the loops. A failed run is reported as `trouble` and repeated; the first success after it as `recovered`. */
export function startLoops(parts: LoopParts): Loops {
  const { database, clock, events, leaseMs, signingKeys, recovery } = parts;
  const every = (everyMs: number, part: string, work: () => Promise<void>): Loop =>
    startLoop(() => work().then(() => ({ more: false })), {
      everyMs,
      onFailure: (error) => events.emit("trouble", { part, error }),
      onRecovery: (failures) => events.emit("recovered", { part, failures }),
    });
  const upkeep = [
    every(leaseMs / RENEWALS_PER_LEASE, "lease", parts.renewLease),
    every(KEYS_EVERY_MS, "signing keys", () => signingKeys.refresh()),
  ];
  const taking = [
    every(TAKE_EVERY_MS, "taking over", () => takeOver(recovery)),
    every(SWEEP_EVERY_MS, "sweep", () => sweepOwn(recovery)),
    every(PARTITIONS_EVERY_MS, "partitions", () => ensurePartitions(database, clock.now())),
    every(REMOVE_OLD_EVERY_MS, "setting aside", () => parts.setAside.removeOld()),
  ];
  return { stopTaking: () => stopAll(taking), stopUpkeep: () => stopAll(upkeep) };
}

async function stopAll(loops: readonly Loop[]): Promise<void> {
  await Promise.all(loops.map((loop) => loop.stop()));
}
