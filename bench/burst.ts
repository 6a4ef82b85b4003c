import type { FloorOrder } from "./floor.ts";
import { askSink, at, createJobs, cronSchedule, nextMessage, startProduct, startProgram } from "./product.ts";
import { median, percentile, type Row } from "./report.ts";
import type { SinkAnswer } from "./sink.ts";

export const title =
  "10,000 recurring jobs due in one second; the product and the floor alternate, medians of 5 runs each";

const JOBS = 10_000;
const RUNS = 5;
/** Each job is due every 20 s. The floor runs half-way between two such instants. */
const EVERY_MS = 20_000;
const WARM_UP_RUNS = 1;

interface Run {
  readonly answer: SinkAnswer;
  readonly cpuMicros: number;
}

/**
 * Measures the bursts one after the other. Returns a row for the product, one for the floor, and one for their ratio.
 */
export async function run(): Promise<readonly Row[]> {
  const { program: sink, first } = await startProgram<{ port: number }>("sink.ts");
  const url = `http://127.0.0.1:${first.port}/`;
  const product = await startProduct();
  const used: { readonly dueMs: number; readonly cpuMicros: number }[] = [];
  const ours: Run[] = [];
  const floor: Run[] = [];
  try {
    await createJobs(product.client, JOBS, url, () => cronSchedule("*/20 * * * * *"));
    let dueMs = Math.ceil((Date.now() + 8_000) / EVERY_MS) * EVERY_MS;
    for (let turn = 0; turn < RUNS + WARM_UP_RUNS; turn++, dueMs += EVERY_MS) {
      await at(dueMs - 7_000);
      const cpuBefore = product.cpuMicros();
      await at(dueMs + 6_000);
      const cpuMicros = product.cpuMicros() - cpuBefore;
      used.push({ dueMs, cpuMicros });
      floor.push(await runFloor(sink, url, dueMs + EVERY_MS / 2 - 1_000));
    }
    // Asked at the end, so that what was late on a busy machine does not count as lost.
    await at(dueMs - 5_000);
    for (const { dueMs: fromMs, cpuMicros } of used)
      ours.push({ answer: await askSink(sink, { fromMs, toMs: fromMs + 1 }), cpuMicros });
  } finally {
    await product.stop();
    sink.kill();
  }
  return rows(ours.slice(WARM_UP_RUNS), floor.slice(WARM_UP_RUNS));
}

async function runFloor(sink: Parameters<typeof askSink>[0], url: string, dueMs: number): Promise<Run> {
  const program = (await startProgram<never>("floor.ts")).program;
  const done = nextMessage<{ cpuMicros: number }>(program);
  program.send({ url, count: JOBS, dueMs: [dueMs] } satisfies FloorOrder);
  const { cpuMicros } = await done;
  program.disconnect();
  return { answer: await askSink(sink, { fromMs: dueMs, toMs: dueMs + 1 }), cpuMicros };
}

function rows(ours: readonly Run[], floor: readonly Run[]): Row[] {
  const easycron = toRow("easycron", ours);
  const limit = toRow("floor", floor);
  const ratio = {
    name: "ratio",
    lastArrivalMs: easycron.lastArrivalMs / limit.lastArrivalMs,
    p50Ms: easycron.p50Ms / limit.p50Ms,
  };
  return [easycron, limit, ratio];
}

function toRow(name: string, runs: readonly Run[]) {
  const of = (figure: (run: Run) => number) => median(runs.map(figure));
  const sum = (figure: (run: Run) => number) => runs.reduce((total, each) => total + figure(each), 0);
  return {
    name,
    lastArrivalMs: of(({ answer }) => percentile(answer.latenessMs, 100)),
    p50Ms: of(({ answer }) => percentile(answer.latenessMs, 50)),
    p99Ms: of(({ answer }) => percentile(answer.latenessMs, 99)),
    lost: sum(({ answer }) => JOBS - answer.ids.length),
    duplicates: sum(({ answer }) => answer.duplicates),
    early: sum(({ answer }) => answer.latenessMs.filter((late) => late < 0).length),
    cpuMicrosPerDelivery: of(({ cpuMicros }) => cpuMicros / JOBS),
  };
}
