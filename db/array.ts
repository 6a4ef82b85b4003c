import { toIso } from "../mesh/iso-time.ts";

/**
 * The text of a PostgreSQL array of values that need no quotes: ids, numbers, states. The driver would look through
 * each for what must be quoted, which takes longer than all else on the way to the server. Not for customers' texts.
 */
export function toPlainArray(values: readonly (string | number | null)[]): string {
  return `{${values.map((value) => value ?? "NULL").join(",")}}`;
}

/** The text of a PostgreSQL array of instants, given as epoch milliseconds. */
export function toTimeArray(values: readonly (number | null)[]): string {
  return `{${values.map((value) => (value === null ? "NULL" : toIso(value))).join(",")}}`;
}
