import { createHash } from "node:crypto";
import { failure } from "./errors.ts";

/** Names one list: a name, or a name with all that decides what is in the list, such as project, filter and order. */
export type ListIdentity = string | readonly unknown[];

/**
 * Returns the token of the page that begins after `place`, the last entry of the page before. The token also holds a
 * digest of the list and the place, so that it is valid for this list only. The digest is no signature: whoever knows
 * this code can make a token. So check the place that `readPageToken` returns before you use it.
 */
export function toPageToken(list: ListIdentity, place: string): string {
  const digest = createHash("sha256")
    .update(JSON.stringify([list, place]))
    .digest("base64url");
  return Buffer.from(`${digest.slice(0, 16)}${place}`).toString("base64url");
}

/**
 * Returns the place after which the page begins; empty for an empty token, which means the first page. Throws
 * PAGE_TOKEN_INVALID if `toPageToken` did not make the token for this list.
 */
export function readPageToken(list: ListIdentity, token: string): string {
  if (token === "") return "";
  const place = Buffer.from(token, "base64url").toString().slice(16);
  // No list has a place with U+0000, and PostgreSQL could not read it.
  if (place.includes("\0") || toPageToken(list, place) !== token) throw pageTokenInvalid(token);
  return place;
}

/** Returns the PAGE_TOKEN_INVALID error of a token that does not belong to the list it was sent to. */
export function pageTokenInvalid(token: string): Error {
  const description = "pageToken is not valid for this list; start again without it.";
  return failure("PAGE_TOKEN_INVALID", { token }, { violations: [{ field: "pageToken", description }] });
}
