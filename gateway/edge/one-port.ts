import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { drainUnread, type NodeListener } from "./drain-unread.ts";

/** The limits of a connection. */
export interface OnePortOptions {
  /** The longest time until a new connection has shown which protocol it speaks, in milliseconds. */
  readonly sniffMs: number;
  /** The longest time for the headers of a request to arrive (HTTP/1.1), in milliseconds. */
  readonly headersMs: number;
  /** The longest time for a whole request to arrive, in milliseconds. */
  readonly requestMs: number;
  /**
   * A connection without traffic is closed after this, in milliseconds. It should be longer than the limit of a proxy
   * in front.
   */
  readonly idleMs: number;
  /** The largest number of requests in flight on one HTTP/2 connection. */
  readonly maxStreams: number;
}

/** A server for HTTP/1.1 and HTTP/2 cleartext on one port. */
export interface OnePort {
  /** Listens and returns the port. Port 0 means any free port. Throws if it cannot listen. */
  listen(host: string, port: number): Promise<number>;
  /**
   * Accepts no new connections and requests, and lets those in flight finish. Breaks them after `graceMs`, or when
   * `hurry` is aborted.
   */
  close(graceMs: number, hurry?: AbortSignal): Promise<void>;
}

const PREFACE = Buffer.from("PRI * HTTP/2.0");

/** Creates the server. It recognizes the protocol of a connection by its first bytes. */
export function createOnePort(listener: NodeListener, options: OnePortOptions): OnePort {
  const h1 = createHttp1(listener, options);
  const h2 = createHttp2(listener, options);
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    sniff(socket, options.sniffMs, (isHttp2) => (isHttp2 ? h2.server : h1.server).emit("connection", socket));
  });
  // The HTTP/1.1 server does not listen itself, so without this event it would never start its request timers.
  server.on("listening", () => h1.server.emit("listening"));

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", (error) =>
          reject(new Error(`Cannot listen on ${host}:${port}: ${error.message}`)),
        );
        server.listen(port, host, () => resolve((server.address() as net.AddressInfo).port));
      }),
    close: async (graceMs, hurry) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      h2.drain();
      h1.drain();
      // There is no event when a connection becomes idle, so this looks for idle connections every 50 ms.
      const idle = setInterval(() => h1.server.closeIdleConnections(), 50);
      const breakAll = () => {
        for (const socket of sockets) socket.destroy();
      };
      const force = setTimeout(breakAll, graceMs);
      hurry?.addEventListener("abort", breakAll, { once: true });
      await closed;
      clearInterval(idle);
      clearTimeout(force);
      h1.server.close(() => {});
    },
  };
}

function sniff(socket: net.Socket, limitMs: number, decide: (isHttp2: boolean) => void): void {
  const drop = () => socket.destroy();
  socket.on("error", drop).once("end", drop).setTimeout(limitMs, drop);
  let seen = Buffer.alloc(0);
  const look = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read())
      seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const isSame = seen.subarray(0, length).equals(PREFACE.subarray(0, length));
    // So far it may be the HTTP/2 preface, or another word that begins the same way, such as POST.
    if (isSame && length < PREFACE.length) return;
    socket.off("readable", look).off("error", drop).off("end", drop).off("timeout", drop).setTimeout(0);
    if (seen.length > 0) socket.unshift(seen);
    decide(isSame);
  };
  socket.on("readable", look);
}

function createHttp1(listener: NodeListener, options: OnePortOptions) {
  const server = http.createServer(
    {
      headersTimeout: options.headersMs,
      requestTimeout: options.requestMs,
      keepAliveTimeout: options.idleMs,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16 * 1024,
    },
    drainUnread(listener),
  );
  const open = new Set<http.ServerResponse>();
  let draining = false;
  // A client that was promised "keep-alive" and then finds the connection closed may not try again.
  server.prependListener("request", (_, response) => {
    if (draining) response.setHeader("connection", "close");
    open.add(response);
    response.once("close", () => open.delete(response));
  });
  const drain = () => {
    draining = true;
    for (const response of open) if (!response.headersSent) response.setHeader("connection", "close");
    server.closeIdleConnections();
  };
  return { server, drain };
}

function createHttp2(listener: NodeListener, options: OnePortOptions) {
  const server = http2.createServer({
    settings: { maxConcurrentStreams: options.maxStreams },
    maxSessionMemory: 16,
  });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.setTimeout(options.idleMs, () => session.close());
  });
  const drained = drainUnread(listener) as unknown as NodeListener;
  server.on("request", (request, response) => {
    // HTTP/1.1 has requestTimeout. For HTTP/2 this timer ends a stream whose body arrives too slowly.
    const late = setTimeout(() => request.stream.close(http2.constants.NGHTTP2_CANCEL), options.requestMs);
    const arrived = () => clearTimeout(late);
    request.once("end", arrived).once("close", arrived);
    drained(request, response);
  });
  return {
    server,
    // Sends GOAWAY, and lets the open streams finish.
    drain: () => {
      for (const session of sessions) session.close();
    },
  };
}
