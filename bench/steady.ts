import type { FloorOrder } from "./floor.ts";
import {
  askSink,
  at,
  createJobs,
  everySecondAt,
  nextMessage,
  startProduct,
  startProgram,
} from "./product.ts";
import { median, percentile, type Row } from "./report.ts";
import type { SinkAnswer } from "./sink.ts";

export const title =
  "1,000 deliveries a second, one due each millisecond; the product and the floor alternate, medians of 3 runs each";

const RATE = 1_000;
const SECONDS = 10;
const RUNS = 3;
const WARM_UP_MS = 8_000;

interface Run {
  readonly answer: SinkAnswer;
  readonly cpuMicros: number;
}

/** Measures the product for ten seconds, stops it, and measures the floor; three times. */
export async function run(): Promise<readonly Row[]> {
  const { program: sink, first } = await startProgram<{ port: number }>("sink.ts");
  const url = `http://127.0.0.1:${first.port}/`;
  const ours: Run[] = [];
  const floor: Run[] = [];
  try {
    for (let turn = 0; turn < RUNS; turn++) {
      ours.push(await runProduct(sink, url));
      floor.push(await runFloor(sink, url));
    }
  } finally {
    sink.kill();
  }
  const easycron = toRow("easycron", ours);
  const limit = toRow("floor", floor);
  return [
    easycron,
    limit,
    { name: "above floor", p50Ms: easycron.p50Ms - limit.p50Ms, p99Ms: easycron.p99Ms - limit.p99Ms },
  ];
}

async function runProduct(sink: Parameters<typeof askSink>[0], url: string): Promise<Run> {
  const product = await startProduct();
  try {
    await createJobs(product.client, RATE, url, everySecondAt);
    const fromMs = Math.ceil((Date.now() + WARM_UP_MS) / 1_000) * 1_000;
    const toMs = fromMs + SECONDS * 1_000;
    await at(fromMs);
    const before = product.cpuMicros();
    await at(toMs);
    const cpuMicros = product.cpuMicros() - before;
    await at(toMs + 1_000);
    return { answer: await askSink(sink, { fromMs, toMs }), cpuMicros };
  } finally {
    await product.stop();
  }
}

async function runFloor(sink: Parameters<typeof askSink>[0], url: string): Promise<Run> {
  const { program } = await startProgram<never>("floor.ts");
  const done = nextMessage<{ cpuMicros: number }>(program);
  const warmUpMs = Math.ceil((Date.now() + 1_000) / 1_000) * 1_000;
  const fromMs = warmUpMs + 3_000;
  const dueMs = Array.from({ length: (SECONDS + 3) * RATE }, (_, index) => warmUpMs + index);
  program.send({ url, count: 1, dueMs } satisfies FloorOrder);
  const { cpuMicros } = await done;
  program.disconnect();
  const answer = await askSink(sink, { fromMs, toMs: fromMs + SECONDS * 1_000 });
  return { answer, cpuMicros: (cpuMicros * SECONDS) / (SECONDS + 3) };
}

function toRow(name: string, runs: readonly Run[]) {
  const of = (figure: (run: Run) => number) => median(runs.map(figure));
  const sum = (figure: (run: Run) => number) => runs.reduce((total, each) => total + figure(each), 0);
  return {
    name,
    p50Ms: of(({ answer }) => percentile(answer.latenessMs, 50)),
    p99Ms: of(({ answer }) => percentile(answer.latenessMs, 99)),
    lost: sum(({ answer }) => RATE * SECONDS - answer.ids.length),
    duplicates: sum(({ answer }) => answer.duplicates),
    early: sum(({ answer }) => answer.latenessMs.filter((late) => late < 0).length),
    cpuMicrosPerDelivery: of(({ cpuMicros }) => cpuMicros / (RATE * SECONDS)),
  };
}
