import type { Logger } from "../../mesh/logger.ts";
import type { Events } from "./events.ts";

/** A partition whose month begins within this time and that could not be made is logged as an error. */
const PARTITION_ALERT_MS = 7 * 86_400_000;

/** After this many tries, about an hour, a partition that could not be dropped is logged as a warning. */
const PARTITION_TRIES = 10;

/** Writes to the log what operators must know. What happens to each trigger is in the database, not in the log. */
export function logEvents(events: Events, logger: Logger): void {
  events.on("leased", (fields) => logger.info(fields, "took a new lease"));
  events.on("leaseLost", (fields) =>
    logger.warn(
      fields,
      "the lease expired before it was renewed; other dispatchers may take over the triggers",
    ),
  );
  events.on("released", (fields) =>
    logger.warn(
      fields,
      "released triggers that an expired instance owned, or that this instance had lost from memory",
    ),
  );
  events.on("taken", (fields) => logger.debug(fields, "took triggers that had no owner"));
  events.on("takenFromStalled", (fields) =>
    logger.warn(fields, "took triggers of a dispatcher that shows no sign of life"),
  );
  events.on("partitionMade", (fields) => logger.info(fields, "made a monthly partition"));
  events.on("partitionLate", ({ error, ...fields }) => {
    const level = fields.leftMs < PARTITION_ALERT_MS ? "error" : "warn";
    logger[level]({ ...fields, err: error }, "a monthly partition could not be made; trying again");
  });
  events.on("partitionInDefault", (fields) =>
    logger.error(
      fields,
      "a monthly partition is not made, because the default partition has rows of its month",
    ),
  );
  events.on("partitionDropped", (fields) => logger.info(fields, "dropped a monthly partition"));
  events.on("partitionKept", ({ error, ...fields }) => {
    const level = fields.tries < PARTITION_TRIES ? "info" : "warn";
    logger[level]({ ...fields, err: error }, "an old monthly partition could not be dropped; trying again");
  });
  events.on("triggersRemoved", (fields) =>
    logger.info(fields, "removed triggers that are older than their project keeps them"),
  );
  events.on("oldSnapshot", (fields) =>
    logger.warn(fields, "an old snapshot keeps PostgreSQL from removing dead rows; the database gets slower"),
  );
  events.on("liveTriggersDiffered", (fields) =>
    logger.error(fields, "the tables of triggers and of live triggers differed; the latter was repaired"),
  );
  events.on("lagging", (fields) => logger.warn(fields, "results are recorded late; nothing new is claimed"));
  events.on("destination", (fields) => logger.debug(fields, "a destination is tried less, or again"));
  events.on("alertSent", (fields) => {
    if (fields.state === "EXHAUSTED") logger.warn(fields, "an alert could not be delivered; it is given up");
    else logger.debug(fields, "an attempt to send an alert has ended");
  });
  events.on("alertsHeld", (fields) =>
    logger.warn(fields, "a job or its project has many alerts; the next ones wait"),
  );
  logTroubles(events, logger);
  events.on("setAside", ({ error, ...fields }) =>
    logger.error({ ...fields, err: error }, "set aside what failed alone; it will be tried again"),
  );
  events.on("attempt", (attempt) => {
    if (attempt.cause === undefined) return;
    const { cause, outcome, triggerId, number, durationMs } = attempt;
    logger.debug({ triggerId, number, durationMs, outcome: outcome.kind, err: cause }, "attempt failed");
  });
}

/** The log has a line about a part that fails at once, and then at most one in this time. */
const TROUBLE_EVERY_MS = 10_000;
/** Most parts of which the last line is remembered. */
const MAX_PARTS = 1_000;

function logTroubles(events: Events, logger: Logger): void {
  /** By part: when its last line was written, and how many failures there were since. */
  const parts = new Map<string, { readonly loggedMs: number; unlogged: number }>();
  events.on("trouble", ({ part, error, failures = 1 }) => {
    const known = parts.get(part);
    const nowMs = performance.now();
    if (known !== undefined && nowMs - known.loggedMs < TROUBLE_EVERY_MS) {
      known.unlogged += failures;
      return;
    }
    if (parts.size >= MAX_PARTS) parts.clear();
    parts.set(part, { loggedMs: nowMs, unlogged: 0 });
    const sinceLine = failures + (known?.unlogged ?? 0);
    logger.warn(
      { part, failures: sinceLine, err: error },
      "a part of the dispatcher failed; it will try again",
    );
  });
  events.on("recovered", (fields) => {
    parts.delete(fields.part);
    logger.info(fields, "a part of the dispatcher works again");
  });
}
