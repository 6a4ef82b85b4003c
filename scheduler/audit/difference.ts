import type { LedgerDifferenceKind } from "../../gen/easycron/v1/ledger_pb.ts";

/** Something in a ledger that should not be. */
export interface LedgerDifference {
  readonly kind: Exclude<keyof typeof LedgerDifferenceKind, "UNSPECIFIED">;
  readonly atMs: number;
  readonly detail: string;
}

/** An instant as differences name it. */
export function isoOrNone(ms: number | null): string {
  return ms === null ? "none" : new Date(ms).toISOString();
}
