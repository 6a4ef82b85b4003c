import { isIP } from "node:net";
import {
  type AllowList,
  DENY_NOTHING,
  type DenyList,
  isAllowedAddress,
  isDeniedName,
  isListed,
  isLoopbackAllowed,
} from "./egress-address.ts";
import { isOtherProtocolsPort } from "./egress-ports.ts";

/** The normalized URL, or why it is refused. */
export type UrlVerdict =
  | { readonly href: string }
  | { readonly problem: "URL_INVALID" | "TARGET_FORBIDDEN"; readonly why: string };

const MAX_LENGTH = 2_048;

// Names that are not on the Internet: of machines in the local network, and special ones (RFC 6761, RFC 6762, RFC 8375,
// RFC 9476, and common usage). "example" is not here, because documentation uses it; it has no address in DNS.
const NEARBY =
  /(^|\.)(localhost|local|localdomain|internal|intranet|lan|home|corp|private|arpa|onion|test|invalid|alt|svc|cluster\.local)$/;

/**
 * Checks the URL of a webhook when a job is created. It must be an absolute http or https URL of at most 2,048
 * characters, without user information, fragment or port 0. It must not name a machine in the local network, a denied
 * host or the port of another protocol. An IP address in it must be an allowed one; one that the allow list contains may
 * be called at any port. The addresses of a host name are checked at each connection, not here.
 */
export function checkUrl(url: string, allow: AllowList, deny = DENY_NOTHING): UrlVerdict {
  if (url.length > MAX_LENGTH)
    return invalid(`It has ${url.length} characters; at most ${MAX_LENGTH} are allowed.`);
  // The WHATWG parser would silently remove or replace these.
  if (/[\p{Cc}\s\\]/u.test(url))
    return invalid("It contains a space, a control character or a backslash; encode or remove it.");
  if (!/^https?:\/\/[^/?#]/i.test(url)) return invalid("It must begin with http:// or https:// and a host.");
  if (!URL.canParse(url)) return invalid("Its host or port is malformed.");
  const parsed = new URL(url);
  if (parsed.username !== "" || parsed.password !== "" || /^https?:\/\/[^/?#]*@/i.test(url)) {
    return invalid("It contains user information; use a header instead.");
  }
  if (url.includes("#")) return invalid("It contains a fragment, which is never sent; remove it.");
  if (parsed.port === "0") return invalid("Its port is 0, which cannot be called.");
  if (parsed.href.length > MAX_LENGTH)
    return invalid(
      `It has ${parsed.href.length} characters when encoded; at most ${MAX_LENGTH} are allowed.`,
    );
  const why = judgeHost(parsed.hostname, allow, deny) ?? judgePort(parsed, allow);
  return why === undefined ? { href: parsed.href } : { problem: "TARGET_FORBIDDEN", why };
}

function judgePort({ hostname, port }: URL, allow: AllowList): string | undefined {
  if (!isOtherProtocolsPort(port) || isListed(toAddress(hostname), allow)) return undefined;
  return hostname === "localhost" ? undefined : `Port ${port} belongs to another protocol than HTTP.`;
}

function toAddress(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function judgeHost(hostname: string, allow: AllowList, deny: DenyList): string | undefined {
  const address = toAddress(hostname);
  if (isIP(address) !== 0) {
    return isAllowedAddress(address, allow, deny) ? undefined : `${address} is not a public address.`;
  }
  const name = hostname.replace(/\.$/, "");
  if (isDeniedName(name, deny)) return `"${name}" must not be called.`;
  if (name === "localhost" && isLoopbackAllowed(allow)) return undefined;
  if (!name.includes(".")) return `"${name}" is not a public host name.`;
  return NEARBY.test(name) ? `"${name}" is not a public host name.` : undefined;
}

function invalid(why: string): UrlVerdict {
  return { problem: "URL_INVALID", why };
}
