/** Something that has happened to a job with alerts. Times are epoch milliseconds. */
export interface Fact {
  readonly kind: "EXHAUSTED" | "FAILING" | "MISSED" | "DISABLED" | "NOT_DELIVERED";
  /** Tells two facts of the same kind apart. */
  readonly cause: string;
  readonly timeMs: number;
  /** The fire times concerned, as far as they are known: at most two stand for a range. */
  readonly fireTimesMs: readonly number[];
  readonly count: number;
  readonly triggers: readonly FactTrigger[];
  /** Why fire times were missed, or the job was disabled; empty for other facts. */
  readonly reason: string;
}

/** A trigger that a fact is about. */
export interface FactTrigger {
  readonly id: string;
  readonly nominalMs: number;
  /** How many attempts of it had started. */
  readonly attempts: number;
}
