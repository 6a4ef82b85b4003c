import type { DatabaseClock } from "../db/database-clock.ts";
import type { Sharing } from "../db/internal-redis/sharing.ts";
import type { GrpcServer } from "../mesh/grpc-server.ts";
import type { Logger } from "../mesh/logger.ts";
import type { Operating } from "../mesh/operating.ts";
import type { AlertSender } from "./alerts/send.ts";
import type { DeliveryClients } from "./delivery/clients.ts";
import type { FlowStore } from "./flow/flow-store.ts";
import type { Loops } from "./loops.ts";
import type { Pipeline } from "./pipeline.ts";
import type { Pools } from "./pools.ts";
import { type RecoveryParts, releaseAll } from "./recovery/recovery.ts";
import type { Waker } from "./waking/waker.ts";

const CALLS_GRACE_MS = 1_000;
const WAKES_GRACE_MS = 500;
const ALERTS_GRACE_MS = 2_000;

/** What runs in a dispatcher and is to be closed. */
export interface RunningParts {
  readonly operating: Operating;
  readonly server: GrpcServer;
  readonly pipeline: Pipeline;
  readonly loops: Loops;
  readonly recovery: RecoveryParts;
  readonly waker: Waker;
  readonly flowStore: FlowStore;
  readonly alertSender: AlertSender;
  readonly clients: DeliveryClients;
  readonly sharing: Sharing;
  readonly databaseClock: DatabaseClock;
  readonly pools: Pools;
  readonly logger: Logger;
}

/**
 * Closes a dispatcher. Waits for attempts in flight for at most `drainMs`. When `hurry` is aborted, nothing more is waited
 * for.
 */
export async function close(
  parts: RunningParts,
  { drainMs, hurry }: { readonly drainMs: number; readonly hurry: AbortSignal },
): Promise<void> {
  const { server, pipeline, loops, recovery, waker, pools, logger } = parts;
  const { flowStore, alertSender, clients, sharing, databaseClock } = parts;
  // From here on, the health service reports NOT_SERVING, so that the schedulers hand triggers over to others.
  const accepted = server.close(CALLS_GRACE_MS, hurry);
  const stopTaking = loops.stopTaking();
  const [left] = await Promise.all([pipeline.stop({ accepted, drainMs, hurry }), accepted, stopTaking]);
  if (left > 0) {
    logger.warn(
      { attempts: left },
      "attempts in flight did not end in time; they are recorded as UNKNOWN and made again",
    );
  }
  // The lease is renewed until nothing is in flight any more.
  await loops.stopUpkeep();
  // If the database is away, other dispatchers release these triggers when the lease has run out.
  await releaseAll(recovery, recovery.lease.instance).catch((error: unknown) =>
    logger.warn(
      { err: error },
      "could not release the triggers of this dispatcher; others take them over when its lease runs out",
    ),
  );
  // At once, because a hurried process has 3 s for everything.
  await Promise.all([waker.close(WAKES_GRACE_MS), alertSender.close(ALERTS_GRACE_MS)]);
  await flowStore.close();
  await clients.close();
  await sharing.close();
  await databaseClock.stop();
  await pools.close();
  await parts.operating.close(hurry);
}
