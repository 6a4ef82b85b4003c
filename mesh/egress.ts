import { isIP } from "node:net";
import { Agent, buildConnector } from "undici";
import { type AllowList, isAllowedAddress } from "./egress-address.ts";
import {
  type AddressResolver,
  createLookup,
  createResolver,
  EgressBlocked,
  type Hosts,
  readHosts,
} from "./egress-lookup.ts";

export { EgressBlocked } from "./egress-lookup.ts";

/** How customers' endpoints are called. */
export interface EgressOptions {
  /** Ranges that may be called although they are not public. */
  readonly allow: AllowList;
  /** Most connections to one origin (scheme, host and port) at once; further requests wait. */
  readonly connectionsPerOrigin: number;
  /** Longest time from looking up the name to the end of the TLS handshake. */
  readonly connectTimeoutMs: number;
  /** Default: the machine's. */
  readonly resolver?: AddressResolver;
  /** Default: /etc/hosts as it is now. */
  readonly hosts?: Hosts;
}

// Idle connections are closed in seconds, so that a name which moves is followed; a server may ask for a minute.
const KEEP_ALIVE_MS = 4_000;
const KEEP_ALIVE_MAX_MS = 60_000;
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * Makes the agent through which every call to a customer goes. Each connection is checked where it counts: address
 * literals before dialling, all addresses of a name when it is looked up, and the peer's address once connected. A
 * request that is refused fails with EgressBlocked. HTTP/1.1, one request at a time per connection. Redirects are
 * for the caller to refuse: `request` and `dispatch` do not follow them. Close it when done.
 */
export function createEgressAgent(options: EgressOptions): Agent {
  const { allow, connectTimeoutMs } = options;
  const dial = buildConnector({
    allowH2: false,
    timeout: connectTimeoutMs,
    autoSelectFamily: true,
    lookup: createLookup({
      allow,
      resolver: options.resolver ?? createResolver(connectTimeoutMs),
      hosts: options.hosts ?? readHosts(),
    }),
  });
  const connect: buildConnector.connector = (target, done) => {
    // Literals are dialled without a lookup.
    const literal = target.hostname.replace(/^\[|\]$/g, "");
    if (isIP(literal) !== 0 && !isAllowedAddress(literal, allow))
      return done(new EgressBlocked(literal), null);
    dial(target, (error, socket) => {
      if (error !== null) return done(error, null);
      const peer = socket.remoteAddress ?? "";
      if (isAllowedAddress(peer, allow)) return done(null, socket);
      socket.destroy();
      done(new EgressBlocked(peer), null);
    });
  };
  return new Agent({
    connect,
    allowH2: false,
    connections: options.connectionsPerOrigin,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
}
