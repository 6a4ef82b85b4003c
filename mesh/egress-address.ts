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
 * it. Expects the canonical text of an address, as sockets and resolvers give it. Any other text is not allowed.
 */
export function isAllowedAddress(address: string, allow: AllowList): boolean {
  if (isIP(address) === 0) return false;
  const parsed = unmap(ipaddr.parse(address));
  return allow.some((range) => isWithin(parsed, range)) || isPublicUnicast(parsed);
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
