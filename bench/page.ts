import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { toMarkdown } from "./markdown.ts";
import { number, readOptions } from "./options.ts";
import type { Benchmark, Row } from "./report.ts";
import { type Result, readNewest, unfitness } from "./results.ts";
import { type Chart, drawChart, type Line } from "./svg.ts";

const PAGE = resolve(import.meta.dirname, "../docs/performance.md");
const FOLDER = resolve(import.meta.dirname, "../docs/performance");

/** One part of the page, between `<!-- bench NAME -->` and `<!-- end -->`. */
interface Section {
  readonly name: string;
  /** The benchmark whose newest result it shows. */
  readonly bench: string;
  readonly rows?: (result: Result) => readonly Row[];
  readonly charts?: Readonly<Record<string, (result: Result) => Chart>>;
}

const PARTS = ["scheduler", "dispatcher", "postgres", "gateway", "other"];

const SECTIONS: readonly Section[] = [
  {
    name: "burst",
    bench: "burst",
    charts: { "burst-lateness": (result) => latenessChart("burst", result, false) },
  },
  {
    name: "steady",
    bench: "steady",
    charts: { "steady-lateness": (result) => latenessChart("steady", result, true) },
  },
  {
    name: "rate",
    bench: "rate",
    rows: ({ rows }) =>
      rows.map((row) =>
        without(
          row,
          PARTS.map((part) => `${part}Micros`),
        ),
      ),
    charts: { "cost-against-rate": costAgainstRate },
  },
  { name: "highest", bench: "rate", rows: ({ summary = [] }) => summary },
  {
    name: "parts",
    bench: "rate",
    rows: ({ rows }) => partsOf(rows),
    charts: { "parts-against-rate": partsAgainstRate },
  },
  {
    name: "idle",
    bench: "idle",
    charts: { "idle-against-stored": idleChart, "cost-against-stored": costAgainstStored },
  },
  { name: "load", bench: "load" },
  { name: "recover", bench: "recover" },
  { name: "destinations", bench: "destinations" },
  { name: "https", bench: "https" },
];

/**
 * Writes the tables and charts of docs/performance.md from the newest results. A section without a result says which
 * command fills it. It refuses a result with a problem, with other options than the defaults, or of a busy machine, as if
 * there were none; with `--any 1` it takes it. Throws when the page has no place for a section.
 */
export async function writePage(args: readonly string[]): Promise<void> {
  const takesAny = number(readOptions({ any: 0 }, args), "any") === 1;
  mkdirSync(FOLDER, { recursive: true });
  let page = readFileSync(PAGE, "utf8");
  for (const section of SECTIONS) {
    const place = new RegExp(`(<!-- bench ${section.name} -->\n)[\\s\\S]*?(<!-- end -->)`);
    if (!place.test(page)) throw new Error(`${PAGE} has no line "<!-- bench ${section.name} -->".`);
    const content = await contentOf(section, takesAny);
    page = page.replace(place, (_, from: string, end: string) => `${from}${content}\n${end}`);
  }
  writeFileSync(PAGE, page);
}

async function contentOf(section: Section, takesAny: boolean): Promise<string> {
  const { options = {} } = (await import(`./${section.bench}.ts`)) as Benchmark;
  const result = readNewest(section.bench);
  const reason = result === undefined ? "there is none" : takesAny ? undefined : unfitness(result, options);
  if (result === undefined || reason !== undefined) {
    console.log(`${section.name}: no result, because ${reason}`);
    for (const name of Object.keys(section.charts ?? {})) rmSync(`${FOLDER}/${name}.svg`, { force: true });
    return `\nNot measured yet on a quiet machine. \`npm run bench -- ${section.bench}\` and then \`npm run bench -- report\` fill this.\n`;
  }
  console.log(`${section.name}: of ${result.endTime}`);
  return toContent(section, result);
}

