import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Ranges that may be called although they are not public. */
export type AllowList = readonly (readonly [Address, number])[];

/** Reads CIDR ranges separated by commas, such as `127.0.0.0/8,::1/128`; empty allows none. Throws on a bad one. */
export function parseAllowList(text: string): AllowList {
  const parts = text.split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "").map(parseRange);
}

function parseRange(text: string): readonly [Address, number] {
  const [address = "", bits = "", ...rest] = text.split("/");
  const family = isIP(address);
  const isBits = /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
  if (family === 0 || !isBits || rest.length > 0)
    throw new Error(`"${text}" is not a range such as 10.0.0.0/8.`);
  return [ipaddr.parse(address), Number(bits)];
}

/**
 * Whether this address may be dialled: a public unicast one, or one in a range that the allow list names. Expects the
 * canonical text of an address, as sockets and resolvers give it; anything else is not allowed.
 */
export function isAllowedAddress(address: string, allow: AllowList): boolean {
  if (isIP(address) === 0) return false;
  const parsed = unmap(ipaddr.parse(address));
  return allow.some((range) => isWithin(parsed, range)) || isPublicUnicast(parsed);
}

/** Whether the allow list lets a process call its own machine. */
export function isLoopbackAllowed(allow: AllowList): boolean {
  return isAllowedAddress("127.0.0.1", allow) || isAllowedAddress("::1", allow);
}

function isWithin(address: Address, [network, bits]: readonly [Address, number]): boolean {
  const range = unmap(network);
  return address.kind() === range.kind() && network.kind() === range.kind() && address.match(range, bits);
}

/** ::ffff:a.b.c.d is dialled as a.b.c.d, and judged as that. */
function unmap(address: Address): Address {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

// Azure's host, which answers like a metadata service; ipaddr.js takes it for public.
const AZURE_HOST = "168.63.129.16";
const GLOBAL_UNICAST = ipaddr.IPv6.parse("2000::");

function isPublicUnicast(address: Address): boolean {
  if (address.range() !== "unicast") return false;
  if (address instanceof ipaddr.IPv4) return address.toString() !== AZURE_HOST;
  // Beyond 2000::/3 nothing is assigned, and some of it (IPv4-compatible ::7f00:1) is dangerous.
  return address.match(GLOBAL_UNICAST, 3) && !isIsatap(address);
}

/** Tunnels to an IPv4 address of the other end's choosing: an interface id of 0:5efe or 200:5efe and that address. */
function isIsatap(address: ipaddr.IPv6): boolean {
  const [high, low] = address.parts.slice(4, 6);
  return low === 0x5efe && (high === 0 || high === 0x200);
}
