import type { TriggerView } from "../reading/reads.sql.ts";

/**
 * Says what happened instead of an acknowledgement of `attempt` that changed nothing. Returns an empty text if it repeats the
 * one that counted.
 */
export function explainLate(
  trigger: Pick<
    TriggerView,
    "state" | "attempt_base" | "attempt_count" | "acknowledged_attempt" | "acknowledgement"
  >,
  attempt: number,
  outcome: "SUCCEEDED" | "FAILED" | "EXTENDED",
): string {
  const { state, attempt_base: base, attempt_count: latest } = trigger;
  if (attempt <= base) return `The trigger was made due again after attempt ${attempt}; it is ${state} now.`;
  if (trigger.acknowledged_attempt === attempt && trigger.acknowledgement === outcome) return "";
  if (attempt < latest && !ENDED.has(state))
    return `Attempt ${attempt} was followed by attempt ${latest}; the trigger is ${state} now.`;
  switch (state) {
    case "SUCCEEDED":
      return "The trigger had already succeeded.";
    case "EXHAUSTED":
      return "The attempt had already counted as failed, and it was the last one; the trigger is EXHAUSTED, a dead letter.";
    case "CANCELLED":
      return "The trigger had already been cancelled, because it was discarded or its job deleted.";
    default:
      return `Attempt ${attempt} had already counted as failed; the trigger is ${state} now.`;
  }
}

const ENDED: ReadonlySet<string> = new Set(["SUCCEEDED", "EXHAUSTED", "CANCELLED"]);
