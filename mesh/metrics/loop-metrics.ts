import type { Meter } from "@opentelemetry/api";
import type { Watched } from "../watchdog.ts";
import { createInstruments, gauge, observe } from "./metric.ts";

/** What is measured of loops. */
export const LOOP_METRICS = {
  age: gauge("easycron.loop.age", {
    unit: "s",
    attributes: ["easycron.loop"],
    meaning: "How long ago a loop of the process completed last.",
  }),
  limit: gauge("easycron.loop.limit", {
    unit: "s",
    attributes: ["easycron.loop"],
    meaning: "How old the last completed run of a loop may be, before it counts as stalled.",
  }),
} as const;

/** Measures the loops that a watchdog watches. */
export function measureLoops(meter: Meter, watched: readonly Watched[]): void {
  const { age, limit } = createInstruments(meter, LOOP_METRICS);
  for (const { name, sinceSuccessMs, limitMs } of watched) {
    const attributes = { "easycron.loop": name };
    observe(age, () => sinceSuccessMs() / 1_000, attributes);
    observe(limit, () => limitMs / 1_000, attributes);
  }
}
