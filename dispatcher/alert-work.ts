import type { Clock } from "../mesh/clock.ts";
import { lookAtJobs } from "./alerts/look.ts";
import { watchJobsOfProjects } from "./alerts/project-alerts.ts";
import { createAlertSender, deleteOldAlerts } from "./alerts/send.ts";
import type { AttemptParts } from "./delivery/attempt.ts";
import type { Events } from "./events/events.ts";
import type { Pools } from "./pools.ts";
import { createRevisionCache } from "./watching/revision-cache.ts";

/** Makes what a dispatcher does for alerts: the loops, and the sender, which is to be closed. */
export function createAlertWork(parts: {
  readonly database: Pools["alerts"];
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly attempt: AttemptParts;
}) {
  const { events } = parts;
  const onUnreadable = ({ jobUid }: { readonly jobUid: string }, error: unknown) =>
    events.emit("trouble", { part: `the fire times of job ${jobUid}`, error });
  const alerting = { ...parts, watch: { revisions: createRevisionCache(onUnreadable), onUnreadable } };
  const sender = createAlertSender(alerting);
  const loops = {
    lookForAlerts: () => lookAtJobs(alerting),
    watchJobsOfProjects: () => watchJobsOfProjects(alerting),
    sendAlerts: sender.send,
    deleteOldAlerts: () => deleteOldAlerts(alerting),
  };
  return { sender, loops };
}
