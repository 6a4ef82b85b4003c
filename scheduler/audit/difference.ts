import type { LedgerDifferenceKind } from "../../gen/easycron/v1/ledger_pb.ts";
import { toIso } from "../../mesh/iso-time.ts";

/** One fault in a ledger: something that the job's schedule, policies or calendars do not allow. */
export interface LedgerDifference {
  readonly kind: Exclude<keyof typeof LedgerDifferenceKind, "UNSPECIFIED">;
  /** The fire time, or the first of them. Epoch milliseconds. */
  readonly atMs: number;
  /** What was expected and what is recorded, as a sentence. */
  readonly detail: string;
}

/** Returns an instant as RFC 3339 in UTC, or "none" for null. */
export function isoOrNone(ms: number | null): string {
  return ms === null ? "none" : toIso(ms);
}
