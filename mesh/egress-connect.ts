import type { X509Certificate } from "node:crypto";
import { type LookupFunction, type NetConnectOpts, connect as netConnect, type Socket } from "node:net";
import { type ConnectionOptions, type SecureContext, type TLSSocket, connect as tlsConnect } from "node:tls";

/** The parts of opening a connection, in their order. */
export type ConnectPhase = "dns" | "connect" | "tls";

/** How long the parts of opening a connection took, in whole milliseconds. A part that did not end is absent. */
export interface ConnectTimes {
  /** Looking the name up in DNS. Absent for an IP address, and for a name of the hosts file. */
  dnsMs?: number;
  /** The TCP connection. */
  connectMs?: number;
  /** The TLS handshake. Absent for plain HTTP. */
  tlsMs?: number;
}

/** A connection could not be opened. Its cause is the error of DNS, of the socket or of TLS. */
export class ConnectFailed extends Error {
  override readonly name = "ConnectFailed";
  /** The part that failed. */
  readonly phase: ConnectPhase;
  /** How long the parts before it took. */
  readonly times: ConnectTimes;
  /** The time limit that was reached, in milliseconds; undefined if the part failed in time. */
  readonly limitMs: number | undefined;
  /** The certificate, if the server has shown one. */
  readonly certificate: X509Certificate | undefined;
  /** The code of the cause, such as ECONNREFUSED; ETIMEDOUT if a time limit was reached. */
  readonly code: string | undefined;

  constructor(
    phase: ConnectPhase,
    times: ConnectTimes,
    { cause, limitMs, certificate }: { cause?: unknown; limitMs?: number; certificate?: X509Certificate },
  ) {
    super(`A connection could not be opened; its part "${phase}" failed.`, { cause });
    this.phase = phase;
    this.times = times;
    this.limitMs = limitMs;
    this.certificate = certificate;
    const { code } = (cause ?? {}) as { code?: unknown };
    this.code = limitMs !== undefined ? "ETIMEDOUT" : typeof code === "string" ? code : undefined;
  }
}

/** Where to, and how, a connection is opened. */
export interface Dial {
  /** The host of the URL: a name, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The name for TLS, as undici gives it; undefined for plain HTTP. Empty for an IP address. */
  readonly servername: string | undefined;
  /** Gives the addresses that were checked. It is not asked if `host` is an IP address. */
  readonly lookup: LookupFunction;
  /** The TLS session to be resumed. */
  readonly session: Buffer | undefined;
  /** The client certificate with its key. */
  readonly identity?: SecureContext | undefined;
  /** The longest time of the TCP connection and the TLS handshake together. */
  readonly timeoutMs: number;
}

const KEEP_ALIVE_PROBE_MS = 60_000;

/**
 * Opens a connection: TCP, and TLS if there is a server name. Adds to `times` how long the two took. Calls back once, with
 * the socket or with a ConnectFailed. It is no promise, so that undici takes over the socket within the event that tells
 * that it is open.
 */
export function openConnection(
  dial: Dial,
  times: ConnectTimes,
  done: (error: ConnectFailed | null, socket: Socket) => void,
): void {
  const { servername, timeoutMs } = dial;
  let sinceMs = performance.now();
  let phase: ConnectPhase = "connect";
  let certificate: X509Certificate | undefined;
  let isDone = false;
  const socket = createSocket(dial);
  const isTls = servername !== undefined;

  const fail = (failure: { cause?: unknown; limitMs?: number }): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    done(new ConnectFailed(phase, times, { ...failure, ...(certificate && { certificate }) }), socket);
    socket.destroy();
  };
  const onTimeout = (): void => fail({ limitMs: timeoutMs });
  // One limit for both, because undici does not stop it when the attempt that needs the connection has ended.
  const timer = setTimeout(onTimeout, timeoutMs);
  const succeed = (): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    done(null, socket);
  };

  // It stays, because an "error" event without a listener would end the process.
  socket.on("error", (cause) => fail({ cause }));
  socket.once("connect", () => {
    times.connectMs = Math.round(performance.now() - sinceMs);
    if (!isTls) return succeed();
    phase = "tls";
    sinceMs = performance.now();
  });
  if (!isTls) return;
  beforeDestroyed(socket, () => {
    if (!isDone) certificate = (socket as TLSSocket).getPeerX509Certificate();
  });
  socket.once("secureConnect", () => {
    times.tlsMs = Math.round(performance.now() - sinceMs);
    succeed();
  });
}

/**
 * Calls back when a socket is about to be destroyed. Node destroys it before the "error" event that tells of a refused
 * certificate, and the certificate cannot be read any more then. Nor can it be read earlier at no cost: it takes 0.2 ms, and
 * getPeerX509Certificate hides the certificate from Node's own check.
 */
function beforeDestroyed(socket: Socket, call: () => void): void {
  const { destroy } = socket;
  socket.destroy = (error) => {
    socket.destroy = destroy;
    call();
    return destroy.call(socket, error);
  };
}

/** Options of streams that Node takes and that the types of the two functions leave out. */
type WithHighWaterMark<T> = T & { readonly highWaterMark: number };

function createSocket({ host, port, servername, lookup, session, identity }: Dial): Socket {
  const to = { host, port, lookup, autoSelectFamily: true };
  const plain: WithHighWaterMark<NetConnectOpts> = { ...to, highWaterMark: 64 * 1024 };
  const secure: WithHighWaterMark<ConnectionOptions> = {
    ...to,
    ...(servername !== undefined && { servername }),
    ...(session !== undefined && { session }),
    ...(identity !== undefined && { secureContext: identity }),
    ALPNProtocols: ["http/1.1"],
    highWaterMark: 16 * 1024,
  };
  const socket = servername === undefined ? netConnect(plain) : tlsConnect(secure);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
  return socket;
}
