import { EasyCronError } from "../mesh/errors.ts";

// SQLSTATE classes that concern the statement or the connection, and so every item alike: not supported (0A), invalid
// authorization (28), wrong state of the transaction (25), wrong statement name (26), unknown database (3D) or schema
// (3F), and an unknown column, a missing grant or wrong syntax (42), as while another version is being deployed.
const CONCERNS_ALL = /^(0A|25|26|28|3D|3F|42)/;

/** Reasons that would hit every item alike: something is away or full, or the caller no longer waits. */
const CONCERN_ALL: ReadonlySet<string> = new Set([
  "SERVICE_UNAVAILABLE",
  "TOO_MANY_CALLS",
  "CANCELLED",
  "DEADLINE_EXCEEDED",
]);

/**
 * Whether an error of a statement may be the fault of one of the items that the statement is about, such as a row that
 * cannot be read or a value that is refused. Such a batch is worth being taken apart. An error that would hit each item
 * alike, such as a database that cannot be reached or a column that does not exist, is not.
 */
export function isItemFault(error: unknown): boolean {
  if (error instanceof EasyCronError) return !CONCERN_ALL.has(error.reason);
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return !(typeof code === "string" && CONCERNS_ALL.test(code));
}
