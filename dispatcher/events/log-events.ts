import type { Logger } from "../../mesh/logger.ts";
import type { Events } from "./events.ts";

/** A partition whose month begins within this time and that could not be made is logged as an error. */
const PARTITION_ALERT_MS = 7 * 86_400_000;

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
  events.on("oldSnapshot", (fields) =>
    logger.warn(fields, "an old snapshot keeps PostgreSQL from removing dead rows; the database gets slower"),
  );
  events.on("lagging", (fields) => logger.warn(fields, "results are recorded late; nothing new is claimed"));
  events.on("trouble", ({ error, ...fields }) =>
    logger.warn({ ...fields, err: error }, "a part of the dispatcher failed; it will try again"),
  );
  events.on("setAside", ({ error, ...fields }) =>
    logger.error({ ...fields, err: error }, "set aside what failed alone; it will be tried again"),
  );
  events.on("recovered", (fields) => logger.info(fields, "a part of the dispatcher works again"));
  events.on("attempt", ({ cause, outcome, ...fields }) => {
    if (cause !== undefined) logger.debug({ ...fields, outcome: outcome.kind, err: cause }, "attempt failed");
  });
}
