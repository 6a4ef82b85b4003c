import { createHash } from "node:crypto";
import { failure } from "../../mesh/errors.ts";

/** The last trigger of a page. */
export interface PagePlace {
  /** Nominal time, epoch milliseconds. */
  readonly fireTimeMs: number;
  readonly id: string;
}

/**
 * Makes the token that leads to what comes after `place` in the list that `filter` describes: place and a digest of
 * the filter, so that it is good for that list only.
 */
export function toPageToken(filter: readonly unknown[], place: PagePlace): string {
  return Buffer.from(`${place.fireTimeMs}/${place.id}/${digestOf(filter)}`).toString("base64url");
}

/** Reads a token. Throws PAGE_TOKEN_INVALID for any text that `toPageToken` did not make for this filter. */
export function readPageToken(filter: readonly unknown[], token: string): PagePlace {
  const [time, id] = Buffer.from(token, "base64url").toString().split("/");
  const fireTimeMs = Number(time);
  if (id === undefined || !Number.isSafeInteger(fireTimeMs) || Math.abs(fireTimeMs) > MAX_TIME_MS) {
    throw failure("PAGE_TOKEN_INVALID", { token });
  }
  if (toPageToken(filter, { fireTimeMs, id }) !== token) throw failure("PAGE_TOKEN_INVALID", { token });
  return { fireTimeMs, id };
}

/** As far as a Date reaches. */
const MAX_TIME_MS = 8.64e15;

function digestOf(filter: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(filter)).digest("base64url").slice(0, 16);
}
