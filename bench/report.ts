import type { Options } from "./options.ts";
import { busyProblem, type SinkAnswer } from "./receiver.ts";

/** One line of a benchmark's result. The name of each figure ends with its unit. */
export type Row = { readonly name: string } & Readonly<Record<string, string | number | null>>;

/** What a benchmark found. */
export interface Findings {
  readonly rows: readonly Row[];
  /** What the rows come to. */
  readonly summary?: readonly Row[];
  /** Why some of the rows say nothing. The benchmark then ends with an error. */
  readonly problem?: string;
  /** The lateness in milliseconds that 0, 1, … 100 percent of the deliveries had at most, by contender. */
  readonly curves?: Readonly<Record<string, readonly number[]>>;
}

/** What a benchmark's module exports. */
export interface Benchmark {
  /** What it measures, in one line. */
  readonly title: string;
  /** Its options on the command line, with their defaults. */
  readonly options?: Options;
  /** Measures. Options that are not given have their defaults. */
  run(options: Options): Promise<Findings>;
}

/** Prints rows as a table. */
export function printTable(rows: readonly Row[]): void {
  const columns = columnsOf(rows);
  const cells = [columns, ...rows.map((row) => columns.map((column) => show(row[column])))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  for (const line of cells) {
    console.log(
      line
        .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
        .join("  "),
    );
  }
}

/** Returns the names of all figures, in the order in which rows have them first. */
export function columnsOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

function show(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "number" ? String(Math.round(value * 100) / 100) : value;
}

/** Returns the median. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Returns the curve whose points are the medians of the runs' points. */
export function medianCurve(answers: readonly SinkAnswer[]): number[] {
  return Array.from({ length: 101 }, (_, percent) =>
    median(answers.map(({ quantilesMs }) => quantilesMs[percent] ?? Number.NaN)),
  );
}

/** Returns the lateness that a percentage of the arrivals had at most; `percent` is a whole number from 0 to 100. */
export function percentile({ quantilesMs }: SinkAnswer, percent: number): number {
  return quantilesMs[percent] ?? Number.NaN;
}

/** How many of the expected requests are missing, how many came twice, and how many came early, in all runs. */
export function faultsOf(runs: readonly { readonly expected: number; readonly answer: SinkAnswer }[]) {
  const sum = (figure: (run: (typeof runs)[number]) => number) =>
    runs.reduce((total, run) => total + figure(run), 0);
  return {
    lost: sum(({ expected, answer }) => expected - answer.arrived),
    duplicates: sum(({ answer }) => answer.duplicates),
    early: sum(({ answer }) => answer.early),
  };
}

/** Says what is wrong with runs: a receiver that was too busy, and what was lost, double or early. Undefined: nothing. */
export function problemOf(
  runs: readonly { readonly name: string; readonly expected: number; readonly answer: SinkAnswer }[],
): string | undefined {
  const problems = runs.flatMap((run) => {
    const { lost, duplicates, early } = faultsOf([run]);
    const wrong =
      lost !== 0 || duplicates + early > 0
        ? `There were ${lost} lost, ${duplicates} double and ${early} early deliveries; each must be 0.`
        : undefined;
    return [busyProblem(run.answer), wrong]
      .filter((problem) => problem !== undefined)
      .map((problem) => `${run.name}: ${problem}`);
  });
  return problems.length === 0 ? undefined : [...new Set(problems)].join(" ");
}

/** Returns a problem as a part of findings. */
export function withProblem(...problems: readonly (string | undefined)[]): Pick<Findings, "problem"> {
  const known = problems.filter((problem) => problem !== undefined);
  return known.length === 0 ? {} : { problem: known.join(" ") };
}
