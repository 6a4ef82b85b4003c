import { failure } from "../../mesh/errors.ts";

/** The token of the page of a list that begins after `key`. */
export function toPageToken(list: string, key: string): string {
  return Buffer.from(`${list}:${key}`).toString("base64url");
}

/** The key after which a page of a list begins; empty for the first. Throws PAGE_TOKEN_INVALID. */
export function readPageToken(list: string, token: string): string {
  if (token === "") return "";
  const text = Buffer.from(token, "base64url").toString();
  const key = text.slice(list.length + 1);
  if (!text.startsWith(`${list}:`) || toPageToken(list, key) !== token) throw badPageToken(token);
  return key;
}

/** The error of a token that the list did not give, or gave to another request. */
export function badPageToken(token: string): Error {
  const description = "No page of this list, of this request, gave this token; start again without one.";
  return failure("PAGE_TOKEN_INVALID", { token }, { violations: [{ field: "pageToken", description }] });
}
