import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join, resolve } from "node:path";
import type { Options } from "./options.ts";
import { readProcesses } from "./process-usage.ts";
import type { Findings } from "./report.ts";

/** A benchmark's findings, with what they depend on. */
export interface Result extends Findings {
  readonly bench: string;
  readonly title: string;
  readonly options: Options;
  /** When it began and when it ended, in ISO 8601. */
  readonly startTime: string;
  readonly endTime: string;
  /** The machine, in one line. */
  readonly machine: string;
  /** How many cores' time other work on the machine took during the run. Absent: a result of an earlier version. */
  readonly otherWorkCores?: number;
  /** The part of all cores' time that the host took away meanwhile (steal), in percent. */
  readonly stealPercent: number;
}

const FOLDER = resolve(import.meta.dirname, "../.bench/results");

/** Runs a benchmark, and writes and returns its result. */
export async function record(
  bench: string,
  { title, run }: { readonly title: string; readonly run: (options: Options) => Promise<Findings> },
  options: Options,
): Promise<Result> {
  const startTime = new Date().toISOString();
  const before = readMachine();
  const ownBefore = ownCpuSeconds();
  const findings = await run(options);
  const endTime = new Date().toISOString();
  const after = readMachine();
  const seconds = (Date.parse(endTime) - Date.parse(startTime)) / 1_000;
  const result: Result = {
    bench,
    title,
    options,
    startTime,
    endTime,
    machine: describeMachine(),
    // The time of programs that were started and have ended counts as this process's own.
    otherWorkCores: Math.max(0, (after.busy - before.busy - (ownCpuSeconds() - ownBefore)) / seconds),
    stealPercent: ((after.steal - before.steal) / seconds / os.cpus().length) * 100,
    ...findings,
  };
  mkdirSync(FOLDER, { recursive: true });
  const file = `${bench}-${startTime.replaceAll(/[-:.]/g, "")}.json`;
  writeFileSync(join(FOLDER, file), `${JSON.stringify(result, undefined, 2)}\n`);
  return result;
}

/** Reads the newest result of a benchmark. Undefined: it was not run in this checkout. */
export function readNewest(bench: string, folder: string = FOLDER): Result | undefined {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // No benchmark was run.
  }
  const newest = names
    .filter((name) => new RegExp(`^${bench}-\\d{8}T\\d+Z\\.json$`).test(name))
    .sort()
    .at(-1);
  return newest === undefined
    ? undefined
    : (JSON.parse(readFileSync(join(folder, newest), "utf8")) as Result);
}

function describeMachine(): string {
  const cpus = os.cpus();
  const memoryGiB = Math.round(os.totalmem() / 2 ** 30);
  const model = (cpus[0]?.model ?? "").replaceAll(/\s+/g, " ").trim();
  return `${cpus.length} cores (${model}), ${memoryGiB} GiB, Linux ${os.release().replace(/-.*/, "")}, Node ${process.versions.node}`;
}

/** With more, other work takes the cores away from what is measured. */
const MOST_OTHER_CORES = 0.2;

/**
 * Says why a result is not fit to be published: it was measured with other options than the defaults, or on a busy
 * machine, or has a problem. Undefined: it is fit.
 */
export function unfitness(
  { options, otherWorkCores, problem }: Pick<Result, "options" | "otherWorkCores" | "problem">,
  defaults: Options,
): string | undefined {
  if (otherWorkCores === undefined) return "it was measured before other work on the machine was recorded";
  if (otherWorkCores > MOST_OTHER_CORES)
    return `other work took ${otherWorkCores.toFixed(2)} cores meanwhile (at most ${MOST_OTHER_CORES})`;
  const other = Object.entries(options).filter(([name, value]) => String(value) !== String(defaults[name]));
  if (other.length > 0 || Object.keys(defaults).some((name) => options[name] === undefined))
    return `it has other options than the defaults: ${other.map(([name, value]) => `--${name} ${value}`).join(" ")}`;
  return problem === undefined ? undefined : `it has a problem: ${problem}`;
}

/** CPU time so far of this process and all that it has started, in seconds. 0 where there is no /proc. */
function ownCpuSeconds(): number {
  try {
    return readProcesses().cpuMicrosOf(process.pid) / 1e6;
  } catch {
    return 0;
  }
}

/** Returns the CPU seconds of all cores so far: of all processes, and taken away by the host (steal). 0 without /proc. */
function readMachine(): { readonly busy: number; readonly steal: number } {
  try {
    const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = readFileSync(
      "/proc/stat",
      "utf8",
    )
      .split(/\s+/, 9)
      .slice(1)
      .map((ticks) => Number(ticks) / 100);
    return { busy: user + nice + system + irq + softIrq, steal };
  } catch {
    return { busy: 0, steal: 0 };
  }
}
