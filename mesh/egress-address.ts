import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Address ranges that may be called although they are not public. */
export type AllowList = readonly (readonly [Address, number])[];

/**
 * Parses CIDR ranges separated by commas, such as `127.0.0.0/8,::1/128`. An empty text means no range. Throws an
 * Error for anything else.
 */
export function parseAllowList(text: string): AllowList {
  const parts = text.split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "").map(parseRange);
}

/** What may never be called, although it is public: for example the addresses and names of EasyCron itself. */
export interface DenyList {
  readonly ranges: AllowList;
  /** Lower-case host names. Each stands for the names below it, too. */
  readonly names: readonly string[];
  /**
   * The host of this installation, in lower case: a name or an IP address. The names below it are not denied, nor is the
   * host itself when the allow list contains its addresses.
   */
  readonly ownHost?: string;
}

/** Adds the host of this installation's public URL to a list. */
export function denyOwnHost(deny: DenyList, publicUrl: string | undefined): DenyList {
  if (publicUrl === undefined) return deny;
  return { ...deny, ownHost: new URL(publicUrl).hostname.replace(/^\[|\]$|\.$/g, "") };
}

/** Whether a host is that of this installation, and the allow list does not contain all of its addresses. */
export function isDeniedOwnHost(
  host: string,
  { addresses, allow, deny }: { addresses: readonly string[]; allow: AllowList; deny: DenyList },
): boolean {
  return host === deny.ownHost && !addresses.every((address) => isListed(address, allow));
}

/** The list that denies nothing. */
export const DENY_NOTHING: DenyList = { ranges: [], names: [] };

/**
 * Parses addresses, CIDR ranges and host names separated by commas, such as `203.0.113.7,2a00:1450::/32,api.acme.io`. An
 * empty text denies nothing. Throws an Error for anything else.
 */
export function parseDenyList(text: string): DenyList {
  const parts = text.split(",").map((part) => part.trim().toLowerCase());
  const names = parts.filter((part) => isIP(part) === 0 && HOST_NAME.test(part));
  const ranges = parts.filter((part) => part !== "" && !names.includes(part));
  return {
    names,
    ranges: ranges.map((part) => parseRange(isIP(part) === 0 ? part : `${part}/${bitsOf(part)}`)),
  };
}

const HOST_NAME = /^([a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{0,62}$/;

function bitsOf(address: string): number {
  return isIP(address) === 4 ? 32 : 128;
}

/** Whether a host name, in lower case and without a dot at its end, is one of the denied names or below one. */
export function isDeniedName(name: string, { names }: DenyList): boolean {
  return names.some((denied) => name === denied || name.endsWith(`.${denied}`));
}

function parseRange(text: string): readonly [Address, number] {
  const [address = "", bits = "", ...rest] = text.split("/");
  const family = isIP(address);
  const isBits = /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
  if (family === 0 || !isBits || rest.length > 0)
    throw new Error(`"${text}" is not a range; write one as in 10.0.0.0/8.`);
  return [ipaddr.parse(address), Number(bits)];
}

/**
 * Returns whether a connection to this address is allowed: it is a public unicast address, or the allow list contains
 * it; and the deny list does not. Expects the canonical text of an address, as sockets and resolvers give it. Any other
 * text is not allowed.
 */
export function isAllowedAddress(address: string, allow: AllowList, deny = DENY_NOTHING): boolean {
  if (isIP(address) === 0) return false;
  const parsed = unmap(ipaddr.parse(address));
  if (deny.ranges.some((range) => isWithin(parsed, range))) return false;
  return allow.some((range) => isWithin(parsed, range)) || isPublicUnicast(parsed);
}

/** Returns whether the allow list itself contains an address. */
export function isListed(address: string, allow: AllowList): boolean {
  if (isIP(address) === 0) return false;
  const parsed = unmap(ipaddr.parse(address));
  return allow.some((range) => isWithin(parsed, range));
}

/** Writes ranges as they are configured: `127.0.0.0/8`. */
export function toRangeTexts(list: AllowList): string[] {
  return list.map(([address, bits]) => `${address.toString()}/${bits}`);
}

/** Returns whether the allow list contains the loopback address, IPv4 or IPv6. */
export function isLoopbackAllowed(allow: AllowList): boolean {
  return isAllowedAddress("127.0.0.1", allow) || isAllowedAddress("::1", allow);
}

function isWithin(address: Address, [network, bits]: readonly [Address, number]): boolean {
  const range = unmap(network);
  return address.kind() === range.kind() && network.kind() === range.kind() && address.match(range, bits);
}

/** Turns ::ffff:a.b.c.d into a.b.c.d, because that is the address to which the system connects. */
function unmap(address: Address): Address {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

// Azure's host answers like a metadata service, but ipaddr.js counts it as public.
const AZURE_HOST = "168.63.129.16";
const GLOBAL_UNICAST = ipaddr.IPv6.parse("2000::");

function isPublicUnicast(address: Address): boolean {
  if (address.range() !== "unicast") return false;
  if (address instanceof ipaddr.IPv4) return address.toString() !== AZURE_HOST;
  // Outside 2000::/3 no address is assigned, and some are dangerous, such as the IPv4-compatible ::7f00:1.
  return address.match(GLOBAL_UNICAST, 3) && !isIsatap(address);
}

/**
 * Returns whether an address is an ISATAP tunnel to an IPv4 address that the other end chooses: its interface id
 * begins with 0:5efe or 200:5efe.
 */
function isIsatap(address: ipaddr.IPv6): boolean {
  const [high, low] = address.parts.slice(4, 6);
  return low === 0x5efe && (high === 0 || high === 0x200);
}
