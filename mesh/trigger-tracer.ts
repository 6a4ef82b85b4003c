import {
  type Attributes,
  type Context,
  type HrTime,
  type Link,
  ROOT_CONTEXT,
  type SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { createGuard } from "./guard.ts";
import type { Logger } from "./logger.ts";
import { withSpanIds } from "./span-ids.ts";
import type { Telemetry } from "./telemetry.ts";
import { parseTraceparent, randomHex } from "./trace.ts";
import { spanIdOf, type TracePart, traceIdOf } from "./trigger-trace.ts";

/** One span of a trigger's trace, which has ended. Times are epoch milliseconds. */
export interface TriggerSpan {
  readonly triggerId: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** The part of the trace that the span is, if others refer to it. Without it the span's id is random. */
  readonly part?: TracePart;
  /** The span within which this one lies; absent for the root alone. */
  readonly parent?: TracePart;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly links?: readonly Link[];
  /** What went wrong, in words without values of customers. Absent if nothing did. */
  readonly error?: string | undefined;
}

/** Makes the spans of triggers. All processes that work on a trigger make spans of one trace, because ids are derived. */
export interface TriggerTracer {
  /** Whether somebody gets the spans. What costs something to find out is not found out otherwise. */
  readonly isOn: boolean;
  /** Whether the trigger's trace is recorded. The same in every process with the same sampler. */
  isSampled(triggerId: string): boolean;
  /** Records a span of a trigger whose trace is recorded. Never throws. */
  record(span: TriggerSpan): void;
  /**
   * Returns the traceparent of an attempt, for its target. Its flag tells whether the trace is recorded; while nobody
   * gets spans it is set, so that a target that follows the flag goes on recording its own.
   */
  traceparentOf(triggerId: string, attempt: number): string;
}

/** The tracer of a process whose spans nobody gets. */
export const UNTRACED: TriggerTracer = {
  isOn: false,
  isSampled: () => false,
  record: () => {},
  traceparentOf: (triggerId) => `00-${traceIdOf(triggerId)}-${randomHex(8)}-01`,
};

/** Makes a tracer. Spans that cannot be recorded are left out; the first one is logged. */
export function createTriggerTracer(
  { tracer, hasTraces, isSampled: keeps }: Pick<Telemetry, "tracer" | "hasTraces" | "isSampled">,
  logger: Pick<Logger, "error">,
): TriggerTracer {
  if (!hasTraces) return UNTRACED;
  const guard = createGuard(logger, "recording a span of a trigger");
  const isSampled = (triggerId: string) => keeps(traceIdOf(triggerId));
  return {
    isOn: true,
    isSampled,
    record: guard((span: TriggerSpan) => record(tracer, span)),
    traceparentOf: (triggerId, attempt) => {
      const traceId = traceIdOf(triggerId);
      if (!keeps(traceId)) return `00-${traceId}-${randomHex(8)}-00`;
      return `00-${traceId}-${spanIdOf(triggerId, `attempt ${attempt}`)}-01`;
    },
  };
}

function record(tracer: Tracer, span: TriggerSpan): void {
  const { triggerId, name, kind, part, parent, links, error } = span;
  const options = {
    kind,
    startTime: toHrTime(span.startMs),
    attributes: { "easycron.trigger.id": triggerId, ...span.attributes },
    ...(links !== undefined && { links: [...links] }),
  };
  const traceId = traceIdOf(triggerId);
  const ids = { traceId, ...(part !== undefined && { spanId: spanIdOf(triggerId, part) }) };
  const context = parent === undefined ? ROOT_CONTEXT : within(traceId, spanIdOf(triggerId, parent));
  const started = withSpanIds(ids, () => tracer.startSpan(name, options, context));
  if (error !== undefined) started.setStatus({ code: SpanStatusCode.ERROR, message: error });
  started.end(toHrTime(Math.max(span.startMs, span.endMs)));
}

function within(traceId: string, spanId: string): Context {
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}

// The SDK takes a number for a time since the start of the process if it is small enough.
function toHrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}

/** Returns the link to the call with this traceparent; none if there is none. `relation` says what the call did. */
export function linkTo(traceparent: string | null | undefined, relation: string): Link[] {
  const context = parseTraceparent(traceparent ?? undefined);
  if (context === undefined) return [];
  const { traceId, parentId: spanId, sampled } = context;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return [
    {
      context: { traceId, spanId, traceFlags, isRemote: true },
      attributes: { "easycron.relation": relation },
    },
  ];
}
