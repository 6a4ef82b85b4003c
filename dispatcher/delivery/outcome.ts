/**
 * What came of an attempt. Delivering never throws for what a customer's endpoint did; the note that a customer may
 * read travels beside it.
 */
export type Outcome =
  /** The target acknowledged it. */
  | { readonly kind: "SUCCEEDED"; readonly statusCode: number | null }
  /** An answer that is not success. */
  | {
      readonly kind: "REJECTED";
      /** Null where the target does not speak HTTP. */
      readonly statusCode: number | null;
      /** The receiver said that it never wants it: 410, or `webhook-delivery: abort-message`. */
      readonly isFinal: boolean;
      /** The pause that the receiver asked for. */
      readonly retryAfterMs: number | undefined;
    }
  /** Nothing reached the receiver. */
  | { readonly kind: "NOT_SENT" }
  /** It may have arrived. */
  | { readonly kind: "UNKNOWN" };

/** What a target did with one attempt. */
export interface Delivery {
  readonly outcome: Outcome;
  /** What went wrong, in words that may be shown to the customer; empty when it succeeded. */
  readonly error: string;
  /** The first 16 KiB of the answer. */
  readonly responseBody: string;
  /** What really happened, for the logs only. */
  readonly cause?: unknown;
}
