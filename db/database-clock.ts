import { type Clock, systemClock } from "../mesh/clock.ts";
import type { Logger } from "../mesh/logger.ts";
import { startLoop } from "../mesh/loop.ts";
import { type ClockSample, createClockFollower } from "./clock-follower.ts";
import { clockRead } from "./database-clock.sql.ts";
import type { Queryable } from "./pool.ts";

/** PostgreSQL's clock as this process knows it. */
export interface DatabaseClock extends Clock {
  /** Stops reading PostgreSQL's clock. To be called before the pool is closed. */
  stop(): Promise<void>;
  /** Returns how long ago it was read last, in milliseconds. */
  sinceSuccessMs(): number;
}

/** What following the clock takes. */
export interface DatabaseClockParts {
  /** A connection of its own, so that a reading does not wait. */
  readonly database: Queryable;
  /** This machine's clock, which is compared. Default: the system's. */
  readonly machineClock?: Clock;
  readonly logger: Pick<Logger, "info" | "warn">;
}

const EVERY_MS = 1_000;
/** The first readings come from a process that is busy with its start; one of them is usually quick. */
const FIRST_READINGS = 5;
const MAX_DIFFERENCE_MS = 100;
const WARN_EVERY_MS = 60_000;
const NOTABLE_SET_BACK_MS = 10;

/**
 * Starts to follow PostgreSQL's clock, which all processes share. It is read every second, and followed in between by a
 * clock of this process that never steps (`createClockFollower`). Time that decides anything comes from it. A warning is
 * logged when PostgreSQL's clock goes back, and when this machine's clock differs from it by more than 100 ms. Throws
 * SERVICE_UNAVAILABLE when it cannot be read now.
 */
export async function startDatabaseClock(parts: DatabaseClockParts): Promise<DatabaseClock> {
  const { database, machineClock = systemClock, logger } = parts;
  const follower = createClockFollower(await readClock(database), () => performance.now());
  for (let reading = 1; reading < FIRST_READINGS; reading++) follower.take(await readClock(database));
  let warnedMs = Number.NEGATIVE_INFINITY;
  const readAgain = async () => {
    const sample = await readClock(database);
    const differenceMs = differenceOf(machineClock.now(), sample);
    const setBackMs = Math.round(follower.take(sample));
    if (setBackMs > NOTABLE_SET_BACK_MS) {
      logger.warn({ setBackMs }, "PostgreSQL's clock went back; time stands still until it has caught up");
    }
    if (Math.abs(differenceMs) > MAX_DIFFERENCE_MS && sample.receivedMs - warnedMs >= WARN_EVERY_MS) {
      warnedMs = sample.receivedMs;
      logger.warn({ differenceMs }, "this machine's clock differs from PostgreSQL's, which is used");
    }
    return { more: false };
  };
  const loop = startLoop(readAgain, {
    everyMs: EVERY_MS,
    onFailure: (error, failures) =>
      logger.warn({ err: error, failures }, "cannot read PostgreSQL's clock; going on without it"),
    onRecovery: (failures) => logger.info({ failures }, "reading PostgreSQL's clock again"),
  });
  return { now: follower.now, stop: loop.stop, sinceSuccessMs: loop.sinceSuccessMs };
}

async function readClock(database: Queryable): Promise<ClockSample> {
  const sentMs = performance.now();
  const [row] = await database.query(clockRead);
  if (row === undefined) throw new Error("clockRead returned no row.");
  return { otherMs: row.now_ms, sentMs, receivedMs: performance.now() };
}

/** Returns by how much this machine's clock is ahead (or behind, if negative), at least. */
function differenceOf(machineMs: number, { otherMs, sentMs, receivedMs }: ClockSample): number {
  const latestMs = otherMs + (receivedMs - sentMs);
  if (machineMs > latestMs) return Math.round(machineMs - latestMs);
  return machineMs < otherMs ? Math.round(machineMs - otherMs) : 0;
}
