import type { Logger } from "../../mesh/logger.ts";
import type { Events } from "./events.ts";

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
  events.on("lagging", (fields) => logger.warn(fields, "results are recorded late; nothing new is claimed"));
  events.on("trouble", ({ error, ...fields }) =>
    logger.warn({ ...fields, err: error }, "a part of the dispatcher failed; it will try again"),
  );
  events.on("recovered", (fields) => logger.info(fields, "a part of the dispatcher works again"));
  events.on("attempt", ({ cause, outcome, ...fields }) => {
    if (cause !== undefined) logger.debug({ ...fields, outcome: outcome.kind, err: cause }, "attempt failed");
  });
}
