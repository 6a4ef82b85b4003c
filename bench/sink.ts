// The receiver, as a program that runs in its own process. It is the cheapest possible HTTP/1.1 server (raw TCP,
// keep-alive, always 204), so that the benchmark measures the sender. The parent asks over IPC what arrived in a
// window of due times.
import net from "node:net";

interface Arrival {
  readonly id: string;
  readonly dueMs: number;
  readonly atMs: number;
}

/** The parent's question: which requests due from `fromMs` (inclusive) to `toMs` (exclusive) have arrived? */
export interface SinkQuestion {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The answer. Lateness is the time of arrival minus the due time, so it is negative for an early arrival. */
export interface SinkAnswer {
  readonly ids: readonly string[];
  readonly latenessMs: readonly number[];
  readonly duplicates: number;
}

const arrivals: Arrival[] = [];
const NO_CONTENT = Buffer.from("HTTP/1.1 204 No Content\r\n\r\n");

function header(head: string, name: string): string {
  const at = head.indexOf(`\r\n${name}:`);
  if (at === -1) return "";
  const from = at + name.length + 3;
  const end = head.indexOf("\r\n", from);
  return head.slice(from, end === -1 ? undefined : end).trim();
}

const server = net.createServer({ noDelay: true }, (socket) => {
  let held: Buffer = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    const atMs = performance.timeOrigin + performance.now();
    held = held.length === 0 ? data : Buffer.concat([held, data]);
    for (;;) {
      const end = held.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = held.toString("latin1", 0, end).toLowerCase();
      const total = end + 4 + Number(header(head, "content-length"));
      if (held.length < total) return;
      held = held.subarray(total);
      const dueMs = Date.parse(header(head, "easycron-nominal-time").toUpperCase());
      arrivals.push({ id: header(head, "webhook-id"), dueMs, atMs });
      socket.write(NO_CONTENT);
    }
  });
});

process.on("message", ({ fromMs, toMs }: SinkQuestion) => {
  const ids = new Set<string>();
  const latenessMs: number[] = [];
  let duplicates = 0;
  for (const { id, dueMs, atMs } of arrivals) {
    if (dueMs < fromMs || dueMs >= toMs) continue;
    if (ids.has(id)) duplicates += 1;
    else latenessMs.push(atMs - dueMs);
    ids.add(id);
  }
  process.send?.({ ids: [...ids], latenessMs, duplicates } satisfies SinkAnswer);
});
process.on("disconnect", () => process.exit(0));
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  process.send?.({ port: (server.address() as net.AddressInfo).port });
});
