/** An alert about a job, exactly as EasyCron sends it. Times are RFC 3339 in UTC, to the millisecond. */
export interface JobAlert {
  /** What it reports. */
  readonly type:
    | "job.exhausted"
    | "job.missed"
    | "job.failing"
    | "job.disabled"
    | "job.recovered"
    | "job.not_delivered";
  /** When it happened. */
  readonly timestamp: string;
  readonly data: {
    /** The project's id, proj_…. */
    readonly project: string;
    /** The job, and its revision when the alert was made. */
    readonly job: { readonly name: string; readonly uid: string; readonly revision: number };
    /** Since when the job is in trouble; of job.recovered, since when it was. */
    readonly since: string;
    /** How many triggers or fire times it is about; 0 for job.recovered. */
    readonly count: number;
    /** Their nominal times, at most ten. */
    readonly nominalTimes: readonly string[];
    /** The triggers, at most ten. */
    readonly triggers: readonly {
      readonly id: string;
      readonly nominalTime: string;
      readonly attempts: number;
    }[];
    /** Why fire times were missed, or why the job was disabled. */
    readonly reason?: string;
    /** What has happened and what to do, in plain English. */
    readonly message: string;
  };
}

const TYPES = ["exhausted", "missed", "failing", "disabled", "recovered", "not_delivered"];

/**
 * Returns the alert in the body of a verified webhook; undefined if the body is something else, such as a trigger. Call
 * `verify` before: this function does not check who sent the body.
 *
 * @example
 * ```ts
 * const alert = parseAlert({
 *   type: "job.recovered",
 *   timestamp: "2026-03-01T09:00:00.000Z",
 *   data: {
 *     project: "proj_1",
 *     job: { name: "billing", uid: "job_1", revision: 1 },
 *     since: "2026-03-01T08:00:00.000Z",
 *     count: 0,
 *     nominalTimes: [],
 *     triggers: [],
 *     message: 'The job "billing" works again.',
 *   },
 * });
 * console.log(alert?.type, alert?.data.message);
 * ```
 */
export function parseAlert(body: unknown): JobAlert | undefined {
  return isAlert(body) ? body : undefined;
}

function isAlert(body: unknown): body is JobAlert {
  if (!isRecord(body) || !isRecord(body.data)) return false;
  const { type, timestamp, data } = body;
  const isKnown = typeof type === "string" && TYPES.some((name) => type === `job.${name}`);
  const { project, job, since, count, nominalTimes, triggers, message } = data;
  const texts = [timestamp, project, since, message];
  return (
    isKnown &&
    texts.every((text) => typeof text === "string") &&
    typeof count === "number" &&
    Array.isArray(nominalTimes) &&
    Array.isArray(triggers) &&
    isRecord(job) &&
    typeof job.name === "string" &&
    typeof job.uid === "string" &&
    typeof job.revision === "number"
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
