// Many origins in one process: a server on a port of its own for each destination, as plain HTTP or HTTPS. The parent
// sends { start } over IPC and gets the ports, and then asks what arrived in a window of due times.
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Arrival, SAMPLE_MS, type Sample, toAnswer } from "./arrivals.ts";
import type { SinkQuestion } from "./receiver.ts";

/** What the receiver of many origins is: how many, and with which certificate. Without one it is plain HTTP. */
export interface ManyOrigins {
  readonly count: number;
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** How long an unused connection stays open: as long as nginx keeps it by default. */
const KEEP_ALIVE_MS = 75_000;

const arrivals: Arrival[] = [];
const samples: Sample[] = [];
const ids = new Set<string>();
const counts = { connections: 0, handshakes: 0, resumed: 0 };

const listener: http.RequestListener = (request, response) => {
  const id = String(request.headers["webhook-id"]);
  const dueMs = Date.parse(String(request.headers["easycron-nominal-time"]));
  arrivals.push({ dueMs, atMs: Date.now(), isRepeated: ids.has(id) });
  ids.add(id);
  request.resume();
  response.writeHead(204).end();
};

async function listen(server: http.Server): Promise<number> {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.on("connection", () => {
    counts.connections += 1;
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    counts[socket.isSessionReused() ? "resumed" : "handshakes"] += 1;
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

function sample(plannedMs: number): void {
  const { user, system } = process.cpuUsage();
  const lateMs = Math.max(0, performance.now() - plannedMs);
  samples.push({ atMs: Date.now(), cpuMicros: user + system, lateMs, clockMs: 0 });
  const nextMs = performance.now() + SAMPLE_MS;
  setTimeout(() => sample(nextMs), SAMPLE_MS);
}

process.on("message", async (message: { readonly start: ManyOrigins } | SinkQuestion) => {
  if (!("start" in message)) {
    process.send?.({ ...toAnswer(arrivals, samples, message), ...counts });
    return;
  }
  const { count, tls } = message.start;
  const ports: number[] = [];
  for (let index = 0; index < count; index++)
    ports.push(
      await listen(tls === undefined ? http.createServer(listener) : https.createServer(tls, listener)),
    );
  sample(performance.now());
  process.send?.({ ports });
});
process.on("disconnect", () => process.exit(0));
process.send?.({});
