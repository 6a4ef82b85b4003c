import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createEvents } from "../dispatcher/events/events.ts";
import { measureEvents } from "../dispatcher/measuring/measure-events.ts";
import { SET_ASIDE_KINDS } from "../dispatcher/set-aside/set-aside.ts";
import { createInstruments } from "../mesh/metrics/metric.ts";
import { startTelemetry } from "../mesh/telemetry.ts";
import { readTelemetrySettings } from "../mesh/telemetry-settings.ts";
import { MISSED_REASONS } from "../scheduler/job/verdict.ts";
import { createMeasuring } from "../scheduler/measuring/measure-scheduler.ts";
import { METRIC_TABLES, readSamples } from "./support/metric-tables.ts";
import { startReadTelemetry } from "./support/read-metrics.ts";

const root = join(import.meta.dirname, "..");
const textOf = (path: string) => readFileSync(join(root, path), "utf8");

/** The words that Prometheus may know: the names of all samples and of all labels. */
const known = new Set<string>();

beforeAll(async () => {
  const settings = readTelemetrySettings({ EASYCRON_METRICS_LISTEN: "127.0.0.1:0" });
  const logger = { warn: () => {}, error: () => {} };
  const { meter, readPrometheus, close } = await startTelemetry({ service: "all", settings, logger });
  for (const table of Object.values(METRIC_TABLES)) {
    const instruments = createInstruments(meter, table) as Record<string, object>;
    for (const [key, metric] of Object.entries(table)) {
      const attributes = Object.fromEntries(metric.attributes.map((name) => [name, "x"]));
      const instrument = instruments[key] ?? {};
      if ("addCallback" in instrument && typeof instrument.addCallback === "function")
        instrument.addCallback((result: { observe(value: number, of: object): void }) =>
          result.observe(1, attributes),
        );
      else if ("add" in instrument && typeof instrument.add === "function") instrument.add(1, attributes);
      else if ("record" in instrument && typeof instrument.record === "function")
        instrument.record(1, attributes);
    }
  }
  for (const { name, labels } of readSamples((await readPrometheus?.()) ?? "")) {
    known.add(name);
    for (const label of Object.keys(labels)) known.add(label);
  }
  await close();
});

/** Returns the words of a text that look like a name of ours and that Prometheus does not know. */
const unknownIn = (text: string) =>
  [...text.matchAll(/(?<![\w:$"-])(?:easycron|nodejs|process|v8js|db_client|rpc|messaging)_\w+/g)]
    .map(([name]) => name)
    .filter((name) => !known.has(name));

describe("docs/metrics.md", () => {
  test("has the metrics of the code, and no others", () => {
    const sections = textOf("docs/metrics.md").split("\n## ").slice(1);
    const documented = Object.fromEntries(
      sections.map((section) => {
        const [title = "", ...lines] = section.split("\n");
        const rows = lines.filter((line) => line.startsWith("| `"));
        return [title, rows.map((line) => line.slice(2).split(" | ").slice(0, 5))];
      }),
    );
    const code = Object.fromEntries(
      Object.entries(METRIC_TABLES).map(([title, table]) => [
        title,
        Object.values(table).map(({ name, type, unit, attributes, meaning }) => [
          `\`${name}\``,
          type,
          `\`${unit}\``,
          attributes.map((attribute) => `\`${attribute}\``).join(", "),
          meaning,
        ]),
      ]),
    );
    expect(documented).toEqual(code);
  });

  test("says of each metric what to do", () => {
    const rows = textOf("docs/metrics.md")
      .split("\n")
      .filter((line) => line.startsWith("| `"));
    for (const row of rows) expect(row.split(" | ")[5], row).toMatch(/\w/);
  });
});

/** Returns a counter and the attributes that an alert selects, of each counter whose increase an alert looks at. */
const increasesIn = (text: string) =>
  [...text.matchAll(/increase\((\w+)(?:\{(.*?)\})?\[/g)].map(([, name = "", selected = ""]) => ({
    name,
    labels: Object.fromEntries(
      [...selected.matchAll(/(\w+)="(.*?)"/g)].map(([, key, value]) => [key, value]),
    ),
  }));

describe("the code", () => {
  test("makes instruments in one file only", async () => {
    const makers: string[] = [];
    const folders = "{cron,db,dev,dispatcher,gateway,mesh,plugins,scheduler}";
    for await (const file of glob(`${folders}/**/*.ts`, { cwd: root, exclude: ["**/*.test.ts"] })) {
      if (/\.create(Observable)?(Counter|Histogram|Gauge|UpDownCounter)\(/.test(textOf(file)))
        makers.push(file);
    }
    expect(makers).toEqual(["mesh/metrics/metric.ts"]);
  });

  test("gives no two metrics one name", () => {
    const names = Object.values(METRIC_TABLES).flatMap((table) =>
      Object.values(table).map(({ name }) => name),
    );
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("deploy/observability", () => {
  const alerts = textOf("deploy/observability/alerts.yaml");
  const dashboard = textOf("deploy/observability/dashboard.json");

  test("uses only metrics and attributes that there are", () => {
    const targets = (JSON.parse(dashboard).panels as { targets?: { expr: string; legendFormat: string }[] }[])
      .flatMap((panel) => panel.targets ?? [])
      .map(({ expr, legendFormat }) => `${expr} ${legendFormat}`);
    expect(targets.length).toBeGreaterThan(30);
    expect(unknownIn(targets.join("\n"))).toEqual([]);
    expect(alerts.match(/expr:/g)?.length).toBeGreaterThan(15);
    expect(unknownIn(alerts)).toEqual([]);
    // A name that there is not would be found.
    expect(unknownIn("sum(easycron_no_such_metric_total)")).toEqual(["easycron_no_such_metric_total"]);
  });

  test("has no alert on a counter that is absent until it counts", async () => {
    const telemetry = await startReadTelemetry();
    createMeasuring(telemetry);
    measureEvents(createEvents(), telemetry);
    const samples = await telemetry.samples();
    const valuesOf = (name: string, labels: Record<string, string>) =>
      samples
        .filter((each) => each.name === name)
        .filter((each) => Object.entries(labels).every(([key, value]) => each.labels[key] === value))
        .map(({ value }) => value);
    const increases = increasesIn(alerts);
    expect(increases.length).toBeGreaterThan(6);
    for (const { name, labels } of increases) {
      const values = valuesOf(name, labels);
      expect(values.length, name).toBeGreaterThan(0);
      expect(
        values.every((value) => value === 0),
        name,
      ).toBe(true);
    }
    // An attribute by which an alert adds up, or that an operator selects, has each of its values.
    expect(valuesOf("easycron_fire_time_missed_total", {})).toHaveLength(MISSED_REASONS.length);
    expect(valuesOf("easycron_dispatcher_set_aside_total", {})).toHaveLength(SET_ASIDE_KINDS.length);
    await telemetry.close();
  });

  test("has a paragraph in docs/operations.md for each alert, and there is no other", () => {
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    const headings = [...textOf("docs/operations.md").matchAll(/^### (EasyCron\w+)$/gm)].map(
      ([, name]) => name,
    );
    expect(headings).toEqual(names);
  });
});
