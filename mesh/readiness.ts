/** Whether a process would serve now, and why not. */
export interface Readiness {
  /** Why it does not serve. Empty while it does. In English, for operators; never with a customer's data. */
  readonly problems: readonly string[];
  /** What is wrong and does not keep it from serving. */
  readonly warnings: readonly string[];
}

/** The readiness of a process that has not begun to serve. */
export const STARTING: Readiness = { problems: ["The process is starting."], warnings: [] };

/** The readiness of a process that serves. */
export const SERVING: Readiness = { problems: [], warnings: [] };

/** The readiness of a process that has begun to stop. */
export const STOPPING: Readiness = { problems: ["The process is stopping."], warnings: [] };
