import { toIso } from "../mesh/iso-time.ts";

/**
 * Returns the text of a PostgreSQL array of values that need no quotes: ids, numbers, states. It does not quote, so
 * it is not for texts of customers. It is faster than the driver, which searches each value for characters to be
 * quoted; that search takes longer than everything else on the way to the server.
 */
export function toPlainArray(values: readonly (string | number | null)[]): string {
  return `{${values.map((value) => value ?? "NULL").join(",")}}`;
}

/** Returns the text of a PostgreSQL array of texts without U+0000, such as JSON. It quotes each value. */
export function toQuotedArray(values: readonly string[]): string {
  return `{${values.map((value) => (value === "{}" ? EMPTY_OBJECT : quote(value))).join(",")}}`;
}

const EMPTY_OBJECT = '"{}"';

function quote(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** Returns the text of a PostgreSQL array of timestamptz from epoch milliseconds. */
export function toTimeArray(values: readonly (number | null)[]): string {
  return `{${values.map((value) => (value === null ? "NULL" : toIso(value))).join(",")}}`;
}