function toContent({ rows, charts = {} }: Section, result: Result): string {
  const images = Object.entries(charts).map(([name, toChart]) => {
    const chart = toChart(result);
    writeFileSync(`${FOLDER}/${name}.svg`, drawChart(chart));
    return `![${chart.title}](performance/${name}.svg)`;
  });
  const shown = rows === undefined ? result.rows : rows(result);
  return [toMarkdown(shown), describeRun(result), ...images].map((part) => `\n${part}\n`).join("");
}

function describeRun({
  bench,
  options,
  endTime,
  machine,
  otherWorkCores,
  stealPercent,
  problem,
}: Result): string {
  const given = Object.entries(options).map(([name, value]) => `--${name} ${value}`);
  const other = otherWorkCores === undefined ? "not known" : `${otherWorkCores.toFixed(2)} cores`;
  return (
    `\`npm run bench -- ${[bench, ...given].join(" ")}\`, ${endTime.slice(0, 10)}, ${machine}; other work ` +
    `meanwhile: ${other}, taken by the host: ${stealPercent.toFixed(1)} %.` +
    (problem === undefined ? "" : ` **These figures have a problem:** ${problem}`)
  );
}

function without(row: Row, columns: readonly string[]): Row {
  return Object.fromEntries(Object.entries(row).filter(([column]) => !columns.includes(column))) as Row;
}

function figure(row: Row, column: string): number {
  const value = row[column];
  return typeof value === "number" ? value : Number.NaN;
}

function linesBy(rows: readonly Row[], x: string, y: string): Line[] {
  return [...Map.groupBy(rows, ({ name }) => name)].map(([name, own]) => ({
    name,
    points: own.map((row) => [figure(row, x), figure(row, y)] as const),
  }));
}

function latenessChart(bench: string, { curves = {} }: Result, isLogarithmic: boolean): Chart {
  return {
    title: `${bench}: the part of the deliveries that was at most so late`,
    x: { label: "lateness, ms", isLogarithmic },
    y: { label: "deliveries, %" },
    lines: Object.entries(curves).map(([name, late]) => ({
      name,
      points: late.map((ms, percent) => [Math.max(ms, isLogarithmic ? 0.1 : 0), percent] as const),
    })),
  };
}

function costAgainstRate({ rows }: Result): Chart {
  return {
    title: "CPU time of a delivery against the rate, databases included",
    x: { label: "deliveries a second" },
    y: { label: "µs a delivery" },
    lines: linesBy(rows, "ratePerSecond", "cpuMicrosPerDelivery"),
  };
}

function partsOf(rows: readonly Row[]): Row[] {
  return rows
    .filter(({ name }) => name === "easycron")
    .map((row) => ({
      name: `${figure(row, "ratePerSecond").toLocaleString("en-US")} a second`,
      ...Object.fromEntries(PARTS.map((part) => [`${part}Micros`, figure(row, `${part}Micros`)])),
      allMicros: figure(row, "cpuMicrosPerDelivery"),
    }));
}

function partsAgainstRate({ rows }: Result): Chart {
  const own = rows.filter(({ name }) => name === "easycron");
  return {
    title: "CPU time of a delivery in each process",
    x: { label: "deliveries a second" },
    y: { label: "µs a delivery" },
    lines: PARTS.map((part) => ({
      name: part === "postgres" ? "PostgreSQL" : part,
      points: own.map((row) => [figure(row, "ratePerSecond"), figure(row, `${part}Micros`)] as const),
    })),
  };
}

function idleChart({ rows }: Result): Chart {
  return {
    title: "CPU time with nothing due, against stored jobs",
    x: { label: "stored jobs", isLogarithmic: true },
    y: { label: "% of a core" },
    lines: linesBy(
      rows.filter((row) => figure(row, "stored") > 0),
      "stored",
      "cpuPercent",
    ),
  };
}

function costAgainstStored({ rows }: Result): Chart {
  return {
    title: "CPU time of a delivery against stored jobs",
    x: { label: "stored jobs", isLogarithmic: true },
    y: { label: "µs a delivery" },
    lines: linesBy(
      rows.filter((row) => figure(row, "stored") > 0),
      "stored",
      "cpuMicrosPerDelivery",
    ),
  };
}
