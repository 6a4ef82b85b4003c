import type { Socket } from "node:net";
import { isConnectionClosed } from "./error-causes.ts";

/** A connection to an endpoint. */
export interface Connection {
  readonly socket: Socket;
  readonly origin: Origin;
  /** When it was used first. */
  readonly openedMs: number;
  /** How many requests were written to it. */
  requests: number;
  /** How long it was idle before the request that was written last. */
  idleBeforeMs: number;
  /** What `socket.bytesRead` was when that request was written. */
  bytesBefore: number;
  /** Since when it has been idle; undefined while a request uses it. */
  idleSinceMs: number | undefined;
  /** Closes it when it has been idle for too long for its server. */
  timer: NodeJS.Timeout | undefined;
}

interface Origin {
  readonly name: string;
  open: number;
  idle: number;
  /** How long its server leaves an idle connection open, and until when this is taken for granted. */
  limitMs: number | undefined;
  limitUntilMs: number;
}

/** How many idle connections are kept, and how many origins are known without one. */
export interface IdleLimits {
  readonly total: number;
  readonly perOrigin: number;
  /** Most origins without a connection that are remembered. Default 10,000. */
  readonly remembered?: number;
}

/**
 * The connections to endpoints, and which of them are idle. undici decides which idle connection a request uses, and
 * closes those that have been idle for longer than the server's Keep-Alive header says. This list closes the others that
 * are too many, and those whose servers close them earlier.
 */
export interface IdleConnections {
  /** How many connections are idle. */
  readonly size: number;
  /** To be called when a request is written. Returns the connection. */
  used(socket: Socket, origin: string): Connection;
  /** To be called when the answer to a request has been received completely. */
  released(connection: Connection): void;
}

/** An idle connection is closed this long before its server is expected to close it. */
const EARLIER_MS = 1_000;
/** The shortest time for which an idle connection is kept. */
const MIN_IDLE_MS = 1_000;
/** For how long it is remembered that a server has closed an idle connection, and after which time. */
const REMEMBERED_MS = 600_000;
const MAX_ORIGINS = 10_000;
/** A connection that is older is not used again, so that a change in DNS and a new certificate take effect. */
export const MAX_AGE_MS = 600_000;

/**
 * Makes an empty list. When there are more idle connections than `limits` allow, the one that has been idle for longest
 * is closed; when there are too many of one origin, the one that has just become idle.
 *
 * A server that closes a connection after it was idle for a time is expected to do the same with the next ones. For ten
 * minutes, idle connections to its origin are closed one second before that time; but not before a second has passed.
 *
 * A connection is closed after the first request that ends when it is ten minutes old.
 */
export function createIdleConnections(
  limits: IdleLimits,
  elapsedMs = () => performance.now(),
): IdleConnections {
  const connections = new WeakMap<Socket, Connection>();
  /** The origins with connections. */
  const origins = new Map<string, Origin>();
  /** Those without, whose servers have closed idle connections. What was known first comes first. */
  const remembered = new Map<string, Origin>();
  // The one that has been idle for longest comes first.
  const idle = new Set<Connection>();

  const originOf = (name: string): Origin => {
    const known = origins.get(name);
    if (known !== undefined) return known;
    const origin = remembered.get(name) ?? { name, open: 0, idle: 0, limitMs: undefined, limitUntilMs: 0 };
    remembered.delete(name);
    origins.set(name, origin);
    return origin;
  };

  const remember = (origin: Origin): void => {
    if (limitOf(origin) === undefined) return;
    remembered.set(origin.name, origin);
    if (remembered.size <= (limits.remembered ?? MAX_ORIGINS)) return;
    for (const oldest of remembered.keys()) {
      remembered.delete(oldest);
      break;
    }
  };

  const leaveIdle = (connection: Connection): boolean => {
    if (!idle.delete(connection)) return false;
    clearTimeout(connection.timer);
    connection.timer = undefined;
    connection.origin.idle -= 1;
    return true;
  };

  const close = (connection: Connection): void => {
    leaveIdle(connection);
    connection.socket.destroy();
  };

  const onClose = (connection: Connection): void => {
    const { socket, origin } = connection;
    origin.open -= 1;
    const wasIdle = leaveIdle(connection);
    const idleMs = wasIdle ? elapsedMs() - (connection.idleSinceMs ?? 0) : connection.idleBeforeMs;
    if (isConnectionClosed(socket.errored) && (wasIdle || isUnanswered(connection))) learn(origin, idleMs);
    if (origin.open > 0) return;
    origins.delete(origin.name);
    remember(origin);
  };

  const learn = (origin: Origin, idleMs: number): void => {
    const limitMs = Math.max(MIN_IDLE_MS, idleMs - EARLIER_MS);
    origin.limitMs = limitOf(origin) === undefined ? limitMs : Math.min(limitMs, origin.limitMs ?? limitMs);
    origin.limitUntilMs = elapsedMs() + REMEMBERED_MS;
  };

  const limitOf = (origin: Origin): number | undefined => {
    if (origin.limitMs !== undefined && elapsedMs() > origin.limitUntilMs) origin.limitMs = undefined;
    return origin.limitMs;
  };

  const open = (socket: Socket, name: string): Connection => {
    const origin = originOf(name);
    origin.open += 1;
    const counts = { requests: 0, idleBeforeMs: 0, bytesBefore: 0 };
    const times = { openedMs: elapsedMs(), idleSinceMs: undefined, timer: undefined };
    const connection: Connection = { socket, origin, ...counts, ...times };
    connections.set(socket, connection);
    socket.once("close", () => onClose(connection));
    return connection;
  };

  /** Closes a connection that has just become idle, or the one that has been idle for longest, if it has to leave. */
  const closeOne = (connection: Connection): void => {
    // The server's answer has closed it, or the next request uses it already.
    if (connection.socket.destroyed || !idle.has(connection)) return;
    if (isOld(connection) || connection.origin.idle > limits.perOrigin) close(connection);
    else if (idle.size > limits.total) closeLongest();
  };

  const closeLongest = (): void => {
    for (const longest of idle) {
      close(longest);
      break;
    }
  };

  const isOld = ({ openedMs }: Connection): boolean => elapsedMs() - openedMs >= MAX_AGE_MS;

  return {
    get size() {
      return idle.size;
    },
    used: (socket, origin) => {
      const connection = connections.get(socket) ?? open(socket, origin);
      const { idleSinceMs } = connection;
      leaveIdle(connection);
      connection.idleBeforeMs = idleSinceMs === undefined ? 0 : elapsedMs() - idleSinceMs;
      connection.idleSinceMs = undefined;
      connection.requests += 1;
      connection.bytesBefore = socket.bytesRead;
      return connection;
    },
    released: (connection) => {
      const { socket, origin } = connection;
      if (socket.destroyed || idle.has(connection)) return;
      connection.idleSinceMs = elapsedMs();
      idle.add(connection);
      origin.idle += 1;
      const limitMs = limitOf(origin);
      if (limitMs !== undefined) connection.timer = setTimeout(close, limitMs, connection).unref();
      const areTooMany = origin.idle > limits.perOrigin || idle.size > limits.total;
      // undici closes a connection that must not be kept after this call.
      if (areTooMany || isOld(connection)) setImmediate(closeOne, connection);
    },
  };
}

/** Whether a connection that has carried requests before received nothing after the one that was written last. */
export function isUnanswered({ socket, requests, bytesBefore }: Connection): boolean {
  return requests > 1 && socket.bytesRead <= bytesBefore;
}
