import { backoffMs } from "../../mesh/backoff.ts";
import type { Outcome } from "./outcome.ts";

/** Whether and when a failed attempt is retried. Source: easycron.v1.RetryPolicy. */
export interface RetryPolicy {
  /** Most attempts of a trigger, the first included. */
  readonly maxAttempts: number;
  /** Pause after the first failure; it doubles with each further one. */
  readonly minBackoffMs: number;
  /** Longest pause, before jitter. */
  readonly maxBackoffMs: number;
  /** No attempt but the first starts later than this after the effective time. */
  readonly maxAgeMs: number;
}

/** The policy of a job whose specification cannot be read; the same as the scheduler's defaults. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxAttempts: 8,
  minBackoffMs: 5_000,
  maxBackoffMs: 3_600_000,
  maxAgeMs: 86_400_000,
};

/** Largest change of a pause, as a fraction of the pause. */
const JITTER = 0.2;

/** The state of a trigger after an attempt. */
export type NextState =
  | { readonly state: "SUCCEEDED" }
  | { readonly state: "EXHAUSTED" }
  /** `dueTimeMs` is the earliest start of the next attempt, in epoch milliseconds. */
  | { readonly state: "RETRYING"; readonly dueTimeMs: number };

/** An attempt that has ended. */
export interface EndedAttempt {
  readonly outcome: Outcome;
  readonly policy: RetryPolicy;
  /** 1 for the first, or for the first since a backfill made the trigger due again. */
  readonly attempt: number;
  /** Epoch milliseconds of its end. */
  readonly nowMs: number;
  readonly effectiveTimeMs: number;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
}

/**
 * Returns the state of a trigger after an attempt. This is the whole retry policy:
 *
 * 1. After a success, the trigger is SUCCEEDED.
 * 2. If the receiver says that it never wants this trigger, it is EXHAUSTED.
 * 3. After the last attempt that the policy allows, it is EXHAUSTED.
 * 4. Otherwise there is a pause. It doubles from minBackoff to maxBackoff, and is made up to 20 % longer or shorter. If
 *    the receiver asked for a longer pause (Retry-After), that is used: at most maxBackoff, made up to 20 % longer.
 * 5. If the next attempt would be later than maxAge after the effective time, the trigger is EXHAUSTED.
 */
export function nextState(ended: EndedAttempt): NextState {
  const { outcome, policy, attempt, nowMs, effectiveTimeMs } = ended;
  if (outcome.kind === "SUCCEEDED") return { state: "SUCCEEDED" };
  if (outcome.kind === "REJECTED" && outcome.isFinal) return { state: "EXHAUSTED" };
  if (attempt >= policy.maxAttempts) return { state: "EXHAUSTED" };
  const dueTimeMs = nowMs + pauseMs(ended);
  if (dueTimeMs > effectiveTimeMs + policy.maxAgeMs) return { state: "EXHAUSTED" };
  return { state: "RETRYING", dueTimeMs };
}

function pauseMs({ outcome, policy, attempt, random }: EndedAttempt): number {
  const { minBackoffMs: minMs, maxBackoffMs: maxMs } = policy;
  const askedMs = outcome.kind === "REJECTED" ? outcome.retryAfterMs : undefined;
  const ownMs = backoffMs({ attempt, minMs, maxMs, jitter: JITTER, random });
  if (askedMs === undefined) return ownMs;
  return Math.max(ownMs, Math.round(Math.min(askedMs, maxMs) * (1 + JITTER * random())));
}

/**
 * How many attempts that were lost with their dispatcher do not count. When more are lost, the trigger itself may be
 * what kills the dispatchers.
 */
const FORGIVEN = 3;

/**
 * Whether an attempt may start now. If not, the trigger becomes EXHAUSTED without it. Only attempts since a backfill
 * last made the trigger due again count. `nextState` keeps to the policy's number of attempts. A trigger can have more
 * only when attempts were lost with their dispatcher, so that their outcome is unknown.
 */
export function mayAttempt(
  policy: RetryPolicy,
  trigger: { readonly attemptCount: number; readonly attemptBase: number; readonly effectiveTimeMs: number },
  nowMs: number,
): boolean {
  // One attempt is made however late it is, because delivery at least once is promised.
  const attempts = trigger.attemptCount - trigger.attemptBase;
  if (attempts === 0) return true;
  if (nowMs > trigger.effectiveTimeMs + policy.maxAgeMs) return false;
  return attempts < policy.maxAttempts + FORGIVEN;
}
