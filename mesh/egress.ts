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
  /** Address ranges that may be called although they are not public. */
  readonly allow: AllowList;
  /** The largest number of connections to one origin (scheme, host and port). Further requests wait. */
  readonly connectionsPerOrigin: number;
  /** The longest time from the lookup of the name to the end of the TLS handshake. */
  readonly connectTimeoutMs: number;
  /** False: each request opens a connection of its own. Default true. */
  readonly keepAlive?: boolean;
  /** Default: a resolver that uses the machine's DNS servers. */
  readonly resolver?: AddressResolver;
  /** Default: the present content of /etc/hosts. */
  readonly hosts?: Hosts;
}

// Idle connections are closed after seconds, so that a change in DNS takes effect. A server may ask for up to a
// minute.
const KEEP_ALIVE_MS = 4_000;
const KEEP_ALIVE_MAX_MS = 60_000;
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * Creates the agent for every request to a customer's endpoint. Each connection is checked three times: an IP address
 * in the URL before connecting, all addresses of a name when it is looked up, and the peer's address once connected.
 * A refused request fails with EgressBlocked. The agent speaks HTTP/1.1, with one request at a time on a connection.
 * `request` and `dispatch` do not follow redirects; the caller decides about them. Close the agent when done.
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
    // There is no lookup for an IP address, so it is checked here.
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
    // With 0, undici closes the connection after each request.
    pipelining: options.keepAlive === false ? 0 : 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
}
