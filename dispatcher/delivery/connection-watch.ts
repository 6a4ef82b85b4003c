import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { type Connection, createIdleConnections, type IdleLimits } from "./idle-connections.ts";

/** A request that is about to be written to a connection. */
export interface OutgoingRequest {
  /** Scheme, host and port. */
  readonly origin: string;
  /** The connection to which it was written; undefined before. */
  connection: Connection | undefined;
}

/** Tells about the connections to which undici writes requests, and closes idle ones. */
export interface ConnectionWatch {
  /** How many connections are idle. */
  readonly idle: number;
  /** To be called in `onRequestStart` of a request: sets the connection of that request. */
  begin(request: OutgoingRequest): void;
  /** To be called in `onResponseEnd` of a request: its connection is idle again. */
  end(request: OutgoingRequest): void;
  /** Stops watching. */
  stop(): void;
}

const CHANNEL = "undici:client:sendHeaders";

/**
 * Starts watching. undici does not show the connection of a request to its handler. But it calls `onRequestStart` and
 * publishes the connection on a diagnostics channel one right after the other, in the same call, so the two belong
 * together.
 */
export function watchConnections(limits: IdleLimits): ConnectionWatch {
  const connections = createIdleConnections(limits);
  let latest: OutgoingRequest | undefined;
  const onSend = (message: unknown): void => {
    if (latest === undefined) return;
    const { socket } = message as { readonly socket: Socket };
    latest.connection = connections.used(socket, latest.origin);
    latest = undefined;
  };
  subscribe(CHANNEL, onSend);
  return {
    get idle() {
      return connections.size;
    },
    begin: (request) => {
      latest = request;
    },
    end: ({ connection }) => {
      if (connection !== undefined) connections.released(connection);
    },
    stop: () => {
      unsubscribe(CHANNEL, onSend);
    },
  };
}
