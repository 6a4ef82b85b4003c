import type { ReceivedSpan } from "./trace-receiver.ts";
import { toTree } from "./trace-tree.ts";

/** Prints the traces of triggers. */
export interface TracePrinter {
  /** Takes spans. */
  add(spans: readonly ReceivedSpan[]): void;
  /** Prints nothing any more. */
  stop(): void;
}

/** The services send their spans in batches, so those of one trigger come in any order. */
const LATE_MS = 1_000;
/** Most traces that are kept while their triggers have not ended. */
const MAX_TRACES = 1_000;
/** Most spans of one trace that are kept. */
const MAX_SPANS = 100;
/** The shortest time between two traces that are printed. */
const EVERY_MS = 1_000;

/**
 * Makes a printer that prints the trace of each trigger as a tree when it has ended. At most one trace is printed in a
 * second; how many are left out is printed with the next one.
 */
export function createTracePrinter(print: (line: string) => void): TracePrinter {
  const traces = new Map<string, ReceivedSpan[]>();
  const timers = new Set<NodeJS.Timeout>();
  let printedMs = Number.NEGATIVE_INFINITY;
  let leftOut = 0;

  const show = (triggerId: string) => {
    const spans = traces.get(triggerId) ?? [];
    traces.delete(triggerId);
    if (performance.now() - printedMs < EVERY_MS) {
      leftOut += 1;
      return;
    }
    printedMs = performance.now();
    const others = leftOut === 0 ? "" : ` (${leftOut} other traces are not shown)`;
    leftOut = 0;
    print(`trace ${spans[0]?.traceId} of ${triggerId}, times from its fire time${others}`);
    for (const line of toTree(spans)) print(line);
  };

  return {
    add: (spans) => {
      for (const span of spans) {
        const triggerId = span.attributes["easycron.trigger.id"];
        if (typeof triggerId !== "string") continue;
        const known = traces.get(triggerId) ?? [];
        if (known.length === 0) {
          const [oldest] = traces.keys();
          if (traces.size >= MAX_TRACES && oldest !== undefined) traces.delete(oldest);
          traces.set(triggerId, known);
        }
        if (known.length < MAX_SPANS) known.push(span);
        if (!isLast(span)) continue;
        const timer = setTimeout(() => {
          timers.delete(timer);
          show(triggerId);
        }, LATE_MS);
        timers.add(timer);
      }
    },
    stop: () => {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}

function isLast({ name, attributes }: ReceivedSpan): boolean {
  return name === "record" && attributes["easycron.trigger.state"] !== "RETRYING";
}
