import type { Socket } from "node:net";
import { isConnectionClosed } from "./webhook-answer.ts";

/** A connection to an endpoint. */
export interface Connection {
  readonly socket: Socket;
  readonly origin: Origin;
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

/** How many idle connections are kept. */
export interface IdleLimits {
  readonly total: number;
  readonly perOrigin: number;
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
/** Most origins without a connection that are remembered. */
const MAX_ORIGINS = 10_000;

/**
 * Makes an empty list. When there are more idle connections than `limits` allow, the one that has been idle for longest
 * is closed; when there are too many of one origin, the one that has just become idle.
 *
 * A server that closes a connection after it was idle for a time is expected to do the same with the next ones. For ten
 * minutes, idle connections to its origin are closed one second before that time; but not before a second has passed.
 */
export function createIdleConnections(
  limits: IdleLimits,
  elapsedMs = () => performance.now(),
): IdleConnections {
  const connections = new WeakMap<Socket, Connection>();
  const origins = new Map<string, Origin>();
  // The one that has been idle for longest comes first.
  const idle = new Set<Connection>();

  const originOf = (name: string): Origin => {
    const known = origins.get(name);
    if (known !== undefined) return known;
    const origin: Origin = { name, open: 0, idle: 0, limitMs: undefined, limitUntilMs: 0 };
    origins.set(name, origin);
    if (origins.size > MAX_ORIGINS) forgetOne();
    return origin;
  };

  const forgetOne = (): void => {
    for (const origin of origins.values()) {
      if (origin.open > 0) continue;
      origins.delete(origin.name);
      return;
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
    const isForgotten = origin.open === 0 && origin.limitMs === undefined;
    if (isForgotten && origins.get(origin.name) === origin) origins.delete(origin.name);
  };

  const learn = (origin: Origin, idleMs: number): void => {
    const limitMs = Math.max(MIN_IDLE_MS, idleMs - EARLIER_MS);
    origin.limitMs = limitOf(origin) === undefined ? limitMs : Math.min(limitMs, origin.limitMs ?? limitMs);
    origin.limitUntilMs = elapsedMs() + REMEMBERED_MS;
    origins.delete(origin.name);
    origins.set(origin.name, origin);
  };

  const limitOf = (origin: Origin): number | undefined => {
    if (origin.limitMs !== undefined && elapsedMs() > origin.limitUntilMs) origin.limitMs = undefined;
    return origin.limitMs;
  };

  const open = (socket: Socket, name: string): Connection => {
    const origin = originOf(name);
    origin.open += 1;
    const counts = { requests: 0, idleBeforeMs: 0, bytesBefore: 0 };
    const connection: Connection = { socket, origin, ...counts, idleSinceMs: undefined, timer: undefined };
    connections.set(socket, connection);
    socket.once("close", () => onClose(connection));
    return connection;
  };

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
      if (origin.idle > limits.perOrigin) close(connection);
      else if (idle.size > limits.total) for (const longest of idle) return close(longest);
    },
  };
}

/** Whether a connection that has carried requests before received nothing after the one that was written last. */
export function isUnanswered({ socket, requests, bytesBefore }: Connection): boolean {
  return requests > 1 && socket.bytesRead <= bytesBefore;
}
