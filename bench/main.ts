import { readOptions } from "./options.ts";
import { type Benchmark, printTable } from "./report.ts";
import { record } from "./results.ts";

const BENCHMARKS = [
  "burst",
  "steady",
  "rate",
  "idle",
  "load",
  "recover",
  "destinations",
  "https",
  "next",
  "verify",
  "plugins",
] as const;
/** They print their own lines, and nothing of them is kept. */
const COMMANDS = ["smoke", "report"] as const;

const [given, ...args] = process.argv.slice(2);
try {
  await run();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}

async function run(): Promise<void> {
  if (given === "smoke") return (await import("./smoke.ts")).smoke();
  if (given === "report") return (await import("./page.ts")).writePage(args);
  for (const name of BENCHMARKS.filter((one) => given === undefined || one === given)) await measure(name);
  if (given !== undefined && !BENCHMARKS.some((name) => name === given))
    throw new Error(
      `There is no benchmark "${given}"; choose one of ${[...BENCHMARKS, ...COMMANDS].join(", ")}.`,
    );
}

async function measure(name: string): Promise<void> {
  const benchmark = (await import(`./${name}.ts`)) as Benchmark;
  const options = readOptions(benchmark.options ?? {}, args);
  console.log(`\n${name}: ${benchmark.title}`);
  const { rows, summary, problem } = await record(name, benchmark, options);
  printTable(rows);
  if (summary !== undefined) printTable(summary);
  console.log(JSON.stringify({ bench: name, rows, summary }));
  if (problem !== undefined) throw new Error(problem);
}
