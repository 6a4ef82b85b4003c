import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Meter } from "@opentelemetry/api";
import { createInstruments, gauge, observe } from "./metric.ts";

/** What is measured of every process. */
export const PROCESS_METRICS = {
  ready: gauge("easycron.ready", {
    unit: "1",
    attributes: [],
    meaning: "1 while the process would serve, as `/readyz` says; else 0.",
  }),
  eventLoopDelay: gauge("nodejs.eventloop.delay.p99", {
    unit: "s",
    attributes: [],
    meaning: "How late Node.js ran what was due, at the 99th percentile since the last reading.",
  }),
  eventLoopDelayMax: gauge("nodejs.eventloop.delay.max", {
    unit: "s",
    attributes: [],
    meaning: "How late Node.js ran what was due, at worst since the last reading.",
  }),
  memory: gauge("process.memory.usage", {
    unit: "By",
    attributes: [],
    meaning: "Memory of the process in RAM (resident set size).",
  }),
  heap: gauge("v8js.memory.heap.used", {
    unit: "By",
    attributes: [],
    meaning: "Memory of live and dead JavaScript objects.",
  }),
  cpu: gauge("easycron.process.cpu.time", {
    unit: "s",
    attributes: ["cpu.mode"],
    meaning: "CPU time that the process has used since it started.",
  }),
} as const;

const NS_PER_SECOND = 1e9;
const US_PER_SECOND = 1e6;
const RESOLUTION_MS = 20;

/**
 * Measures this process. Returns a function that ends it. The delay of the event loop is sampled 50 times a second;
 * everything else is looked at when it is read.
 */
export function measureProcess(meter: Meter, isReady: () => boolean): () => void {
  const metrics = createInstruments(meter, PROCESS_METRICS);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  // The sampler's own pause is part of what it measures.
  const late = (ns: number) => Math.max(0, ns / NS_PER_SECOND - RESOLUTION_MS / 1_000);
  meter.addBatchObservableCallback(
    (result) => {
      result.observe(metrics.eventLoopDelay, late(delay.percentile(99)));
      result.observe(metrics.eventLoopDelayMax, late(delay.max));
      delay.reset();
    },
    [metrics.eventLoopDelay, metrics.eventLoopDelayMax],
  );
  observe(metrics.ready, () => (isReady() ? 1 : 0));
  observe(metrics.memory, () => process.memoryUsage.rss());
  observe(metrics.heap, () => process.memoryUsage().heapUsed);
  observe(metrics.cpu, () => process.cpuUsage().user / US_PER_SECOND, { "cpu.mode": "user" });
  observe(metrics.cpu, () => process.cpuUsage().system / US_PER_SECOND, { "cpu.mode": "system" });
  return () => delay.disable();
}
