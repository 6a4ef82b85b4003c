import { isIP, type LookupFunction, type Socket } from "node:net";
import type { SecureContext } from "node:tls";
import type { buildConnector } from "undici";
import {
  type AllowList,
  DENY_NOTHING,
  isAllowedAddress,
  isDeniedOwnHost,
  isListed,
  isLoopbackAllowed,
} from "./egress-address.ts";
import { ConnectFailed, type ConnectTimes, openConnection } from "./egress-connect.ts";
import {
  blockedAddress,
  EgressBlocked,
  type FoundName,
  findAddresses,
  type NameRules,
} from "./egress-lookup.ts";
import { isOtherProtocolsPort } from "./egress-ports.ts";
import type { KeptSession, TlsSessions } from "./tls-sessions.ts";

/** What a connector needs. */
export interface ConnectorOptions extends NameRules {
  /** The longest time of the lookup, and then of the TCP connection and the TLS handshake together. */
  readonly timeoutMs: number;
  readonly sessions: TlsSessions;
  /** The client certificate with its key. */
  readonly identity?: SecureContext;
}

/** The times of opening each connection that a connector here has opened. */
const TIMES = new WeakMap<Socket, ConnectTimes>();

/** Returns how long the parts of opening a connection took; undefined if no connector of this file opened it. */
export function connectTimesOf(socket: Socket): ConnectTimes | undefined {
  return TIMES.get(socket);
}

/**
 * Makes the function with which undici opens connections. It checks the address in the URL, or every address of the name,
 * and then the address of the peer. It fails with EgressBlocked or ConnectFailed.
 */
export function createConnector(options: ConnectorOptions): buildConnector.connector {
  return (target, done) => {
    const host = target.hostname.replace(/^\[|\]$/g, "");
    if (isOtherProtocolsPort(target.port) && !isOwnChoice(host, options.allow))
      return done(new EgressBlocked(`${host}:${target.port}`, "port"), null);
    const times: ConnectTimes = {};
    if (isIP(host) !== 0) {
      // Node asks no lookup function for an IP address, so it is checked here.
      const { allow, deny = DENY_NOTHING } = options;
      if (isDeniedOwnHost(host, { addresses: [host], allow, deny }))
        done(new EgressBlocked(host, "denied"), null);
      else if (isAllowedAddress(host, allow, deny)) dial(options, target, { host, times }, done);
      else done(blockedAddress(host, options.deny), null);
      return;
    }
    const sinceMs = performance.now();
    within(options.timeoutMs, findAddresses(host, options)).then(
      (found) => {
        if (found === undefined)
          return done(new ConnectFailed("dns", times, { limitMs: options.timeoutMs }), null);
        if (found.isFromDns) times.dnsMs = Math.round(performance.now() - sinceMs);
        dial(options, target, { host, times, lookup: toLookup(found) }, done);
      },
      (cause: unknown) =>
        done(cause instanceof EgressBlocked ? cause : new ConnectFailed("dns", times, { cause }), null),
    );
  };
}

/** Whether the operator has allowed this host by its address: it may then be called at any port. */
function isOwnChoice(host: string, allow: AllowList): boolean {
  return host === "localhost" ? isLoopbackAllowed(allow) : isListed(host, allow);
}

interface CheckedHost {
  readonly host: string;
  readonly times: ConnectTimes;
  /** Absent if the host is an IP address. */
  readonly lookup?: LookupFunction;
}

const NO_LOOKUP: LookupFunction = (hostname, _, done) =>
  done(new Error(`${hostname} is to be looked up a second time; this is an error in EasyCron.`), "");

function dial(
  { allow, deny, sessions, identity, timeoutMs }: ConnectorOptions,
  target: buildConnector.Options,
  { host, times, lookup = NO_LOOKUP }: CheckedHost,
  done: buildConnector.Callback,
): void {
  const isTls = target.protocol === "https:";
  // A server name in TLS is never an IP address (RFC 6066, section 3).
  const servername = isTls ? (target.servername ?? (isIP(host) === 0 ? host : "")) : undefined;
  const port = Number(target.port) || (isTls ? 443 : 80);
  const server = `${servername ?? ""} ${host}:${target.port}`;
  const offered: KeptSession | undefined = isTls ? sessions.get(server) : undefined;
  const session = offered?.session;
  openConnection({ host, port, servername, lookup, session, identity, timeoutMs }, times, (error, socket) => {
    if (error !== null) {
      if (isTls) sessions.forget(server);
      return done(error, null);
    }
    const peer = socket.remoteAddress ?? "";
    if (!isAllowedAddress(peer, allow, deny)) {
      socket.destroy();
      return done(blockedAddress(peer, deny), null);
    }
    sessions.keepOf(server, socket, offered);
    TIMES.set(socket, times);
    done(null, socket);
  });
}

/** A lookup function that knows the answer already. */
function toLookup({ addresses }: FoundName): LookupFunction {
  return (_, { all }, done) => {
    const [first] = addresses;
    if (all) done(null, [...addresses]);
    else if (first !== undefined) done(null, first.address, first.family);
  };
}

/** Resolves with undefined if the work takes longer. */
function within<T>(limitMs: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, limitMs, undefined);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
