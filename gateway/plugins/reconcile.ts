import type { Queryable } from "../../db/pool.ts";
import { type Loop, startLoop } from "../../mesh/loop.ts";
import { pause } from "../../mesh/pause.ts";
import type { Watched } from "../../mesh/watchdog.ts";
import { goOnDisabling, lookAfterDisabled } from "./disable.ts";
import { pluginsDue, pluginsTakeDue } from "./due.sql.ts";
import { endFailed } from "./failing.ts";
import { KINDS, type KindName } from "./kinds.ts";
import { LEASE_MS, type Lease, newOwner, toLease } from "./lease.ts";
import { type PluginParts, sqlNow } from "./parts.ts";
import { finishProvision, provision } from "./provision.ts";
import { createRestartWatch } from "./restarts.ts";
import { measureDue } from "./usage.ts";

/*
 * Brings the brokers to what the rows say, and the rows to an end: what a crash or a broker that was away left half-way,
 * credentials that expire, data that is to be removed, users that a Redis forgot when it restarted.
 *
 * 1. One cheap statement says whether anything is due.
 * 2. If so, the leases of due plugins are taken: for each kind as many as it has free places.
 * 3. Each plugin is worked on by itself. The loop does not wait for it. So a broker that does not answer fills the places of
 *    its kind only, and a plugin that fails is due again after a pause of its own.
 * 4. Measuring is one call for many plugins of a kind, and at most one at a time for each kind.
 * 5. While anybody uses a Redis, each look asks which run of the server it is. After a restart all its plugins are due.
 */

const EVERY_MS = 2_000;
/** Plugins of one kind that a gateway works on at the same time. */
const PLACES = 8;
const SLOWEST_MS = 30_000;

/** The work on what is due. */
export interface Reconciler {
  /** Begins to work on what is due. Does not wait for it. Throws SERVICE_UNAVAILABLE if the database does not answer. */
  look(): Promise<void>;
  /** Resolves when nothing is being worked on. */
  untilIdle(): Promise<void>;
}

/** Creates the work. `onEnded` is called when a piece of it has ended, and more may be due. `asked` says whether anything is. */
export function createReconciler(
  parts: PluginParts,
  asked: Queryable = parts.database,
  onEnded: () => void = () => {},
): Reconciler {
  const busy: Record<KindName, number> = { REDIS: 0, KAFKA: 0 };
  const measuring = new Set<KindName>();
  const findRestart = createRestartWatch(parts);
  let isWatching = false;
  const running = new Set<Promise<void>>();
  const run = (work: Promise<void>) => {
    const tracked = work.finally(() => running.delete(tracked));
    running.add(tracked);
  };

  const workOn = async (lease: Lease, isRemovalDue: boolean): Promise<void> => {
    busy[lease.kind] += 1;
    try {
      await reconcile(parts, lease, isRemovalDue);
    } catch (error) {
      await endFailed(parts, lease, error);
    } finally {
      busy[lease.kind] -= 1;
      onEnded();
    }
  };

  const measure = async (kind: KindName): Promise<void> => {
    measuring.add(kind);
    try {
      while (await measureDue(parts, kind));
    } catch (error) {
      parts.logger.warn({ kind, err: error }, "could not measure what plugins use; trying again in a minute");
    } finally {
      measuring.delete(kind);
    }
  };

  // Without an answer, plugins are set up again a minute after they were: so nothing is lost, and it is no news.
  const watch = async (): Promise<void> => {
    isWatching = true;
    try {
      if (await findRestart("REDIS")) onEnded();
    } catch (error) {
      parts.logger.debug({ err: error }, "could not ask whether the managed Redis was restarted");
    } finally {
      isWatching = false;
    }
  };

  const takeDue = async (now: string | null): Promise<void> => {
    const [redis, kafka] = [PLACES - busy.REDIS, PLACES - busy.KAFKA];
    if (redis + kafka === 0) return;
    const owner = newOwner();
    const rows = await parts.database.query(pluginsTakeDue, [now, redis, kafka, owner, LEASE_MS]);
    for (const row of rows) {
      const lease = toLease(row, owner);
      lease.hasBegun = true;
      run(workOn(lease, row.is_removal_due));
    }
  };

  return {
    look: async () => {
      const now = sqlNow(parts);
      const [due] = await asked.query(pluginsDue, [now]);
      if (due?.is_due) await takeDue(now);
      // Afterwards: a row that is being written to choose what to measure would be left out above.
      if (due?.is_unmeasured) for (const kind of KINDS) if (!measuring.has(kind)) run(measure(kind));
      if (due?.is_redis_used && !isWatching) run(watch());
    },
    untilIdle: async () => {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

/** Does what a plugin is due for. */
async function reconcile(parts: PluginParts, lease: Lease, isRemovalDue: boolean): Promise<void> {
  const { row } = lease;
  switch (row.state) {
    case "DISABLING":
      await goOnDisabling(parts, lease);
      return;
    case "DISABLED":
      await lookAfterDisabled(parts, lease, isRemovalDue);
      return;
    default: {
      const provisioned = await provision(parts, lease);
      await finishProvision(parts, lease, provisioned);
      if (row.state === "ENABLED" && row.failures === 0) return;
      const { projectId, kind } = lease;
      parts.logger.info({ projectId, kind, was: row.state }, "a plugin is set up");
    }
  }
}

/** The loop of a gateway. */
export interface Reconciling {
  readonly watched: Watched;
  /**
   * Stops it. Resolves when the work under way has ended, when `hurry` is aborted, or after 8 s. Another gateway goes on with
   * what has not ended.
   */
  stop(hurry?: AbortSignal): Promise<void>;
}

/**
 * Starts to look every two seconds for what is due, by the connections of `asked`. The work has those of its own.
 * `oldestUnanswered` tells what they wait for.
 */
export function startReconciling(
  parts: PluginParts,
  asked: Queryable,
  oldestUnanswered: () => object | undefined,
): Reconciling {
  const { logger } = parts;
  const reconciler = createReconciler(parts, asked, () => loop.wake());
  const loop: Loop = startLoop(() => reconciler.look().then(() => ({ more: false })), {
    everyMs: EVERY_MS,
    onFailure: (error, failures) =>
      logger.warn({ err: error, failures }, "could not look for plugins that are due; trying again"),
    onRecovery: (failures) => logger.info({ failures }, "looking for plugins that are due again"),
  });
  const watched: Watched = {
    name: "plugins",
    sinceSuccessMs: loop.sinceSuccessMs,
    limitMs: 3 * EVERY_MS + SLOWEST_MS,
    isVital: false,
    waitsFor: oldestUnanswered,
  };
  const stop = async (hurry?: AbortSignal) => {
    await loop.stop();
    const hurried = new Promise<void>((resolve) => hurry?.addEventListener("abort", () => resolve()));
    await Promise.race([reconciler.untilIdle(), hurried, pause(LEASE_MS)]);
  };
  return { watched, stop };
}
