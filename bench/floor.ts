// The physical limit, as a program that runs in its own process: a sorted list in memory, one timer, and signed
// requests by undici over 64 kept-alive connections. Nothing is stored, scheduled or retried. The parent sends a
// FloorOrder over IPC, and the program answers when all requests are sent.
import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { Pool } from "undici";

/** The parent's order: send `count` requests at each of these instants. */
export interface FloorOrder {
  readonly url: string;
  readonly count: number;
  readonly dueMs: readonly number[];
}

const CONNECTIONS = 64;
const key = createSecretKey(randomBytes(32));
const filler = "x".repeat(400);

process.on("message", async ({ url, count, dueMs }: FloorOrder) => {
  const pool = new Pool(url, { connections: CONNECTIONS, pipelining: 1 });
  const due = dueMs.flatMap((atMs) =>
    Array.from({ length: count }, (_, index) => ({ atMs, id: `floor-${atMs}-${index}` })),
  );
  const before = process.cpuUsage();
  let next = 0;
  const send = async (): Promise<void> => {
    for (let job = due[next]; job !== undefined; job = due[next]) {
      next += 1;
      await waitUntil(job.atMs);
      await deliver(pool, job.id, job.atMs);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, send));
  const used = process.cpuUsage(before);
  await pool.close();
  process.send?.({ cpuMicros: used.user + used.system });
});
process.on("disconnect", () => process.exit(0));
process.send?.({});

async function waitUntil(atMs: number): Promise<void> {
  const wait = atMs - Date.now() - 1;
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  while (Date.now() < atMs) await new Promise((resolve) => setImmediate(resolve));
}

async function deliver(pool: Pool, id: string, atMs: number): Promise<void> {
  const nominal = new Date(atMs).toISOString();
  const timestamp = String(Math.floor(Date.now() / 1000));
  const body = JSON.stringify({ type: "trigger.fired", timestamp: nominal, data: { trigger: id, filler } });
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const response = await pool.request({
    path: "/",
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1,${signature}`,
      "easycron-nominal-time": nominal,
    },
  });
  await response.body.dump();
}
