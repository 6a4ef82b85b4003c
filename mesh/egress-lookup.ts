import { promises as dns, type LookupAddress } from "node:dns";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import {
  type AllowList,
  DENY_NOTHING,
  type DenyList,
  isAllowedAddress,
  isDeniedName,
  isDeniedOwnHost,
  isListed,
} from "./egress-address.ts";

/** Why a connection is refused: the address is not public, the port is another protocol's, or the operator denies it. */
export type BlockReason = "address" | "port" | "denied";

/**
 * The egress guard refused a connection to an address. The message may be shown to a customer. `address` is for logs
 * only.
 */
export class EgressBlocked extends Error {
  override readonly name = "EgressBlocked";
  readonly address: string;
  readonly why: BlockReason;

  constructor(address: string, why: BlockReason) {
    super(BLOCKED[why]);
    this.address = address;
    this.why = why;
  }
}

const BLOCKED: Readonly<Record<BlockReason, string>> = {
  address: "The address of this host is not public, so it may not be called.",
  port: "The port belongs to another protocol than HTTP, so it may not be called.",
  denied: "The operator denies this host, so it may not be called.",
};

/** Returns the error for an address that may not be called. */
export function blockedAddress(address: string, deny: DenyList = DENY_NOTHING): EgressBlocked {
  return new EgressBlocked(address, isListed(address, deny.ranges) ? "denied" : "address");
}

/** The methods of a DNS resolver that the lookup uses. */
export type AddressResolver = Pick<dns.Resolver, "resolve4" | "resolve6">;

/** The addresses of each lower-case name, as in /etc/hosts. */
export type Hosts = ReadonlyMap<string, readonly string[]>;

/** What finding the addresses of a name needs. */
export interface NameRules {
  readonly allow: AllowList;
  /** What is never called. Default: nothing. */
  readonly deny?: DenyList | undefined;
  readonly resolver: AddressResolver;
  readonly hosts: Hosts;
}

/** The addresses of a name that may be called. */
export interface FoundName {
  readonly addresses: readonly LookupAddress[];
  /** Whether DNS was asked. */
  readonly isFromDns: boolean;
}

/**
 * Finds the addresses of a name. A name in the hosts file gives those of its addresses that are allowed. Any other name is
 * looked up in DNS; one address that is not allowed refuses the whole name, because an honest name does not mix both. The
 * caller connects to the addresses returned here, so nothing can change them afterwards. Throws EgressBlocked, or the
 * error of DNS.
 */
export async function findAddresses(hostname: string, rules: NameRules): Promise<FoundName> {
  const { allow, deny = DENY_NOTHING, hosts } = rules;
  const name = hostname.toLowerCase().replace(/\.$/, "");
  if (isDeniedName(name, deny)) throw new EgressBlocked(name, "denied");
  const isAllowed = (address: string) => isAllowedAddress(address, allow, deny);
  const known = hosts.get(name);
  const addresses = known ?? (await askDns(name, rules.resolver));
  if (isDeniedOwnHost(name, { addresses, allow, deny })) throw new EgressBlocked(name, "denied");
  const forbidden = addresses.find((address) => !isAllowed(address));
  const allowed = addresses.filter(isAllowed);
  if (forbidden !== undefined && (known === undefined || allowed.length === 0))
    throw blockedAddress(forbidden, deny);
  return {
    addresses: allowed.map((address) => ({ address, family: isIP(address) })),
    isFromDns: known === undefined,
  };
}

async function askDns(name: string, resolver: AddressResolver): Promise<readonly string[]> {
  // The dot at the end makes the name absolute, so that the machine's search list is not used.
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(`${name}.`), resolver.resolve6(`${name}.`)]);
  const addresses = [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (addresses.length > 0) return addresses;
  throw v4.status === "rejected" ? v4.reason : new Error(`${name} has no address in DNS.`);
}

/**
 * Creates a resolver that gives up after at most `timeoutMs`. Unlike getaddrinfo it does not use the four threads
 * that the process shares.
 */
export function createResolver(timeoutMs: number): AddressResolver {
  // c-ares doubles the timeout for the second try, so the two tries take one third and two thirds.
  return new dns.Resolver({ timeout: Math.ceil(timeoutMs / 3), tries: 2 });
}

/** Reads a hosts file once. localhost is always in the result. */
export function readHosts(file = "/etc/hosts"): Hosts {
  const hosts = new Map<string, string[]>([["localhost", ["127.0.0.1", "::1"]]]);
  for (const line of readLines(file)) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names.map((each) => each.toLowerCase())) {
      hosts.set(name, [...new Set([...(hosts.get(name) ?? []), address])]);
    }
  }
  return hosts;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}
