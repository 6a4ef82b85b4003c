import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { toDate } from "./instant.ts";

/**
 * Converts an instant to the type of the API's time fields: `once: { at: { case: "time", value: toTimestamp("…") } }`.
 * Throws a RangeError as `toDate` does.
 */
export function toTimestamp(time: Date | string): Timestamp {
  return timestampFromDate(toDate(time));
}
