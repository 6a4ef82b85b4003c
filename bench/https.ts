import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestAuthority } from "../test/support/certificate.ts";
import type { ManyOrigins } from "./https-receiver.ts";
import { createJobs, every, webhookJob } from "./jobs.ts";
import { number, type Options } from "./options.ts";
import { type Product, startProduct } from "./product.ts";
import { ask, at, startProgram } from "./programs.ts";
import { SETTLE_MS, type SinkAnswer } from "./receiver.ts";
import { type Findings, faultsOf, percentile, problemOf, type Row, withProblem } from "./report.ts";

export const title =
  "many HTTPS destinations, each fired once a period, beside the same with plain HTTP: handshakes, resumed sessions, CPU time";

export const options = { destinations: 1_000, period: 60, periods: 2 };

/** From the creation of the last job until it is due. */
const LEAD_MS = 10_000;
const CREATED_PER_SECOND = 500;

/** What the receiver has counted since it started. */
interface Counts {
  readonly connections: number;
  readonly handshakes: number;
  readonly resumed: number;
}

interface Ask {
  readonly ports: readonly number[];
  measure(window: { readonly fromMs: number; readonly toMs: number }): Promise<SinkAnswer & Counts>;
}

/**
 * Measures plain HTTP and then HTTPS, each with a product and a receiver of its own. The first period opens the
 * connections; the periods after it are measured.
 */
export async function run(given: Options): Promise<Findings> {
  const authority = createTestAuthority();
  const folder = mkdtempSync(join(tmpdir(), "easycron-bench-https-"));
  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, authority.certificate);
  const rows: Row[] = [];
  const problems: (string | undefined)[] = [];
  try {
    for (const scheme of ["http", "https"] as const) {
      const count = number(given, "destinations");
      const origins = scheme === "http" ? { count } : { count, tls: authority.issue() };
      const { row, problem } = await withReceiver(origins, (receiver) =>
        withProduct(caFile, (product) => measureScheme(scheme, product, receiver, given)),
      );
      console.log(JSON.stringify(row));
      rows.push(row);
      problems.push(problem);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { rows, ...withProblem(...problems) };
}

async function withReceiver<T>(origins: ManyOrigins, use: (receiver: Ask) => Promise<T>): Promise<T> {
  const { program } = await startProgram("https-receiver.ts");
  try {
    const { ports } = await ask<{ readonly ports: readonly number[] }>(program, { start: origins });
    return await use({ ports, measure: (window) => ask(program, window) });
  } finally {
    program.disconnect();
  }
}

async function withProduct<T>(caFile: string, use: (product: Product) => Promise<T>): Promise<T> {
  const product = await startProduct([], { env: { NODE_EXTRA_CA_CERTS: caFile } });
  try {
    return await use(product);
  } finally {
    await product.stop();
  }
}

async function measureScheme(scheme: "http" | "https", product: Product, receiver: Ask, given: Options) {
  const { ports } = receiver;
  const periodMs = number(given, "period") * 1_000;
  const periods = number(given, "periods");
  const startMs =
    Math.ceil((Date.now() + LEAD_MS + (ports.length / CREATED_PER_SECOND) * 1_000) / 1_000) * 1_000;
  const fromMs = startMs + periodMs;
  const toMs = fromMs + periods * periodMs;
  await createJobs(product, ports.length, (index) => {
    const firstMs = startMs + Math.floor((index * periodMs) / ports.length);
    return webhookJob(`${scheme}://127.0.0.1:${ports[index]}/`, {
      name: `to-${index}`,
      ...every(periodMs, firstMs),
    });
  });
  await at(fromMs);
  const before = await receiver.measure({ fromMs, toMs });
  const cpuBefore = product.cpuMicros();
  await at(toMs);
  const cpuMicros = product.cpuMicros() - cpuBefore;
  const memory = Object.values(product.memoryByPart()).reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  const counted = await receiver.measure({ fromMs, toMs });
  await at(toMs + SETTLE_MS);
  const answer = await receiver.measure({ fromMs, toMs });
  const expected = periods * ports.length;
  const row: Row = {
    name: scheme,
    deliveries: answer.arrived,
    p50Ms: percentile(answer, 50),
    p99Ms: percentile(answer, 99),
    ...faultsOf([{ answer, expected }]),
    newConnections: counted.connections - before.connections,
    fullHandshakes: counted.handshakes - before.handshakes,
    resumedSessions: counted.resumed - before.resumed,
    cpuMicrosPerDelivery: counted.inWindow === 0 ? null : cpuMicros / counted.inWindow,
    allMiB: memory / 2 ** 20,
  };
  return { row, problem: problemOf([{ name: scheme, expected, answer }]) };
}
