import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/** A request that is being written to a connection. */
export interface WrittenRequest {
  /** Whether the connection has carried a request before. */
  isReused(): boolean;
  /** Whether a byte has been received on the connection since the request was written. */
  isAnswered(): boolean;
}

/** Tells about the connections to which undici writes requests. */
export interface ConnectionWatch {
  /** To be called in `onRequestStart` of a request: returns what is known about the connection of that request. */
  begin(): WrittenRequest;
  /** Stops watching. */
  stop(): void;
}

interface Written {
  socket: Socket | undefined;
  isReused: boolean;
  bytesBefore: number;
}

const CHANNEL = "undici:client:sendHeaders";

/**
 * Starts watching. undici does not show the connection of a request to its handler. But it calls `onRequestStart` and
 * publishes the connection on a diagnostics channel one right after the other, in the same call, so the two belong
 * together.
 */
export function watchConnections(): ConnectionWatch {
  const used = new WeakSet<Socket>();
  let latest: Written | undefined;
  const onSend = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    if (latest === undefined) return;
    latest.socket = socket;
    latest.isReused = used.has(socket);
    latest.bytesBefore = socket.bytesRead;
    used.add(socket);
    latest = undefined;
  };
  subscribe(CHANNEL, onSend);
  return {
    begin: () => {
      const written: Written = { socket: undefined, isReused: false, bytesBefore: 0 };
      latest = written;
      return {
        isReused: () => written.isReused,
        isAnswered: () => written.socket !== undefined && written.socket.bytesRead > written.bytesBefore,
      };
    },
    stop: () => {
      unsubscribe(CHANNEL, onSend);
    },
  };
}
