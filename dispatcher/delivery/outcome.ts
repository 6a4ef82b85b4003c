import type { ConnectTimes } from "../../mesh/egress.ts";

/**
 * Why the job of a trigger is to be paused: its receiver answered 410 (GONE), or with `webhook-delivery: disable`
 * (RECEIVER).
 */
export type PauseCause = "GONE" | "RECEIVER";

/**
 * The outcome of an attempt. What a customer's endpoint does is an outcome and never an exception. `Delivery` adds the
 * error text for the customer.
 */
export type Outcome =
  /** The target acknowledged the delivery. */
  | {
      readonly kind: "SUCCEEDED";
      readonly statusCode: number | null;
      /** Present when the receiver took this trigger and wants no more of its job. */
      readonly pauses?: PauseCause;
    }
  /** The target answered with something other than success. */
  | {
      readonly kind: "REJECTED";
      /** Null where the target does not speak HTTP. */
      readonly statusCode: number | null;
      /**
       * Whether the receiver never wants this trigger: it answered 410, or with `webhook-delivery: abort-message` or
       * `disable`.
       */
      readonly isFinal: boolean;
      /** Present when the receiver wants no more triggers of the job either. */
      readonly pauses?: PauseCause;
      /** The pause before the next attempt that the receiver asked for; undefined when it asked for none. */
      readonly retryAfterMs: number | undefined;
    }
  /** Nothing reached the receiver. */
  | {
      readonly kind: "NOT_SENT";
      /** Present when the time limit of the attempt ended it. */
      readonly isTimeout?: true;
      /** Present when the target was not even tried, so that this says nothing about it. */
      readonly isUntried?: true;
    }
  /** The delivery may have reached the receiver. */
  | {
      readonly kind: "UNKNOWN";
      /** Present when the time limit of the attempt ended it. */
      readonly isTimeout?: true;
    };

/** Where the time of an attempt went. A part that was not reached, or that there was not, is absent. */
export interface AttemptTiming extends ConnectTimes {
  /** Whether the request went over a connection that had been open already. */
  readonly isReused: boolean;
  /** From writing the request to the head of the answer, in whole milliseconds. */
  readonly firstByteMs?: number | undefined;
}

/** The outcome of one attempt, and what a customer and the logs are told about it. */
export interface Delivery {
  readonly outcome: Outcome;
  /** What went wrong, in words that may be shown to the customer; empty after a success. */
  readonly error: string;
  /** The first 16 KiB of the answer's body. */
  readonly responseBody: string;
  /** Where the time went. Absent if nothing is known, and where the target does not speak HTTP. */
  readonly timing?: AttemptTiming | undefined;
  /** Headers of the answer that are kept, by lower-case name. Absent when there are none. */
  readonly responseHeaders?: Readonly<Record<string, string>> | undefined;
  /** The error behind the outcome, if any; for the logs only. */
  readonly cause?: unknown;
}
