import {
  type Attributes,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { EasyCronError } from "./errors.ts";
import { childTraceparent, parseTraceparent } from "./trace.ts";

/** Ends a span. An error, or the HTTP status of one, tells that it failed. */
type EndSpan = (error?: unknown) => void;

/** The span of a call that is being served. */
export interface CallSpan {
  /** Begins a span within it, for something that another process is asked to do. */
  child(name: string, attributes: Attributes): EndSpan;
  readonly end: EndSpan;
}

/** A call's place in a trace. */
export interface CallTrace {
  /** What inner calls and the caller are told. */
  readonly traceparent: string;
  /** The call's span; undefined if it is not recorded. */
  readonly span: CallSpan | undefined;
}

const HEALTH = `${Health.typeName}/`;

/**
 * Begins the span of a call, as a child of the caller's span if `given`, its traceparent, names one. `method` is its full
 * name, such as easycron.v1.JobService/GetJob. Without a tracer that records anything, the call has a place in the trace
 * and no span; nor has a check of health a span, since there is one each second. The attributes follow https://opentelemetry.io/docs/specs/semconv/rpc/.
 */
export function startCallSpan(
  tracer: Tracer | undefined,
  {
    method,
    system,
    given,
  }: { readonly method: string; readonly system: string; readonly given: string | undefined },
): CallTrace {
  if (tracer === undefined || method.startsWith(HEALTH))
    return { traceparent: childTraceparent(given), span: undefined };
  const attributes = { "rpc.system.name": system, "rpc.method": method };
  const span = tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, toContext(given));
  const context = span.spanContext();
  if (!isSpanContextValid(context)) return { traceparent: childTraceparent(given), span: undefined };
  const flags = context.traceFlags & TraceFlags.SAMPLED ? "01" : "00";
  const traceparent = `00-${context.traceId}-${context.spanId}-${flags}`;
  return { traceparent, span: span.isRecording() ? toCallSpan(tracer, span) : undefined };
}

function toContext(traceparent: string | undefined) {
  const parent = parseTraceparent(traceparent);
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, parentId: spanId, sampled } = parent;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function toCallSpan(tracer: Tracer, span: Span): CallSpan {
  const context = trace.setSpan(ROOT_CONTEXT, span);
  return {
    child: (name, attributes) => {
      const child = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, context);
      return (error) => endSpan(child, error);
    },
    end: (error) => endSpan(span, error),
  };
}

// The message of an error may quote a customer's value, so a span has its reason only.
function endSpan(span: Span, error: unknown): void {
  if (error !== undefined) {
    const type = toErrorType(error);
    span.setAttribute("error.type", type).setStatus({ code: SpanStatusCode.ERROR, message: type });
  }
  span.end();
}

function toErrorType(error: unknown): string {
  if (error instanceof EasyCronError) return error.reason;
  return error instanceof Error ? error.name : String(error);
}
