import { columnsOf, type Row } from "./report.ts";

const UNITS: readonly (readonly [suffix: string, unit: string])[] = [
  ["MicrosPerDelivery", "µs a delivery"],
  ["PerSecond", "a second"],
  ["Micros", "µs"],
  ["MiB", "MiB"],
  ["Percent", "%"],
  ["Ms", "ms"],
];
const WORDS: Readonly<Record<string, string>> = { cpu: "CPU", postgres: "PostgreSQL", name: "" };
const FAULTS = ["lost", "duplicates", "early"];

/**
 * Returns rows as a table of Markdown. Columns without a figure are left out, and lost, duplicate and early deliveries
 * share one.
 */
export function toMarkdown(rows: readonly Row[]): string {
  const columns = columnsOf(rows).filter((column) => rows.some((row) => row[column] !== null));
  const shown = columns.filter((column) => !FAULTS.slice(1).includes(column));
  const headings = shown.map((column) =>
    column === FAULTS[0] ? "lost · double · early" : toHeading(column),
  );
  const lines = rows.map((row) =>
    shown.map((column) =>
      column === FAULTS[0] && row[column] !== undefined
        ? FAULTS.map((fault) => show(row[fault])).join(" · ")
        : show(row[column]),
    ),
  );
  return [headings, shown.map((_, index) => (index === 0 ? "---" : "---:")), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

/** Returns a column's name in words: "lastArrivalMs" as "last arrival, ms". */
export function toHeading(column: string): string {
  const [suffix, unit] = UNITS.find(([end]) => column.endsWith(end)) ?? ["", ""];
  const words = column
    .slice(0, column.length - suffix.length)
    .replaceAll(/([A-Z])/g, " $1")
    .toLowerCase()
    .split(" ")
    .map((word) => WORDS[word] ?? word)
    .join(" ");
  return [words, unit].filter((part) => part !== "").join(", ");
}

function show(value: string | number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "string") return value;
  const size = Math.abs(value);
  const maximumFractionDigits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { maximumFractionDigits });
}
