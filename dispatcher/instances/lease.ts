import { randomUUID } from "node:crypto";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Events } from "../events/events.ts";
import { instanceBeat, instanceInsert, instanceRenewIfLive } from "./instances.sql.ts";

/** The lease that allows this process to own triggers. */
export interface Lease {
  /** The instance id under which this process owns triggers now. It changes when the lease is lost. */
  readonly instance: string;
  /** Whether this process may start attempts: the lease has not expired, by a clock that never steps. */
  isValid(): boolean;
  /**
   * Renews the lease. If it has expired, takes a new lease under a new instance id. Throws SERVICE_UNAVAILABLE, and what
   * `checkMasterKey` throws.
   */
  renew(): Promise<void>;
  /**
   * Shows the other dispatchers that this process runs. If it does not for 600 ms, they take over what is due. Throws
   * SERVICE_UNAVAILABLE.
   */
  beat(): Promise<void>;
}

/** What a lease needs. */
export interface LeaseParts {
  readonly database: Database;
  readonly clock: Clock;
  /** A clock that never steps, such as performance.now. */
  readonly monotonicMs: () => number;
  /** Length of the lease. */
  readonly leaseMs: number;
  /** The id of the master key that this process is configured with. */
  readonly masterKeyId: string;
  /**
   * Checks, when a lease is taken, that this process has the recorded master key; it may have changed while there was no
   * lease. Throws a ConfigError if not, and SERVICE_UNAVAILABLE.
   */
  readonly checkMasterKey: () => Promise<void>;
  readonly events: Events;
  /** Called when the lease was lost: other dispatchers may take the triggers owned under the old id. */
  readonly onLost: () => void;
}

/** Takes a lease under a new instance id. Throws SERVICE_UNAVAILABLE, and what `checkMasterKey` throws. */
export async function takeLease(parts: LeaseParts): Promise<Lease> {
  const { database, clock, monotonicMs, leaseMs, masterKeyId, events } = parts;
  let instance = "";
  let validUntilMs = Number.NEGATIVE_INFINITY;

  const take = async (): Promise<void> => {
    const sentAtMs = monotonicMs();
    const id = `inst_${randomUUID()}`;
    await database.query(instanceInsert, [id, toSqlTime(clock.now()), leaseMs, masterKeyId]);
    // After the row is there, the recorded key changes only to one that this process has.
    await parts.checkMasterKey();
    instance = id;
    validUntilMs = sentAtMs + leaseMs;
    events.emit("leased", { instance });
  };

  await take();
  return {
    get instance() {
      return instance;
    },
    isValid: () => monotonicMs() < validUntilMs,
    beat: async () => {
      await database.query(instanceBeat, [instance]);
    },
    renew: async () => {
      const sentAtMs = monotonicMs();
      const renewed = await database.query(instanceRenewIfLive, [instance, leaseMs]);
      // Counted from before the statement was sent, so the lease never lasts longer here than in PostgreSQL.
      if (renewed.length > 0) validUntilMs = sentAtMs + leaseMs;
      else {
        validUntilMs = Number.NEGATIVE_INFINITY;
        events.emit("leaseLost", { instance });
        parts.onLost();
        await take();
      }
    },
  };
}
