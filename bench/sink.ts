// The receiver, as a program that runs in its own process. It is the cheapest possible HTTP/1.1 server (raw TCP,
// keep-alive, 204), so that the benchmark measures the sender. A request to /slow is answered after 2 s and one to
// /hung never; only requests to other paths are recorded. The parent asks over IPC what arrived in a window of due
// times. Arguments: the address to listen on, and how many microseconds each request costs besides (to check that the
// benchmark notices a receiver that is too slow).
import net from "node:net";
import type { SinkAnswer, SinkQuestion } from "./receiver.ts";

interface Arrival {
  readonly dueMs: number;
  readonly atMs: number;
  readonly isRepeated: boolean;
}

interface Sample {
  readonly atMs: number;
  readonly cpuMicros: number;
  /** How much later than planned the sample was taken: the delay of the event loop. */
  readonly lateMs: number;
}

const [host = "127.0.0.1", burnText = "0"] = process.argv.slice(2);
const burnMicros = Number(burnText);
const SLOW_MS = 2_000;
const SAMPLE_MS = 20;
const NO_CONTENT = Buffer.from("HTTP/1.1 204 No Content\r\n\r\n");

let arrivals: Arrival[] = [];
let samples: Sample[] = [];
const ids = new Set<string>();

const nowMs = () => performance.timeOrigin + performance.now();

/** Returns where the value of a header is in the head of a request. */
function findValue(head: string, name: string): readonly [from: number, end: number] {
  let found = head.indexOf(`\r\n${name}: `);
  // The names of headers may be written in any case, but nearly all senders write these in lower case.
  if (found === -1) found = head.toLowerCase().indexOf(`\r\n${name}: `);
  if (found === -1) return [0, 0];
  const from = found + name.length + 4;
  const end = head.indexOf("\r\n", from);
  return [from, end === -1 ? head.length : end];
}

/** Returns the value of a header as a text of its own: a slice would keep the whole head in memory. */
function copyValue(bytes: Buffer, head: string, name: string): string {
  const [from, end] = findValue(head, name);
  return bytes.toString("latin1", from, end);
}

function receive(socket: net.Socket, bytes: Buffer, head: string, atMs: number): void {
  const path = head.slice(head.indexOf(" ") + 1, head.indexOf(" HTTP/"));
  if (path === "/hung") return;
  if (path === "/slow") {
    setTimeout(() => socket.writable && socket.write(NO_CONTENT), SLOW_MS);
    return;
  }
  const id = copyValue(bytes, head, "webhook-id");
  const dueMs = Date.parse(copyValue(bytes, head, "easycron-nominal-time"));
  arrivals.push({ dueMs, atMs, isRepeated: ids.has(id) });
  ids.add(id);
  const untilMs = performance.now() + burnMicros / 1_000;
  while (performance.now() < untilMs);
  socket.write(NO_CONTENT);
}

const server = net.createServer({ noDelay: true }, (socket) => {
  let held: Buffer = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    const atMs = nowMs();
    held = held.length === 0 ? data : Buffer.concat([held, data]);
    for (;;) {
      const end = held.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = held.toString("latin1", 0, end);
      const total = end + 4 + Number(head.slice(...findValue(head, "content-length")));
      if (held.length < total) return;
      receive(socket, held, head, atMs);
      held = held.subarray(total);
    }
  });
});

function sample(plannedMs: number): void {
  const { user, system } = process.cpuUsage();
  samples.push({ atMs: nowMs(), cpuMicros: user + system, lateMs: performance.now() - plannedMs });
  const nextMs = performance.now() + SAMPLE_MS;
  setTimeout(() => sample(nextMs), SAMPLE_MS);
}

/** Returns the load of this process from `fromMs` until the last arrival. */
function loadBetween(fromMs: number, toMs: number): Pick<SinkAnswer, "cpuShare" | "delayP99Ms"> {
  const during = samples.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs + SAMPLE_MS);
  const first = during[0];
  const last = during.at(-1);
  if (first === undefined || last === undefined || first === last) return { cpuShare: 0, delayP99Ms: 0 };
  const late = during.map(({ lateMs }) => lateMs).sort((a, b) => a - b);
  return {
    cpuShare: (last.cpuMicros - first.cpuMicros) / (last.atMs - first.atMs) / 1_000,
    delayP99Ms: late[Math.ceil(0.99 * late.length) - 1] ?? 0,
  };
}

function answer({ fromMs, toMs }: SinkQuestion): SinkAnswer {
  const due = arrivals.filter(({ dueMs }) => dueMs >= fromMs && dueMs < toMs);
  const late = Float64Array.from(
    due.filter(({ isRepeated }) => !isRepeated),
    ({ atMs, dueMs }) => atMs - dueMs,
  ).sort();
  const lastMs = due.reduce((last, { atMs }) => Math.max(last, atMs), fromMs);
  return {
    arrived: late.length,
    duplicates: due.length - late.length,
    early: late.findLastIndex((ms) => ms < 0) + 1,
    quantilesMs: Array.from({ length: 101 }, (_, percent) => {
      return late[Math.max(0, Math.ceil((percent / 100) * late.length) - 1)] ?? Number.NaN;
    }),
    firstMs: due.reduce((first, { atMs }) => Math.min(first, atMs), lastMs),
    lastMs,
    ...loadBetween(fromMs, lastMs),
  };
}

process.on("message", (question: SinkQuestion | { readonly forget: true }) => {
  if ("forget" in question) {
    arrivals = [];
    samples = samples.slice(-1);
    ids.clear();
    process.send?.({});
    return;
  }
  process.send?.(answer(question));
});
process.on("disconnect", () => process.exit(0));
server.listen({ port: 0, host, backlog: 4_096 }, () => {
  sample(performance.now());
  process.send?.({ port: (server.address() as net.AddressInfo).port });
});
