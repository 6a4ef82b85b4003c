import type { Server, Socket } from "node:net";
import type { TestAuthority } from "../certificate.ts";

/** How a receiver misbehaves, and what its attempts must be. */
export interface Behaviour {
  /** In words, for tests and tables. */
  readonly name: string;
  /** Makes its server. The authority is one that the sender trusts. */
  readonly create: (authority: TestAuthority) => Server;
  readonly isTls?: true;
  /** The outcome of every attempt. */
  readonly outcome: "SUCCEEDED" | "REJECTED" | "UNKNOWN" | "NOT_SENT";
  /** The status, if there is one. */
  readonly statusCode?: number;
  /** What the error says; it is empty after a success. */
  readonly error?: RegExp;
  /**
   * What ends an attempt: the receiver itself, the attempt's time limit, or the limit of the TLS handshake (or the attempt's,
   * if that is shorter).
   */
  readonly endedBy: "receiver" | "attempt" | "handshake";
}

/** Sends a piece again and again, until the connection closes. */
export function drip(socket: Socket, piece: string, everyMs: number): void {
  const timer = setInterval(() => socket.write(piece), everyMs);
  socket.on("close", () => clearInterval(timer));
}

/** Calls back when the first bytes of a request have come. */
export function onRequest(socket: Socket, then: () => void): void {
  socket.once("data", then);
}

/** Joins lines as HTTP has them, with the empty line that ends the headers. */
export function head(...lines: readonly string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}
