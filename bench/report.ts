/** One line of a benchmark's result. The name of each figure ends with its unit. */
export type Row = { readonly name: string } & Readonly<Record<string, string | number | null>>;

/** What a benchmark's module exports. */
export interface Benchmark {
  /** What it measures, in one line. */
  readonly title: string;
  /** Measures and returns the rows. Two of them have the names "easycron" and "floor". */
  run(): Promise<readonly Row[]>;
}

/** Prints rows as a table. */
export function printTable(rows: readonly Row[]): void {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
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

/** Returns a percentile by the nearest-rank method; `percent` is from 0 to 100. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}
