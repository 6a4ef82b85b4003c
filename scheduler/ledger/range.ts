import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { fieldFailure } from "../../mesh/errors.ts";

/** A range of nominal times as a request gives it; what is not given has its default. */
export interface RangeRequest {
  readonly startTime?: Timestamp | undefined;
  readonly endTime?: Timestamp | undefined;
}

/**
 * Reads a range: its end, by default now, and its start, by default what `startOf` makes of the end. Throws
 * FIELD_INVALID, naming the field that was given: a start alone must not be later than now.
 */
export function readRange(
  request: RangeRequest,
  { nowMs, startOf }: { readonly nowMs: number; readonly startOf: (endMs: number) => number },
): { readonly startMs: number; readonly endMs: number } {
  const endMs = request.endTime === undefined ? nowMs : timestampMs(request.endTime);
  // A default never makes a range that ends before it starts.
  if (request.startTime === undefined) return { startMs: Math.min(startOf(endMs), endMs), endMs };
  const startMs = timestampMs(request.startTime);
  if (startMs <= endMs) return { startMs, endMs };
  const [start, end] = [new Date(startMs).toISOString(), new Date(endMs).toISOString()];
  if (request.endTime === undefined) {
    const problem = `${start} is later than now, ${end}, up to which the range goes; set endTime as well.`;
    throw fieldFailure("FIELD_INVALID", "startTime", problem);
  }
  throw fieldFailure("FIELD_INVALID", "endTime", `${end} is before startTime, ${start}; it must not be.`);
}
