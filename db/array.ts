import { toIso } from "../mesh/iso-time.ts";

/**
 * Returns the text of a PostgreSQL array of values that need no quotes: ids, numbers, states. It does not quote, so
 * it is not for texts of customers. It is faster than the driver, which searches each value for characters to be
 * quoted; that search takes longer than everything else on the way to the server.
 */
export function toPlainArray(values: readonly (string | number | null)[]): string {
  return `{${values.map((value) => value ?? "NULL").join(",")}}`;
}

/**
 * Returns the text of a PostgreSQL array of texts without U+0000, such as JSON. It quotes each value but null. The driver
 * makes the same text in three times the time where nothing is to be escaped.
 */
export function toQuotedArray(values: readonly (string | null)[]): string {
  let text = "";
  for (const value of values) {
    if (text !== "") text += ",";
    text += value === null ? "NULL" : quote(value);
  }
  return `{${text}}`;
}

const ESCAPED = /["\\]/;

function quote(value: string): string {
  if (!ESCAPED.test(value)) return `"${value}"`;
  return `"${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
}

/** Returns the text of a PostgreSQL array of timestamptz from epoch milliseconds. */
export function toTimeArray(values: readonly (number | null)[]): string {
  return `{${values.map((value) => (value === null ? "NULL" : toIso(value))).join(",")}}`;
}
