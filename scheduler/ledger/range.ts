import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { fieldFailure } from "../../mesh/errors.ts";

/** A range of nominal times as a request gives it. Both ends are optional. */
export interface RangeRequest {
  readonly startTime?: Timestamp | undefined;
  readonly endTime?: Timestamp | undefined;
}

/**
 * Returns the range of a request. The end defaults to now, the start to `startOf(end)`. Throws FIELD_INVALID if the end
 * is before the start: for `endTime`, or for `startTime` if only that was given.
 */
export function readRange(
  request: RangeRequest,
  { nowMs, startOf }: { readonly nowMs: number; readonly startOf: (endMs: number) => number },
): { readonly startMs: number; readonly endMs: number } {
  const endMs = request.endTime === undefined ? nowMs : timestampMs(request.endTime);
  // A default start is never later than the end.
  if (request.startTime === undefined) return { startMs: Math.min(startOf(endMs), endMs), endMs };
  const startMs = timestampMs(request.startTime);
  if (startMs <= endMs) return { startMs, endMs };
  const [start, end] = [new Date(startMs).toISOString(), new Date(endMs).toISOString()];
  if (request.endTime === undefined) {
    const problem = `${start} is later than now (${end}), which is where the range ends by default; set endTime as well.`;
    throw fieldFailure("FIELD_INVALID", "startTime", problem);
  }
  throw fieldFailure(
    "FIELD_INVALID",
    "endTime",
    `${end} is before startTime, ${start}; give a time that is not before it.`,
  );
}
