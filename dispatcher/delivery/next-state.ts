import { backoffMs } from "../../mesh/backoff.ts";
import type { Outcome } from "./outcome.ts";

/** When a failed attempt is tried again. Source: easycron.v1.RetryPolicy. */
export interface RetryPolicy {
  /** Attempts in all, the first included. */
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

/** Largest shift of a pause, as a fraction of it. */
const JITTER = 0.2;

/** What becomes of a trigger after an attempt. */
export type NextState =
  | { readonly state: "SUCCEEDED" }
  | { readonly state: "EXHAUSTED" }
  /** Epoch milliseconds of the next attempt. */
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
 * The whole retry policy:
 *
 * 1. Success ends it.
 * 2. So does a receiver that says it never wants this (EXHAUSTED).
 * 3. So does the last attempt that the policy allows.
 * 4. Else a pause: it doubles from minBackoff to maxBackoff, shifted by up to 20 % either way. A Retry-After is kept if
 *    that is longer: up to maxBackoff, and shifted to the later side only.
 * 5. If that would be later than maxAge after the effective time, it ends here.
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

/** How many attempts that were lost with their dispatcher do not count. More, and it may be what kills them. */
const FORGIVEN = 3;

/**
 * Whether an attempt may start now; if not, the trigger is EXHAUSTED without it. Only those since it was last made due
 * by a backfill count. `nextState` has kept the policy's
 * number of attempts; what can be above it are attempts lost with their dispatcher, of which nobody knows the outcome.
 */
export function mayAttempt(
  policy: RetryPolicy,
  trigger: { readonly attemptCount: number; readonly attemptBase: number; readonly effectiveTimeMs: number },
  nowMs: number,
): boolean {
  // However late it is, one attempt is made: what was promised is delivered at least once.
  const attempts = trigger.attemptCount - trigger.attemptBase;
  if (attempts === 0) return true;
  if (nowMs > trigger.effectiveTimeMs + policy.maxAgeMs) return false;
  return attempts < policy.maxAttempts + FORGIVEN;
}
