import { create, toJson } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";

/** Shows a duration as in JSON. One that JSON cannot express is shown by its seconds and nanos. */
export function showDuration({ seconds, nanos }: Duration): string {
  return show(seconds, nanos, () => toJson(DurationSchema, create(DurationSchema, { seconds, nanos })));
}

/** Shows an instant as in JSON. One that JSON cannot express is shown by its seconds and nanos. */
export function showTimestamp({ seconds, nanos }: Timestamp): string {
  return show(seconds, nanos, () => toJson(TimestampSchema, create(TimestampSchema, { seconds, nanos })));
}

function show(seconds: bigint, nanos: number, write: () => string): string {
  try {
    return `"${write()}"`;
  } catch {
    return `${seconds} seconds and ${nanos} nanos`;
  }
}
