import type { Attributes, Counter, Histogram, Meter, ObservableGauge } from "@opentelemetry/api";

/** The kind of a metric: how it is made and how readers add it up. */
export type MetricType = "counter" | "histogram" | "gauge";

/** One metric, as docs/metrics.md lists it. */
export interface Metric<T extends MetricType = MetricType> {
  /** Words separated by dots; the semantic conventions of OpenTelemetry where they have one. */
  readonly name: string;
  readonly type: T;
  /** In UCUM: `s`, `By`, `{trigger}`. */
  readonly unit: string;
  /** The names of the attributes. None has a value of which there is one for each job or trigger. */
  readonly attributes: readonly string[];
  /** What it means, in one sentence. */
  readonly meaning: string;
  /** The bounds of a histogram's buckets. */
  readonly bounds?: readonly number[];
}

/** The metrics of a service or of a part, by the names that its code uses. */
export type MetricTable = Readonly<Record<string, Metric>>;

/** The instruments of a table. */
export type Instruments<T extends MetricTable> = {
  readonly [K in keyof T]: T[K] extends Metric<"counter">
    ? Counter
    : T[K] extends Metric<"histogram">
      ? Histogram
      : ObservableGauge;
};

/** From a millisecond to ten minutes, in seconds: for how late something is. */
export const LATENESS_BOUNDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600,
] as const;

/** From a millisecond to a minute, in seconds: for how long something takes. */
export const DURATION_BOUNDS = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/** From one to a thousand: for how many things are done together. */
export const BATCH_BOUNDS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000] as const;

type Rest = Omit<Metric, "name" | "type">;

/** Something that is counted. */
export function counter(name: string, rest: Omit<Rest, "bounds">): Metric<"counter"> {
  return { name, type: "counter", ...rest };
}

/** Something whose distribution is kept. */
export function histogram(name: string, rest: Rest & { bounds: readonly number[] }): Metric<"histogram"> {
  return { name, type: "histogram", ...rest };
}

/** Something that is looked at when somebody reads it. */
export function gauge(name: string, rest: Omit<Rest, "bounds">): Metric<"gauge"> {
  return { name, type: "gauge", ...rest };
}

/** Makes the instruments of a table. This is the only place that makes any. */
export function createInstruments<T extends MetricTable>(meter: Meter, table: T): Instruments<T> {
  const made = Object.entries(table).map(([key, metric]) => [key, createInstrument(meter, metric)]);
  // Each key has the instrument of its metric's type.
  return Object.fromEntries(made) as Instruments<T>;
}

function createInstrument(meter: Meter, { name, type, unit, meaning, bounds }: Metric) {
  const options = { unit, description: meaning };
  switch (type) {
    case "counter":
      return meter.createCounter(name, options);
    case "histogram":
      return meter.createHistogram(name, {
        ...options,
        advice: { explicitBucketBoundaries: [...(bounds ?? DURATION_BOUNDS)] },
      });
    case "gauge":
      return meter.createObservableGauge(name, options);
  }
}

/**
 * Shows a counter as 0 before it counts anything, with each of these attributes. Prometheus sees no increase in a counter
 * that begins with its first count, so an alert on that counter would not fire.
 */
export function showZero(counter: Counter, each: readonly Attributes[] = [{}]): void {
  for (const attributes of each) counter.add(0, attributes);
}

/** Looks at a gauge whenever it is read. `look` returns its value, or nothing to show none now. */
export function observe(
  gauge: ObservableGauge,
  look: () => number | undefined,
  attributes: Attributes = {},
): void {
  gauge.addCallback((result) => {
    const value = look();
    if (value !== undefined) result.observe(value, attributes);
  });
}
