import { isIP } from "node:net";
import { type AllowList, isAllowedAddress, isLoopbackAllowed } from "./egress-address.ts";

/** The URL as it is dialled, or why it is not. */
export type UrlVerdict =
  | { readonly href: string }
  | { readonly problem: "URL_INVALID" | "TARGET_FORBIDDEN"; readonly why: string };

const MAX_LENGTH = 2_048;

// Names that mean a machine nearby, not one on the Internet (RFC 6761, RFC 6762, RFC 8375, and common usage).
const NEARBY =
  /(^|\.)(localhost|local|localdomain|internal|intranet|lan|home|corp|private|home\.arpa|onion|svc|cluster\.local)$/;

/**
 * Judges a webhook's URL when a job is created. It must be an absolute http or https URL of at most 2,048 characters,
 * without user information, fragment or port 0, and must not name a machine nearby. An address in it must be one that
 * may be dialled. The address that a name stands for is judged at each connection, not here.
 */
export function checkUrl(url: string, allow: AllowList): UrlVerdict {
  if (url.length > MAX_LENGTH)
    return invalid(`It has ${url.length} characters; at most ${MAX_LENGTH} are allowed.`);
  // WHATWG parsing would silently drop or turn these.
  if (/[\p{Cc}\s\\]/u.test(url)) return invalid("It holds a space, a control character or a backslash.");
  if (!/^https?:\/\/[^/?#]/i.test(url)) return invalid("It must begin with http:// or https:// and a host.");
  if (!URL.canParse(url)) return invalid("Its host or port is not well-formed.");
  const parsed = new URL(url);
  if (parsed.username !== "" || parsed.password !== "" || /^https?:\/\/[^/?#]*@/i.test(url)) {
    return invalid("It holds user information; use a header instead.");
  }
  if (url.includes("#")) return invalid("It holds a fragment, which is never sent.");
  if (parsed.port === "0") return invalid("Port 0 cannot be called.");
  if (parsed.href.length > MAX_LENGTH) return invalid(`Encoded it has more than ${MAX_LENGTH} characters.`);
  const why = judgeHost(parsed.hostname, allow);
  return why === undefined ? { href: parsed.href } : { problem: "TARGET_FORBIDDEN", why };
}

function judgeHost(hostname: string, allow: AllowList): string | undefined {
  const address = hostname.replace(/^\[|\]$/g, "");
  if (isIP(address) !== 0) {
    return isAllowedAddress(address, allow) ? undefined : `${address} is not a public address.`;
  }
  const name = hostname.replace(/\.$/, "");
  if (name === "localhost" && isLoopbackAllowed(allow)) return undefined;
  if (!name.includes(".")) return `"${name}" is not a public host name.`;
  return NEARBY.test(name) ? `"${name}" is not a public host name.` : undefined;
}

function invalid(why: string): UrlVerdict {
  return { problem: "URL_INVALID", why };
}
