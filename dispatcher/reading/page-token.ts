import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type ListIdentity, pageTokenInvalid, readPageToken, toPageToken } from "../../mesh/page-token.ts";

/** The last trigger of a page. */
export interface PagePlace {
  /** Nominal time, epoch milliseconds. */
  readonly fireTimeMs: number;
  readonly id: string;
}

/** As far as a Date reaches. */
const MAX_TIME_MS = 8.64e15;

/** Returns the token of the page of triggers that begins after `place`. */
export function toTriggerPageToken(list: ListIdentity, place: PagePlace): string {
  return toPageToken(list, `${place.fireTimeMs}/${place.id}`);
}

/**
 * Returns the trigger after which the page begins. Throws PAGE_TOKEN_INVALID for a token of another list, or for a place
 * that is not before the end of the list's time range.
 */
export function readTriggerPageToken(
  list: ListIdentity,
  token: string,
  endTime: Timestamp | undefined,
): PagePlace {
  const [time, id] = readPageToken(list, token).split("/");
  const fireTimeMs = Number(time);
  const lastMs = endTime === undefined ? MAX_TIME_MS : timestampMs(endTime);
  if (
    id === undefined ||
    !Number.isSafeInteger(fireTimeMs) ||
    fireTimeMs < -MAX_TIME_MS ||
    fireTimeMs > lastMs
  ) {
    throw pageTokenInvalid(token);
  }
  return { fireTimeMs, id };
}
