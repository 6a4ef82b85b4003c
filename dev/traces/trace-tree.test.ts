import { expect, test, vi } from "vitest";
import { createTracePrinter } from "./trace-printer.ts";
import type { ReceivedSpan } from "./trace-receiver.ts";
import { toTree } from "./trace-tree.ts";

const ZERO = Date.UTC(2026, 0, 1);

function span(spanId: string, parentId: string, name: string, atMs: number, more: object = {}): ReceivedSpan {
  const service = name === "trigger" ? "easycron-scheduler" : "easycron-dispatcher";
  const times = { startMs: ZERO + atMs, endMs: ZERO + atMs + 2 };
  const attributes = { "easycron.trigger.id": "trg_1", ...more };
  return {
    spanId,
    parentId,
    name,
    service,
    traceId: "7f",
    ...times,
    attributes,
    links: [],
    hasFailed: false,
  };
}

const effective = { "easycron.trigger.effective_time": new Date(ZERO).toISOString() };
const SPANS = [
  span("r", "a", "record", 12, { "easycron.trigger.state": "SUCCEEDED" }),
  span("a", "t", "POST webhook", 3, { "http.response.status_code": 204 }),
  span("c", "t", "claim", 0.5, { "easycron.attempt.number": 1 }),
  span("t", "", "trigger", -2_000, effective),
  span("x", "lost", "accept", -1_990),
];

test("a trace is a tree in the order of time, and a span whose parent is lost is at its left", () => {
  expect(
    toTree(SPANS).map((line) => line.replace(/ {2,}(?=\S)/g, (gap, at) => (at === 0 ? gap : " "))),
  ).toEqual([
    "  trigger scheduler -2000.0 ms 2.0 ms",
    "    claim 1 dispatcher +0.5 ms 2.0 ms",
    "    POST webhook 204 dispatcher +3.0 ms 2.0 ms",
    "      record SUCCEEDED dispatcher +12.0 ms 2.0 ms",
    "  accept dispatcher -1990.0 ms 2.0 ms",
  ]);
});

test("a trace is printed once its trigger has ended, at most one in a second, and the others are counted", () => {
  vi.useFakeTimers();
  try {
    const lines: string[] = [];
    const printer = createTracePrinter((line) => lines.push(line));
    const of = (id: string) =>
      SPANS.map((each) => ({ ...each, attributes: { ...each.attributes, "easycron.trigger.id": id } }));
    printer.add(of("trg_1"));
    printer.add(of("trg_2"));
    expect(lines).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(lines).toHaveLength(6);
    expect(lines[0]).toBe("trace 7f of trg_1, times from its fire time");
    printer.add(of("trg_3"));
    vi.advanceTimersByTime(1_000);
    expect(lines[6]).toBe("trace 7f of trg_3, times from its fire time (1 other traces are not shown)");
    printer.stop();
  } finally {
    vi.useRealTimers();
  }
});
