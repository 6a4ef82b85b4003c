import type { KeyObject } from "node:crypto";
import { makeToken, type TokenSubject } from "../tokens/token.ts";
import type { TokenKeys } from "../tokens/token-keys.ts";

/** What the headers for an acknowledgement need. */
export interface AcknowledgementParts {
  readonly tokenKeys: Pick<TokenKeys, "get" | "load">;
  /** The address under which receivers reach the gateway, without a slash at its end; undefined when nobody has said it. */
  readonly publicUrl: string | undefined;
}

/**
 * Returns the headers with which a receiver can acknowledge an attempt, as a flat list: its token, and the URL to which a
 * POST acknowledges it. The URL has the token in it, so that an empty POST is enough. Without a public address there is no
 * URL.
 */
export function makeAcknowledgementHeaders(
  { publicUrl }: Pick<AcknowledgementParts, "publicUrl">,
  key: KeyObject,
  subject: TokenSubject,
): string[] {
  const token = makeToken(key, subject);
  const headers = ["easycron-ack-token", token];
  if (publicUrl !== undefined) {
    headers.push("easycron-ack-url", `${publicUrl}/acknowledge/${subject.triggerId}/${token}`);
  }
  return headers;
}
