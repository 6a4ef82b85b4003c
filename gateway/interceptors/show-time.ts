import { create, toJson } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";

/** A duration as JSON writes it; one that JSON lacks by its parts. */
export function showDuration({ seconds, nanos }: Duration): string {
  return show(seconds, nanos, () => toJson(DurationSchema, create(DurationSchema, { seconds, nanos })));
}

/** An instant as JSON writes it; one that JSON lacks by its parts. */
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
