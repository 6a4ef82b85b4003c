/** The span of one call of the API. */
export interface ClientSpan {
  /** The headers that continue the trace in EasyCron. */
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the span. `errorType` says that the call failed, and how. */
  end(errorType?: string): void;
}

/** The parts of `@opentelemetry/api` that are used here, as its versions 1.x have them. */
interface Span {
  spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
  setAttribute(name: string, value: string): unknown;
  setStatus(status: { readonly code: number }): unknown;
  end(): void;
}
interface Tracer {
  startSpan(name: string, options: { readonly kind: number; readonly attributes: object }): Span;
}
interface Api {
  readonly trace?: { getTracer(name: string): Tracer } | undefined;
}

const CLIENT = 2;
const ERROR = 2;
const INVALID_TRACE = "0".repeat(32);

/**
 * Begins the span of a call within the application's active span, if the application uses OpenTelemetry. All copies of
 * `@opentelemetry/api` 1.x meet at one global symbol. So this package finds the application's own, and imports nothing
 * where there is none. Returns undefined where there is none.
 */
export function startClientSpan(method: string): ClientSpan | undefined {
  const api = (globalThis as Record<symbol, unknown>)[Symbol.for("opentelemetry.js.api.1")] as
    | Api
    | undefined;
  const tracer = api?.trace?.getTracer("@easycron/sdk");
  if (tracer === undefined) return undefined;
  const attributes = { "rpc.system.name": "connectrpc", "rpc.method": method };
  const span = tracer.startSpan(method, { kind: CLIENT, attributes });
  const { traceId, spanId, traceFlags } = span.spanContext();
  const flags = (traceFlags & 1) === 1 ? "01" : "00";
  return {
    headers: traceId === INVALID_TRACE ? {} : { traceparent: `00-${traceId}-${spanId}-${flags}` },
    end: (errorType) => {
      if (errorType !== undefined) {
        span.setAttribute("error.type", errorType);
        span.setStatus({ code: ERROR });
      }
      span.end();
    },
  };
}
