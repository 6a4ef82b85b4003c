// The receiver, as a program that runs in its own process. It is the cheapest possible HTTP/1.1 server (raw TCP,
// keep-alive, 204), so that the benchmark measures the sender. A request to /slow is answered after 2 s and one to
// /hung never; only requests to other paths are recorded. The parent asks over IPC what arrived in a window of due
// times. Arguments: the address to listen on, and how many microseconds each request costs besides (to check that the
// benchmark notices a receiver that is too slow).
import net from "node:net";
import { type Arrival, SAMPLE_MS, type Sample, toAnswer } from "./arrivals.ts";
import type { SinkQuestion } from "./receiver.ts";

const [host = "127.0.0.1", burnText = "0"] = process.argv.slice(2);
const burnMicros = Number(burnText);
const SLOW_MS = 2_000;
const NO_CONTENT = Buffer.from("HTTP/1.1 204 No Content\r\n\r\n");

let arrivals: Arrival[] = [];
let samples: Sample[] = [];
const ids = new Set<string>();

/** Different ids by due time, for the many questions of how many have come. */
const arrivedByDue = new Map<number, number>();
/** What the monotonic clock lacks to the epoch. It follows Date.now(), which is the clock of the senders. */
let originMs = performance.timeOrigin;

const nowMs = () => originMs + performance.now();

/** Sets the clock by Date.now() where the two have parted, and returns by how much. */
function setClock(): number {
  const before = Date.now();
  const own = nowMs();
  // Date.now() leaves out parts of a millisecond.
  const missing = own < before ? before - own : Math.min(0, Date.now() + 1 - own);
  originMs += missing;
  return Math.abs(missing);
}

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
  const isRepeated = ids.has(id);
  arrivals.push({ dueMs, atMs, isRepeated });
  if (!isRepeated) {
    ids.add(id);
    arrivedByDue.set(dueMs, (arrivedByDue.get(dueMs) ?? 0) + 1);
  }
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

let plannedMs = performance.now();

function takeSample(): void {
  const { user, system } = process.cpuUsage();
  const clockMs = setClock();
  const lateMs = Math.max(0, performance.now() - plannedMs);
  samples.push({ atMs: nowMs(), cpuMicros: user + system, lateMs, clockMs });
}

function sample(): void {
  takeSample();
  plannedMs = performance.now() + SAMPLE_MS;
  setTimeout(sample, SAMPLE_MS);
}

function countOf({ fromMs, toMs }: SinkQuestion): number {
  let count = 0;
  for (const [dueMs, arrived] of arrivedByDue) if (dueMs >= fromMs && dueMs < toMs) count += arrived;
  return count;
}

type Question = SinkQuestion | { readonly count: SinkQuestion } | { readonly forget: true };

process.on("message", (question: Question) => {
  if ("count" in question) {
    process.send?.({ arrived: countOf(question.count) });
    return;
  }
  if ("forget" in question) {
    arrivals = [];
    samples = samples.slice(-1);
    arrivedByDue.clear();
    process.send?.({});
    return;
  }
  // The last arrival may be later than the last sample.
  takeSample();
  process.send?.(toAnswer(arrivals, samples, question));
});
process.on("disconnect", () => process.exit(0));
server.listen({ port: 0, host, backlog: 4_096 }, () => {
  sample();
  process.send?.({ port: (server.address() as net.AddressInfo).port });
});
