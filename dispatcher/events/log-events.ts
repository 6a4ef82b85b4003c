import type { Logger } from "../../mesh/logger.ts";
import type { Events } from "./events.ts";

/** Writes to the log what operators must know; what happens to every trigger is in the database, not here. */
export function logEvents(events: Events, logger: Logger): void {
  events.on("leased", (fields) => logger.info(fields, "holding triggers under a new lease"));
  events.on("leaseLost", (fields) => logger.warn(fields, "the lease ran out before it could be renewed"));
  events.on("released", (fields) => logger.warn(fields, "freed triggers of a dispatcher that is gone"));
  events.on("taken", (fields) => logger.debug(fields, "took triggers that nobody held"));
  events.on("lagging", (fields) => logger.warn(fields, "results are recorded late; nothing new is claimed"));
  events.on("trouble", ({ part, error }) => logger.warn({ part, err: error }, "failed; trying again"));
  events.on("recovered", (fields) => logger.info(fields, "working again"));
  events.on("attempt", ({ cause, outcome, ...fields }) => {
    if (cause !== undefined) logger.debug({ ...fields, outcome: outcome.kind, err: cause }, "attempt failed");
  });
}
