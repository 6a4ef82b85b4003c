import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { parseHostPort } from "../../mesh/config.ts";
import type { Logger } from "../../mesh/logger.ts";
import { startLoop } from "../../mesh/loop.ts";

/** Returns the IP addresses of a name. Throws when it cannot be resolved. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Watched addresses. */
export interface AddressWatch {
  /** Resolves when the addresses are known, or the first look-up of the name has failed. */
  untilKnown(): Promise<void>;
  /** Stops looking up. Resolves when the look-up that is under way has ended. */
  stop(): Promise<void>;
}

/** What to watch. */
export interface AddressWatchOptions {
  /** One or more ip:port; or one name:port. */
  readonly addresses: readonly string[];
  readonly logger: Logger;
  /** Default: as the system resolves names. */
  readonly resolve?: Resolve | undefined;
  /** Called with all addresses, as ip:port, at the start and after each look-up. */
  readonly onChange: (addresses: readonly string[]) => void;
}

/** The pause between two look-ups of a name. */
const RESOLVE_EVERY_MS = 1_000;

/**
 * Tells which addresses there are. Addresses that are given as ip:port never change. A name is looked up again every
 * second. While a look-up fails or finds nothing, the addresses that are known stay.
 */
export function watchAddresses(options: AddressWatchOptions): AddressWatch {
  const { addresses, logger, resolve = resolveAll, onChange } = options;
  const [only = ""] = addresses;
  const parsed = parseHostPort(only);
  if (parsed === undefined || isIP(parsed.host) !== 0) {
    onChange(addresses);
    return { untilKnown: async () => {}, stop: async () => {} };
  }
  const { host, port } = parsed;
  const known = Promise.withResolvers<void>();
  const work = async () => {
    try {
      const ips = await resolve(host);
      if (ips.length === 0) throw new Error(`${host} has no address.`);
      onChange(ips.map((ip) => (isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`)));
    } finally {
      known.resolve();
    }
    return { more: false };
  };
  const loop = startLoop(work, {
    everyMs: RESOLVE_EVERY_MS,
    onFailure: (error) => logger.warn({ host, err: error }, "the name of the dispatchers cannot be resolved"),
    onRecovery: () => logger.info({ host }, "the name of the dispatchers is resolved again"),
  });
  return { untilKnown: () => known.promise, stop: () => loop.stop() };
}

async function resolveAll(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
