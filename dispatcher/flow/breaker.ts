import type { Outcome } from "../delivery/outcome.ts";

/** What the outcome of an attempt says about its destination. */
export type Verdict =
  /** It answers: any status below 500 but 429. */
  | "ALIVE"
  /** It fails: no connection, no answer in time, a broken answer, or a status of 500 or more. */
  | "FAILING"
  /** It asks for less: 429 or 503. It counts as failing, too. */
  | "BUSY"
  /** Nothing: it was not even tried. */
  | "NONE";

/** Returns what an outcome says about the destination. */
export function verdictOf(outcome: Outcome): Verdict {
  switch (outcome.kind) {
    case "SUCCEEDED":
      return "ALIVE";
    case "REJECTED":
      if (outcome.statusCode === 429 || outcome.statusCode === 503) return "BUSY";
      return outcome.statusCode !== null && outcome.statusCode < 500 ? "ALIVE" : "FAILING";
    case "NOT_SENT":
      return outcome.isUntried === true ? "NONE" : "FAILING";
    case "UNKNOWN":
      return "FAILING";
  }
}

/** Counts what has ended in the last minute, and how much of it failed. */
export interface FailureWindow {
  /** By span of time: attempts that ended, and of these, attempts that failed. */
  readonly ended: number[];
  readonly failed: number[];
  /** The number of the newest span. */
  span: number;
}

const SPAN_MS = 10_000;
const SPANS = 6;
/** The breaker opens when at least so many attempts have ended in the window, and this part of them failed. */
const MIN_ENDED = 10;
const FAILURE_SHARE = 0.7;

/** Makes an empty window. */
export function createFailureWindow(nowMs: number): FailureWindow {
  return {
    ended: Array<number>(SPANS).fill(0),
    failed: Array<number>(SPANS).fill(0),
    span: Math.floor(nowMs / SPAN_MS),
  };
}

/** Counts an attempt that has ended. `nowMs` is of a clock that never steps. */
export function countEnded(window: FailureWindow, nowMs: number, hasFailed: boolean): void {
  move(window, nowMs);
  const at = window.span % SPANS;
  window.ended[at] = (window.ended[at] ?? 0) + 1;
  if (hasFailed) window.failed[at] = (window.failed[at] ?? 0) + 1;
}

/** Whether so many attempts failed that no more should be made. Source of the share: Convoy, 70 % of at least ten. */
export function isTripped(window: FailureWindow): boolean {
  const ended = sum(window.ended);
  return ended >= MIN_ENDED && sum(window.failed) >= FAILURE_SHARE * ended;
}

/** Whether no attempt of the window failed. */
export function isQuiet(window: FailureWindow, nowMs: number): boolean {
  move(window, nowMs);
  return sum(window.failed) === 0;
}

function move(window: FailureWindow, nowMs: number): void {
  const span = Math.floor(nowMs / SPAN_MS);
  for (let each = Math.max(window.span + 1, span - SPANS + 1); each <= span; each++) {
    window.ended[each % SPANS] = 0;
    window.failed[each % SPANS] = 0;
  }
  window.span = Math.max(window.span, span);
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, each) => total + each, 0);
}
