import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join, resolve } from "node:path";
import type { Options } from "./options.ts";
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
  /** The average number of processes that wanted a core in the minute before: other work on the machine. */
  readonly loadBefore: number;
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
  const [loadBefore = 0] = os.loadavg();
  const before = readStealSeconds();
  const findings = await run(options);
  const endTime = new Date().toISOString();
  const seconds = (Date.parse(endTime) - Date.parse(startTime)) / 1_000;
  const result: Result = {
    bench,
    title,
    options,
    startTime,
    endTime,
    machine: describeMachine(),
    loadBefore,
    stealPercent: ((readStealSeconds() - before) / seconds / os.cpus().length) * 100,
    ...findings,
  };
  mkdirSync(FOLDER, { recursive: true });
  const file = `${bench}-${startTime.replaceAll(/[-:.]/g, "")}.json`;
  writeFileSync(join(FOLDER, file), `${JSON.stringify(result, undefined, 2)}\n`);
  return result;
}

/** Reads the newest result of a benchmark. Undefined: it was not run in this checkout. */
export function readNewest(bench: string): Result | undefined {
  let names: string[] = [];
  try {
    names = readdirSync(FOLDER);
  } catch {
    // No benchmark was run.
  }
  const newest = names
    .filter((name) => new RegExp(`^${bench}-\\d{8}T\\d+Z\\.json$`).test(name))
    .sort()
    .at(-1);
  return newest === undefined
    ? undefined
    : (JSON.parse(readFileSync(join(FOLDER, newest), "utf8")) as Result);
}

function describeMachine(): string {
  const cpus = os.cpus();
  const memoryGiB = Math.round(os.totalmem() / 2 ** 30);
  const model = (cpus[0]?.model ?? "").replaceAll(/\s+/g, " ").trim();
  return `${cpus.length} cores (${model}), ${memoryGiB} GiB, Linux ${os.release().replace(/-.*/, "")}, Node ${process.versions.node}`;
}

/** Returns the time that the host has taken away from all cores so far. 0 where there is no /proc. */
function readStealSeconds(): number {
  try {
    const [, , , , , , , , steal = "0"] = readFileSync("/proc/stat", "utf8").split(/\s+/, 10);
    return Number(steal) / 100;
  } catch {
    return 0;
  }
}
