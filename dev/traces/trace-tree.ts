import type { ReceivedSpan } from "./trace-receiver.ts";

/**
 * Returns a trigger's trace as lines of text: a span in each, indented by its place in the tree, with the time at which it
 * started, counted from the trigger's effective time, and how long it took. A span whose parent has not come is at the
 * left.
 */
export function toTree(spans: readonly ReceivedSpan[]): string[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const sorted = spans.toSorted((a, b) => a.startMs - b.startMs);
  const children = Map.groupBy(sorted, ({ parentId }) => (ids.has(parentId) ? parentId : ""));
  const zeroMs = zeroOf(sorted);
  const lines: string[] = [];
  const add = (span: ReceivedSpan, depth: number) => {
    lines.push(toLine(span, depth, zeroMs));
    if (depth < MAX_DEPTH) for (const child of children.get(span.spanId) ?? []) add(child, depth + 1);
  };
  for (const root of children.get("") ?? []) add(root, 0);
  return lines;
}

const MAX_DEPTH = 10;
const NAME_WIDTH = 32;

function zeroOf(spans: readonly ReceivedSpan[]): number {
  const effective = spans.map(({ attributes }) => attributes["easycron.trigger.effective_time"]);
  const known = effective.find((time) => typeof time === "string");
  return known === undefined ? (spans[0]?.startMs ?? 0) : Date.parse(known);
}

function toLine(span: ReceivedSpan, depth: number, zeroMs: number): string {
  const { name, service, attributes, startMs, endMs } = span;
  const number = name === "claim" ? attributes["easycron.attempt.number"] : undefined;
  const outcome =
    attributes["http.response.status_code"] ??
    attributes["easycron.attempt.outcome"] ??
    attributes["easycron.trigger.state"];
  const title = [name, number, outcome].filter((word) => word !== undefined).join(" ");
  const indented = `${"  ".repeat(depth + 1)}${title}`.padEnd(NAME_WIDTH);
  const at = formatMs(startMs - zeroMs, true).padStart(12);
  return `${indented} ${service.replace(/^easycron-/, "").padEnd(10)} ${at} ${formatMs(endMs - startMs).padStart(11)}`;
}

function formatMs(ms: number, isSigned = false): string {
  const text = `${ms.toFixed(1)} ms`;
  return isSigned && ms >= 0 ? `+${text}` : text;
}
