import { backoffMs, longerMs } from "../../mesh/backoff.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Outcome } from "./outcome.ts";

/** Whether and when a failed attempt is retried. Source: easycron.v1.RetryPolicy. */
export interface RetryPolicy {
  /** Most attempts of a trigger, the first included. */
  readonly maxAttempts: number;
  /** Pause after the first failure. */
  readonly minBackoffMs: number;
  /** By what each pause is longer than the one before. */
  readonly multiplier: number;
  /** Longest pause, before jitter. */
  readonly maxBackoffMs: number;
  /** No attempt but the first starts later than this after the effective time. */
  readonly maxAgeMs: number;
  /** The pauses that replace the growing ones; the last one is used for all further pauses. Empty: none. */
  readonly delaysMs: readonly number[];
  /** Statuses after which no further attempt is made. */
  readonly nonRetryableStatusCodes: readonly number[];
  /** Whether no attempt but the first starts at the job's next fire time or later. */
  readonly giveUpAtNextFireTime: boolean;
}

/**
 * The policy of a job whose specification cannot be read, and what a policy of an earlier version has in fields that it
 * did not know. The scheduler writes its defaults into each specification.
 */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxAttempts: 8,
  minBackoffMs: 5_000,
  multiplier: 2,
  maxBackoffMs: 3_600_000,
  maxAgeMs: 86_400_000,
  delaysMs: [],
  nonRetryableStatusCodes: [],
  giveUpAtNextFireTime: false,
};

/** Largest change of a pause, as a fraction of the pause. */
const JITTER = 0.2;

/** The least pause after a timeout or a 429: both say that the receiver has too much to do. Source: Svix. */
const BUSY_MS = 60_000;

/** The state of a trigger after an attempt. */
export type NextState =
  | { readonly state: "SUCCEEDED" }
  /** It waits for its acknowledgement until `dueTimeMs`, in epoch milliseconds. */
  | { readonly state: "ACCEPTED"; readonly dueTimeMs: number }
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
  /** The job's next fire time after that of the trigger, in epoch milliseconds; null if there is none. */
  readonly nextFireTimeMs: number | null;
  /** How long a success has to be acknowledged; absent where a success is the end. */
  readonly acknowledgeWithinMs?: number | undefined;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
}

/**
 * Returns the state of a trigger after an attempt. This is the whole retry policy:
 *
 * 1. After a success, the trigger is SUCCEEDED; or ACCEPTED, if its job wants an acknowledgement.
 * 2. If the receiver says that it never wants this trigger, or its status is one that the policy does not retry, it is
 *    EXHAUSTED.
 * 3. After the last attempt that the policy allows, it is EXHAUSTED.
 * 4. Otherwise there is a pause. It grows by the multiplier from minBackoff to maxBackoff, and is made up to 20 % longer
 *    or shorter. A pause that the policy lists is made up to 20 % longer.
 * 5. If the receiver asked for a longer pause (Retry-After), that is used; and one of 60 s after a timeout or a 429, unless
 *    the policy lists its pauses. Both are at most maxBackoff, made up to 20 % longer.
 * 6. If the next attempt would be later than maxAge after the effective time, the trigger is EXHAUSTED; with
 *    giveUpAtNextFireTime also if it would not come before the next fire time.
 */
export function nextState(ended: EndedAttempt): NextState {
  const { outcome, policy, attempt, nowMs } = ended;
  if (outcome.kind === "SUCCEEDED") return afterSuccess(ended);
  if (outcome.kind === "REJECTED" && isRefused(outcome, policy)) return { state: "EXHAUSTED" };
  if (attempt >= policy.maxAttempts) return { state: "EXHAUSTED" };
  const dueTimeMs = nowMs + pauseMs(ended);
  return isTooLate(policy, ended, dueTimeMs) ? { state: "EXHAUSTED" } : { state: "RETRYING", dueTimeMs };
}

function afterSuccess({ nowMs, acknowledgeWithinMs }: EndedAttempt): NextState {
  if (acknowledgeWithinMs === undefined) return { state: "SUCCEEDED" };
  return { state: "ACCEPTED", dueTimeMs: nowMs + acknowledgeWithinMs };
}

function isRefused(
  { isFinal, statusCode }: Extract<Outcome, { kind: "REJECTED" }>,
  { nonRetryableStatusCodes }: RetryPolicy,
): boolean {
  return isFinal || (statusCode !== null && nonRetryableStatusCodes.includes(statusCode));
}

function isTooLate(
  { maxAgeMs, giveUpAtNextFireTime }: RetryPolicy,
  {
    effectiveTimeMs,
    nextFireTimeMs,
  }: { readonly effectiveTimeMs: number; readonly nextFireTimeMs: number | null },
  timeMs: number,
): boolean {
  if (timeMs > effectiveTimeMs + maxAgeMs) return true;
  return giveUpAtNextFireTime && nextFireTimeMs !== null && timeMs >= nextFireTimeMs;
}

function pauseMs({ outcome, policy, attempt, random }: EndedAttempt): number {
  const { minBackoffMs: minMs, maxBackoffMs: maxMs, multiplier, delaysMs } = policy;
  const listedMs = delaysMs[Math.min(attempt, delaysMs.length) - 1];
  const ownMs =
    listedMs === undefined
      ? backoffMs({ attempt, minMs, maxMs, multiplier, jitter: JITTER, random })
      : longerMs(listedMs, JITTER, random);
  const askedMs = Math.max(
    (outcome.kind === "REJECTED" ? outcome.retryAfterMs : undefined) ?? 0,
    listedMs === undefined && isOverloaded(outcome) ? BUSY_MS : 0,
  );
  return askedMs === 0 ? ownMs : Math.max(ownMs, longerMs(Math.min(askedMs, maxMs), JITTER, random));
}

function isOverloaded(outcome: Outcome): boolean {
  if (outcome.kind === "SUCCEEDED") return false;
  return outcome.kind === "REJECTED" ? outcome.statusCode === 429 : outcome.isTimeout === true;
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
  trigger: Pick<HeldTrigger, "attemptCount" | "attemptBase" | "effectiveTimeMs" | "nextFireTimeMs">,
  nowMs: number,
): boolean {
  // One attempt is made however late it is, because delivery at least once is promised.
  const attempts = trigger.attemptCount - trigger.attemptBase;
  if (attempts === 0) return true;
  if (isTooLate(policy, trigger, nowMs)) return false;
  return attempts < policy.maxAttempts + FORGIVEN;
}
