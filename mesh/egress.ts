import type { SecureContext } from "node:tls";
import { Agent, Pool } from "undici";
import type { AllowList, DenyList } from "./egress-address.ts";
import { createConnector } from "./egress-connector.ts";
import { type AddressResolver, createResolver, type Hosts, readHosts } from "./egress-lookup.ts";
import { createTlsSessions, type TlsSessions } from "./tls-sessions.ts";

export { ConnectFailed, type ConnectTimes } from "./egress-connect.ts";
export { connectTimesOf } from "./egress-connector.ts";
export { EgressBlocked } from "./egress-lookup.ts";

/** How customers' endpoints are called. */
export interface EgressOptions {
  /** Address ranges that may be called although they are not public. */
  readonly allow: AllowList;
  /** What is never called. Default: nothing. */
  readonly deny?: DenyList | undefined;
  /** The largest number of connections to one origin (scheme, host and port). Further requests wait. */
  readonly connectionsPerOrigin: number;
  /** The longest time of looking the name up in DNS, and then of the TCP connection and the TLS handshake together. */
  readonly connectTimeoutMs: number;
  /** False: each request opens a connection of its own. Default true. */
  readonly keepAlive?: boolean;
  /** The client certificate with its key, for servers that ask for one. Default: none. */
  readonly identity?: SecureContext;
  /** The TLS sessions to be resumed. Default: none is resumed. */
  readonly sessions?: TlsSessions;
  /** Default: a resolver that uses the machine's DNS servers. */
  readonly resolver?: AddressResolver;
  /** Default: the present content of /etc/hosts. */
  readonly hosts?: Hosts;
}

/**
 * How long an idle connection is kept if the server does not say. It is longer than a minute, so that a job that fires
 * each minute needs no new connection, and shorter than the 75 s of nginx.
 */
const KEEP_ALIVE_MS = 65_000;
/** The longest time that a server can ask for. */
const KEEP_ALIVE_MAX_MS = 600_000;
/** A connection is closed this long before the server would close it, so that no request meets the end of it. */
const KEEP_ALIVE_EARLIER_MS = 1_000;
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * Creates the agent for every request to a customer's endpoint. Each connection is checked three times: an IP address
 * in the URL before connecting, all addresses of a name when it is looked up, and the peer's address once connected.
 * A refused request fails with EgressBlocked. The agent speaks HTTP/1.1, with one request at a time on a connection.
 * `request` and `dispatch` do not follow redirects; the caller decides about them. Close the agent when done.
 *
 * An idle connection is kept for as long as the server's Keep-Alive header says, less a second, at most ten minutes;
 * without that header for 65 s. The agent sets no limit to the age of a connection that is used again and again; whoever
 * keeps connections does (`dispatcher/delivery/idle-connections.ts`).
 */
export function createEgressAgent(options: EgressOptions): Agent {
  const { allow, connectTimeoutMs, sessions = createTlsSessions(0) } = options;
  const connect = createConnector({
    allow,
    deny: options.deny,
    timeoutMs: connectTimeoutMs,
    sessions,
    ...(options.identity !== undefined && { identity: options.identity }),
    resolver: options.resolver ?? createResolver(connectTimeoutMs),
    hosts: options.hosts ?? readHosts(),
  });
  return new Agent({
    connect,
    // Given to the agent itself, the option would cost it the making of a longer name of the origin for each request.
    factory: (origin, settings) => new Pool(origin, { ...settings, allowH2: false }),
    connections: options.connectionsPerOrigin,
    // With 0, undici closes the connection after each request.
    pipelining: options.keepAlive === false ? 0 : 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
    keepAliveTimeoutThreshold: KEEP_ALIVE_EARLIER_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
}
