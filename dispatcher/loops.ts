import { ifLeader, type Leadership } from "../db/internal-redis/leadership.ts";
import type { Pool } from "../db/pool.ts";
import { createFullScan, type FullScan } from "../mesh/full-scan.ts";
import { type Loop, startLoop, type Wanted } from "../mesh/loop.ts";
import type { Watched } from "../mesh/watchdog.ts";
import { OVERDUE_EVERY_MS } from "./acknowledging/fail-accepted.ts";
import { LOOK_EVERY_MS } from "./alerts/look.ts";
import { PROJECTS_EVERY_MS } from "./alerts/project-alerts.ts";
import { DELETE_OLD_EVERY_MS, SEND_EVERY_MS } from "./alerts/send.ts";
import { COMPARE_EVERY_MS } from "./comparing/compare.ts";
import type { Events } from "./events/events.ts";
import { PARTITIONS_EVERY_MS, type Partitions, SNAPSHOTS_EVERY_MS } from "./housekeeping.ts";
import { BACKLOG_EVERY_MS } from "./measuring/backlog.ts";
import type { Pools } from "./pools.ts";
import {
  type Backlog,
  type RecoveryParts,
  releaseStrangers,
  sweepOwn,
  takeOver,
} from "./recovery/recovery.ts";
import { BEAT_EVERY_MS, createStalledWatch, OTHERS_EVERY_MS } from "./recovery/stalled.ts";
import { RETENTION_EVERY_MS } from "./retention/retention.ts";
import { REMOVE_OLD_EVERY_MS, type SetAside } from "./set-aside/set-aside.ts";
import { REPLACE_EVERY_MS } from "./signing-keys/replace-master-key.ts";
import type { SigningKeys } from "./signing-keys/signing-keys.ts";

const TAKE_EVERY_MS = 500;
const FULL_TAKE_EVERY_MS = 5_000;
const SWEEP_EVERY_MS = 15_000;
const FULL_SWEEP_EVERY_MS = 60_000;
const STRANGERS_EVERY_MS = 300_000;
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
  readonly pools: Pick<Pools, "lease" | "lookups" | "upkeep" | "alerts">;
  readonly events: Events;
  readonly leaseMs: number;
  readonly signingKeys: Pick<SigningKeys, "refresh">;
  readonly setAside: Pick<SetAside, "removeOld">;
  readonly recovery: RecoveryParts;
  /** Decides which dispatcher does what only one of them need do. */
  readonly leadership: Pick<Leadership, "leads" | "giveUp" | "isResting">;
  readonly renewLease: () => Promise<void>;
  readonly partitions: Pick<Partitions, "make">;
  readonly watchSnapshots: () => Promise<void>;
  readonly compareLive: () => Promise<Wanted>;
  /** Ends the wait of triggers that were not acknowledged in time. */
  readonly failOverdue: (scan: FullScan, backlog: Backlog) => Promise<Wanted>;
  readonly replaceMasterKey: () => Promise<Wanted>;
  readonly lookForAlerts: () => Promise<Wanted>;
  readonly watchJobsOfProjects: () => Promise<Wanted>;
  readonly sendAlerts: () => Promise<Wanted>;
  readonly deleteOldAlerts: () => Promise<Wanted>;
  readonly removeExpired: () => Promise<Wanted>;
  /** Absent when nobody reads what is measured. */
  readonly watchBacklog: (() => Promise<void>) | undefined;
}

/** How a loop is watched. */
interface Watch {
  /** The connections that it waits for. Default: those for upkeep. */
  readonly pool?: Pool;
  /** How long it may go without a success. */
  readonly limitMs?: number;
  /** Whether the dispatcher serves only while this loop succeeds. */
  readonly isVital?: boolean;
}

/**
 * Starts the loops. A failed run is repeated. It is reported as `trouble`, at first at once and then every ten seconds,
 * and the first success after it as `recovered`.
 */
