import { randomUUID } from "node:crypto";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Events } from "../events/events.ts";
import { instanceInsert, instanceRenewIfLive } from "./instances.sql.ts";

/** The right of this process to hold triggers. */
export interface Lease {
  /** The instance id under which it holds them now. */
  readonly instance: string;
  /** Whether it may start attempts: the lease was renewed in time, by a clock that never steps. */
  isValid(): boolean;
  /** Renews it, or, when it has run out, takes a new one under a new id. */
  renew(): Promise<void>;
}

/** What a lease needs. */
export interface LeaseParts {
  readonly database: Database;
  readonly clock: Clock;
  /** A clock that never steps, such as performance.now. */
  readonly monotonicMs: () => number;
  readonly leaseMs: number;
  readonly events: Events;
  /** Told when the id changes: what was held under the old one belongs to others. */
  readonly onLost: () => void;
}

/** Takes a lease. Throws SERVICE_UNAVAILABLE. */
export async function takeLease(parts: LeaseParts): Promise<Lease> {
  const { database, clock, monotonicMs, leaseMs, events } = parts;
  let instance = "";
  let validUntilMs = Number.NEGATIVE_INFINITY;

  const take = async (): Promise<void> => {
    const sentAtMs = monotonicMs();
    const id = `inst_${randomUUID()}`;
    await database.query(instanceInsert, [id, toSqlTime(clock.now()), leaseMs]);
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
    renew: async () => {
      const sentAtMs = monotonicMs();
      const renewed = await database.query(instanceRenewIfLive, [instance, leaseMs]);
      // Counted from before the statement was sent, so never longer than PostgreSQL counts it.
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
