/** The `data` of a `trigger.fired` document, exactly as it was sent. Times are RFC 3339 in UTC, to the millisecond. */
export interface TriggerFired {
  /** The trigger's id, trg_…; also the `webhook-id` of every attempt. */
  readonly trigger: string;
  /** Why it fired: SCHEDULED, MANUAL, …. */
  readonly kind: string;
  /** The project's id, proj_…. */
  readonly project: string;
  /** The job, as it was when this was due. */
  readonly job: { readonly name: string; readonly uid: string; readonly revision: number };
  /** The instant that the schedule names. */
  readonly nominalTime: string;
  /** The instant from which it could be delivered. */
  readonly effectiveTime: string;
  /** Which of the job's scheduled triggers it is, from 1 without a hole; 0 for a manual run. */
  readonly seq: number;
  /** Nominal time of the scheduled trigger before; null for the first. */
  readonly previousNominalTime: string | null;
  /** Nominal time of the next fire time, as planned when this one was made; null for the last. */
  readonly nextNominalTime: string | null;
  /** Fire times since the previous trigger that became none. */
  readonly previousVerdict?: { readonly skipped: number; readonly missed: number };
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The job's payload. */
  readonly payload: unknown;
}

/** The data of a parsed body; undefined when it is not a `trigger.fired` document of EasyCron's. */
export function toTriggerFired(body: unknown): TriggerFired | undefined {
  if (!isRecord(body) || body.type !== "trigger.fired" || !isRecord(body.data)) return undefined;
  return isTriggerFired(body.data) ? body.data : undefined;
}

function isTriggerFired(data: Record<string, unknown>): data is Record<string, unknown> & TriggerFired {
  const { trigger, kind, project, job, nominalTime, effectiveTime, seq, attempt } = data;
  const texts = [trigger, kind, project, nominalTime, effectiveTime];
  return (
    texts.every((text) => typeof text === "string") &&
    [seq, attempt].every((number) => typeof number === "number") &&
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