export function startLoops(parts: LoopParts): Loops {
  const { pools, events, leaseMs, signingKeys, recovery, watchBacklog } = parts;
  const takeScan = createFullScan(FULL_TAKE_EVERY_MS);
  const backlog: Backlog = { fromMs: undefined };
  const sweepScan = createFullScan(FULL_SWEEP_EVERY_MS);
  const overdue: Backlog = { fromMs: undefined };
  const overdueScan = createFullScan(FULL_TAKE_EVERY_MS);
  const watched: Watched[] = [];
  const repeat = (everyMs: number, part: string, work: () => Promise<Wanted>, watch: Watch = {}): Loop => {
    const loop = startLoop(work, {
      everyMs,
      onFailure: (error, failures) => events.emit("trouble", { part, error, failures }),
      onRecovery: (failures) => events.emit("recovered", { part, failures }),
    });
    const { pool = pools.upkeep, limitMs = 3 * everyMs + SLOWEST_MS, isVital = false } = watch;
    const { sinceSuccessMs } = loop;
    watched.push({ name: part, sinceSuccessMs, limitMs, isVital, waitsFor: pool.oldestUnanswered });
    return loop;
  };
  const every = (everyMs: number, part: string, work: () => Promise<void>, watch?: Watch): Loop =>
    repeat(everyMs, part, () => work().then(() => ({ more: false })), watch);
  /** Of several dispatchers, one does it. */
  const oneDoes = (everyMs: number, part: string, work: () => Promise<Wanted>): Loop =>
    repeat(everyMs, part, ifLeader(parts.leadership, work));
  const oneDoesEvery = (everyMs: number, part: string, work: () => Promise<void>): Loop =>
    oneDoes(everyMs, part, () => work().then(() => ({ more: false })));
  const leaseWatch = { pool: pools.lease, limitMs: leaseMs, isVital: true };
  const upkeep = [
    every(leaseMs / RENEWALS_PER_LEASE, "lease", parts.renewLease, leaseWatch),
    every(BEAT_EVERY_MS, "sign of life", () => recovery.lease.beat(), { pool: pools.lease }),
    every(KEYS_EVERY_MS, "signing keys", () => signingKeys.refresh(), { pool: pools.lookups }),
  ];
  const taking = [
    repeat(TAKE_EVERY_MS, "taking over", () => takeOver(recovery, takeScan, backlog)),
    repeat(OTHERS_EVERY_MS, "stalled dispatchers", createStalledWatch(recovery)),
    every(SWEEP_EVERY_MS, "sweep", () => sweepOwn(recovery, sweepScan)),
    repeat(OVERDUE_EVERY_MS, "acknowledgements", () => parts.failOverdue(overdueScan, overdue)),
    every(STRANGERS_EVERY_MS, "strangers", () => releaseStrangers(recovery)),
    oneDoes(PARTITIONS_EVERY_MS, "partitions", parts.partitions.make),
    oneDoesEvery(SNAPSHOTS_EVERY_MS, "snapshots", parts.watchSnapshots),
    oneDoes(COMPARE_EVERY_MS, "comparing live triggers", parts.compareLive),
    repeat(REPLACE_EVERY_MS, "replacing the master key", parts.replaceMasterKey),
    oneDoes(RETENTION_EVERY_MS, "removing old triggers", parts.removeExpired),
    repeat(LOOK_EVERY_MS, "looking for alerts", parts.lookForAlerts, { pool: pools.alerts }),
    repeat(PROJECTS_EVERY_MS, "watching projects", parts.watchJobsOfProjects, { pool: pools.alerts }),
    repeat(SEND_EVERY_MS, "sending alerts", parts.sendAlerts, { pool: pools.alerts }),
    repeat(DELETE_OLD_EVERY_MS, "deleting old alerts", parts.deleteOldAlerts, { pool: pools.alerts }),
    ...(watchBacklog === undefined ? [] : [oneDoesEvery(BACKLOG_EVERY_MS, "backlog", watchBacklog)]),
    oneDoesEvery(REMOVE_OLD_EVERY_MS, "setting aside", () => parts.setAside.removeOld()),
  ];
  return { watched, stopTaking: () => stopAll(taking), stopUpkeep: () => stopAll(upkeep) };
}

async function stopAll(loops: readonly Loop[]): Promise<void> {
  await Promise.all(loops.map((loop) => loop.stop()));
}
