import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** The TLS sessions of servers that were connected to, so that a later connection resumes one. */
export interface TlsSessions {
  /** How many there are. */
  readonly size: number;
  /** Returns the session to be resumed with a server; undefined when there is none. */
  get(server: string): KeptSession | undefined;
  /**
   * Keeps the sessions of a connection that has just been made, for which `get` had returned `offered`. Does nothing if it
   * is not a TLS connection.
   */
  keepOf(server: string, socket: Socket, offered: KeptSession | undefined): void;
  /** Forgets the session of a server, because a connection to it could not be made. */
  forget(server: string): void;
}

/** A session that is kept. */
export interface KeptSession {
  readonly session: Buffer;
  /** When the server's certificate was checked. A connection that resumes a session does not check it again. */
  readonly checkedMs: number;
}

/** A certificate is checked at least this often, however many sessions were resumed since. */
export const MAX_AGE_MS = 6 * 3_600_000;

/**
 * Makes an empty list of at most `max` sessions, one for each server. The session that was used least recently leaves
 * first. `monotonicMs` is a clock that never steps.
 */
export function createTlsSessions(max: number, monotonicMs = () => performance.now()): TlsSessions {
  const kept = new Map<string, KeptSession>();

  const keep = (server: string, entry: KeptSession): void => {
    kept.delete(server);
    kept.set(server, entry);
    if (kept.size <= max) return;
    for (const oldest of kept.keys()) {
      kept.delete(oldest);
      break;
    }
  };

  return {
    get size() {
      return kept.size;
    },
    get: (server) => {
      const entry = kept.get(server);
      if (entry === undefined) return undefined;
      kept.delete(server);
      if (monotonicMs() - entry.checkedMs > MAX_AGE_MS) return undefined;
      kept.set(server, entry);
      return entry;
    },
    keepOf: (server, socket, offered) => {
      if (!(socket instanceof TLSSocket)) return;
      // What is kept now may be of another connection, or have been forgotten during the handshake.
      const resumed = socket.isSessionReused() ? offered : undefined;
      const checkedMs = resumed?.checkedMs ?? monotonicMs();
      // In TLS 1.3 a session comes after the handshake, and often more than one. Before, it is a part of the handshake.
      const session = socket.getProtocol() === "TLSv1.3" ? undefined : socket.getSession();
      if (session !== undefined) keep(server, { session, checkedMs });
      socket.on("session", (later) => keep(server, { session: later, checkedMs }));
    },
    forget: (server) => {
      kept.delete(server);
    },
  };
}
