import type { Pool } from "../db/pool.ts";
import type { Clock } from "../mesh/clock.ts";
import { type Loop, startLoop } from "../mesh/loop.ts";
import type { Watched } from "../mesh/watchdog.ts";
import type { Events } from "./events/events.ts";
import { ensurePartitions, PARTITIONS_EVERY_MS } from "./housekeeping.ts";
import type { Pools } from "./pools.ts";
import { type RecoveryParts, sweepOwn, takeOver } from "./recovery/recovery.ts";
import type { SigningKeys } from "./signing-keys/signing-keys.ts";

const TAKE_EVERY_MS = 500;
const SWEEP_EVERY_MS = 15_000;
const KEYS_EVERY_MS = 250;
/** The lease is renewed this many times while it lasts, so that a few renewals may fail. */
const RENEWALS_PER_LEASE = 5;

/** A loop that has no limit of its own may take this long in addition to three times its pause. */
const SLOWEST_MS = 30_000;

/** What a dispatcher does again and again. */
export interface Loops {
  /** The loops, for the watchdog. The dispatcher serves only while its lease is renewed in time. */
  readonly watched: readonly Watched[];
  /** Stops taking triggers and making partitions; resolves when the runs under way have ended. */
  stopTaking(): Promise<void>;
  /** Stops renewing the lease and reading signing keys; to be called when nothing is in flight any more. */
  stopUpkeep(): Promise<void>;
}

/** What the loops need. */
export interface LoopParts {
  readonly pools: Pick<Pools, "lease" | "lookups" | "upkeep">;
  readonly clock: Clock;
  readonly events: Events;
  readonly leaseMs: number;
  readonly signingKeys: Pick<SigningKeys, "refresh">;
  readonly recovery: RecoveryParts;
  readonly renewLease: () => Promise<void>;
}

/**
 * Starts the loops. A failed run is repeated. It is reported as `trouble`, at first at once and then every ten seconds,
 * and the first success after it as `recovered`.
 */
export function startLoops(parts: LoopParts): Loops {
  const { pools, clock, events, leaseMs, signingKeys, recovery } = parts;
  const watched: Watched[] = [];
  const every = (
    everyMs: number,
    part: string,
    work: () => Promise<void>,
    watch: { readonly pool?: Pool; readonly limitMs?: number; readonly isVital?: boolean } = {},
  ): Loop => {
    const loop = startLoop(() => work().then(() => ({ more: false })), {
      everyMs,
      onFailure: (error, failures) => events.emit("trouble", { part, error, failures }),
      onRecovery: (failures) => events.emit("recovered", { part, failures }),
    });
    const { pool = pools.upkeep, limitMs = 3 * everyMs + SLOWEST_MS, isVital = false } = watch;
    const { sinceSuccessMs } = loop;
    watched.push({ name: part, sinceSuccessMs, limitMs, isVital, waitsFor: pool.oldestUnanswered });
    return loop;
  };
  const leaseWatch = { pool: pools.lease, limitMs: leaseMs, isVital: true };
  const upkeep = [
    every(leaseMs / RENEWALS_PER_LEASE, "lease", parts.renewLease, leaseWatch),
    every(KEYS_EVERY_MS, "signing keys", () => signingKeys.refresh(), { pool: pools.lookups }),
  ];
  const taking = [
    every(TAKE_EVERY_MS, "taking over", () => takeOver(recovery)),
    every(SWEEP_EVERY_MS, "sweep", () => sweepOwn(recovery)),
    every(PARTITIONS_EVERY_MS, "partitions", () => ensurePartitions(pools.upkeep, clock.now())),
  ];
  return { watched, stopTaking: () => stopAll(taking), stopUpkeep: () => stopAll(upkeep) };
}

async function stopAll(loops: readonly Loop[]): Promise<void> {
  await Promise.all(loops.map((loop) => loop.stop()));
}
