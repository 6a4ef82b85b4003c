import { promises as dns, type LookupAddress } from "node:dns";
import { readFileSync } from "node:fs";
import { isIP, type LookupFunction } from "node:net";
import { type AllowList, isAllowedAddress } from "./egress-address.ts";

/** The guard refused to call an address. The message may be shown to a customer; `address` is for logs only. */
export class EgressBlocked extends Error {
  override readonly name = "EgressBlocked";
  readonly address: string;

  constructor(address: string) {
    super("The address of this host may not be called.");
    this.address = address;
  }
}

/** The part of a DNS resolver that is used. */
export type AddressResolver = Pick<dns.Resolver, "resolve4" | "resolve6">;

/** Addresses by lower-case name, as /etc/hosts has them. */
export type Hosts = ReadonlyMap<string, readonly string[]>;

interface LookupOptions {
  readonly allow: AllowList;
  readonly resolver: AddressResolver;
  readonly hosts: Hosts;
}

/**
 * Makes the lookup of a connector. Names of the hosts file give those of their addresses that are allowed; all other
 * names are asked of DNS, and one forbidden answer refuses the name, since an honest name does not mix. Whatever is
 * returned is what gets dialled. Fails with EgressBlocked, or with DNS's own error.
 */
export function createLookup(options: LookupOptions): LookupFunction {
  return (hostname, { all }, done) => {
    resolveName(hostname, options).then(
      (addresses) => {
        const [first] = addresses;
        if (all) done(null, addresses);
        else if (first !== undefined) done(null, first.address, first.family);
      },
      (error: Error) => done(error, ""),
    );
  };
}

async function resolveName(hostname: string, options: LookupOptions): Promise<LookupAddress[]> {
  const { allow, hosts } = options;
  const name = hostname.toLowerCase().replace(/\.$/, "");
  const known = hosts.get(name);
  const addresses = known ?? (await askDns(name, options.resolver));
  const forbidden = addresses.find((address) => !isAllowedAddress(address, allow));
  const allowed = addresses.filter((address) => isAllowedAddress(address, allow));
  if (forbidden !== undefined && (known === undefined || allowed.length === 0))
    throw new EgressBlocked(forbidden);
  return allowed.map((address) => ({ address, family: isIP(address) }));
}

async function askDns(name: string, resolver: AddressResolver): Promise<readonly string[]> {
  // The dot at the end keeps the machine's search list out of it.
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(`${name}.`), resolver.resolve6(`${name}.`)]);
  const addresses = [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (addresses.length > 0) return addresses;
  throw v4.status === "rejected" ? v4.reason : new Error(`${name} has no address.`);
}

/** A resolver that gives up within `timeoutMs`. Unlike getaddrinfo it does not share four threads with everybody. */
export function createResolver(timeoutMs: number): AddressResolver {
  // c-ares doubles the time of a second try: a third and two thirds.
  return new dns.Resolver({ timeout: Math.ceil(timeoutMs / 3), tries: 2 });
}

/** Reads a hosts file, once; localhost is known even without it. */
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
