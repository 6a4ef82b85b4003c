/**
 * The `data` of a `trigger.fired` document, exactly as EasyCron sends it. Times are RFC 3339 in UTC, to the
 * millisecond.
 */
export interface TriggerFired {
  /** The trigger's id, trg_…; also the `webhook-id` of every attempt. */
  readonly trigger: string;
  /** Why it fired: SCHEDULED, MANUAL, …. */
  readonly kind: string;
  /** The project's id, proj_…. */
  readonly project: string;
  /** The job, as it was when the trigger was due. */
  readonly job: { readonly name: string; readonly uid: string; readonly revision: number };
  /** The instant that the schedule names. */
  readonly nominalTime: string;
  /** The earliest instant at which the trigger could be delivered. */
  readonly effectiveTime: string;
  /** The trigger's number among the job's scheduled triggers: 1, 2, 3 and so on without a gap. 0 for a manual run. */
  readonly seq: number;
  /** The nominal time of the previous scheduled trigger. Null for the first one. */
  readonly previousNominalTime: string | null;
  /** The next fire time, as planned when this trigger was created. Null for the last one. */
  readonly nextNominalTime: string | null;
  /** How many fire times since the previous trigger created no trigger. */
  readonly previousVerdict?: { readonly skipped: number; readonly missed: number };
  /** The number of the attempt. The first is 1. */
  readonly attempt: number;
  /** The job's payload. */
  readonly payload: unknown;
}

/** Returns the data of a parsed body. Undefined when the body is not a `trigger.fired` document of EasyCron. */
export function toTriggerFired(body: unknown): TriggerFired | undefined {
  if (!isRecord(body) || body.type !== "trigger.fired" || !isRecord(body.data)) return undefined;
  return isTriggerFired(body.data) ? body.data : undefined;
}

function isTriggerFired(data: Record<string, unknown>): data is Record<string, unknown> & TriggerFired {
  const { job } = data;
  return (
    typeof data.trigger === "string" &&
    typeof data.kind === "string" &&
    typeof data.project === "string" &&
    typeof data.nominalTime === "string" &&
    typeof data.effectiveTime === "string" &&
    typeof data.seq === "number" &&
    typeof data.attempt === "number" &&
    isTimeOrNull(data.previousNominalTime) &&
    isTimeOrNull(data.nextNominalTime) &&
    isRecord(job) &&
    typeof job.name === "string" &&
    typeof job.uid === "string" &&
    typeof job.revision === "number"
  );
}

function isTimeOrNull(value: unknown): boolean {
  return value === null || typeof value === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
